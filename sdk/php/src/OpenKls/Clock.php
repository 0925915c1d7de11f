<?php

declare(strict_types=1);

namespace OpenKls;

/**
 * This machine's clock, and by how much the service's differs.
 */
final class Clock
{
    private int $correctionSeconds = 0;

    /** @var \Closure(): int */
    private readonly \Closure $read;

    /**
     * @param null|\Closure(): int $read Unix seconds.
     */
    public function __construct(?\Closure $read = null)
    {
        $this->read = $read ?? time(...);
    }

    /**
     * The service's time as far as it is known, in Unix seconds.
     */
    public function now(): int
    {
        return ($this->read)() + $this->correctionSeconds;
    }

    /**
     * Take over the service's time from an answer's `Date`; false when that is none.
     */
    public function correct(string $date): bool
    {
        $utc = new \DateTimeZone('UTC');
        $moment = \DateTimeImmutable::createFromFormat('!D, d M Y H:i:s \G\M\T', $date, $utc);
        if ($moment === false) {
            return false;
        }
        $this->correctionSeconds = $moment->getTimestamp() - ($this->read)();

        return true;
    }
}
