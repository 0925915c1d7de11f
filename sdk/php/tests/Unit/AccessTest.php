<?php

declare(strict_types=1);

namespace OpenKls\Tests\Unit;

use OpenKls\Credentials;
use OpenKls\Endpoint;
use OpenKls\Exception\UsageException;
use OpenKls\KlsClient;
use OpenKls\Tests\Environment;
use PHPUnit\Framework\TestCase;

/**
 * Where keys and the endpoint come from, and that a secret goes nowhere but into signatures.
 */
final class AccessTest extends TestCase
{
    use Environment;

    private const SECRET = 'not-to-be-seen';

    protected function setUp(): void
    {
        foreach (['OPENKLS_ENDPOINT', 'OPENKLS_ACCESS_KEY', 'OPENKLS_SECRET_KEY'] as $name) {
            $this->set($name, null);
        }
    }

    public function testArgumentsComeBeforeTheEnvironmentAndThatBeforeTheFile(): void
    {
        $this->setHome('{"ak": "AKFILE", "sk": "of-file"}');
        self::assertSame('AKFILE', Credentials::find()->accessKey);
        $this->set('OPENKLS_ACCESS_KEY', 'AKENV');
        $this->set('OPENKLS_SECRET_KEY', 'of-env');
        self::assertSame('AKENV', Credentials::find()->accessKey);
        self::assertSame('AK', Credentials::find('AK', self::SECRET)->accessKey);
    }

    public function testSecretOfTheFileSigns(): void
    {
        $this->setHome(json_encode(['ak' => 'AK', 'sk' => self::SECRET]));
        $given = new Credentials('AK', self::SECRET);
        $arguments = ['20260921', 'cn-beijing-6', 'kls'];
        self::assertSame($given->signingKey(...$arguments), Credentials::find()->signingKey(...$arguments));
    }

    public function testWithoutAKeyPairTheThreePlacesAreTold(): void
    {
        $home = $this->setHome(null);
        $this->expectException(UsageException::class);
        $this->expectExceptionMessage("set OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY, or write $home/.ksyun/config");
        Credentials::find();
    }

    /**
     * @testWith ["no JSON"]
     *           ["[]"]
     *           ["{\"ak\": \"AK\"}"]
     *           ["{\"ak\": \"AK\", \"sk\": 1}"]
     *           ["{\"ak\": \"AK\", \"sk\": \"\"}"]
     */
    public function testFileOfAnotherFormIsRefusedAndNotQuoted(string $text): void
    {
        $this->setHome($text);
        try {
            Credentials::find();
            self::fail('accepted');
        } catch (UsageException $failure) {
            self::assertStringNotContainsString($text, $failure->getMessage());
        }
    }

    public function testHalfAKeyPairIsRefused(): void
    {
        $this->setHome('{"ak": "AKFILE", "sk": "of-file"}');
        $this->expectException(UsageException::class);
        Credentials::find('AK');
    }

    public function testSecretIsInNoDumpExportOrSerialization(): void
    {
        $client = new KlsClient(accessKey: 'AKSEEN', secretKey: self::SECRET);
        ob_start();
        var_dump($client);
        $shown = ob_get_clean() . print_r($client, true);
        self::assertStringContainsString('AKSEEN', $shown);
        foreach ([$client, new Credentials('AKSEEN', self::SECRET)] as $each) {
            $shown .= print_r($each, true) . var_export($each, true) . json_encode((array) $each);
        }
        self::assertStringNotContainsString(self::SECRET, $shown);
        $this->expectException(\Exception::class);
        serialize($client);
    }

    public function testEndpointIsTheArgumentElseTheEnvironmentElseThisMachine(): void
    {
        self::assertSame('http://127.0.0.1:8080', (new Endpoint())->base);
        $this->set('OPENKLS_ENDPOINT', 'http://kls.test:1');
        self::assertSame('http://kls.test:1', (new Endpoint())->base);
        self::assertSame('http://kls.test:2', (new Endpoint('http://kls.test:2'))->base);
    }

    /**
     * @testWith ["http://KLS.test", "kls.test", "/"]
     *           ["http://kls.test:80/", "kls.test", "/"]
     *           ["https://kls.test:443/api/", "kls.test", "/api/"]
     *           ["https://kls.test:80", "kls.test:80", "/"]
     *           ["http://[::1]:8080", "[::1]:8080", "/"]
     */
    public function testHostIsWrittenAsHttpLibrariesWriteIt(string $url, string $host, string $path): void
    {
        $endpoint = new Endpoint($url);
        self::assertSame([$host, $path], [$endpoint->host, $endpoint->path]);
    }

    /**
     * @testWith [""]
     *           ["kls.test:8080"]
     *           ["ftp://kls.test"]
     *           ["http://"]
     *           ["http://user:secret@kls.test"]
     *           ["http://kls.test/?Action=x"]
     */
    public function testEndpointOfAnotherFormIsRefusedAndNotQuoted(string $url): void
    {
        $this->expectException(UsageException::class);
        $this->expectExceptionMessageMatches('~^the endpoint is not of the form http://host:port$~D');
        new Endpoint($url);
    }

    public function testRetriesAndTimeoutHaveBounds(): void
    {
        foreach ([['retries' => -1], ['timeoutSeconds' => 0.0]] as $wrong) {
            try {
                new KlsClient('http://kls.test', 'AK', 'SK', ...$wrong);
                self::fail('accepted');
            } catch (UsageException) {
                self::assertNotNull(new KlsClient('http://kls.test', 'AK', 'SK', retries: 0, timeoutSeconds: 0.001));
            }
        }
    }
}
