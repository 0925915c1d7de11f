<?php

declare(strict_types=1);

namespace OpenKls\Tests;

/**
 * `canned_server.php` as a process; ended with the object.
 */
final class CannedServer
{
    public readonly int $port;

    /** @var resource */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    public function __construct()
    {
        $command = [PHP_BINARY, __DIR__ . '/canned_server.php'];
        $this->process = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], STDERR], $this->pipes);
        $this->port = (int) fgets($this->pipes[1]);
    }

    /**
     * Tell what to do with the next connection.
     *
     * @param array<string, mixed> $answer
     */
    public function tell(array $answer): void
    {
        fwrite($this->pipes[0], json_encode($answer, JSON_THROW_ON_ERROR) . "\n");
    }

    /**
     * The next request as it came; `connection` is `again` where it came on the one before.
     *
     * @return array{method: string, target: string, headers: array<string, string>, body: string, connection: string}
     */
    public function request(): array
    {
        [$connection, $request] = explode(' ', (string) fgets($this->pipes[1]));
        [$head, $body] = explode("\r\n\r\n", base64_decode($request, true), 2);
        $lines = explode("\r\n", $head);
        [$method, $target] = explode(' ', array_shift($lines));
        $headers = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(': ', $line, 2);
            $headers[strtolower($name)] = $value;
        }

        return [
            'method' => $method,
            'target' => $target,
            'headers' => $headers,
            'body' => $body,
            'connection' => $connection,
        ];
    }

    public function __destruct()
    {
        array_map('fclose', $this->pipes);
        proc_terminate($this->process, 9);
        proc_close($this->process);
    }
}
