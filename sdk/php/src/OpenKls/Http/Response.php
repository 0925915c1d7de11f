<?php

declare(strict_types=1);

namespace OpenKls\Http;

/**
 * An answer as it came. The methods are named as PSR-7 names them, for code that was written for its responses.
 */
final class Response
{
    /**
     * @param array<string, string> $headers Values by name in lower case.
     */
    public function __construct(
        private readonly int $status,
        private readonly array $headers,
        private readonly string $body,
    ) {
    }

    public function getStatusCode(): int
    {
        return $this->status;
    }

    public function getBody(): string
    {
        return $this->body;
    }

    /**
     * The header's value, empty when there is none; the name in any case.
     */
    public function getHeaderLine(string $name): string
    {
        return $this->headers[strtolower($name)] ?? '';
    }

    public function hasHeader(string $name): bool
    {
        return isset($this->headers[strtolower($name)]);
    }

    /**
     * @return array<string, list<string>>
     */
    public function getHeaders(): array
    {
        return array_map(static fn (string $value): array => [$value], $this->headers);
    }
}
