<?php

declare(strict_types=1);

namespace OpenKls\Tests\Unit;

use OpenKls\Credentials;
use OpenKls\Signature;
use PHPUnit\Framework\TestCase;

/**
 * The signatures of requests that other clients made, recorded; the file is the server's own.
 */
final class SignatureTest extends TestCase
{
    private const CAPTURES = __DIR__ . '/../../../../tests/vectors/sigv4-captures.json';

    /**
     * @return iterable<string, array{Credentials, array<string, mixed>}>
     */
    public function captures(): iterable
    {
        $file = json_decode(file_get_contents(self::CAPTURES), true, flags: JSON_THROW_ON_ERROR);
        $credentials = new Credentials($file['access_key'], $file['secret_key']);
        foreach ($file['requests'] as $number => $request) {
            yield "$number {$request['client']}" => [$credentials, $request];
        }
    }

    public function testThereAre22Captures(): void
    {
        self::assertCount(22, iterator_to_array($this->captures()));
    }

    /**
     * @dataProvider captures
     *
     * @param array<string, mixed> $request
     */
    public function testSignsAsTheRecordedClientDid(Credentials $credentials, array $request): void
    {
        self::assertSame(self::recorded($request), self::signed($credentials, $request));
    }

    /**
     * @dataProvider captures
     *
     * @param array<string, mixed> $request
     */
    public function testAnythingChangedIsSignedOtherwise(Credentials $credentials, array $request): void
    {
        $recorded = self::recorded($request);
        $other = new Credentials($credentials->accessKey, 'another');
        self::assertNotSame($recorded, self::signed($other, $request));
        self::assertNotSame($recorded, self::signed($credentials, ['method' => 'PUT'] + $request));
        self::assertNotSame($recorded, self::signed($credentials, ['body' => $request['body'] . ' '] + $request));
        $target = $request['target'] . (str_contains($request['target'], '?') ? '&' : '?') . 'Extra=1';
        self::assertNotSame($recorded, self::signed($credentials, ['target' => $target] + $request));
    }

    public function testQueryIsSortedByNameThenValueAndEncodedByRfc3986(): void
    {
        self::assertSame(
            'A=%20%2B%2F~&B=1&B=2&a=%E4%B8%AD',
            Signature::query([['a', '中'], ['B', '2'], ['B', '1'], ['A', ' +/~']]),
        );
    }

    /**
     * @param array<string, mixed> $request
     */
    private static function recorded(array $request): string
    {
        return array_column($request['headers'], 1, 0)['Authorization'];
    }

    /**
     * @param array<string, mixed> $request
     */
    private static function signed(Credentials $credentials, array $request): string
    {
        $headers = array_change_key_case(array_column($request['headers'], 1, 0));
        self::assertSame(1, preg_match('~SignedHeaders=([^,]+)~', $headers['authorization'], $found));
        $signed = array_intersect_key($headers, array_flip(explode(';', $found[1])));
        [$path, $query] = explode('?', $request['target'], 2) + [1 => ''];
        $pairs = [];
        foreach ($query === '' ? [] : explode('&', $query) as $pair) {
            $pairs[] = array_map('urldecode', explode('=', $pair, 2));
        }

        return Signature::authorization(
            $credentials,
            'cn-beijing-6',
            $request['method'],
            $path,
            Signature::query($pairs),
            $signed,
            $request['body'],
        );
    }
}
