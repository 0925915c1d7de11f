<?php

declare(strict_types=1);

namespace OpenKls\Tests\Unit;

use Ksyun\Service\Kls;
use OpenKls\Exception\NoAnswerException;
use OpenKls\Exception\UsageException;
use OpenKls\Tests\CannedServer;
use OpenKls\Tests\Environment;
use PHPUnit\Framework\TestCase;

/**
 * Ksyun\Service\Kls: what each form of a call becomes on the wire, and what is given back.
 */
final class KlsTest extends TestCase
{
    use Environment;

    private const GOOD = '{"Data":{"RetCode":0,"RetMsg":"success"},"RequestId":"r"}';

    private CannedServer $server;

    protected function setUp(): void
    {
        $this->server = new CannedServer();
        $this->set('OPENKLS_ENDPOINT', "http://127.0.0.1:{$this->server->port}");
        $this->set('OPENKLS_ACCESS_KEY', null);
        $this->set('OPENKLS_SECRET_KEY', null);
        $this->setHome('{"ak": "AKFILE", "sk": "of-file"}');
    }

    public function testThereIsOneInstance(): void
    {
        self::assertSame(Kls::getInstance(), Kls::getInstance());
    }

    /**
     * @return iterable<string, array{string, array<string, mixed>, string, string, string}>
     */
    public function calls(): iterable
    {
        $names = ['UniqueName' => 'demo', 'Stream' => 'a/中'];
        $json = '{"UniqueName":"demo","Stream":"a/中"}';
        $query = 'Action=GetBlacklist&Stream=a%2F%E4%B8%AD&UniqueName=demo&Version=2017-01-01';
        $post = 'Action=ForbidStream&Version=2017-01-01';
        yield 'a body' => ['ForbidStream', ['json' => $names], 'POST', $post, $json];
        yield 'no parameters' => ['ForbidStream', [], 'POST', $post, '{}'];
        yield 'a form' => ['ForbidStream', ['form_params' => ['Stream' => 'a b']], 'POST', $post, 'Stream=a+b'];
        yield 'a query' => ['GetBlacklist', ['query' => $names], 'GET', $query, ''];
        yield "a query as the document's sample has it" => [
            'GetBlacklist', ['json' => ['query' => $names]], 'GET', $query, '',
        ];
        $other = 'Action=GetRecordTask&RecID=1&Version=2017-01-01';
        yield 'an unknown action' => ['GetRecordTask', ['query' => ['RecID' => 1]], 'GET', $other, ''];
        $other = 'Action=KillStreamCache&Version=2017-01-01';
        yield 'an unknown one with a body' => ['KillStreamCache', ['json' => $names], 'POST', $other, $json];
    }

    /**
     * @dataProvider calls
     *
     * @param array<string, mixed> $options
     */
    public function testCall(string $action, array $options, string $method, string $query, string $body): void
    {
        $this->server->tell(['status' => 200, 'body' => self::GOOD]);
        $response = Kls::getInstance()->request($action, $options);
        self::assertSame([200, self::GOOD], [$response->getStatusCode(), $response->getBody()]);
        $seen = $this->server->request();
        self::assertSame([$method, "/?$query", $body], [$seen['method'], $seen['target'], $seen['body']]);
        $type = isset($options['form_params']) ? 'application/x-www-form-urlencoded' : 'application/json';
        self::assertSame($method === 'POST' ? $type : null, $seen['headers']['content-type'] ?? null);
        self::assertStringContainsString('Credential=AKFILE/', $seen['headers']['authorization']);
    }

    public function testFailuresAreGivenBackAsTheyCame(): void
    {
        $failures = [
            [200, '{"Data":{"RetCode":1000,"RetMsg":"lack of parameters"},"RequestId":"r"}'],
            [400, '{"RequestId":"r","Error":{"Type":"Sender","Code":"SignatureNotMatch","Message":"m"}}'],
            [500, '{"RequestId":"r","Error":{"Type":"Receiver","Code":"ServiceTimeout","Message":"m"}}'],
            [403, '<html>forbidden</html>'],
        ];
        foreach ($failures as [$status, $body]) {
            $this->server->tell(['status' => $status, 'body' => $body]);
            $this->server->tell(['status' => $status, 'body' => $body]);
            $this->server->tell(['status' => $status, 'body' => $body]);
            $response = Kls::getInstance()->request('GetBlacklist');
            self::assertSame([$status, $body], [$response->getStatusCode(), $response->getBody()]);
            $this->server = new CannedServer();
            $this->set('OPENKLS_ENDPOINT', "http://127.0.0.1:{$this->server->port}");
        }
    }

    public function testRegionKeysAndHeadersOfTheCallAreUsed(): void
    {
        $this->server->tell(['status' => 200, 'body' => self::GOOD]);
        $keys = ['ak' => 'AKOTHER', 'sk' => 'other'];
        $options = ['v4_credentials' => $keys, 'headers' => ['X-Trace' => '7'], 'timeout' => 3];
        Kls::getInstance()->request('GetBlacklist', $options, 'cn-shanghai-3');
        $seen = $this->server->request();
        self::assertSame('7', $seen['headers']['x-trace']);
        self::assertMatchesRegularExpression(
            '~Credential=AKOTHER/\d{8}/cn-shanghai-3/kls/aws4_request~',
            $seen['headers']['authorization'],
        );
    }

    public function testNoAnswerAtAllIsAnException(): void
    {
        $this->set('OPENKLS_ENDPOINT', 'http://127.0.0.1:1');
        $this->expectException(NoAnswerException::class);
        Kls::getInstance()->request('GetBlacklist');
    }

    public function testCutIsNotSentAgainWhereItMayHaveBeenDone(): void
    {
        $this->server->tell(['fault' => 'reset']);
        try {
            Kls::getInstance()->request('ForbidStream', ['json' => ['ForbidTillUnixTime' => 1]]);
            self::fail('answered');
        } catch (NoAnswerException $failure) {
            self::assertFalse($failure->retryable);
        }
    }

    public function testUnknownOptionIsRefused(): void
    {
        $this->expectException(UsageException::class);
        $this->expectExceptionMessage('no such option: body');
        Kls::getInstance()->request('ForbidStream', ['body' => 'x']);
    }
}
