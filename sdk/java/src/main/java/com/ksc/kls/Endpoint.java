package com.ksc.kls;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.Locale;

/** Where the service is: {@code http://host[:port]} or https, with or without a path. */
final class Endpoint {
    /** The service on this machine; never the cloud, to which a forgotten setting would send live keys. */
    static final String DEFAULT = "http://127.0.0.1:8080";

    final String base;
    final String host;
    final String path;

    private Endpoint(String base, String host, String path) {
        this.base = base;
        this.host = host;
        this.path = path;
    }

    static Endpoint of(String text) {
        URI uri;
        try {
            uri = new URI(text);
        } catch (URISyntaxException error) {
            throw new UsageException("the endpoint " + text + " is no URL", error);
        }
        String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
        boolean known = scheme.equals("http") || scheme.equals("https");
        if (!known || uri.getHost() == null || uri.getRawUserInfo() != null || uri.getRawQuery() != null) {
            throw new UsageException("the endpoint " + text + " is not of the form http://host:port");
        }
        // As java.net.http writes the Host header: without the scheme's own port.
        int usual = scheme.equals("http") ? 80 : 443;
        boolean bare = uri.getPort() == -1 || uri.getPort() == usual;
        String host = bare ? uri.getHost() : uri.getHost() + ":" + uri.getPort();
        String path = uri.getRawPath().isEmpty() ? "/" : uri.getRawPath();
        return new Endpoint(scheme + "://" + host, host, path);
    }
}
