<?php

declare(strict_types=1);

/*
 * For programs without Composer: `require '.../sdk/php/autoload.php';`. The same folders as in composer.json.
 */
spl_autoload_register(static function (string $class): void {
    foreach (['OpenKls\\', 'Ksyun\\'] as $prefix) {
        if (str_starts_with($class, $prefix)) {
            $path = __DIR__ . '/src/' . strtr($class, '\\', '/') . '.php';
            if (is_file($path)) {
                require $path;
            }
        }
    }
});
