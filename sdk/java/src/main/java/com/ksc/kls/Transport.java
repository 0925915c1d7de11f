package com.ksc.kls;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/** Sends one signed request and brings the answer. The seam where tests put their own network. */
interface Transport extends AutoCloseable {
    /**
     * One exchange.
     *
     * @throws NotSent if there was no connection, so that the request never left
     * @throws IOException if there was no whole answer
     */
    Answer send(Wire wire) throws IOException;

    @Override
    void close();

    /** What goes over the wire: {@code base} is scheme and authority, {@code body} null where there is none. */
    final class Wire {
        final String method;
        final String base;
        final String target;
        final List<Map.Entry<String, String>> headers;
        final byte[] body;

        Wire(String method, String base, String target, List<Map.Entry<String, String>> headers, byte[] body) {
            this.method = method;
            this.base = base;
            this.target = target;
            this.headers = headers;
            this.body = body;
        }
    }

    /** What came back; the names of its headers are in lower case. */
    final class Answer {
        final int status;
        final Map<String, String> headers;
        final byte[] body;

        Answer(int status, Map<String, String> headers, byte[] body) {
            this.status = status;
            this.headers = headers;
            this.body = body;
        }
    }

    /** There was no connection. */
    final class NotSent extends IOException {
        private static final long serialVersionUID = 1L;

        NotSent(Throwable cause) {
            super(cause.toString(), cause); // the message of a refused connection may be null
        }
    }
}
