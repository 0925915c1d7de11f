package com.ksc;

/**
 * A call that did not succeed; the root of everything this SDK throws. No secret key is in any of them.
 *
 * <p>The branches: {@link com.ksc.kls.UsageException} (nothing was sent), {@link com.ksc.kls.NoAnswerException}
 * (nothing that can be read came back), {@link KscServiceException} (the service said no).
 */
public class KscClientException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Whether the same call may be made again. */
    private final boolean retryable;

    /** What to do about it. */
    private final String advice;

    /**
     * A failure.
     *
     * @param message what went wrong
     * @param retryable whether the same call may be made again
     * @param advice what to do about it, empty where there is nothing to say
     * @param cause what caused it, or null
     */
    protected KscClientException(String message, boolean retryable, String advice, Throwable cause) {
        super(message, cause);
        this.retryable = retryable;
        this.advice = advice;
    }

    /**
     * Whether the client repeats this call after such a failure; it has done so as often as it may.
     *
     * @return true if the same call may succeed later and does no harm when repeated
     */
    public final boolean isRetryable() {
        return retryable;
    }

    /**
     * What to do about it, from the service model.
     *
     * @return a sentence or two, empty where the model has none
     */
    public final String getAdvice() {
        return advice;
    }
}
