<?php

declare(strict_types=1);

error_reporting(E_ALL);
require __DIR__ . '/../autoload.php';
spl_autoload_register(static function (string $class): void {
    $path = __DIR__ . '/' . strtr(substr($class, strlen('OpenKls\\Tests\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'OpenKls\\Tests\\') && is_file($path)) {
        require $path;
    }
});
