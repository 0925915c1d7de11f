package com.ksc.auth;

import com.ksc.auth.profile.ProfileCredentialsProvider;
import java.util.Map;

/**
 * Where a client made without credentials takes them from: {@code OPENKLS_ACCESS_KEY} and {@code OPENKLS_SECRET_KEY} of
 * the environment, else {@code ~/.aws/credentials}.
 */
public final class DefaultAWSCredentialsProviderChain implements AWSCredentialsProvider {
    private final Map<String, String> environment;
    private final AWSCredentialsProvider profile;

    /** The process's environment, and the file in the user's home. */
    public DefaultAWSCredentialsProviderChain() {
        this(System.getenv(), new ProfileCredentialsProvider());
    }

    DefaultAWSCredentialsProviderChain(Map<String, String> environment, AWSCredentialsProvider profile) {
        this.environment = environment;
        this.profile = profile;
    }

    @Override
    public AWSCredentials getCredentials() {
        String accessKey = environment.get("OPENKLS_ACCESS_KEY");
        String secretKey = environment.get("OPENKLS_SECRET_KEY");
        if (accessKey != null && secretKey != null) {
            return new BasicAWSCredentials(accessKey, secretKey);
        }
        return profile.getCredentials();
    }
}
