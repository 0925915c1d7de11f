package com.ksc.kls;

import com.ksc.KscClientException;

/** The call was not made, because it cannot be: an unknown name, no credentials, an endpoint that is no URL. */
public final class UsageException extends KscClientException {
    private static final long serialVersionUID = 1L;

    /**
     * A call that cannot be made.
     *
     * @param message what is wrong with it
     */
    public UsageException(String message) {
        this(message, null);
    }

    /**
     * A call that cannot be made.
     *
     * @param message what is wrong with it
     * @param cause what showed it, or null
     */
    public UsageException(String message, Throwable cause) {
        super(message, false, "", cause);
    }
}
