<?php

declare(strict_types=1);

namespace OpenKls;

use OpenKls\Exception\UsageException;

/**
 * A key pair. The secret is in no property, so that no dump, export or serialization shows it.
 */
final class Credentials
{
    /** @var null|\WeakMap<self, string> */
    private static ?\WeakMap $secrets = null;

    public function __construct(public readonly string $accessKey, #[\SensitiveParameter] string $secretKey)
    {
        if ($accessKey === '' || $secretKey === '') {
            throw new UsageException('an access key and its secret key are needed');
        }
        self::$secrets ??= new \WeakMap();
        self::$secrets[$this] = $secretKey;
    }

    /**
     * The pair given, else of OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY, else of `~/.ksyun/config`.
     *
     * @throws UsageException where there is none, or half of one
     */
    public static function find(?string $accessKey = null, #[\SensitiveParameter] ?string $secretKey = null): self
    {
        if ($accessKey !== null || $secretKey !== null) {
            return new self($accessKey ?? '', $secretKey ?? '');
        }
        $accessKey = (string) getenv('OPENKLS_ACCESS_KEY');
        $secretKey = (string) getenv('OPENKLS_SECRET_KEY');
        if ($accessKey !== '' || $secretKey !== '') {
            return new self($accessKey, $secretKey);
        }

        return self::ofFile((getenv('HOME') ?: getenv('USERPROFILE') ?: '.') . '/.ksyun/config');
    }

    /**
     * The pair in a file `{"ak": "...", "sk": "..."}`.
     *
     * @throws UsageException
     */
    public static function ofFile(string $path): self
    {
        $text = is_file($path) ? file_get_contents($path) : false;
        if ($text === false) {
            throw new UsageException(
                'no key pair: give accessKey and secretKey,'
                    . " set OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY, or write $path",
            );
        }
        $pair = json_decode($text, true);
        if (!\is_array($pair) || !\is_string($pair['ak'] ?? null) || !\is_string($pair['sk'] ?? null)) {
            throw new UsageException("$path is not of the form {\"ak\": \"...\", \"sk\": \"...\"}");
        }

        return new self($pair['ak'], $pair['sk']);
    }

    /**
     * The key of AWS Signature Version 4 for a day, region and service; 32 bytes.
     */
    public function signingKey(string $day, string $region, string $service): string
    {
        $key = 'AWS4' . self::$secrets[$this];
        foreach ([$day, $region, $service, 'aws4_request'] as $part) {
            $key = hash_hmac('sha256', $part, $key, true);
        }

        return $key;
    }

    public function __serialize(): array
    {
        throw new \LogicException('a key pair is not serialized');
    }

    private function __clone()
    {
    }
}
