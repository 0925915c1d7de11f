<?php

declare(strict_types=1);

namespace OpenKls\Http;

/**
 * Over libcurl; keeps its connection between calls.
 */
final class CurlTransport implements Transport
{
    /** 100,000 rows of ListStreamDurations, the longest answer there is, are about 12 MB. */
    private const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

    private readonly \CurlHandle $curl;

    /**
     * @param array<int, mixed> $options Further options of curl, such as CURLOPT_CAINFO or CURLOPT_PROXY.
     */
    public function __construct(private readonly array $options = [])
    {
        $this->curl = curl_init();
    }

    public function send(Request $request): Response
    {
        $headers = [];
        $body = '';
        curl_reset($this->curl);
        curl_setopt_array($this->curl, $this->options + [
            CURLOPT_URL => $request->base . $request->target,
            CURLOPT_PATH_AS_IS => true,
            CURLOPT_CUSTOMREQUEST => $request->method,
            CURLOPT_HTTPHEADER => self::lines($request),
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_TIMEOUT_MS => max(1, (int) round($request->timeoutSeconds * 1000)),
            // A timeout below a second must not wait for the resolver's alarm.
            CURLOPT_NOSIGNAL => true,
            CURLOPT_NOPROXY => self::direct(),
            // On a kept connection that turns out to be dead curl sends again by itself, which not every call bears.
            CURLOPT_FRESH_CONNECT => !$request->repeatable,
            CURLOPT_HEADERFUNCTION => static function (\CurlHandle $curl, string $line) use (&$headers): int {
                if (str_starts_with($line, 'HTTP/')) {
                    $headers = []; // of the answer itself, not of a 100 or a proxy's before it
                } elseif (str_contains($line, ':')) {
                    [$name, $value] = explode(':', $line, 2);
                    $headers[strtolower($name)] = trim($value);
                }

                return \strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function (\CurlHandle $curl, string $piece) use (&$body): int {
                $body .= $piece;

                return \strlen($body) > self::ANSWER_BYTES_MAX ? 0 : \strlen($piece);
            },
        ]);
        if ($request->method !== 'GET') {
            curl_setopt($this->curl, CURLOPT_POSTFIELDS, $request->body);
        }
        $done = curl_exec($this->curl);
        if ($done === false) {
            // Read before anything else touches the handle. Not one byte of a request that found no connection left.
            $sent = curl_getinfo($this->curl, CURLINFO_REQUEST_SIZE) > 0;

            throw new Unanswered("{$request->base}: " . curl_error($this->curl), $sent);
        }

        return new Response(curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE), $headers, $body);
    }

    /**
     * Hosts that no proxy is asked for: a proxy of the environment cannot reach this machine's own loopback, and what
     * the environment says of others would no longer be read.
     */
    private static function direct(): string
    {
        $others = getenv('no_proxy') ?: getenv('NO_PROXY') ?: '';

        return 'localhost,127.0.0.1,::1' . ($others === '' ? '' : ",$others");
    }

    /**
     * @return list<string>
     */
    private static function lines(Request $request): array
    {
        // Without a value for Expect, curl would wait for a 100 before a long body.
        $lines = ['Expect:'];
        foreach ($request->headers as $name => $value) {
            $lines[] = "$name: $value";
        }

        return $lines;
    }
}
