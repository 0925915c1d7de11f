package com.ksc.kls;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** The real transport against a peer that speaks plain bytes. */
class HttpTransportTest {
    private static final Duration PATIENT = Duration.ofSeconds(20);
    private static final Duration SHORT = Duration.ofMillis(300);

    @Test
    void sendsTargetHeadersAndBodyAsTheyAre() throws Exception {
        try (Peer peer = new Peer("HTTP/1.1 200 OK\r\nX-Odd: 1\r\nContent-Length: 2\r\n\r\nok", false);
                HttpTransport http = new HttpTransport(PATIENT)) {
            byte[] body = "{\"a\":\"中\"}".getBytes(StandardCharsets.UTF_8);
            Transport.Answer answer = http.send(wire("POST", peer.base(), body));
            assertEquals(200, answer.status);
            assertEquals("1", answer.headers.get("x-odd"));
            assertArrayEquals("ok".getBytes(StandardCharsets.UTF_8), answer.body);
            String request = peer.request.get();
            assertTrue(request.startsWith("POST /?A=%2B%20&B=~ HTTP/1.1\r\n"), request);
            assertTrue(request.contains("\r\nHost: " + Endpoint.of(peer.base()).host + "\r\n"), request);
            assertTrue(request.contains("\r\nX-Mine: yes\r\n"), request);
            assertFalse(request.contains("Upgrade"), request);
        }
    }

    @Test
    void aRefusedConnectionWasNotSent() throws Exception {
        String base;
        try (ServerSocket gone = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            base = "http://127.0.0.1:" + gone.getLocalPort();
        }
        try (HttpTransport http = new HttpTransport(PATIENT)) {
            assertThrows(Transport.NotSent.class, () -> http.send(wire("GET", base, null)));
        }
    }

    @Test
    void aCutAnswerIsNoAnswer() throws Exception {
        try (Peer peer = new Peer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false);
                HttpTransport http = new HttpTransport(PATIENT)) {
            IOException error = assertThrows(IOException.class, () -> http.send(wire("GET", peer.base(), null)));
            assertFalse(error instanceof Transport.NotSent);
        }
    }

    @Test
    void silenceEndsAfterTheTimeout() throws Exception {
        assertEndsInTime("");
    }

    @Test
    void aBodyThatNeverEndsEndsAfterTheTimeout() throws Exception {
        assertEndsInTime("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    }

    private static void assertEndsInTime(String answer) throws Exception {
        try (Peer peer = new Peer(answer, true);
                HttpTransport http = new HttpTransport(SHORT)) {
            IOException error = assertThrows(IOException.class, () -> http.send(wire("GET", peer.base(), null)));
            assertTrue(error.getMessage().contains("300 ms"), error.toString());
            assertFalse(error instanceof Transport.NotSent);
        }
    }

    @Test
    void anAnswerAsLongAsTheLimitIsRead() throws Exception {
        try (Peer peer = new Peer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour", false);
                HttpTransport http = new HttpTransport(PATIENT, 4)) {
            assertEquals(4, http.send(wire("GET", peer.base(), null)).body.length);
        }
    }

    @Test
    void anAnswerBeyondTheLimitIsNot() throws Exception {
        try (Peer peer = new Peer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfive!", false);
                HttpTransport http = new HttpTransport(PATIENT, 4)) {
            IOException error = assertThrows(IOException.class, () -> http.send(wire("GET", peer.base(), null)));
            assertTrue(error.getMessage().contains("more than 4 bytes"), error.toString());
        }
    }

    @Test
    void anInterruptEndsTheWait() throws Exception {
        try (Peer peer = new Peer("", true);
                HttpTransport http = new HttpTransport(PATIENT)) {
            Thread.currentThread().interrupt();
            assertThrows(InterruptedIOException.class, () -> http.send(wire("GET", peer.base(), null)));
            assertTrue(Thread.interrupted(), "the interrupt is kept");
        }
    }

    @Test
    void theHostIsThatOfTheHeader() {
        assertEquals("kls.test", Endpoint.of("http://kls.test:80").host);
        assertEquals("kls.test", Endpoint.of("https://kls.test:443/").host);
        assertEquals("kls.test:443", Endpoint.of("HTTP://kls.test:443").host);
        assertEquals("[::1]:8080", Endpoint.of("http://[::1]:8080/kls").host);
        assertEquals("/kls", Endpoint.of("http://[::1]:8080/kls").path);
        for (String wrong : List.of("kls.test", "ftp://kls.test", "http://", "http://u:p@kls.test", "http://a b", "http://a/?b")) {
            assertThrows(UsageException.class, () -> Endpoint.of(wrong), wrong);
        }
    }

    private static Transport.Wire wire(String method, String base, byte[] body) {
        return new Transport.Wire(method, base, "/?A=%2B%20&B=~", List.of(Map.entry("X-Mine", "yes")), body);
    }

    /** Takes connections, reads a request's head and body, says one thing, and cuts or keeps silent. */
    private static final class Peer implements AutoCloseable {
        final CompletableFuture<String> request = new CompletableFuture<>();
        private final ServerSocket door = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
        private final List<Socket> open = new ArrayList<>();

        Peer(String answer, boolean silent) throws IOException {
            Thread thread = new Thread(() -> serve(answer, silent));
            thread.setDaemon(true);
            thread.start();
        }

        String base() {
            return "http://127.0.0.1:" + door.getLocalPort();
        }

        private void serve(String answer, boolean silent) {
            try {
                while (true) {
                    Socket socket = door.accept();
                    synchronized (open) {
                        open.add(socket);
                    }
                    InputStream in = socket.getInputStream();
                    StringBuilder text = new StringBuilder();
                    while (text.indexOf("\r\n\r\n") < 0) {
                        text.append((char) in.read());
                    }
                    request.complete(text.toString());
                    if (text.indexOf("POST") == 0) {
                        in.readNBytes("{\"a\":\"中\"}".getBytes(StandardCharsets.UTF_8).length);
                    }
                    socket.getOutputStream().write(answer.getBytes(StandardCharsets.UTF_8));
                    if (!silent) {
                        socket.close();
                    }
                }
            } catch (IOException ended) {
                request.completeExceptionally(ended);
            }
        }

        @Override
        public void close() throws IOException {
            door.close();
            synchronized (open) {
                for (Socket socket : open) {
                    socket.close();
                }
            }
        }
    }
}
