package com.ksc.kls;

import com.ksc.KscServiceException;

/** The action itself failed: HTTP 200 and a RetCode other than 0, which is one of {@link RetCodes}. */
public final class BusinessException extends KscServiceException {
    private static final long serialVersionUID = 1L;

    /** The business code. */
    private final int retCode;

    BusinessException(int statusCode, int retCode, String retMsg, String requestId) {
        super(statusCode, Integer.toString(retCode), retMsg, requestId, false, RetCodes.advice(retCode));
        this.retCode = retCode;
    }

    /**
     * The business code.
     *
     * @return one of {@link RetCodes}, never 0
     */
    public int getRetCode() {
        return retCode;
    }
}
