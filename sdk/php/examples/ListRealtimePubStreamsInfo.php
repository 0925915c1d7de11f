<?php

/*
 * The streams being pushed to a publish domain, of all pages.
 *
 * php ListRealtimePubStreamsInfo.php [<UniqueName> <App> <Pubdomain>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\KlsClient;

$rows = (new KlsClient())->listRealtimePubStreamsInfoRows(
    uniqueName: $argv[1] ?? 'demo',
    app: $argv[2] ?? 'live',
    pubdomain: $argv[3] ?? 'push.demo.local',
);
foreach ($rows as $row) {
    echo "$row->stream: since " . gmdate('c', $row->pubtime) . ", $row->bwReal bytes/s\n";
}
