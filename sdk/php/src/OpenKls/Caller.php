<?php

declare(strict_types=1);

namespace OpenKls;

use OpenKls\Exception\InvalidTimestampException;
use OpenKls\Exception\KlsException;
use OpenKls\Exception\NoAnswerException;
use OpenKls\Exception\UsageException;
use OpenKls\Http\CurlTransport;
use OpenKls\Http\Request;
use OpenKls\Http\Transport;
use OpenKls\Http\Unanswered;

/**
 * Signs calls, sends them, and decides which are made again.
 *
 * A call is made once and up to `retries` times more, after a pause, while what came back is retryable. Apart from
 * these, a call refused for its time is made once more at once, with the clock corrected by the answer's `Date`.
 *
 * @internal
 */
final class Caller
{
    private const PAUSE_SECONDS = 0.2;
    private const PAUSE_SECONDS_MAX = 5.0;
    /** A service that asks for more than this is not waited for. */
    private const RETRY_AFTER_SECONDS_MAX = 60;

    private readonly Transport $transport;
    private readonly Clock $clock;

    /** @var \Closure(float): void */
    private readonly \Closure $pause;

    /**
     * @param null|\Closure(float): void $pause Waits for so many seconds.
     */
    public function __construct(
        public readonly Endpoint $endpoint,
        public readonly Credentials $credentials,
        public readonly string $region,
        private readonly int $retries,
        private readonly float $timeoutSeconds,
        ?Transport $transport = null,
        ?Clock $clock = null,
        ?\Closure $pause = null,
    ) {
        if ($retries < 0 || $timeoutSeconds <= 0) {
            throw new UsageException('retries must not be below 0, timeoutSeconds must be above 0');
        }
        $this->transport = $transport ?? new CurlTransport();
        $this->clock = $clock ?? new Clock();
        $this->pause = $pause ?? static fn (float $seconds) => usleep((int) ($seconds * 1e6));
    }

    /**
     * @throws KlsException
     */
    public function send(Call $call): Answer
    {
        $corrected = false;
        for ($attempt = 1;;) {
            try {
                return $this->once($call);
            } catch (KlsException $failure) {
                $answer = $failure->response;
                if ($failure instanceof InvalidTimestampException && !$corrected) {
                    $corrected = $this->clock->correct($answer->getHeaderLine('Date'));
                    if ($corrected) {
                        continue;
                    }
                }
                $asked = $answer?->getHeaderLine('Retry-After') ?? '';
                $least = ctype_digit($asked) ? (float) $asked : 0.0;
                if (
                    !$failure->retryable || $attempt > $this->retries || $least > self::RETRY_AFTER_SECONDS_MAX
                ) {
                    throw $failure;
                }
                $most = min(self::PAUSE_SECONDS_MAX, self::PAUSE_SECONDS * 2 ** ($attempt - 1));
                ($this->pause)(max($least, $most * mt_rand() / mt_getrandmax()));
                ++$attempt;
            }
        }
    }

    private function once(Call $call): Answer
    {
        try {
            $response = $this->transport->send($this->signed($call));
        } catch (Unanswered $failure) {
            $retryable = $call->repeatable || !$failure->sent;

            throw new NoAnswerException($failure->getMessage(), $retryable, previous: $failure);
        }

        return Answer::read($response, $call->repeatable);
    }

    private function signed(Call $call): Request
    {
        $query = Signature::query([['Action', $call->action], ['Version', Model::VERSION], ...$call->query]);
        $headers = ['host' => $this->endpoint->host, 'x-amz-date' => Signature::date($this->clock->now())];
        if ($call->contentType !== null) {
            $headers['content-type'] = $call->contentType;
        }
        $authorization = Signature::authorization(
            $this->credentials,
            $this->region,
            $call->method,
            $this->endpoint->path,
            $query,
            $headers,
            $call->body,
        );
        $sent = [
            'Host' => $headers['host'],
            'Accept' => 'application/json',
            'User-Agent' => 'openkls-php/' . Model::SDK_VERSION,
            'X-Amz-Date' => $headers['x-amz-date'],
            'Authorization' => $authorization,
        ];
        if ($call->contentType !== null) {
            $sent['Content-Type'] = $call->contentType;
        }

        return new Request(
            $call->method,
            $this->endpoint->base,
            "{$this->endpoint->path}?$query",
            $sent + $call->headers,
            $call->body,
            $call->repeatable,
            $this->timeoutSeconds,
        );
    }
}
