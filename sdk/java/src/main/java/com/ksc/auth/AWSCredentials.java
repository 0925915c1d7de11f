package com.ksc.auth;

/** An access key and its secret. */
public interface AWSCredentials {
    /**
     * The access key, which is sent.
     *
     * @return the key
     */
    String getAWSAccessKeyId();

    /**
     * The secret key, which signs and is never sent.
     *
     * @return the secret
     */
    String getAWSSecretKey();
}
