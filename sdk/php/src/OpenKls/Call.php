<?php

declare(strict_types=1);

namespace OpenKls;

/**
 * One call of an action, not yet signed.
 *
 * @internal
 */
final class Call
{
    /**
     * @param list<array{string, string}> $query Names and values beside Action and Version.
     * @param null|string $contentType Null where there is no body.
     * @param bool $repeatable Whether it may be done twice where it is not known if it was done.
     * @param array<string, string> $headers Further headers, not signed.
     */
    public function __construct(
        public readonly string $action,
        public readonly string $method,
        public readonly array $query = [],
        public readonly string $body = '',
        public readonly ?string $contentType = null,
        public readonly bool $repeatable = true,
        public readonly array $headers = [],
    ) {
    }

    /**
     * A cut (ForbidStream with ForbidTillUnixTime 1) cuts again a stream that came back meanwhile; everything else
     * may be done twice with the effect of once.
     *
     * @param array<string, mixed> $parameters
     */
    public static function mayRepeat(string $action, array $parameters): bool
    {
        $until = $parameters['ForbidTillUnixTime'] ?? null;

        return $action !== 'ForbidStream' || !is_numeric($until) || (int) $until !== 1;
    }
}
