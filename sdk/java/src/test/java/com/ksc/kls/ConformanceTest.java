package com.ksc.kls;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.ksc.KscClientException;
import com.ksc.KscServiceException;
import com.ksc.auth.BasicAWSCredentials;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Every case of sdk/conformance, twice where it can be: by the typed methods, and by the call by name. */
class ConformanceTest {
    private static final Path CASES = Path.of("..", "conformance");
    private static final ObjectMapper JSON = new ObjectMapper();

    @TestFactory
    Stream<DynamicTest> everyCase() throws IOException {
        List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> files = Files.list(CASES)) {
            for (Path file : files.filter(each -> each.toString().endsWith(".json")).sorted().collect(Collectors.toList())) {
                for (JsonNode each : JSON.readTree(file.toFile()).get("cases")) {
                    String name = each.get("name").asText();
                    boolean typed = ByName.typed(each.get("action").asText(), parameters(each));
                    if (typed) {
                        tests.add(DynamicTest.dynamicTest("typed: " + name, () -> new Run(each).typed()));
                    }
                    if (!each.path("pages").asBoolean()) {
                        tests.add(DynamicTest.dynamicTest("by name: " + name, () -> new Run(each).byName()));
                    }
                }
            }
        }
        assertFalse(tests.isEmpty(), "there are no cases");
        return tests.stream();
    }

    private static Map<String, Object> parameters(JsonNode each) {
        return JSON.convertValue(each.get("parameters"), new TypeReference<LinkedHashMap<String, Object>>() {});
    }

    private interface Call {
        JsonNode make(KSCKSLClient client, String action, Map<String, Object> parameters) throws Exception;
    }

    /** One run of one case. */
    private static final class Run {
        private final JsonNode whole;
        private final Canned network;
        private final List<Double> waits = new ArrayList<>();

        Run(JsonNode whole) {
            this.whole = whole;
            this.network = new Canned(whole.path("requests"), whole.path("answers"));
        }

        void typed() throws Exception {
            run((client, action, parameters) -> {
                if (whole.path("pages").asBoolean()) {
                    ArrayNode rows = JSON.createArrayNode();
                    for (Object row : ByName.pages(client, action, parameters)) {
                        rows.add(ByName.tree(row));
                    }
                    return rows;
                }
                return ByName.tree(ByName.call(client, action, parameters)).get("Data");
            });
        }

        void byName() throws Exception {
            run(KSCKSLClient::call);
        }

        private void run(Call call) throws Exception {
            JsonNode error = whole.path("error");
            JsonNode result = null;
            KscClientException failure = null;
            try (KSCKSLClient client = client()) {
                result = call.make(client, whole.get("action").asText(), parameters(whole));
            } catch (KscClientException caught) {
                failure = caught;
            }
            if (error.isMissingNode()) {
                assertNull(failure);
                assertHolds("", whole.get("result"), result);
            } else {
                assertNotNull(failure, "a failure was to be told");
                assertFailure(error, failure);
            }
            assertEquals(whole.path("requests").size(), network.sent, "requests");
            int usual = Math.max(0, whole.path("requests").size() - 1);
            assertEquals(whole.path("waits").asInt(usual), waits.size(), "pauses");
            Iterator<JsonNode> least = whole.path("least_waits_seconds").elements();
            double ceiling = 0.2;
            for (double wait : waits) {
                double floor = least.hasNext() ? least.next().asDouble() : 0;
                assertTrue(wait >= floor && wait <= Math.max(floor, Math.min(5, ceiling)), "a pause of " + wait + " s");
                ceiling *= 2;
            }
        }

        private KSCKSLClient client() {
            JsonNode made = whole.path("client");
            KSCKSLClientBuilder builder = KSCKSLClient.builder()
                    .endpoint("http://kls.test:8080")
                    .credentials(new BasicAWSCredentials(
                            made.path("access_key").asText(), made.path("secret_key").asText()))
                    .clock(Clock.fixed(Instant.ofEpochSecond(whole.path("clock").asLong()), ZoneOffset.UTC))
                    .pause(waits::add)
                    .transport(network);
            if (made.has("region")) {
                builder.region(made.get("region").asText());
            }
            if (made.has("retries")) {
                builder.retries(made.get("retries").asInt());
            }
            return builder.build();
        }

        private void assertFailure(JsonNode wanted, KscClientException failure) {
            Map<String, Object> told = new HashMap<>();
            told.put("retryable", failure.isRetryable());
            told.put("message", failure.getMessage());
            if (failure instanceof KscServiceException) {
                KscServiceException answered = (KscServiceException) failure;
                told.put("status", answered.getStatusCode());
                told.put("message", answered.getErrorMessage());
                told.put("request_id", answered.getRequestId());
            }
            if (failure instanceof BusinessException) {
                told.put("kind", "Business");
                told.put("ret_code", ((BusinessException) failure).getRetCode());
            } else if (failure instanceof GatewayException) {
                told.put("kind", "Gateway");
                told.put("code", ((GatewayException) failure).getErrorCode());
            } else if (failure instanceof NoAnswerException) {
                told.put("kind", "NoAnswer");
                told.put("status", ((NoAnswerException) failure).getStatusCode());
            } else {
                told.put("kind", failure.getClass().getSimpleName().replace("Exception", ""));
            }
            assertHolds("", wanted, JSON.valueToTree(told));
            String secret = whole.path("client").path("secret_key").asText();
            assertFalse((failure + String.valueOf(failure.getCause())).contains(secret), "a secret is told");
        }
    }

    /** The members that are wanted are there, of that type and value; a list is whole. */
    private static void assertHolds(String where, JsonNode wanted, JsonNode actual) {
        assertNotNull(actual, where + " is absent");
        if (wanted.isObject()) {
            wanted.properties().forEach(
                    member -> assertHolds(where + "." + member.getKey(), member.getValue(), actual.get(member.getKey())));
        } else if (wanted.isArray()) {
            assertEquals(wanted.size(), actual.size(), where + ": entries");
            for (int index = 0; index < wanted.size(); index++) {
                assertHolds(where + "[" + index + "]", wanted.get(index), actual.get(index));
            }
        } else if (wanted.isNumber()) {
            assertTrue(actual.isNumber(), where + " is no number: " + actual);
            assertEquals(0, wanted.decimalValue().compareTo(actual.decimalValue()), where + ": " + actual);
        } else {
            assertEquals(wanted, actual, where);
        }
    }

    /** A network that gives the answers of a case, and holds what is sent against it. */
    private static final class Canned implements Transport {
        private final JsonNode requests;
        private final JsonNode answers;
        private int sent;

        Canned(JsonNode requests, JsonNode answers) {
            this.requests = requests;
            this.answers = answers;
        }

        @Override
        public Answer send(Wire wire) throws IOException {
            assertTrue(sent < requests.size(), "a request too many: " + wire.target);
            JsonNode wanted = requests.get(sent);
            JsonNode answer = answers.get(sent);
            sent++;
            assertEquals("http://kls.test:8080", wire.base);
            assertEquals(wanted.get("method").asText(), wire.method);
            assertEquals(wanted.get("target").asText(), wire.target);
            String body = wire.body == null ? null : new String(wire.body, StandardCharsets.UTF_8);
            assertEquals(wanted.has("body") ? wanted.get("body").asText() : null, body);
            Map<String, String> headers = new HashMap<>();
            wire.headers.forEach(each -> headers.put(each.getKey().toLowerCase(Locale.ROOT), each.getValue()));
            headers.put("host", "kls.test:8080"); // which java.net.http writes, from the URL
            wanted.path("headers").properties().forEach(each -> assertEquals(
                    each.getValue().asText(), headers.get(each.getKey().toLowerCase(Locale.ROOT)), each.getKey()));
            assertEquals("openkls-java/" + Service.SDK_VERSION, headers.get("user-agent"));
            if (answer.has("fault")) {
                throw fault(answer.get("fault").asText());
            }
            Map<String, String> given = new HashMap<>();
            answer.path("headers").properties().forEach(
                    each -> given.put(each.getKey().toLowerCase(Locale.ROOT), each.getValue().asText()));
            byte[] bytes = answer.path("body").asText().getBytes(StandardCharsets.UTF_8);
            return new Answer(answer.get("status").asInt(), given, bytes);
        }

        private static IOException fault(String name) {
            switch (name) {
                case "refused":
                    return new NotSent(new ConnectException());
                case "reset":
                    return new IOException("Connection reset");
                case "timeout":
                    return new IOException("no answer within 10000 ms");
                default:
                    throw new AssertionError("no such fault: " + name);
            }
        }

        @Override
        public void close() {}
    }
}
