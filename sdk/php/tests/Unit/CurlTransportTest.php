<?php

declare(strict_types=1);

namespace OpenKls\Tests\Unit;

use OpenKls\Http\CurlTransport;
use OpenKls\Http\Request;
use OpenKls\Http\Unanswered;
use OpenKls\Tests\CannedServer;
use OpenKls\Tests\Environment;
use PHPUnit\Framework\TestCase;

final class CurlTransportTest extends TestCase
{
    use Environment;

    private const DEAD = 'http://127.0.0.1:1';
    private const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

    public function testKnowsThatARefusedRequestNeverLeftThoughOneDidBefore(): void
    {
        $server = new CannedServer();
        $server->tell(['status' => 200]);
        $transport = new CurlTransport();
        $transport->send(self::request("http://127.0.0.1:$server->port"));
        self::assertFalse(self::failure($transport, self::request(self::DEAD))->sent);
    }

    /**
     * @testWith ["reset"]
     *           ["cut"]
     *           ["timeout"]
     */
    public function testKnowsThatARequestLeft(string $fault): void
    {
        $server = new CannedServer();
        $server->tell(['fault' => $fault]);
        $request = self::request("http://127.0.0.1:$server->port", timeoutSeconds: 0.3);
        self::assertTrue(self::failure(new CurlTransport(), $request)->sent);
    }

    public function testOnlyWhatMayBeRepeatedGoesOverAConnectionThatMayBeDead(): void
    {
        $server = new CannedServer();
        $transport = new CurlTransport();
        foreach ([[true, 'new'], [true, 'again'], [false, 'new']] as [$repeatable, $connection]) {
            $server->tell(['status' => 200, 'keep' => true]);
            $transport->send(self::request("http://127.0.0.1:$server->port", repeatable: $repeatable));
            self::assertSame($connection, $server->request()['connection']);
        }
    }

    public function testProxyOfTheEnvironmentIsNotAskedForThisMachineAndThoseExcepted(): void
    {
        $server = new CannedServer();
        $this->set('http_proxy', self::DEAD);
        $this->set('no_proxy', 'kls.test');
        $there = [CURLOPT_CONNECT_TO => ["kls.test:80:127.0.0.1:$server->port"]];
        foreach ([[[], "http://127.0.0.1:$server->port"], [$there, 'http://kls.test']] as [$options, $base]) {
            $server->tell(['status' => 200]);
            self::assertSame(200, (new CurlTransport($options))->send(self::request($base))->getStatusCode());
        }
        self::assertFalse(self::failure(new CurlTransport(), self::request('http://elsewhere.test'))->sent);
    }

    public function testAnswerOfTheGreatestLengthIsReadAndALongerOneRefused(): void
    {
        $server = new CannedServer();
        $request = self::request("http://127.0.0.1:$server->port");
        $server->tell(['status' => 200, 'body' => 'x', 'times' => self::ANSWER_BYTES_MAX]);
        self::assertSame(self::ANSWER_BYTES_MAX, \strlen((new CurlTransport())->send($request)->getBody()));
        $server->tell(['status' => 200, 'body' => 'x', 'times' => self::ANSWER_BYTES_MAX + 1]);
        self::assertTrue(self::failure(new CurlTransport(), $request)->sent);
    }

    public function testRedirectIsAnAnswerLikeAnother(): void
    {
        $server = new CannedServer();
        $server->tell(['status' => 302, 'headers' => ['Location' => self::DEAD]]);
        $answer = (new CurlTransport())->send(self::request("http://127.0.0.1:$server->port"));
        self::assertSame([302, self::DEAD], [$answer->getStatusCode(), $answer->getHeaderLine('LOCATION')]);
        self::assertSame([self::DEAD], $answer->getHeaders()['location']);
        self::assertFalse($answer->hasHeader('Retry-After'));
    }

    public function testLongBodyIsSentAtOnce(): void
    {
        $server = new CannedServer();
        $server->tell(['status' => 200]);
        $body = str_repeat('长', 1_000_000);
        (new CurlTransport())->send(self::request("http://127.0.0.1:$server->port", 'POST', $body));
        $seen = $server->request();
        self::assertSame($body, $seen['body']);
        self::assertArrayNotHasKey('expect', $seen['headers']);
    }

    private static function request(
        string $base,
        string $method = 'GET',
        string $body = '',
        bool $repeatable = false,
        float $timeoutSeconds = 20.0,
    ): Request {
        $headers = ['Accept' => 'application/json'];

        return new Request($method, $base, '/', $headers, $body, $repeatable, $timeoutSeconds);
    }

    private static function failure(CurlTransport $transport, Request $request): Unanswered
    {
        try {
            $transport->send($request);
        } catch (Unanswered $failure) {
            self::assertStringStartsWith($request->base, $failure->getMessage());

            return $failure;
        }
        self::fail('answered');
    }
}
