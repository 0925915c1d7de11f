package com.ksc.kls;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The signature that real clients sent, as recorded, is the one made here. */
class SigV4Test {
    private static final Path CAPTURES = Path.of("..", "..", "tests", "vectors", "sigv4-captures.json");
    private static final Pattern AUTHORIZATION =
            Pattern.compile("AWS4-HMAC-SHA256 Credential=(\\S+?)/\\d+/(.+?)/(.+?)/aws4_request, SignedHeaders=(\\S+), .*");

    @TestFactory
    Stream<DynamicTest> everyCapture() throws IOException {
        JsonNode captures = new ObjectMapper().readTree(CAPTURES.toFile());
        String secret = captures.get("secret_key").asText();
        return StreamSupport.stream(captures.get("requests").spliterator(), false)
                .map(each -> DynamicTest.dynamicTest(
                        each.get("client").asText() + " " + each.get("target").asText(), () -> resign(each, secret)));
    }

    private static void resign(JsonNode request, String secret) {
        String recorded = header(request, "authorization");
        Matcher parts = AUTHORIZATION.matcher(recorded);
        assertEquals(true, parts.matches(), recorded);
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        for (String name : parts.group(4).split(";")) {
            headers.add(Map.entry(name, header(request, name)));
        }
        String[] target = request.get("target").asText().split("\\?", 2);
        List<Map.Entry<String, String>> pairs = new ArrayList<>();
        if (target.length > 1) {
            for (String pair : target[1].split("&")) {
                String[] sides = pair.split("=", 2);
                pairs.add(Map.entry(decoded(sides[0]), decoded(sides[1])));
            }
        }
        String made = SigV4.authorization(
                request.get("method").asText(),
                target[0],
                SigV4.query(pairs),
                headers,
                request.path("body").asText().getBytes(StandardCharsets.UTF_8),
                parts.group(1),
                secret,
                parts.group(2),
                parts.group(3));
        assertEquals(recorded, made);
    }

    private static String header(JsonNode request, String name) {
        for (JsonNode header : request.get("headers")) {
            if (header.get(0).asText().toLowerCase(Locale.ROOT).equals(name)) {
                return header.get(1).asText();
            }
        }
        throw new AssertionError("no header " + name);
    }

    private static String decoded(String text) {
        return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }

    @Test
    void encodesAllButTheUnreserved() {
        assertEquals("aZ09-_.~%20%2B%2F%25%3D%26%2A", SigV4.encode("aZ09-_.~ +/%=&*"));
        assertEquals("%E4%B8%AD%F0%9F%8E%AC%00%7F", SigV4.encode("中🎬\0\u007f"));
    }

    @Test
    void refusesHalfOfASurrogatePair() {
        assertThrows(UsageException.class, () -> SigV4.encode("a\ud83c"));
    }

    @Test
    void sortsByEncodedNameAndValue() {
        List<Map.Entry<String, String>> pairs =
                List.of(Map.entry("b", "1"), Map.entry("a", "~"), Map.entry("a", "中"), Map.entry("B", ""));
        assertEquals("B=&a=%E4%B8%AD&a=~&b=1", SigV4.query(pairs));
    }
}
