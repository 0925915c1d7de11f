<?php

declare(strict_types=1);

namespace OpenKls;

use OpenKls\Exception\KlsException;
use OpenKls\Exception\UsageException;
use OpenKls\Http\Transport;

/**
 * What {@see KlsClient}, whose methods are generated, is made on: calls by the action's name, and rows of all pages.
 */
abstract class Client
{
    public const REGION = 'cn-beijing-6';

    private const JSON = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;

    private readonly Caller $caller;

    /**
     * @param null|string $endpoint `http://host[:port]`; null: OPENKLS_ENDPOINT, else http://127.0.0.1:8080.
     * @param null|string $accessKey Null: OPENKLS_ACCESS_KEY, else `ak` of `~/.ksyun/config`.
     * @param null|string $secretKey Null: OPENKLS_SECRET_KEY, else `sk` of `~/.ksyun/config`.
     * @param int $retries How often a call is made again after 409 LimitExceeded, 5xx or no answer.
     * @param float $timeoutSeconds Of each attempt.
     * @param null|Transport $transport What carries requests; null: curl.
     * @param null|\Closure(): int $clock Unix seconds; null: this machine's clock.
     * @param null|\Closure(float): void $pause Waits before another attempt; null: sleeps.
     *
     * @throws UsageException
     */
    public function __construct(
        ?string $endpoint = null,
        ?string $accessKey = null,
        #[\SensitiveParameter]
        ?string $secretKey = null,
        string $region = self::REGION,
        int $retries = 2,
        float $timeoutSeconds = 10.0,
        ?Transport $transport = null,
        ?\Closure $clock = null,
        ?\Closure $pause = null,
    ) {
        $this->caller = new Caller(
            new Endpoint($endpoint),
            Credentials::find($accessKey, $secretKey),
            $region,
            $retries,
            $timeoutSeconds,
            $transport,
            new Clock($clock),
            $pause,
        );
    }

    /**
     * Call an action by its name; the result is the one that the method of that name gives.
     *
     * @param array<string, mixed> $parameters By their names on the wire; null is not given. Values are the service's
     *     to judge.
     *
     * @throws KlsException
     */
    public function call(string $action, array $parameters): \JsonSerializable
    {
        $answer = $this->caller->send(self::prepared($action, $parameters));
        $result = Model::ACTIONS[$action]['result'];

        return $result::from(new Fields($answer->data, 'Data'), $answer->requestId);
    }

    /**
     * The rows of all pages of an action that has pages; a page is asked for when its first row is.
     *
     * @param array<string, mixed> $parameters Their `Marker` is not regarded: the first page is the first.
     *
     * @return \Generator<int, \JsonSerializable>
     *
     * @throws KlsException
     */
    public function rows(string $action, array $parameters): \Generator
    {
        $pages = Model::ACTIONS[$action]['pages'] ?? throw new UsageException("$action is no action with pages");
        // As the service reads it; what is asked for and what is reckoned with must be the same.
        $limit = (int) ($parameters['Limit'] ?? 0);
        $limit = $limit < 1 ? $pages['default'] : min($limit, $pages['at_most']);
        $number = 0;
        for ($marker = 0;; ++$marker) {
            $page = $this->call($action, ['Marker' => $marker, 'Limit' => $limit] + $parameters);
            foreach ($page->{$pages['rows']} as $row) {
                yield $number++ => $row;
            }
            if ($page->{$pages['rows']} === [] || ($marker + 1) * $limit >= $page->total) {
                return;
            }
        }
    }

    /**
     * @return array<string, mixed>
     */
    protected function shown(): array
    {
        return [
            'endpoint' => $this->caller->endpoint->base,
            'region' => $this->caller->region,
            'accessKey' => $this->caller->credentials->accessKey,
        ];
    }

    /**
     * @param array<string, mixed> $parameters
     */
    private static function prepared(string $action, array $parameters): Call
    {
        $known = Model::ACTIONS[$action] ?? throw new UsageException("there is no action $action");
        // DryRun is the gateway's, so that every action takes it.
        $names = [...$known['parameters'], 'DryRun'];
        $unknown = array_diff(array_keys($parameters), $names);
        if ($unknown !== []) {
            throw new UsageException("$action has no parameter " . implode(', ', $unknown));
        }
        $given = [];
        foreach ($names as $name) {
            if (isset($parameters[$name])) {
                $given[$name] = $parameters[$name];
            }
        }
        $repeatable = Call::mayRepeat($action, $given);
        try {
            if ($known['method'] === 'POST') {
                $body = json_encode((object) $given, self::JSON);

                return new Call($action, 'POST', [], $body, 'application/json', $repeatable);
            }
            $query = [];
            foreach ($given as $name => $value) {
                $query[] = [$name, \is_string($value) ? $value : json_encode($value, self::JSON)];
            }
        } catch (\JsonException $error) {
            throw new UsageException("$action: a parameter cannot be sent: {$error->getMessage()}", $error);
        }

        return new Call($action, 'GET', $query, '', null, $repeatable);
    }
}
