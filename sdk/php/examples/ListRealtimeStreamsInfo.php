<?php

/*
 * The live streams of an app, with the quality of their push.
 *
 * php ListRealtimeStreamsInfo.php [<UniqueName> <App>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\KlsClient;

$live = (new KlsClient())->listRealtimeStreamsInfo($argv[1] ?? 'demo', $argv[2] ?? 'live', type: 'push');
foreach ($live->streams as $stream) {
    echo "$stream->stream: {$stream->width}x$stream->height $stream->vcodec, $stream->curfps frames/s,"
        . " $stream->bwReal kbps from $stream->clientIP\n";
}
