package com.ksc.kls.model;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The answer to an action: its Data, and what names the request. */
public abstract class KLSResult extends KLSShape {
    @JsonProperty("RequestId")
    private String requestId;

    KLSResult() {}

    /**
     * What names this request in the service's log.
     *
     * @return an id, or null if the answer had none
     */
    public final String getRequestId() {
        return requestId;
    }
}
