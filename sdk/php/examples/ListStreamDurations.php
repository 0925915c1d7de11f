<?php

/*
 * How long streams were pushed today.
 *
 * php ListStreamDurations.php [<UniqueName> <App> <Pubdomain>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\KlsClient;

$found = (new KlsClient())->listStreamDurations(
    uniqueName: $argv[1] ?? 'demo',
    app: $argv[2] ?? 'live',
    pubdomain: $argv[3] ?? 'push.demo.local',
    startUnixTime: time(),
    endUnixTime: time() + 86400,
);
foreach ($found->result as $push) {
    echo "$push->stream: $push->duration s from " . gmdate('c', $push->startTime) . "\n";
}
