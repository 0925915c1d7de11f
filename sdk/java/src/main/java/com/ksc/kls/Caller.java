package com.ksc.kls;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.ksc.KscClientException;
import com.ksc.auth.AWSCredentials;
import com.ksc.auth.AWSCredentialsProvider;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Makes one call of as many attempts as it takes: build, sign, send, read, decide.
 *
 * <p>An attempt ends in Data, or in a failure that says whether the same call may be made again. Each attempt is signed
 * anew, by the clock plus a correction. The correction is learnt from the Date of an answer InvalidTimestamp and kept for
 * the life of the client; the attempt that taught it is not counted, and there is at most one in a call.
 */
final class Caller implements AutoCloseable {
    /** Scalars are not coerced into each other; members that the model does not know are passed over. */
    static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    static final double FIRST_PAUSE_SECONDS = 0.2;
    static final double LONGEST_PAUSE_SECONDS = 5;
    /** A service that asks for a longer pause is not waited for. */
    static final int LONGEST_RETRY_AFTER_SECONDS = 60;

    private static final String SERVICE = "kls";
    private static final String JSON_TYPE = "application/json";
    private static final DateTimeFormatter AMZ_DATE =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);

    private final AWSCredentialsProvider credentials;
    private final int retries;
    private final Clock clock;
    private final Pause pause;
    private final Transport transport;
    private volatile Endpoint endpoint;
    private volatile String region;
    private volatile long correctionSeconds;
    private volatile boolean closed;

    Caller(
            Endpoint endpoint,
            String region,
            AWSCredentialsProvider credentials,
            int retries,
            Clock clock,
            Pause pause,
            Transport transport) {
        this.endpoint = endpoint;
        this.region = region;
        this.credentials = credentials;
        this.retries = retries;
        this.clock = clock;
        this.pause = pause;
        this.transport = transport;
    }

    /** How a thread waits before another attempt. */
    interface Pause {
        void seconds(double seconds) throws InterruptedException;
    }

    void setEndpoint(Endpoint given) {
        endpoint = given;
    }

    void setRegion(String given) {
        region = given;
    }

    /** The whole answer, a success. */
    ObjectNode call(Action action, Map<String, ?> given) {
        Map<String, Object> parameters = action.ordered(given);
        boolean repeatable = action.isRepeatable(parameters);
        boolean corrected = false;
        int attempt = 1;
        while (true) {
            Outcome outcome = attempt(action, parameters, repeatable);
            KscClientException failure = outcome.failure;
            if (failure == null) {
                return outcome.answer;
            }
            if (!corrected && correct(outcome)) {
                corrected = true;
                continue;
            }
            long retryAfter = outcome.retryAfterSeconds();
            if (!failure.isRetryable() || attempt > retries || retryAfter > LONGEST_RETRY_AFTER_SECONDS) {
                throw failure;
            }
            double ceiling = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * Math.pow(2, attempt - 1));
            try {
                pause.seconds(Math.max(retryAfter, ThreadLocalRandom.current().nextDouble(ceiling)));
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
                throw failure;
            }
            attempt++;
        }
    }

    @Override
    public void close() {
        closed = true;
        transport.close();
    }

    private Outcome attempt(Action action, Map<String, Object> parameters, boolean repeatable) {
        if (closed) {
            throw new UsageException("the client is closed");
        }
        Transport.Wire wire = sign(action, parameters);
        try {
            Transport.Answer answer = transport.send(wire);
            return Envelope.read(answer, repeatable);
        } catch (Transport.NotSent error) {
            String message = wire.base + " cannot be reached: " + error.getMessage();
            return Outcome.failed(new NoAnswerException(message, 0, true, error));
        } catch (IOException error) {
            boolean again = repeatable && !(error instanceof InterruptedIOException);
            String message = wire.base + " gave no answer: " + error.getMessage();
            return Outcome.failed(new NoAnswerException(message, 0, again, error));
        }
    }

    private Transport.Wire sign(Action action, Map<String, Object> parameters) {
        Endpoint to = endpoint;
        AWSCredentials key = credentials.getCredentials();
        String date = AMZ_DATE.format(Instant.ofEpochSecond(clock.instant().getEpochSecond() + correctionSeconds));
        List<Map.Entry<String, String>> pairs = new ArrayList<>();
        pairs.add(Map.entry("Action", action.name));
        pairs.add(Map.entry("Version", Service.VERSION));
        byte[] body = null;
        if (action.method.equals("GET")) {
            parameters.forEach((name, value) -> pairs.add(Map.entry(name, value.toString())));
        } else {
            body = SigV4.utf8(json(parameters));
        }
        String query = SigV4.query(pairs);
        List<Map.Entry<String, String>> signed = new ArrayList<>();
        if (body != null) {
            signed.add(Map.entry("content-type", JSON_TYPE));
        }
        signed.add(Map.entry("host", to.host));
        signed.add(Map.entry("x-amz-date", date));
        String authorization = SigV4.authorization(
                action.method,
                to.path,
                query,
                signed,
                body == null ? new byte[0] : body,
                key.getAWSAccessKeyId(),
                key.getAWSSecretKey(),
                region,
                SERVICE);
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        if (body != null) {
            headers.add(Map.entry("Content-Type", JSON_TYPE));
        }
        headers.add(Map.entry("X-Amz-Date", date));
        headers.add(Map.entry("Authorization", authorization));
        headers.add(Map.entry("Accept", JSON_TYPE));
        headers.add(Map.entry("User-Agent", "openkls-java/" + Service.SDK_VERSION));
        return new Transport.Wire(action.method, to.base, to.path + "?" + query, headers, body);
    }

    // To text first: Jackson's writer of bytes would escape what is beyond 16 bits.
    private static String json(Map<String, Object> parameters) {
        try {
            return JSON.writeValueAsString(parameters);
        } catch (JsonProcessingException error) {
            throw new UsageException("a parameter has no form in JSON", error);
        }
    }

    private boolean correct(Outcome outcome) {
        if (!(outcome.failure instanceof GatewayException) || outcome.date == null) {
            return false;
        }
        if (!((GatewayException) outcome.failure).getErrorCode().equals("InvalidTimestamp")) {
            return false;
        }
        try {
            Instant theirs = ZonedDateTime.parse(outcome.date, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
            correctionSeconds = theirs.getEpochSecond() - clock.instant().getEpochSecond();
            return true;
        } catch (DateTimeException error) {
            return false;
        }
    }
}
