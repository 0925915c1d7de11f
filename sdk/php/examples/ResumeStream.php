<?php

/*
 * Allows a forbidden stream again.
 *
 * php ResumeStream.php [<UniqueName> <App> <Pubdomain> <Stream>]
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use OpenKls\Exception\BusinessException;
use OpenKls\KlsClient;
use OpenKls\RetCode;

try {
    (new KlsClient())->resumeStream(
        uniqueName: $argv[1] ?? 'demo',
        app: $argv[2] ?? 'live',
        pubdomain: $argv[3] ?? 'push.demo.local',
        stream: $argv[4] ?? 's1',
    );
    echo "allowed\n";
} catch (BusinessException $failure) {
    if ($failure->retCode !== RetCode::STREAM_IS_NOT_ON_THE_BLACKLIST) {
        throw $failure;
    }
    echo "was not forbidden\n";
}
