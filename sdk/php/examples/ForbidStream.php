<?php

/*
 * Cuts a stream and refuses it for an hour.
 *
 * php ForbidStream.php [<UniqueName> <App> <Pubdomain> <Stream>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\Exception\BusinessException;
use OpenKls\KlsClient;

try {
    (new KlsClient())->forbidStream(
        uniqueName: $argv[1] ?? 'demo',
        app: $argv[2] ?? 'live',
        pubdomain: $argv[3] ?? 'push.demo.local',
        stream: $argv[4] ?? 's1',
        forbidTillUnixTime: time() + 3600,
    );
    echo "forbidden\n";
} catch (BusinessException $failure) {
    echo "$failure->retCode $failure->text: $failure->advice\n";
    exit(1);
}
