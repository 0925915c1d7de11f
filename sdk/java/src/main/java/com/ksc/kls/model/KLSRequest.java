package com.ksc.kls.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.ksc.kls.UsageException;
import java.util.LinkedHashMap;
import java.util.Map;

/** The parameters of an action. Nothing is judged here: the service knows best what it takes. */
public abstract class KLSRequest implements Cloneable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private Map<String, Object> body = Map.of();
    private String dryRun;

    KLSRequest() {}

    /**
     * The action that this is a request of.
     *
     * @return its name
     */
    public abstract String action();

    /**
     * The parameters that are given, by the names of the document.
     *
     * @return a new map, without nulls
     */
    public final Map<String, Object> toParameters() {
        Map<String, Object> parameters = new LinkedHashMap<>(body);
        fill(parameters);
        put(parameters, "DryRun", dryRun);
        return parameters;
    }

    /**
     * Asks for every check of the request without the action: the answer is {@link ErrorDryRunException}.
     *
     * @param wanted true to ask so
     */
    public final void setDryRun(boolean wanted) {
        dryRun = wanted ? "true" : null;
    }

    /**
     * Does nothing: a request knows its action.
     *
     * @param action is not read
     * @deprecated for code written for the older SDK
     */
    @Deprecated
    public final void setAction(String action) {}

    /**
     * Does nothing: a request knows its version.
     *
     * @param version is not read
     * @deprecated for code written for the older SDK
     */
    @Deprecated
    public final void setVersion(String version) {}

    @Override
    protected KLSRequest clone() {
        try {
            return (KLSRequest) super.clone();
        } catch (CloneNotSupportedException error) {
            throw new IllegalStateException("this class is Cloneable", error);
        }
    }

    abstract void fill(Map<String, Object> parameters);

    static void put(Map<String, Object> parameters, String name, Object value) {
        if (value != null) {
            parameters.put(name, value);
        }
    }

    final void setBody(String json) {
        try {
            body = JSON.readValue(json, new TypeReference<LinkedHashMap<String, Object>>() {});
        } catch (JsonProcessingException error) {
            throw new UsageException("the data is no JSON object", error);
        }
    }
}
