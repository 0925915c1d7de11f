package com.ksc.auth;

import com.ksc.kls.UsageException;

/** Credentials that are given outright. */
public final class BasicAWSCredentials implements AWSCredentials {
    private final String accessKey;
    private final String secretKey;

    /**
     * A key and its secret; blanks around them are dropped.
     *
     * @param accessKey the access key
     * @param secretKey its secret
     * @throws UsageException if one of them is missing
     */
    public BasicAWSCredentials(String accessKey, String secretKey) {
        if (accessKey == null || accessKey.isBlank() || secretKey == null || secretKey.isBlank()) {
            throw new UsageException("an access key and its secret key are needed");
        }
        this.accessKey = accessKey.trim();
        this.secretKey = secretKey.trim();
    }

    @Override
    public String getAWSAccessKeyId() {
        return accessKey;
    }

    @Override
    public String getAWSSecretKey() {
        return secretKey;
    }

    /** The access key; never the secret. */
    @Override
    public String toString() {
        return "BasicAWSCredentials(" + accessKey + ")";
    }
}
