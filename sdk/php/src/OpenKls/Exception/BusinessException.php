<?php

declare(strict_types=1);

namespace OpenKls\Exception;

use OpenKls\Http\Response;

/**
 * The action was refused or failed: HTTP 200 with a RetCode other than 0, one of {@see \OpenKls\RetCode}.
 */
final class BusinessException extends KlsException
{
    public function __construct(string $text, int $retCode, string $requestId, string $advice, Response $response)
    {
        parent::__construct($text, 200, $retCode, '', $requestId, false, $advice, $response);
    }
}
