<?php

declare(strict_types=1);

namespace OpenKls\Tests\Unit;

use OpenKls\Exception\GatewayException;
use OpenKls\Exception\InvalidAuthenticationCodeException;
use OpenKls\Exception\NoAnswerException;
use OpenKls\Exception\ServiceUnavailableException;
use OpenKls\Exception\UsageException;
use OpenKls\Http\Request;
use OpenKls\Http\Response;
use OpenKls\Http\Transport;
use OpenKls\KlsClient;
use OpenKls\Model;
use PHPUnit\Framework\TestCase;

/**
 * What the cases of sdk/conformance cannot say: the typed methods, results in another shape, advice.
 */
final class ClientTest extends TestCase
{
    private const NAMES = ['uniqueName' => 'demo', 'app' => 'live', 'pubdomain' => 'push.demo.local'];

    public function testEveryActionHasAMethodThatSendsItsParametersByName(): void
    {
        foreach (Model::ACTIONS as $action => $known) {
            $method = new \ReflectionMethod(KlsClient::class, lcfirst($action));
            $given = [];
            foreach ($method->getParameters() as $parameter) {
                $given[$parameter->getName()] = $parameter->getType()->getName() === 'int' ? 7 : 'v';
            }
            $transport = self::answering('{}', 400);
            try {
                $method->invoke(self::client($transport), ...['dryRun' => true] + $given);
                self::fail('succeeded');
            } catch (NoAnswerException) {
                $request = $transport->seen[0];
                parse_str(parse_url($request->target, PHP_URL_QUERY), $query);
                $sent = $request->method === 'POST' ? json_decode($request->body, true) : $query;
                self::assertSame($known['method'], $request->method);
                self::assertSame($action, $query['Action']);
                self::assertSame('true', $sent['DryRun']);
                foreach ($known['parameters'] as $name) {
                    self::assertContains($sent[$name], ['v', '7', 7], $name);
                }
            }
        }
    }

    public function testPagesAreAskedForWhenTheirRowsAre(): void
    {
        $page = '{"Data": {"UniqueName": "demo", "App": "live", "Pubdomain": "p", "StartUnixTime": 1,'
            . ' "EndUnixTime": 2, "Count": 1, "Total": 9, "Marker": 0, "OrderTime": 0,'
            . ' "Result": [{"Stream": "s1", "Detail": []}], "RetCode": 0, "RetMsg": "success"}, "RequestId": "r"}';
        $transport = self::answering($page);
        $rows = self::client($transport)->listHistoryPubStreamsInfoRows(...self::NAMES, limit: 1);
        self::assertCount(0, $transport->seen);
        self::assertSame('s1', $rows->current()->stream);
        self::assertCount(1, $transport->seen);
        $rows->next();
        self::assertSame(1, $rows->key());
        self::assertStringContainsString('&Limit=1&Marker=1&', $transport->seen[1]->target);
    }

    public function testActionWithoutPagesHasNoRows(): void
    {
        $this->expectException(UsageException::class);
        self::client(self::answering('{}'))->rows('GetBlacklist', [])->current();
    }

    public function testTextThatIsNotUtf8IsNotSent(): void
    {
        $transport = self::answering('{}');
        try {
            self::client($transport)->forbidStream(...self::NAMES, stream: "\xff");
            self::fail('sent');
        } catch (UsageException) {
            self::assertCount(0, $transport->seen);
        }
    }

    /**
     * @return iterable<array{array<string, mixed>, string}>
     */
    public function malformed(): iterable
    {
        $good = ['RetCode' => 0, 'UniqueName' => '', 'App' => '', 'Pubdomain' => '', 'Total' => 1, 'Recs' => []];
        yield [array_diff_key($good, ['UniqueName' => '']), 'UniqueName: expected a string, got null'];
        yield [['UniqueName' => 1] + $good, 'UniqueName: expected a string, got int'];
        yield [['Total' => '1'] + $good, 'Total: expected an integer, got string'];
        yield [['Total' => 1.5] + $good, 'Total: expected an integer, got float'];
        yield [['Recs' => ['a' => 1]] + $good, 'Recs: expected a list, got array'];
        yield [['Recs' => [1]] + $good, 'Recs[0]: expected an object, got int'];
        yield [['Recs' => [['Stream' => null]]] + $good, 'Recs[0].Stream: expected a string, got null'];
    }

    /**
     * @dataProvider malformed
     *
     * @param array<string, mixed> $data
     */
    public function testSuccessInAnotherShapeIsNoAnswerAndNotRepeated(array $data, string $message): void
    {
        $transport = self::answering(json_encode(['Data' => $data, 'RequestId' => 'r']));
        try {
            self::client($transport)->getBlacklist(...self::NAMES);
            self::fail('read');
        } catch (NoAnswerException $failure) {
            self::assertSame("the answer's Data.$message", $failure->text);
            self::assertSame([200, false], [$failure->status, $failure->retryable]);
            self::assertCount(1, $transport->seen);
        }
    }

    public function testGatewayErrorsHaveTheClassOfTheirCodeAndTheAdviceOfTheirText(): void
    {
        foreach (Model::GATEWAY as [$status, $code, $pattern, $class, $advice]) {
            $text = stripslashes(strtr(substr($pattern, 2, -4), ['.*' => 'x(/)']));
            $body = json_encode(['RequestId' => 'r', 'Error' => ['Type' => '', 'Code' => $code, 'Message' => $text]]);
            try {
                self::client(self::answering($body, $status), retries: 0)->getBlacklist(...self::NAMES);
                self::fail('succeeded');
            } catch (GatewayException $failure) {
                self::assertSame([$class, $advice], [$failure::class, $failure->advice]);
                self::assertSame("$code: $text (request r) $advice", $failure->getMessage());
            }
        }
        self::assertTrue(is_subclass_of(InvalidAuthenticationCodeException::class, GatewayException::class));
        self::assertTrue(is_subclass_of(ServiceUnavailableException::class, GatewayException::class));
    }

    private static function client(Transport $transport, int $retries = 2): KlsClient
    {
        $pause = static fn (float $seconds) => null;

        return new KlsClient('http://kls.test', 'AK', 'SK', retries: $retries, transport: $transport, pause: $pause);
    }

    private static function answering(string $body, int $status = 200): Transport
    {
        return new class($body, $status) implements Transport {
            /** @var list<Request> */
            public array $seen = [];

            public function __construct(private readonly string $body, private readonly int $status)
            {
            }

            public function send(Request $request): Response
            {
                $this->seen[] = $request;

                return new Response($this->status, [], $this->body);
            }
        };
    }
}
