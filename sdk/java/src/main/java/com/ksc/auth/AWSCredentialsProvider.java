package com.ksc.auth;

/** Where a client takes its credentials from; it is asked at every call. */
public interface AWSCredentialsProvider {
    /**
     * The credentials to sign with now.
     *
     * @return a key and its secret
     * @throws com.ksc.kls.UsageException if there are none
     */
    AWSCredentials getCredentials();
}
