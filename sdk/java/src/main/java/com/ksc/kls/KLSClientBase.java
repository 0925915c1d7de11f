package com.ksc.kls;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.ksc.kls.model.KLSRequest;
import com.ksc.kls.model.KLSResult;
import java.util.Map;

/** What the client has beside its actions, which are generated. */
abstract class KLSClientBase implements AutoCloseable {
    private static final int OK = 200;
    private final Caller caller;

    KLSClientBase(Caller caller) {
        this.caller = caller;
    }

    /**
     * Where the service is, from the next call on.
     *
     * @param endpoint {@code http://host[:port]} or https
     * @throws UsageException if it is no such URL
     */
    public void setEndpoint(String endpoint) {
        caller.setEndpoint(Endpoint.of(endpoint));
    }

    /**
     * The region that is signed for, from the next call on.
     *
     * @param region its name, such as {@code cn-beijing-6}
     */
    public void setRegion(String region) {
        caller.setRegion(region);
    }

    /**
     * Calls an action by its name.
     *
     * @param action one of the nine
     * @param parameters their names as the document has them, strings and integers; what is null is left out
     * @return Data of the answer
     * @throws UsageException if the action or a parameter is unknown; nothing was sent
     * @throws NoAnswerException if nothing that can be read came back
     * @throws com.ksc.KscServiceException if the service answered with a failure
     */
    public JsonNode call(String action, Map<String, ?> parameters) {
        return caller.call(Service.action(action), parameters).get("Data");
    }

    /** Gives the connections up. Idempotent; a call afterwards is a {@link UsageException}. */
    @Override
    public void close() {
        caller.close();
    }

    /** The action of a request, its answer as a value. */
    final <T extends KLSResult> T call(KLSRequest request, Class<T> type) {
        return call(request.action(), request.toParameters(), type);
    }

    /** An action by name, its answer as a value. */
    final <T extends KLSResult> T call(String action, Map<String, Object> parameters, Class<T> type) {
        ObjectNode answer = caller.call(Service.action(action), parameters);
        try {
            return Caller.JSON.treeToValue(answer, type);
        } catch (JsonProcessingException error) {
            String message = "Data is not as the service model has it: " + error.getOriginalMessage();
            throw new NoAnswerException(message, OK, false, error);
        }
    }
}
