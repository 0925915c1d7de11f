<?php

declare(strict_types=1);

namespace OpenKls\Exception;

use OpenKls\Http\Response;

/**
 * Nothing that could be read came back: no connection, cut, late, or an answer that is none of the service's. Whether
 * the action was done is not known.
 */
final class NoAnswerException extends KlsException
{
    public function __construct(
        string $text,
        bool $retryable,
        ?Response $response = null,
        int $status = 0,
        ?\Throwable $previous = null,
    ) {
        $status = $response?->getStatusCode() ?? $status;
        parent::__construct($text, $status, null, '', '', $retryable, '', $response, $previous);
    }
}
