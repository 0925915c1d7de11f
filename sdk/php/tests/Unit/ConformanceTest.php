<?php

declare(strict_types=1);

namespace OpenKls\Tests\Unit;

use OpenKls\Exception\BusinessException;
use OpenKls\Exception\GatewayException;
use OpenKls\Exception\KlsException;
use OpenKls\Exception\NoAnswerException;
use OpenKls\Exception\UsageException;
use OpenKls\KlsClient;
use OpenKls\Tests\CannedServer;
use OpenKls\Tests\CannedTransport;
use PHPUnit\Framework\TestCase;

/**
 * The cases of sdk/conformance, each over a real connection.
 */
final class ConformanceTest extends TestCase
{
    private const KINDS = [
        'Business' => BusinessException::class,
        'Gateway' => GatewayException::class,
        'NoAnswer' => NoAnswerException::class,
        'Usage' => UsageException::class,
    ];

    private const FACTS = [
        'status' => 'status',
        'ret_code' => 'retCode',
        'code' => 'errorCode',
        'message' => 'text',
        'request_id' => 'requestId',
        'retryable' => 'retryable',
    ];

    private static ?CannedServer $server;

    public static function setUpBeforeClass(): void
    {
        self::$server = new CannedServer();
    }

    public static function tearDownAfterClass(): void
    {
        self::$server = null;
    }

    /**
     * @return iterable<string, array{array<string, mixed>}>
     */
    public function cases(): iterable
    {
        foreach (glob(__DIR__ . '/../../../conformance/*.json') as $path) {
            $file = json_decode(file_get_contents($path), true, flags: JSON_THROW_ON_ERROR);
            foreach ($file['cases'] as $case) {
                yield basename($path, '.json') . ': ' . $case['name'] => [$case];
            }
        }
    }

    /**
     * @dataProvider cases
     *
     * @param array<string, mixed> $case
     */
    public function testCase(array $case): void
    {
        $transport = new CannedTransport(self::$server, $case['answers'] ?? []);
        $waits = [];
        $client = self::client($case, $transport, static function (float $seconds) use (&$waits): void {
            $waits[] = $seconds;
        });

        [$got, $failure] = self::outcome($client, $case);

        foreach ($case['requests'] as $number => $request) {
            self::assertArrayHasKey($number, $transport->seen, (string) $failure);
            self::assertRequest($request, $transport->seen[$number]);
        }
        self::assertCount(\count($case['requests']), $transport->seen);
        self::assertTrue($transport->isDone());
        $paged = $case['pages'] ?? false;
        $expected = $case['waits'] ?? ($paged ? 0 : max(0, \count($case['requests']) - 1));
        self::assertCount($expected, $waits);
        foreach ($waits as $number => $seconds) {
            $least = $case['least_waits_seconds'][$number] ?? 0;
            self::assertGreaterThanOrEqual($least, $seconds);
            self::assertLessThanOrEqual(max($least, min(5, 0.2 * 2 ** $number)), $seconds);
        }
        if (isset($case['error'])) {
            self::assertFailure($case['error'], $failure);
            self::assertStringNotContainsString($case['client']['secret_key'], $failure . var_export($client, true));
        } else {
            self::assertNull($failure, (string) $failure);
            self::assertHolds($case['result'], $got, 'Data');
        }
    }

    /**
     * @param array<string, mixed> $case
     */
    private static function client(array $case, CannedTransport $transport, \Closure $pause): KlsClient
    {
        $names = [
            'region' => 'region',
            'access_key' => 'accessKey',
            'secret_key' => 'secretKey',
            'retries' => 'retries',
        ];
        $arguments = [];
        foreach ($case['client'] as $name => $value) {
            $arguments[$names[$name]] = $value;
        }
        $arguments += [
            'endpoint' => 'http://kls.test:8080',
            'transport' => $transport,
            'clock' => static fn (): int => $case['clock'],
            'pause' => $pause,
        ];

        return new KlsClient(...$arguments);
    }

    /**
     * @param array<string, mixed> $case
     *
     * @return array{mixed, ?KlsException}
     */
    private static function outcome(KlsClient $client, array $case): array
    {
        try {
            $result = $case['pages'] ?? false
                ? iterator_to_array($client->rows($case['action'], $case['parameters']))
                : $client->call($case['action'], $case['parameters']);
        } catch (KlsException $failure) {
            return [null, $failure];
        }
        $text = json_encode($result, JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR);

        return [json_decode($text, true, flags: JSON_THROW_ON_ERROR), null];
    }

    /**
     * @param array<string, mixed> $expected
     * @param array<string, mixed> $seen
     */
    private static function assertRequest(array $expected, array $seen): void
    {
        self::assertSame($expected['method'], $seen['method']);
        self::assertSame($expected['target'], $seen['target']);
        self::assertSame($expected['body'] ?? '', $seen['body']);
        self::assertSame('kls.test:8080', $seen['headers']['host']);
        self::assertMatchesRegularExpression('~^openkls-php/\d+\.\d+\.\d+~', $seen['headers']['user-agent']);
        foreach ($expected['headers'] as $name => $value) {
            self::assertSame($value, $seen['headers'][strtolower($name)] ?? null, $name);
        }
    }

    /**
     * @param array<string, mixed> $expected
     */
    private static function assertFailure(array $expected, ?KlsException $failure): void
    {
        self::assertInstanceOf(self::KINDS[$expected['kind']], $failure);
        unset($expected['kind']);
        foreach ($expected as $fact => $value) {
            self::assertSame($value, $failure->{self::FACTS[$fact]}, $fact);
        }
    }

    /**
     * Every member that is expected is there, of that type and value. A whole number stands for a double too.
     */
    private static function assertHolds(mixed $expected, mixed $got, string $path): void
    {
        if (!\is_array($expected)) {
            self::assertSame(\is_int($expected) && \is_float($got) ? (float) $expected : $expected, $got, $path);

            return;
        }
        self::assertIsArray($got, $path);
        if (array_is_list($expected)) {
            self::assertCount(\count($expected), $got, $path);
        }
        foreach ($expected as $name => $value) {
            self::assertArrayHasKey($name, $got, $path);
            self::assertHolds($value, $got[$name], "$path.$name");
        }
    }
}
