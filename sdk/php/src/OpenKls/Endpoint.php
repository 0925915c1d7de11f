<?php

declare(strict_types=1);

namespace OpenKls;

use OpenKls\Exception\UsageException;

/**
 * Where the service is.
 */
final class Endpoint
{
    /** Never the cloud, which a program says itself. */
    public const DEFAULT = 'http://127.0.0.1:8080';

    private const OWN_PORTS = ['http' => 80, 'https' => 443];

    /** Scheme, host and port. */
    public readonly string $base;

    /** The value of the header Host. */
    public readonly string $host;

    public readonly string $path;

    /**
     * @param null|string $url `http://host[:port][/path]` or https; null: OPENKLS_ENDPOINT, else this machine's 8080.
     *
     * @throws UsageException
     */
    public function __construct(?string $url = null)
    {
        $url ??= getenv('OPENKLS_ENDPOINT') ?: self::DEFAULT;
        $parts = parse_url($url);
        $scheme = strtolower($parts['scheme'] ?? '');
        if (
            $parts === false || !isset(self::OWN_PORTS[$scheme]) || ($parts['host'] ?? '') === ''
            || isset($parts['query']) || isset($parts['user'])
        ) {
            throw new UsageException('the endpoint is not of the form http://host:port');
        }
        // As HTTP libraries write it: the scheme's own port is left out.
        $port = $parts['port'] ?? self::OWN_PORTS[$scheme];
        $this->host = strtolower($parts['host']) . ($port === self::OWN_PORTS[$scheme] ? '' : ":$port");
        $this->base = "$scheme://$this->host";
        $this->path = $parts['path'] ?? '/';
    }
}
