package com.ksc.kls;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodySubscriber;
import java.net.http.HttpTimeoutException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The network, by java.net.http. Follows no redirects, since a signature is for one host and one path. */
final class HttpTransport implements Transport {
    /** 100,000 rows of ListStreamDurations, the longest answer there is, are about 12 MB. */
    static final int ANSWER_BYTES_MAX = 64 * 1024 * 1024;

    private final HttpClient http;
    private final Duration timeout;
    private final int answerBytesMax;

    HttpTransport(Duration timeout) {
        this(timeout, ANSWER_BYTES_MAX);
    }

    HttpTransport(Duration timeout, int answerBytesMax) {
        this.timeout = timeout;
        this.answerBytesMax = answerBytesMax;
        // HTTP/2 over plain text would send an Upgrade header with every first request.
        this.http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(timeout)
                .build();
    }

    @Override
    public Answer send(Wire wire) throws IOException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(wire.base + wire.target)).timeout(timeout);
        for (Map.Entry<String, String> header : wire.headers) {
            request.header(header.getKey(), header.getValue());
        }
        request.method(
                wire.method,
                wire.body == null
                        ? HttpRequest.BodyPublishers.noBody()
                        : HttpRequest.BodyPublishers.ofByteArray(wire.body));
        CompletableFuture<HttpResponse<byte[]>> coming =
                http.sendAsync(request.build(), response -> new Limited(answerBytesMax));
        try {
            // The request's own timeout ends with the headers; this one bounds the body too.
            HttpResponse<byte[]> response = coming.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
            Map<String, String> headers = new HashMap<>();
            response.headers().map().forEach((name, values) -> headers.put(name.toLowerCase(Locale.ROOT), values.get(0)));
            return new Answer(response.statusCode(), headers, response.body());
        } catch (TimeoutException error) {
            coming.cancel(true);
            throw new IOException("no answer within " + timeout.toMillis() + " ms", error);
        } catch (InterruptedException error) {
            coming.cancel(true);
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (ExecutionException error) {
            throw failure(error.getCause());
        }
    }

    private IOException failure(Throwable cause) {
        if (cause instanceof ConnectException || cause instanceof HttpConnectTimeoutException) {
            return new NotSent(cause);
        }
        if (cause instanceof HttpTimeoutException) {
            return new IOException("no answer within " + timeout.toMillis() + " ms", cause);
        }
        return cause instanceof IOException ? (IOException) cause : new IOException(cause.toString(), cause);
    }

    /** From Java 21 on a client can be closed; before it ends with the last reference to it. */
    @Override
    public void close() {
        Object client = http;
        if (client instanceof AutoCloseable) {
            try {
                ((AutoCloseable) client).close();
            } catch (Exception error) {
                throw new IllegalStateException("closing connections fails for no reason", error);
            }
        }
    }

    /** A body in memory, up to a limit. */
    private static final class Limited implements BodySubscriber<byte[]> {
        private final BodySubscriber<byte[]> whole = HttpResponse.BodySubscribers.ofByteArray();
        private final int most;
        private Flow.Subscription subscription;
        private long received;

        Limited(int most) {
            this.most = most;
        }

        @Override
        public CompletionStage<byte[]> getBody() {
            return whole.getBody();
        }

        @Override
        public void onSubscribe(Flow.Subscription given) {
            subscription = given;
            whole.onSubscribe(given);
        }

        @Override
        public void onNext(List<ByteBuffer> buffers) {
            for (ByteBuffer buffer : buffers) {
                received += buffer.remaining();
            }
            if (received > most) {
                subscription.cancel();
                whole.onError(new IOException("an answer of more than " + most + " bytes"));
            } else {
                whole.onNext(buffers);
            }
        }

        @Override
        public void onError(Throwable error) {
            whole.onError(error);
        }

        @Override
        public void onComplete() {
            whole.onComplete();
        }
    }
}
