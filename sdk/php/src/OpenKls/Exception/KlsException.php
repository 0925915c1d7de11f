<?php

declare(strict_types=1);

namespace OpenKls\Exception;

use OpenKls\Http\Response;

/**
 * A call that did not succeed. The facts are properties; the message is made of them.
 */
abstract class KlsException extends \RuntimeException
{
    /**
     * @param string $text What the service said, or what happened.
     * @param int $status HTTP's; 0 where no answer came.
     * @param null|int $retCode Of a business failure.
     * @param string $errorCode Of a gateway failure, such as `LimitExceeded`.
     * @param string $requestId Finds the call in the service's log.
     * @param bool $retryable Whether the same call may be made again and may succeed then.
     * @param string $advice What to do about it, as far as the service model says.
     * @param null|Response $response The answer as it came.
     */
    protected function __construct(
        public readonly string $text,
        public readonly int $status,
        public readonly ?int $retCode,
        public readonly string $errorCode,
        public readonly string $requestId,
        public readonly bool $retryable,
        public readonly string $advice,
        public readonly ?Response $response,
        ?\Throwable $previous = null,
    ) {
        $name = $retCode !== null ? "RetCode $retCode: " : ($errorCode !== '' ? "$errorCode: " : '');
        parent::__construct(
            $name . $text . ($requestId !== '' ? " (request $requestId)" : '') . ($advice !== '' ? " $advice" : ''),
            $retCode ?? $status,
            $previous,
        );
    }
}
