<?php

declare(strict_types=1);

namespace OpenKls\Tests;

/**
 * Variables of the environment for one test; as they were afterwards.
 */
trait Environment
{
    /** @var array<string, string|false> */
    private array $before = [];

    private function set(string $name, ?string $value): void
    {
        $this->before += [$name => getenv($name)];
        putenv($value === null ? $name : "$name=$value");
    }

    /**
     * A home folder with the text in `.ksyun/config`; null: without one.
     */
    private function setHome(?string $config): string
    {
        $home = sys_get_temp_dir() . '/openkls-php-' . bin2hex(random_bytes(8));
        mkdir("$home/.ksyun", 0o700, true);
        if ($config !== null) {
            file_put_contents("$home/.ksyun/config", $config);
        }
        $this->set('HOME', $home);
        $this->homes[] = $home;

        return $home;
    }

    /** @var list<string> */
    private array $homes = [];

    /**
     * @after
     */
    public function restoreEnvironment(): void
    {
        foreach ($this->before as $name => $value) {
            putenv($value === false ? $name : "$name=$value");
        }
        foreach ($this->homes as $home) {
            array_map('unlink', glob("$home/.ksyun/*"));
            rmdir("$home/.ksyun");
            rmdir($home);
        }
    }
}
