<?php

declare(strict_types=1);

namespace OpenKls;

/**
 * AWS Signature Version 4 for the service `kls`: pure steps, the time is an argument.
 */
final class Signature
{
    private const ALGORITHM = 'AWS4-HMAC-SHA256';
    private const SERVICE = 'kls';

    /**
     * The value of X-Amz-Date, such as `20260921T141320Z`.
     */
    public static function date(int $unixSeconds): string
    {
        return gmdate('Ymd\THis\Z', $unixSeconds);
    }

    /**
     * The canonical query: encoded by RFC 3986, sorted by name, then value.
     *
     * @param list<array{string, string}> $pairs
     */
    public static function query(array $pairs): string
    {
        $encoded = array_map(
            static fn (array $pair): array => [rawurlencode($pair[0]), rawurlencode($pair[1])],
            $pairs,
        );
        usort($encoded, static fn (array $one, array $other): int => strcmp($one[0], $other[0])
            ?: strcmp($one[1], $other[1]));

        return implode('&', array_map(static fn (array $pair): string => "$pair[0]=$pair[1]", $encoded));
    }

    /**
     * The value of the header Authorization.
     *
     * @param string $query The canonical query.
     * @param array<string, string> $headers The headers to sign by name in lower case, x-amz-date among them.
     */
    public static function authorization(
        Credentials $credentials,
        string $region,
        string $method,
        string $path,
        string $query,
        array $headers,
        string $body,
    ): string {
        ksort($headers, SORT_STRING);
        $lines = '';
        foreach ($headers as $name => $value) {
            $lines .= $name . ':' . preg_replace('/ +/', ' ', trim($value)) . "\n";
        }
        $names = implode(';', array_keys($headers));
        $canonical = implode("\n", [$method, $path, $query, $lines, $names, hash('sha256', $body)]);
        $day = substr($headers['x-amz-date'], 0, 8);
        $scope = implode('/', [$day, $region, self::SERVICE, 'aws4_request']);
        $toSign = implode("\n", [self::ALGORITHM, $headers['x-amz-date'], $scope, hash('sha256', $canonical)]);
        $signature = hash_hmac('sha256', $toSign, $credentials->signingKey($day, $region, self::SERVICE));

        return self::ALGORITHM
            . " Credential={$credentials->accessKey}/$scope, SignedHeaders=$names, Signature=$signature";
    }
}
