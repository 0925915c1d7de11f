<?php

/*
 * Tells whether a stream is forbidden.
 *
 * php CheckBlacklist.php [<UniqueName> <App> <Pubdomain> <Stream>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\KlsClient;

$check = (new KlsClient())->checkBlacklist(
    uniqueName: $argv[1] ?? 'demo',
    app: $argv[2] ?? 'live',
    pubdomain: $argv[3] ?? 'push.demo.local',
    stream: $argv[4] ?? 's1',
);
echo $check->checkResult === 1 ? "forbidden\n" : "not forbidden\n";
