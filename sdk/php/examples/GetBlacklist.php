<?php

/*
 * The forbidden streams of an app under a publish domain.
 *
 * php GetBlacklist.php [<UniqueName> <App> <Pubdomain>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\KlsClient;

$list = (new KlsClient())->getBlacklist(
    uniqueName: $argv[1] ?? 'demo',
    app: $argv[2] ?? 'live',
    pubdomain: $argv[3] ?? 'push.demo.local',
);
foreach ($list->recs as $ban) {
    $until = $ban->forbidTillUnixTime === -1 ? '90 days on' : gmdate('c', $ban->forbidTillUnixTime);
    echo "$ban->stream: from " . gmdate('c', $ban->forbidUnixTime) . " to $until\n";
}
