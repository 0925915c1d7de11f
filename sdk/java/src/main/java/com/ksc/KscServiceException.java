package com.ksc;

/** The service answered, and the answer is a failure: of the gateway before the action, or of the action itself. */
public abstract class KscServiceException extends KscClientException {
    private static final long serialVersionUID = 1L;

    /** HTTP's status. */
    private final int statusCode;

    /** The failure's code. */
    private final String errorCode;

    /** The service's own words. */
    private final String errorMessage;

    /** Names the request in the service's log. */
    private final String requestId;

    /**
     * A failure as it was answered.
     *
     * @param statusCode HTTP's
     * @param errorCode the failure's code as text
     * @param errorMessage the service's own words
     * @param requestId names the request in the service's log
     * @param retryable whether the same call may be made again
     * @param advice what to do about it
     */
    protected KscServiceException(
            int statusCode, String errorCode, String errorMessage, String requestId, boolean retryable, String advice) {
        super(describe(statusCode, errorCode, errorMessage, requestId, advice), retryable, advice, null);
        this.statusCode = statusCode;
        this.errorCode = errorCode;
        this.errorMessage = errorMessage;
        this.requestId = requestId;
    }

    /**
     * HTTP's status.
     *
     * @return 200 for a failure of the action, 4xx or 5xx for one of the gateway
     */
    public final int getStatusCode() {
        return statusCode;
    }

    /**
     * The failure's code.
     *
     * @return the gateway's name of it, such as {@code InvalidAccesskey}, or the RetCode in digits
     */
    public final String getErrorCode() {
        return errorCode;
    }

    /**
     * The service's own words.
     *
     * @return the gateway's Message, or RetMsg
     */
    public final String getErrorMessage() {
        return errorMessage;
    }

    /**
     * What names this request in the service's log.
     *
     * @return an id, empty if the answer had none
     */
    public final String getRequestId() {
        return requestId;
    }

    private static String describe(int status, String code, String message, String requestId, String advice) {
        String text = code + ": " + message + " (HTTP " + status + ", request " + requestId + ")";
        return advice.isEmpty() ? text : text + ". " + advice;
    }
}
