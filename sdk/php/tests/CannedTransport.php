<?php

declare(strict_types=1);

namespace OpenKls\Tests;

use OpenKls\Http\CurlTransport;
use OpenKls\Http\Request;
use OpenKls\Http\Response;
use OpenKls\Http\Transport;

/**
 * The real transport, led to a server that gives the answers of a case; `$seen` is what went over the wire.
 */
final class CannedTransport implements Transport
{
    /** Of an answer that does not come. */
    private const TIMEOUT_SECONDS = 0.3;

    /** Where nobody listens. */
    private const DEAD_PORT = 1;

    /** @var list<array{method: string, target: string, headers: array<string, string>, body: string}> */
    public array $seen = [];

    private readonly CurlTransport $alive;

    /**
     * @param list<array<string, mixed>> $answers
     */
    public function __construct(private readonly CannedServer $server, private array $answers)
    {
        $this->alive = self::ledTo($server->port);
    }

    public function send(Request $request): Response
    {
        $answer = array_shift($this->answers) ?? throw new \LogicException('a request more than there are answers');
        $fault = $answer['fault'] ?? '';
        if ($fault === 'refused') {
            $this->seen[] = [
                'method' => $request->method,
                'target' => $request->target,
                'headers' => array_change_key_case($request->headers),
                'body' => $request->body,
            ];

            return self::ledTo(self::DEAD_PORT)->send($request);
        }
        $this->server->tell($answer);
        try {
            return $this->alive->send($fault === 'timeout' ? self::hurried($request) : $request);
        } finally {
            $this->seen[] = $this->server->request();
        }
    }

    public function isDone(): bool
    {
        return $this->answers === [];
    }

    private static function ledTo(int $port): CurlTransport
    {
        return new CurlTransport([CURLOPT_CONNECT_TO => ["kls.test:8080:127.0.0.1:$port"], CURLOPT_PROXY => '']);
    }

    private static function hurried(Request $request): Request
    {
        return new Request(
            $request->method,
            $request->base,
            $request->target,
            $request->headers,
            $request->body,
            $request->repeatable,
            self::TIMEOUT_SECONDS,
        );
    }
}
