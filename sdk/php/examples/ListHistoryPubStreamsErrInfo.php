<?php

/*
 * The pushes that were refused or cut, of the last five days.
 *
 * php ListHistoryPubStreamsErrInfo.php [<UniqueName> <App> <Pubdomain>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\KlsClient;

$rows = (new KlsClient())->listHistoryPubStreamsErrInfoRows(
    uniqueName: $argv[1] ?? 'demo',
    app: $argv[2] ?? 'live',
    pubdomain: $argv[3] ?? 'push.demo.local',
);
foreach ($rows as $row) {
    foreach ($row->detail as $push) {
        echo "$row->stream: " . gmdate('c', $push->pubtime) . " $push->statusCode $push->statusMessage\n";
    }
}
