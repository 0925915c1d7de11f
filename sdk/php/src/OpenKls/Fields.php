<?php

declare(strict_types=1);

namespace OpenKls;

use OpenKls\Exception\NoAnswerException;

/**
 * Reads the members of a structure of an answer by their types; members that it is not asked for are passed over.
 *
 * @internal
 */
final class Fields
{
    /**
     * @param array<mixed> $values
     * @param string $path Where the structure stands, for the message of a fault.
     */
    public function __construct(private readonly array $values, private readonly string $path)
    {
    }

    public function has(string $name): bool
    {
        return isset($this->values[$name]);
    }

    public function int(string $name): int
    {
        $value = $this->values[$name] ?? null;

        return \is_int($value) ? $value : throw $this->fault($name, 'an integer', $value);
    }

    public function float(string $name): float
    {
        $value = $this->values[$name] ?? null;

        return \is_int($value) || \is_float($value) ? (float) $value : throw $this->fault($name, 'a number', $value);
    }

    public function string(string $name): string
    {
        $value = $this->values[$name] ?? null;

        return \is_string($value) ? $value : throw $this->fault($name, 'a string', $value);
    }

    /**
     * @template T of object
     *
     * @param class-string<T> $class
     *
     * @return list<T>
     */
    public function rows(string $name, string $class): array
    {
        $rows = $this->values[$name] ?? null;
        if (!\is_array($rows) || !array_is_list($rows)) {
            throw $this->fault($name, 'a list', $rows);
        }
        $read = [];
        foreach ($rows as $number => $row) {
            if (!\is_array($row)) {
                throw $this->fault("{$name}[$number]", 'an object', $row);
            }
            $read[] = $class::from(new self($row, "$this->path.{$name}[$number]"));
        }

        return $read;
    }

    private function fault(string $name, string $wanted, mixed $got): NoAnswerException
    {
        // A success in another shape stays so, however often it is asked for.
        return new NoAnswerException(
            "the answer's $this->path.$name: expected $wanted, got " . get_debug_type($got),
            retryable: false,
            status: 200,
        );
    }
}
