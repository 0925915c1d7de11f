<?php

declare(strict_types=1);

namespace OpenKls\Exception;

/**
 * The call was not made, because it cannot be: an unknown action or parameter, no key pair, no endpoint.
 */
final class UsageException extends KlsException
{
    public function __construct(string $text, ?\Throwable $previous = null)
    {
        parent::__construct($text, 0, null, '', '', false, '', null, $previous);
    }
}
