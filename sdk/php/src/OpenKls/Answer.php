<?php

declare(strict_types=1);

namespace OpenKls;

use OpenKls\Exception\BusinessException;
use OpenKls\Exception\GatewayException;
use OpenKls\Exception\KlsException;
use OpenKls\Exception\NoAnswerException;
use OpenKls\Http\Response;

/**
 * A success: `Data` and `RequestId` of an answer. Every other answer becomes an exception here.
 *
 * @internal
 */
final class Answer
{
    /** What an error tells of an answer that is in no envelope: enough to see whose page it is. */
    private const EXCERPT_BYTES = 200;

    /**
     * @param array<string, mixed> $data
     */
    private function __construct(
        public readonly Response $response,
        public readonly array $data,
        public readonly string $requestId,
    ) {
    }

    /**
     * @throws KlsException
     */
    public static function read(Response $response, bool $repeatable): self
    {
        $tree = json_decode($response->getBody(), true);
        $tree = \is_array($tree) ? $tree : self::ofXml($response->getBody());
        $requestId = \is_string($tree['RequestId'] ?? null) ? $tree['RequestId'] : '';
        if (\is_array($tree['Error'] ?? null)) {
            throw self::gateway($response, $tree['Error'], $requestId, $repeatable);
        }
        $data = $tree['Data'] ?? null;
        $code = \is_array($data) ? $data['RetCode'] ?? null : null;
        if ($response->getStatusCode() !== 200 || !\is_int($code)) {
            throw new NoAnswerException(
                "HTTP status {$response->getStatusCode()} and neither Data with a RetCode nor Error, but: "
                    . json_encode(substr($response->getBody(), 0, self::EXCERPT_BYTES), JSON_INVALID_UTF8_SUBSTITUTE),
                retryable: $repeatable,
                response: $response,
            );
        }
        if ($code !== 0) {
            throw new BusinessException(
                \is_string($data['RetMsg'] ?? null) ? $data['RetMsg'] : '',
                $code,
                $requestId,
                Model::BUSINESS[$code] ?? '',
                $response,
            );
        }

        return new self($response, $data, $requestId);
    }

    /**
     * @param array<string, mixed> $error
     */
    private static function gateway(
        Response $response,
        array $error,
        string $requestId,
        bool $repeatable,
    ): GatewayException {
        $status = $response->getStatusCode();
        $code = \is_string($error['Code'] ?? null) ? $error['Code'] : '';
        $text = \is_string($error['Message'] ?? null) ? $error['Message'] : '';
        $retryable = ($status === 409 && $code === 'LimitExceeded') || ($status >= 500 && $repeatable);
        $class = GatewayException::class;
        $advice = '';
        foreach (Model::GATEWAY as [$itsStatus, $itsCode, $pattern, $itsClass, $itsAdvice]) {
            if ($itsCode === $code) {
                $class = $itsClass;
                if ($itsStatus === $status && preg_match($pattern, $text) === 1) {
                    $advice = $itsAdvice;
                }
            }
        }

        return new $class($text, $status, $code, $requestId, $retryable, $advice, $response);
    }

    /**
     * What the gateway answers to a client that does not accept JSON, and proxies to all; the few elements that are
     * read need none of PHP's XML extensions.
     *
     * @return array<string, mixed>
     */
    private static function ofXml(string $body): array
    {
        if (preg_match('~^\s*(?:<\?xml[^>]*\?>\s*)?<ErrorResponse\b.*</ErrorResponse>\s*$~Ds', $body) !== 1) {
            return [];
        }

        return [
            'RequestId' => self::element('RequestId', $body) ?? '',
            'Error' => ['Code' => self::element('Code', $body), 'Message' => self::element('Message', $body)],
        ];
    }

    private static function element(string $name, string $body): ?string
    {
        return preg_match("~<$name>([^<]*)</$name>~", $body, $found) === 1
            ? html_entity_decode($found[1], ENT_QUOTES | ENT_XML1, 'UTF-8')
            : null;
    }
}
