package com.ksc.kls;

import com.ksc.KscServiceException;

/**
 * The gateway refused the request before the action. Each code has a class of its own in {@link com.ksc.kls.model}; a code
 * that the service model does not have is this class.
 */
public class GatewayException extends KscServiceException {
    private static final long serialVersionUID = 1L;

    /**
     * A failure as it was answered.
     *
     * @param statusCode HTTP's
     * @param errorCode the gateway's name of it
     * @param errorMessage the service's own words
     * @param requestId names the request in the service's log
     * @param retryable whether the same call may be made again
     * @param advice what to do about it
     */
    public GatewayException(
            int statusCode, String errorCode, String errorMessage, String requestId, boolean retryable, String advice) {
        super(statusCode, errorCode, errorMessage, requestId, retryable, advice);
    }
}
