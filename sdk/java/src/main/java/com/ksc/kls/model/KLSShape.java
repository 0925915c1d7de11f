package com.ksc.kls.model;

import com.fasterxml.jackson.annotation.JsonAutoDetect;
import com.fasterxml.jackson.annotation.JsonAutoDetect.Visibility;
import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;

/** A value of an answer: as text it is JSON, with the names of the document. Members that are unknown are passed over. */
@JsonAutoDetect(
        fieldVisibility = Visibility.NONE,
        getterVisibility = Visibility.NONE,
        isGetterVisibility = Visibility.NONE,
        setterVisibility = Visibility.NONE)
@JsonIgnoreProperties(ignoreUnknown = true)
@JsonInclude(JsonInclude.Include.NON_NULL)
public abstract class KLSShape {
    private static final ObjectMapper JSON = new ObjectMapper();

    KLSShape() {}

    /** The value as JSON. */
    @Override
    public final String toString() {
        try {
            return JSON.writeValueAsString(this);
        } catch (JsonProcessingException error) {
            throw new IllegalStateException("texts and numbers have a form in JSON", error);
        }
    }
}
