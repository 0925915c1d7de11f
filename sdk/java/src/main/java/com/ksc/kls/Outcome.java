package com.ksc.kls;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.ksc.KscClientException;

/** What came of one attempt: a whole answer that is a success, or a failure. */
final class Outcome {
    /** Longer digits are a longer pause than any client waits, and no number of Java's. */
    private static final int RETRY_AFTER_DIGITS_MAX = 9;

    final ObjectNode answer;
    final KscClientException failure;
    final String date;
    private final String retryAfter;

    Outcome(ObjectNode answer, KscClientException failure, String date, String retryAfter) {
        this.answer = answer;
        this.failure = failure;
        this.date = date;
        this.retryAfter = retryAfter;
    }

    static Outcome failed(KscClientException failure) {
        return new Outcome(null, failure, null, null);
    }

    /** The pause that the service asks for; 0 where it does not, or asks with a date. */
    long retryAfterSeconds() {
        if (retryAfter == null || !retryAfter.strip().matches("[0-9]+")) {
            return 0;
        }
        String digits = retryAfter.strip();
        return digits.length() > RETRY_AFTER_DIGITS_MAX ? Long.MAX_VALUE : Long.parseLong(digits);
    }
}
