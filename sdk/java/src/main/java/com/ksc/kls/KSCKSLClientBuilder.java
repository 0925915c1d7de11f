package com.ksc.kls;

import com.ksc.auth.AWSCredentials;
import com.ksc.auth.AWSCredentialsProvider;
import com.ksc.auth.DefaultAWSCredentialsProviderChain;
import java.time.Clock;
import java.time.Duration;

/** Makes a client; what is not given has a default. */
public final class KSCKSLClientBuilder {
    static final String REGION = "cn-beijing-6";
    static final int RETRIES = 2;
    static final Duration TIMEOUT = Duration.ofSeconds(10);

    private Endpoint endpoint = Endpoint.of(System.getenv().getOrDefault("OPENKLS_ENDPOINT", Endpoint.DEFAULT));
    private String region = REGION;
    private AWSCredentialsProvider credentials = new DefaultAWSCredentialsProviderChain();
    private int retries = RETRIES;
    private Duration timeout = TIMEOUT;
    private Clock clock = Clock.systemUTC();
    private Caller.Pause pause = seconds -> Thread.sleep((long) (seconds * 1000));
    private Transport transport;

    KSCKSLClientBuilder() {}

    /**
     * Where the service is.
     *
     * @param given {@code http://host[:port]} or https; default: {@code OPENKLS_ENDPOINT} of the environment, else
     *     {@code http://127.0.0.1:8080}
     * @return this
     * @throws UsageException if it is no such URL
     */
    public KSCKSLClientBuilder endpoint(String given) {
        endpoint = Endpoint.of(given);
        return this;
    }

    /**
     * The region that is signed for.
     *
     * @param given its name; default: {@code cn-beijing-6}
     * @return this
     */
    public KSCKSLClientBuilder region(String given) {
        region = given;
        return this;
    }

    /**
     * The credentials to sign with.
     *
     * @param given a key and its secret; default: those of {@link DefaultAWSCredentialsProviderChain}
     * @return this
     */
    public KSCKSLClientBuilder credentials(AWSCredentials given) {
        credentials = () -> given;
        return this;
    }

    /**
     * Where the credentials come from.
     *
     * @param given is asked at every attempt
     * @return this
     */
    public KSCKSLClientBuilder credentials(AWSCredentialsProvider given) {
        credentials = given;
        return this;
    }

    /**
     * How often a call is repeated after a failure that may pass.
     *
     * @param given 0 or more; default: 2
     * @return this
     */
    public KSCKSLClientBuilder retries(int given) {
        if (given < 0) {
            throw new UsageException("retries are 0 or more, not " + given);
        }
        retries = given;
        return this;
    }

    /**
     * How long one attempt may take, from the connection to the last byte.
     *
     * @param given longer than 0; default: 10 seconds
     * @return this
     */
    public KSCKSLClientBuilder timeout(Duration given) {
        if (given.isZero() || given.isNegative()) {
            throw new UsageException("a timeout is longer than 0, not " + given);
        }
        timeout = given;
        return this;
    }

    /**
     * The clock that requests are dated by.
     *
     * @param given a clock; default: the system's
     * @return this
     */
    public KSCKSLClientBuilder clock(Clock given) {
        clock = given;
        return this;
    }

    KSCKSLClientBuilder pause(Caller.Pause given) {
        pause = given;
        return this;
    }

    KSCKSLClientBuilder transport(Transport given) {
        transport = given;
        return this;
    }

    /**
     * The client.
     *
     * @return a client of its own connections, to be closed
     */
    public KSCKSLClient build() {
        return new KSCKSLClient(caller());
    }

    Caller caller() {
        Transport network = transport == null ? new HttpTransport(timeout) : transport;
        return new Caller(endpoint, region, credentials, retries, clock, pause, network);
    }
}
