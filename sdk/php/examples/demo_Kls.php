<?php

/*
 * Calls one action as the document does: php demo_Kls.php GetBlacklist
 *
 * Keys are read from ~/.ksyun/config. Names may be given behind the action: php demo_Kls.php CheckBlacklist demo live
 * push.demo.local s1
 */

declare(strict_types=1);

// With Composer: require 'vendor/autoload.php';
require __DIR__ . '/../autoload.php';

use Ksyun\Service\Kls;

$action = $argv[1] ?? exit("usage: php demo_Kls.php <Action> [<UniqueName> <App> <Pubdomain> <Stream>]\n");
$space = [
    'UniqueName' => $argv[2] ?? 'demo',
    'App' => $argv[3] ?? 'live',
];
$door = $space + ['Pubdomain' => $argv[4] ?? 'push.demo.local'];
$stream = $door + ['Stream' => $argv[5] ?? 's1'];

$response = match ($action) {
    'ForbidStream' => Kls::getInstance()->request($action, ['json' => $stream + ['ForbidTillUnixTime' => -1]]),
    'ResumeStream' => Kls::getInstance()->request($action, ['json' => $stream]),
    'ListRealtimeStreamsInfo' => Kls::getInstance()->request($action, ['json' => $space]),
    'CheckBlacklist' => Kls::getInstance()->request($action, ['query' => $stream]),
    'ListStreamDurations' => Kls::getInstance()->request(
        $action,
        ['query' => $door + ['StartUnixTime' => time(), 'EndUnixTime' => time() + 86400]],
    ),
    default => Kls::getInstance()->request($action, ['query' => $door]),
};
echo $response->getBody(), "\n";
