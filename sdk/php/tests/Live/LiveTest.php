<?php

declare(strict_types=1);

namespace OpenKls\Tests\Live;

use Ksyun\Service\Kls;
use OpenKls\Exception\BusinessException;
use OpenKls\Exception\ErrorDryRunException;
use OpenKls\Exception\InvalidAccesskeyException;
use OpenKls\Exception\SignatureNotMatchException;
use OpenKls\Exception\UnavailableRegionException;
use OpenKls\KlsClient;
use OpenKls\RetCode;
use PHPUnit\Framework\TestCase;

/**
 * Against a running service: OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY, OPENKLS_SECRET_KEY, and LIVE_STREAM, which is being
 * pushed to push.demo.local/live of the space `demo`, 640x360.
 */
final class LiveTest extends TestCase
{
    private const SPACE = ['uniqueName' => 'demo', 'app' => 'live'];
    private const DOOR = self::SPACE + ['pubdomain' => 'push.demo.local'];
    private const OFFLINE = '离线-php';
    private const CALLED = ['UniqueName' => 'demo', 'App' => 'live', 'Pubdomain' => 'push.demo.local'];

    private string $stream;
    private KlsClient $client;

    protected function setUp(): void
    {
        $this->stream = getenv('LIVE_STREAM') ?: self::fail('LIVE_STREAM is not set');
        $this->client = new KlsClient();
    }

    public function testPushedStreamIsReported(): void
    {
        $live = $this->client->listRealtimeStreamsInfo(...self::SPACE, type: 'push');
        self::assertSame([1, 0, 'success'], [$live->count, $live->retCode, $live->retMsg]);
        self::assertMatchesRegularExpression('~^[0-9a-f-]{36}$~', $live->requestId);
        $row = $live->streams[0];
        self::assertSame([$this->stream, 640, 360, 'h264'], [$row->stream, $row->width, $row->height, $row->vcodec]);
        self::assertGreaterThan(100.0, $row->curbitrate);
        self::assertNull($row->onlineUser);
        self::assertArrayNotHasKey('OnlineUser', $row->jsonSerialize());
        $viewed = $this->client->listRealtimeStreamsInfo(...self::SPACE);
        self::assertSame([0, []], [$viewed->count, $viewed->streams]); // nobody looks
    }

    public function testRowsOfAllPages(): void
    {
        $page = $this->client->listRealtimePubStreamsInfo(...self::DOOR, limit: 1);
        self::assertSame([1, 1, 0], [$page->count, $page->total, $page->marker]);
        $rows = iterator_to_array($this->client->listRealtimePubStreamsInfoRows(...self::DOOR));
        self::assertCount(1, $rows);
        self::assertSame([$this->stream, '640', '360'], [$rows[0]->stream, $rows[0]->width, $rows[0]->height]);
    }

    public function testLivePushIsNoHistoryButLasts(): void
    {
        $one = self::DOOR + ['stream' => $this->stream];
        self::assertSame([], iterator_to_array($this->client->listHistoryPubStreamsInfoRows(...$one)));
        self::assertSame([], iterator_to_array($this->client->listHistoryPubStreamsErrInfoRows(...$one)));
        self::assertSame(0, $this->client->listHistoryPubStreamsInfo(...$one)->total);
        self::assertSame(0, $this->client->listHistoryPubStreamsErrInfo(...$one)->total);
        $now = time();
        $lasts = $this->client->listStreamDurations(...$one, startUnixTime: $now, endUnixTime: $now + 86400);
        self::assertSame([1, $this->stream], [$lasts->count, $lasts->result[0]->stream]);
        self::assertSame($lasts->result[0]->endTime - $lasts->result[0]->startTime, $lasts->result[0]->duration);
    }

    public function testBanOfAUnicodeNameIsSetSeenAndLifted(): void
    {
        $one = self::DOOR + ['stream' => self::OFFLINE];
        $until = time() + 3600;
        self::assertSame(0, $this->client->checkBlacklist(...$one)->checkResult);
        self::assertSame('success', $this->client->forbidStream(...$one, forbidTillUnixTime: $until)->retMsg);
        self::assertSame(1, $this->client->checkBlacklist(...$one)->checkResult);
        $list = $this->client->getBlacklist(...self::DOOR);
        self::assertSame(1, $list->total);
        self::assertSame([self::OFFLINE, $until], [$list->recs[0]->stream, $list->recs[0]->forbidTillUnixTime]);
        self::assertSame(0, $this->client->resumeStream(...$one)->retCode);
        try {
            $this->client->resumeStream(...$one);
            self::fail('lifted twice');
        } catch (BusinessException $failure) {
            self::assertSame(RetCode::STREAM_IS_NOT_ON_THE_BLACKLIST, $failure->retCode);
            self::assertSame(['stream is not on the blacklist', 200], [$failure->text, $failure->status]);
            self::assertNotSame('', $failure->advice);
        }
    }

    public function testDryRunDoesNothing(): void
    {
        try {
            $this->client->forbidStream(...self::DOOR, stream: $this->stream, dryRun: true);
            self::fail('done');
        } catch (ErrorDryRunException $failure) {
            self::assertSame(412, $failure->status);
            self::assertSame(0, $this->client->checkBlacklist(...self::DOOR, stream: $this->stream)->checkResult);
        }
    }

    public function testWrongKeysAndRegionAreTold(): void
    {
        $wrong = [
            InvalidAccesskeyException::class => new KlsClient(accessKey: 'AKNONE', secretKey: 'x'),
            SignatureNotMatchException::class => new KlsClient(
                accessKey: getenv('OPENKLS_ACCESS_KEY'),
                secretKey: 'x',
            ),
            UnavailableRegionException::class => new KlsClient(region: 'mars-1'),
        ];
        foreach ($wrong as $class => $client) {
            try {
                $client->getBlacklist(...self::DOOR);
                self::fail("no $class");
            } catch (\OpenKls\Exception\GatewayException $failure) {
                self::assertInstanceOf($class, $failure);
                self::assertFalse($failure->retryable);
            }
        }
    }

    public function testClockThatIsAnHourSlowIsCorrected(): void
    {
        $reads = 0;
        $clock = static function () use (&$reads): int {
            ++$reads;

            return time() - 3600;
        };
        $client = new KlsClient(retries: 0, clock: $clock);
        self::assertSame(0, $client->getBlacklist(...self::DOOR)->retCode);
        self::assertSame(3, $reads); // to sign, to correct, to sign again
        self::assertSame(0, $client->getBlacklist(...self::DOOR)->retCode);
        self::assertSame(4, $reads);
    }

    public function testAllNineByTheDocumentsClass(): void
    {
        $space = ['UniqueName' => 'demo', 'App' => 'live'];
        $one = self::CALLED + ['Stream' => self::OFFLINE];
        $day = ['StartUnixTime' => time(), 'EndUnixTime' => time() + 86400];
        $calls = [
            ['ListRealtimeStreamsInfo', ['json' => $space + ['Type' => 'push']], 'Count', 1],
            ['ListRealtimePubStreamsInfo', ['query' => self::CALLED], 'Total', 1],
            ['ListHistoryPubStreamsInfo', ['query' => self::CALLED], 'Total', 0],
            ['ListHistoryPubStreamsErrInfo', ['query' => self::CALLED], 'Total', 0],
            ['ListStreamDurations', ['query' => self::CALLED + $day], 'Count', 1],
            ['ForbidStream', ['json' => $one + ['ForbidTillUnixTime' => -1]], 'RetCode', 0],
            ['CheckBlacklist', ['query' => $one], 'CheckResult', 1],
            ['GetBlacklist', ['query' => self::CALLED], 'Total', 1],
            ['ResumeStream', ['form_params' => $one], 'RetCode', 0],
        ];
        foreach ($calls as [$action, $options, $member, $value]) {
            $response = Kls::getInstance()->request($action, $options);
            $answer = json_decode($response->getBody(), true);
            self::assertSame([200, 0], [$response->getStatusCode(), $answer['Data']['RetCode'] ?? null], $action);
            self::assertSame($value, $answer['Data'][$member], $action);
        }
    }

    public function testActionThatIsNoneOfTheNineIsTheServicesToRefuse(): void
    {
        $response = Kls::getInstance()->request('GetRecordTask', ['query' => ['RecID' => 1]]);
        $error = json_decode($response->getBody(), true)['Error'];
        self::assertSame([400, 'InvalidActionOrVersion'], [$response->getStatusCode(), $error['Code']]);
    }
}
