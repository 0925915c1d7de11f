<?php

declare(strict_types=1);

namespace OpenKls\Exception;

use OpenKls\Http\Response;

/**
 * The call failed before its action: signature, policy, rate, the store. Each code has a class of its own below this
 * one; a code that is new to this SDK has not.
 */
class GatewayException extends KlsException
{
    public function __construct(
        string $text,
        int $status,
        string $errorCode,
        string $requestId,
        bool $retryable,
        string $advice,
        Response $response,
    ) {
        parent::__construct($text, $status, null, $errorCode, $requestId, $retryable, $advice, $response);
    }
}
