<?php

declare(strict_types=1);

namespace OpenKls\Http;

/**
 * What goes over the wire, whole and signed.
 */
final class Request
{
    /**
     * @param string $base Scheme, host and port: `http://127.0.0.1:8080`.
     * @param string $target Path and query, sent as they are.
     * @param array<string, string> $headers Values by name.
     * @param bool $repeatable Whether it may be sent twice where it is not known if it arrived.
     * @param float $timeoutSeconds Until the last byte of the answer.
     */
    public function __construct(
        public readonly string $method,
        public readonly string $base,
        public readonly string $target,
        public readonly array $headers,
        public readonly string $body,
        public readonly bool $repeatable,
        public readonly float $timeoutSeconds,
    ) {
    }
}
