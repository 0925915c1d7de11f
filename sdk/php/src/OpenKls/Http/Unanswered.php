<?php

declare(strict_types=1);

namespace OpenKls\Http;

/**
 * A transport brought nothing back: no connection, cut, late, too long.
 */
final class Unanswered extends \RuntimeException
{
    /**
     * @param bool $sent Whether any of the request may have left; where not, it was surely not carried out.
     */
    public function __construct(string $message, public readonly bool $sent)
    {
        parent::__construct($message);
    }
}
