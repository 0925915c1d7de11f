"""How streams and totals went of late: a reading every 10 s for an hour, every minute for a day.

Rule: time is an argument; a reading is a row of whole numbers in a byte string, never an object; memory is bounded by
MEMORY_LIMIT_BYTES whatever there is to be read of.

Theory of operation. Time is cut into steps, numbered since 1970. A ring keeps the rows of the last steps, one after the
other; a step without a reading has a row that says so. It grows with its age, GROWTH_ROWS at a time. Two rings make a
series: the coarse one gets a row for each minute that is over, made of the fine one's. A book keeps the series of
everything of one kind by name, and frees those that nothing has been read of for KEEP_SECONDS.

Bounds. There is always room for the fine rings of STREAMS_LIMIT streams and TOTALS_LIMIT totals. A coarse ring that may
not grow any more keeps the newest rows that fit. What finds no place in a full book is left out, until one that has
ended makes room: the longest silent first.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from struct import Struct
from typing import Final, Generic, TypeVar

FINE_SECONDS: Final = 10
FINE_ROWS: Final = 360
COARSE_SECONDS: Final = 60
COARSE_ROWS: Final = 1440
STEPS_PER_MINUTE: Final = COARSE_SECONDS // FINE_SECONDS
GROWTH_ROWS: Final = 60
# What has ended can be looked at for so long.
KEEP_SECONDS: Final = 3600
# A clock that is set back by more than so many steps begins the ring anew; less is waited for.
BACK_STEPS: Final = 6

# The most that one list shows.
STREAMS_LIMIT: Final = 10_000
# Accounts, spaces and apps.
TOTALS_LIMIT: Final = 1_000
# Objects, and entries of a book, measured.
SERIES_BYTES: Final = 900
# 10,000 streams of an hour, and 1,000 totals; then the day of as many streams as fit (some 5,000).
FINE_LIMIT_BYTES: Final = 104 * 1024 * 1024
COARSE_LIMIT_BYTES: Final = 152 * 1024 * 1024
MEMORY_LIMIT_BYTES: Final = FINE_LIMIT_BYTES + COARSE_LIMIT_BYTES

Row = tuple[int, ...]
Name = TypeVar("Name", bound=Hashable)


class Layout:
    """The columns of a row: whole numbers, clipped to what their place holds. The first one's largest value is that of
    a row that says that there was no reading."""

    def __init__(self, places: str, sums: frozenset[int] = frozenset()) -> None:
        """``places`` in struct's letters; ``sums`` are the columns that a minute adds up, of others it is the mean."""
        self._row = Struct("<" + places)
        self._most = [256 ** Struct("<" + place).size - 1 for place in places]
        self._sums = sums
        self.size_bytes = self._row.size
        self.absent = self._row.pack(self._most[0], *[0] * (len(places) - 1))

    def pack(self, values: Row) -> bytes:
        """The row of a reading; values are 0 or more."""
        first, *rest = [min(value, most) for value, most in zip(values, self._most, strict=True)]
        return self._row.pack(min(first, self._most[0] - 1), *rest)

    def unpack(self, rows: bytearray, offset: int) -> Row | None:
        """The row at an offset; None for one without a reading."""
        values = self._row.unpack_from(rows, offset)
        return None if values[0] == self._most[0] else values

    def join(self, rows: list[Row]) -> Row:
        """One row out of several."""
        count = len(rows)
        return tuple(
            sum(column) if place in self._sums else (2 * sum(column) + count) // (2 * count)
            for place, column in enumerate(zip(*rows, strict=True))
        )


class Budget:
    """Memory that rings may take; counts what it refuses."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.refused = 0
        """How often a ring was not let grow, since the start."""

    def take(self, size_bytes: int) -> bool:
        """Take so much, if it is there."""
        if self.used_bytes + size_bytes > self.limit_bytes:
            self.refused += 1
            return False
        self.used_bytes += size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self.used_bytes -= size_bytes


class Ring:
    """The rows of the last ``most`` steps."""

    __slots__ = ("_budget", "_count", "_layout", "_most", "_next", "_rows", "_start")

    def __init__(self, layout: Layout, most: int, budget: Budget) -> None:
        self._layout = layout
        self._most = most
        self._budget = budget
        self._rows = bytearray()
        self._start = 0
        self._count = 0
        self._next = 0

    @property
    def size_bytes(self) -> int:
        """What it has taken from the budget."""
        return len(self._rows)

    def put(self, step: int, row: bytes) -> None:
        """Note a reading. One of a step that has a row already, or is before one that has, is left out."""
        ahead = step - self._next
        if not self._count or ahead >= self._most or ahead < -BACK_STEPS:
            self._count = self._start = 0
            ahead = 0
        if ahead < 0:
            return
        for _ in range(ahead):
            self._append(self._layout.absent)
        self._append(row)
        self._next = step + 1

    def read(self, first: int, last: int) -> list[tuple[int, Row]]:
        """The readings of these steps, both included, ascending."""
        oldest, size = self._next - self._count, self._layout.size_bytes
        found = []
        for step in range(max(first, oldest), min(last + 1, self._next)):
            place = (self._start + step - oldest) * size
            row = self._layout.unpack(self._rows, place % len(self._rows))
            if row is not None:
                found.append((step, row))
        return found

    def free(self) -> None:
        """Give back what it has taken."""
        self._budget.give_back(len(self._rows))
        self._rows = bytearray()
        self._count = self._start = 0

    def _append(self, row: bytes) -> None:
        size = self._layout.size_bytes
        room = len(self._rows) // size
        if self._count < room or self._grow(room):
            place = (self._start + self._count) * size % len(self._rows)
            self._count += 1
        elif room:
            place = self._start * size
            self._start = (self._start + 1) % room
        else:
            return
        self._rows[place : place + size] = row

    def _grow(self, room: int) -> bool:
        more = min(GROWTH_ROWS, self._most - room) * self._layout.size_bytes
        if not more or not self._budget.take(more):
            return False
        begin = self._start * self._layout.size_bytes
        self._rows = self._rows[begin:] + self._rows[:begin] + bytes(more)
        self._start = 0
        return True


class Series:
    """The readings of one thing."""

    __slots__ = ("_coarse", "_fine", "_joined", "_layout", "last")

    def __init__(self, layout: Layout, fine: Budget, coarse: Budget) -> None:
        self._layout = layout
        self._fine = Ring(layout, FINE_ROWS, fine)
        self._coarse = Ring(layout, COARSE_ROWS, coarse)
        self._joined = 0
        """The last minute that the coarse ring was told of."""
        self.last = 0
        """The step of the newest reading."""

    @property
    def size_bytes(self) -> int:
        """Of its rows."""
        return self._fine.size_bytes + self._coarse.size_bytes

    def put(self, step: int, values: Row) -> None:
        """Note a reading of a step of FINE_SECONDS."""
        self._join(step)
        self._fine.put(step, self._layout.pack(values))
        self.last = step

    def fine(self, first: int, last: int) -> list[tuple[int, Row]]:
        """The readings within these Unix seconds, both included, by the second at which they were made, ascending."""
        rows = self._fine.read(-(-first // FINE_SECONDS), last // FINE_SECONDS)
        return [(step * FINE_SECONDS, row) for step, row in rows]

    def coarse(self, first: int, last: int, now: float) -> list[tuple[int, Row]]:
        """Likewise of whole minutes, by the second at which they began; the one that ``now`` is in is not over."""
        self._join(int(now // FINE_SECONDS))
        rows = self._coarse.read(-(-first // COARSE_SECONDS), last // COARSE_SECONDS)
        return [(minute * COARSE_SECONDS, row) for minute, row in rows]

    def free(self) -> None:
        """Give back what it has taken."""
        self._fine.free()
        self._coarse.free()

    def _join(self, step: int) -> None:
        """Make the row of the newest reading's minute, once that is over at ``step``."""
        minute = self.last // STEPS_PER_MINUTE
        if minute in (step // STEPS_PER_MINUTE, self._joined):
            return
        self._joined = minute
        first = minute * STEPS_PER_MINUTE
        rows = [row for _, row in self._fine.read(first, first + STEPS_PER_MINUTE - 1)]
        if rows:
            self._coarse.put(minute, self._layout.pack(self._layout.join(rows)))


class SeriesBook(Generic[Name]):
    """The series of everything of one kind, by name; at most ``limit``."""

    def __init__(self, layout: Layout, limit: int, fine: Budget, coarse: Budget) -> None:
        self._layout = layout
        self._limit = limit
        self._fine = fine
        self._coarse = coarse
        self._series: dict[Name, Series] = {}
        self._turned_away = 0
        self.left_out = 0
        """What found no place, at the last step."""

    def __len__(self) -> int:
        return len(self._series)

    def put(self, name: Name, step: int, values: Row) -> None:
        """Note a reading; left out, and counted, where there is no place."""
        series = self._series.get(name)
        if series is None:
            if len(self._series) >= self._limit or not self._fine.take(SERIES_BYTES):
                self._turned_away += 1
                return
            series = self._series[name] = Series(self._layout, self._fine, self._coarse)
        series.put(step, values)

    def find(self, name: Name) -> Series | None:
        """What is known of this name; None for nothing."""
        return self._series.get(name)

    def end_step(self, step: int) -> None:
        """All of this step has been noted: free what has ended, or what makes room for those turned away."""
        silent = sorted(
            (series.last, place) for place, series in enumerate(self._series.values()) if series.last < step
        )
        names = list(self._series) if silent else []
        for count, (last, place) in enumerate(silent):
            if count >= self._turned_away and (step - last) * FINE_SECONDS < KEEP_SECONDS:
                break
            self._series.pop(names[place]).free()
            self._fine.give_back(SERIES_BYTES)
        self.left_out, self._turned_away = self._turned_away, 0


@dataclass(frozen=True, slots=True)
class StreamPoint:
    """A stream's reading, in the columns of its series. Bitrates are in steps of 100 bit/s (a tenth of a kbps)."""

    frame_rate: int
    curfps: int
    audio_steps: int
    in_steps: int
    real_steps: int
    online: int
    sent_steps: int

    @property
    def flr(self) -> int:
        """Frames lost, in per cent of the declared rate; as Reading.flr."""
        return max(0, (self.frame_rate - self.curfps) * 100 // self.frame_rate) if self.frame_rate else 0


@dataclass(frozen=True, slots=True)
class TotalPoint:
    """The sums over many streams; ``errors`` are those of the interval."""

    streams: int
    online: int
    real_steps: int
    sent_bps: int
    errors: int


# Audio has 6.5 Mbit/s at most, rates of frames 65,534; a stream's viewers get 429 Gbit/s at most.
STREAM_LAYOUT: Final = Layout("HHHIIII")
TOTAL_LAYOUT: Final = Layout("IIQQI", sums=frozenset((4,)))


class Metrics:
    """All that is kept: by stream, ``(UniqueName, App, Stream)``, and by total, ``(account[, UniqueName[, App]])``."""

    def __init__(self, fine_limit_bytes: int = FINE_LIMIT_BYTES, coarse_limit_bytes: int = COARSE_LIMIT_BYTES) -> None:
        self.fine = Budget(fine_limit_bytes)
        self.coarse = Budget(coarse_limit_bytes)
        self.streams: SeriesBook[tuple[str, str, str]] = SeriesBook(
            STREAM_LAYOUT, STREAMS_LIMIT, self.fine, self.coarse
        )
        self.totals: SeriesBook[tuple[str, ...]] = SeriesBook(TOTAL_LAYOUT, TOTALS_LIMIT, self.fine, self.coarse)

    @property
    def used_bytes(self) -> int:
        """What all series take."""
        return self.fine.used_bytes + self.coarse.used_bytes

    def end_step(self, step: int) -> None:
        """All of this step has been noted."""
        self.streams.end_step(step)
        self.totals.end_step(step)
