<?php

/*
 * The pushes that ended, of the last five days.
 *
 * php ListHistoryPubStreamsInfo.php [<UniqueName> <App> <Pubdomain>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\KlsClient;

$rows = (new KlsClient())->listHistoryPubStreamsInfoRows(
    uniqueName: $argv[1] ?? 'demo',
    app: $argv[2] ?? 'live',
    pubdomain: $argv[3] ?? 'push.demo.local',
);
foreach ($rows as $row) {
    foreach ($row->detail as $push) {
        $seconds = $push->fintime - $push->pubtime;
        echo "$row->stream: " . gmdate('c', $push->pubtime) . " for $seconds s, $push->statusMessage\n";
    }
}
