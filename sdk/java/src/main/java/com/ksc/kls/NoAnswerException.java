package com.ksc.kls;

import com.ksc.KscClientException;

/**
 * Nothing that can be read came back: no connection, none in time, cut, or a page that is not the service's. Whether the
 * action was done is not known.
 */
public final class NoAnswerException extends KscClientException {
    private static final long serialVersionUID = 1L;

    /** HTTP's status. */
    private final int statusCode;

    NoAnswerException(String message, int statusCode, boolean retryable, Throwable cause) {
        super(message, retryable, "", cause);
        this.statusCode = statusCode;
    }

    /**
     * HTTP's status.
     *
     * @return 0 where not even a status came
     */
    public int getStatusCode() {
        return statusCode;
    }
}
