<?php

declare(strict_types=1);

namespace Ksyun\Service;

use OpenKls\Call;
use OpenKls\Caller;
use OpenKls\Client;
use OpenKls\Clock;
use OpenKls\Credentials;
use OpenKls\Endpoint;
use OpenKls\Exception\KlsException;
use OpenKls\Exception\UsageException;
use OpenKls\Http\CurlTransport;
use OpenKls\Http\Response;
use OpenKls\Http\Transport;
use OpenKls\Model;

/**
 * The vendor's SDK as its document calls it:
 * `Kls::getInstance()->request('ForbidStream', ['json' => [...]])`, and GET with `['query' => [...]]`.
 *
 * The answer is given as it came, failures too; only where none came there is an exception. The endpoint is
 * OPENKLS_ENDPOINT, else http://127.0.0.1:8080; keys come from `~/.ksyun/config`, or the environment before it.
 */
final class Kls
{
    /** Guzzle's names; `v4_credentials` is the vendor's: `['ak' => ..., 'sk' => ...]`. */
    private const OPTIONS = ['json', 'query', 'form_params', 'headers', 'timeout', 'v4_credentials'];

    /** The vendor's. */
    private const TIMEOUT_SECONDS = 5.0;

    private const RETRIES = 2;

    private static ?self $instance = null;

    private readonly Transport $transport;
    private readonly Clock $clock;

    private function __construct()
    {
        $this->transport = new CurlTransport();
        $this->clock = new Clock();
    }

    public static function getInstance(): self
    {
        return self::$instance ??= new self();
    }

    /**
     * Call an action, also one that this SDK does not know: such a one by POST where there is `json` or
     * `form_params`, else by GET.
     *
     * @param array<string, mixed> $options `query`, `json` or `form_params`: the parameters; `headers`: further ones;
     *     `timeout`: seconds; `v4_credentials`: another key pair.
     *
     * @throws KlsException where no answer came, or no request could be made
     */
    public function request(string $action, array $options = [], string $region = Client::REGION): Response
    {
        $unknown = array_diff(array_keys($options), self::OPTIONS);
        if ($unknown !== []) {
            throw new UsageException('no such option: ' . implode(', ', $unknown));
        }
        $keys = $options['v4_credentials'] ?? [];
        $caller = new Caller(
            new Endpoint(),
            Credentials::find($keys['ak'] ?? null, $keys['sk'] ?? null),
            $region,
            self::RETRIES,
            (float) ($options['timeout'] ?? self::TIMEOUT_SECONDS),
            $this->transport,
            $this->clock,
        );
        try {
            return $caller->send(self::asked($action, $options))->response;
        } catch (KlsException $failure) {
            return $failure->response ?? throw $failure;
        }
    }

    /**
     * @param array<string, mixed> $options
     */
    private static function asked(string $action, array $options): Call
    {
        $posted = isset($options['json']) || isset($options['form_params']);
        $method = Model::ACTIONS[$action]['method'] ?? ($posted ? 'POST' : 'GET');
        // The document's own GET sample has its query inside of json.
        $query = $options['query'] ?? ($method === 'GET' ? $options['json']['query'] ?? null : null) ?? [];
        $pairs = [];
        foreach ($query as $name => $value) {
            if ($value !== null) {
                $pairs[] = [(string) $name, (string) $value];
            }
        }
        $body = '';
        $type = null;
        $parameters = $query;
        if ($method === 'POST') {
            $json = $options['json'] ?? null;
            $parameters = [...$query, ...($json ?? $options['form_params'] ?? [])];
            if ($json !== null || !isset($options['form_params'])) {
                $body = self::json($json ?? []);
                $type = 'application/json';
            } else {
                $body = http_build_query($options['form_params'], '', '&');
                $type = 'application/x-www-form-urlencoded';
            }
        }
        $repeatable = Call::mayRepeat($action, $parameters);

        return new Call($action, $method, $pairs, $body, $type, $repeatable, $options['headers'] ?? []);
    }

    /**
     * @param array<string, mixed> $values
     */
    private static function json(array $values): string
    {
        try {
            return json_encode((object) $values, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
        } catch (\JsonException $error) {
            throw new UsageException("a parameter cannot be sent: {$error->getMessage()}", $error);
        }
    }
}
