package com.ksc.kls;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * AWS Signature Version 4 as pure steps: no clock, no network.
 *
 * <p>Text is UTF-8; text that has none (half of a surrogate pair) is a {@link UsageException}, since a replacement would
 * name another stream.
 */
final class SigV4 {
    static final String ALGORITHM = "AWS4-HMAC-SHA256";
    private static final char[] HEX = "0123456789abcdef".toCharArray();
    private static final String UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

    private SigV4() {}

    /** The canonical query of decoded names and values: encoded, sorted by name and then by value. */
    static String query(Iterable<? extends Map.Entry<String, String>> pairs) {
        List<String[]> encoded = new ArrayList<>();
        for (Map.Entry<String, String> pair : pairs) {
            encoded.add(new String[] {encode(pair.getKey()), encode(pair.getValue())});
        }
        encoded.sort((left, right) -> {
            int byName = left[0].compareTo(right[0]);
            return byName != 0 ? byName : left[1].compareTo(right[1]);
        });
        StringBuilder text = new StringBuilder();
        for (String[] pair : encoded) {
            text.append(text.length() == 0 ? "" : "&").append(pair[0]).append('=').append(pair[1]);
        }
        return text.toString();
    }

    /** Percent-encoded as RFC 3986 has it: everything but letters, digits and {@code - _ . ~}. */
    static String encode(String text) {
        StringBuilder encoded = new StringBuilder();
        for (byte each : utf8(text)) {
            if (each > 0 && UNRESERVED.indexOf(each) >= 0) {
                encoded.append((char) each);
            } else {
                encoded.append('%').append(Integer.toHexString(each >> 4 & 15).toUpperCase(Locale.ROOT));
                encoded.append(Integer.toHexString(each & 15).toUpperCase(Locale.ROOT));
            }
        }
        return encoded.toString();
    }

    /** The bytes of a text. */
    static byte[] utf8(String text) {
        try {
            ByteBuffer bytes = StandardCharsets.UTF_8
                    .newEncoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .encode(CharBuffer.wrap(text));
            byte[] array = new byte[bytes.remaining()];
            bytes.get(array);
            return array;
        } catch (CharacterCodingException error) {
            throw new UsageException("a value is not text: it has half of a surrogate pair", error);
        }
    }

    /**
     * The Authorization header's value.
     *
     * @param headers those that are signed, {@code host} and {@code x-amz-date} among them: lower-cased names in their
     *     order (by code point), and values
     * @param query the canonical one
     */
    static String authorization(
            String method,
            String path,
            String query,
            List<Map.Entry<String, String>> headers,
            byte[] body,
            String accessKey,
            String secretKey,
            String region,
            String service) {
        StringBuilder canonical = new StringBuilder(method + "\n" + path + "\n" + query + "\n");
        StringBuilder names = new StringBuilder();
        String date = "";
        for (Map.Entry<String, String> header : headers) {
            String value = header.getValue().strip().replaceAll(" +", " ");
            canonical.append(header.getKey()).append(':').append(value).append('\n');
            names.append(names.length() == 0 ? "" : ";").append(header.getKey());
            date = header.getKey().equals("x-amz-date") ? value : date;
        }
        canonical.append('\n').append(names).append('\n').append(hex(sha256(body)));
        String scope = date.substring(0, 8) + "/" + region + "/" + service + "/aws4_request";
        String toSign = ALGORITHM + "\n" + date + "\n" + scope + "\n" + hex(sha256(utf8(canonical.toString())));
        byte[] key = utf8("AWS4" + secretKey);
        for (String part : scope.split("/", -1)) {
            key = hmac(key, part);
        }
        return ALGORITHM + " Credential=" + accessKey + "/" + scope + ", SignedHeaders=" + names + ", Signature="
                + hex(hmac(key, toSign));
    }

    private static byte[] sha256(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("every Java has SHA-256", error);
        }
    }

    private static byte[] hmac(byte[] key, String text) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            return mac.doFinal(utf8(text));
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("every Java has HmacSHA256", error);
        }
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) {
            text.append(HEX[each >> 4 & 15]).append(HEX[each & 15]);
        }
        return text.toString();
    }
}
