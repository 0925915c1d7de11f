<?php

declare(strict_types=1);

/*
 * A server that says what it is told. First prints its port; then, for each line of JSON on its input (an answer, its
 * body `times` over, or `{"fault": "reset" | "timeout" | "cut"}`), takes one connection, does so, and prints whether
 * that was the one before, left open because of `"keep"`, and the request in base64.
 */
$listening = stream_socket_server('tcp://127.0.0.1:0');
echo substr(strrchr(stream_socket_get_name($listening, false), ':'), 1), "\n";
$kept = null;
while (($line = fgets(STDIN)) !== false) {
    $told = json_decode($line, true, flags: JSON_THROW_ON_ERROR);
    $ready = array_filter([$listening, $kept]);
    $none = null;
    stream_select($ready, $none, $none, 20);
    $again = in_array($kept, $ready, true);
    $connection = $again ? $kept : stream_socket_accept($listening, 20);
    $request = '';
    while (!str_contains($request, "\r\n\r\n")) {
        $piece = fread($connection, 65536);
        if ($piece === '' || $piece === false) {
            break;
        }
        $request .= $piece;
    }
    $body = (int) strpos($request, "\r\n\r\n") + 4;
    $length = preg_match('~\r\nContent-Length: (\d+)\r\n~i', $request, $found) === 1 ? (int) $found[1] : 0;
    while (strlen($request) < $body + $length) {
        $request .= fread($connection, 65536);
    }
    $fault = $told['fault'] ?? '';
    if ($fault === 'timeout') {
        fread($connection, 1); // until the client has gone
    } elseif ($fault === 'cut') {
        fwrite($connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Data\":");
    } elseif ($fault === '') {
        $answer = str_repeat($told['body'] ?? '', $told['times'] ?? 1);
        $head = "HTTP/1.1 {$told['status']} Told\r\nContent-Length: " . strlen($answer) . "\r\n";
        $head .= ($told['keep'] ?? false) ? '' : "Connection: close\r\n";
        foreach ($told['headers'] ?? [] as $name => $value) {
            $head .= "$name: $value\r\n";
        }
        fwrite($connection, "$head\r\n$answer");
    }
    if ($told['keep'] ?? false) {
        $kept = $connection;
    } else {
        fclose($connection);
        $kept = null;
    }
    echo $again ? 'again ' : 'new ', base64_encode($request), "\n";
}
