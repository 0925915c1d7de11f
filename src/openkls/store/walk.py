"""Finds its way through history by its counts (counts.py). Rule: what it asks is a few rows, whatever there is.

Theory of operation. A window is cut into whole days and at most two days that it cuts; of each such day into its whole
hours and an hour that is cut, and that one again into minutes. One question adds up the whole counts of each of these
groups and looks up the counts that are cut. A count that is cut and not split is counted row by row, at most one at
each end of the window. Which count of a group holds a row is asked only for a row deep in the window (``find``).
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, cast, false, func, literal, select, union_all
from sqlalchemy.sql import CompoundSelect

from openkls.store.tables import LEVELS
from openkls.store.tables import history_counts as counts

# Later than any second: a range from here is empty, and no partition has to be looked at.
NEVER = 1 << 62
# The two ends of a window.
ENDS = ("start", "end")

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a window, both ends included, and how many rows are in it."""

    first: int
    last: int
    rows: int
    below: int = 0
    """The level of the counts that it is made of; 0 when it is not made of counts."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A window in pieces, in order of time; those without rows are left out."""

    found: list[Piece]
    last_end: int
    """No row of the window ended later."""

    @property
    def total(self) -> int:
        """How many rows the window has."""
        return sum(piece.rows for piece in self.found)


@dataclass(frozen=True, slots=True)
class _Part:
    """Whole counts of a level side by side; or a count that the window cuts, with the parts of what is inside."""

    slot: str
    """Where it stands in the question."""
    first: int
    last: int
    level: int
    inside: "list[_Part] | None" = field(default=None)
    """None of whole counts."""


class Window:
    """The counts of one question: a key, of accepted sessions or errors, and bounds of ``pub_time``, both included."""

    def __init__(self, connection: Connection, series: Params, start: int, end: int, listed: Select[Any]) -> None:
        """``series`` are the parameters unique_name, app, pubdomain, stream and errors; ``listed`` is how rows are
        counted one by one, by ``first_from``, ``first_to``, ``last_from`` and ``last_to``."""
        self._connection = connection
        self._series = series
        self._start = start
        self._end = end
        self._listed = listed

    def read(self) -> Pieces:
        """The window in pieces."""
        if self._start > self._end:
            return Pieces([], 0)
        parts = _cut(0, self._start, self._end, ENDS[0])
        asked = self._series | _NOWHERE
        for part in _all(parts):
            # A count that is cut is looked up by its beginning.
            first = part.first if part.inside is None else _floor(part.first, LEVELS[part.level])
            asked |= {f"{part.slot}_from": first, f"{part.slot}_to": part.last}
        found: dict[str, tuple[int, bool]] = {}
        last_end = 0
        for slot, rows, split, end in self._connection.execute(_parts_statement(), asked):
            found[slot] = rows, split
            last_end = max(last_end, end)
        return Pieces(self._count_rest(list(_pieces(parts, found)), last_end), last_end)

    def find(self, piece: Piece, offset: int, ascending: bool) -> tuple[Piece, int]:
        """The smallest piece that holds the row at ``offset`` of ``piece``, and the offset in it."""
        while piece.below:
            below = piece.below
            asked = self._series | {"seconds": below, "from": piece.first, "to": piece.last}
            inner = [
                Piece(start, start + below - 1, rows, _below(below) if split else 0)
                for start, rows, split in self._connection.execute(_inner, asked)
            ]
            piece, offset = at_offset(inner, offset, ascending)
        return piece, offset

    def _count_rest(self, pieces: list[Piece], last_end: int) -> list[Piece]:
        """Count what no count covers: at most a piece at each end of the window."""
        rest = [piece for piece in pieces if not piece.rows]
        if not rest:
            return pieces
        asked = self._series | {"start": self._start, "last_end": last_end}
        for name, at in (("first", 0), ("last", 1)):
            piece = rest[at] if at < len(rest) else None
            asked |= {f"{name}_from": piece.first if piece else NEVER, f"{name}_to": piece.last if piece else 0}
        numbers = dict(zip(rest, self._connection.execute(self._listed, asked).one(), strict=False))
        counted = [Piece(piece.first, piece.last, numbers[piece]) if piece in numbers else piece for piece in pieces]
        return [piece for piece in counted if piece.rows]


def at_offset(pieces: Iterable[Piece], offset: int, ascending: bool) -> tuple[Piece, int]:
    """The piece that holds the row at ``offset``, which must be below the total, and the offset in it."""
    ordered = list(pieces) if ascending else list(pieces)[::-1]
    for piece in ordered:
        if offset < piece.rows:
            return piece, offset
        offset -= piece.rows
    raise AssertionError("the offset lies beyond the total")


def _cut(level: int, first: int, last: int, end: str) -> list[_Part]:
    """A range of time, which is all of a window or at its ``end``, in parts of a level, in order; no two of a window
    have the same slot."""
    if level == len(LEVELS):
        return []
    seconds = LEVELS[level]
    whole_from, whole_to = _floor(first + seconds - 1, seconds), _floor(last + 1, seconds)
    parts: list[_Part] = []

    def add_cut(at: str, begin: int, over: int) -> None:
        parts.append(_Part(f"cut_{seconds}_{at}", begin, over, level, _cut(level + 1, begin, over, at)))

    if whole_from > first:
        add_cut(ENDS[0], first, min(last, whole_from - 1))
    if whole_to > whole_from:
        parts.append(_Part(f"whole_{seconds}_{end}", whole_from, whole_to - 1, level))
    if whole_from <= whole_to <= last:
        add_cut(ENDS[1], whole_to, last)
    return parts


def _all(parts: list[_Part]) -> Iterator[_Part]:
    for part in parts:
        yield part
        yield from _all(part.inside or [])


def _pieces(parts: list[_Part], found: dict[str, tuple[int, bool]]) -> Iterator[Piece]:
    """The parts that have rows; one whose rows have to be counted one by one has none yet."""
    for part in parts:
        rows, split = found.get(part.slot, (0, False))
        if not rows:
            continue
        if part.inside is None:
            yield Piece(part.first, part.last, rows, LEVELS[part.level])
        elif split:
            yield from _pieces(part.inside, found)
        else:
            yield Piece(part.first, part.last, 0)


def _below(seconds: int) -> int:
    return LEVELS[LEVELS.index(seconds) + 1]


def _floor(at: int, seconds: int) -> int:
    return at - at % seconds


_series = [counts.c[name] == bindparam(name) for name in ("unique_name", "app", "pubdomain", "stream", "errors")]
_inner: Select[Any] = (
    select(counts.c.start, counts.c.row_count, counts.c.split)
    .where(*_series, counts.c.seconds == bindparam("seconds"))
    .where(counts.c.start.between(bindparam("from"), bindparam("to")))
    .order_by(counts.c.start)
)
_SLOTS = [
    (slot, seconds)
    for seconds in LEVELS
    for slot in (f"{kind}_{seconds}_{end}" for kind in ("cut", "whole") for end in ENDS)
]
_NOWHERE = {f"{slot}_{bound}": at for slot, _ in _SLOTS for bound, at in (("from", NEVER), ("to", 0))}


@functools.cache
def _parts_statement() -> CompoundSelect[Any]:
    """All slots in one question: the sums of whole counts, and the counts that are cut."""

    def of(slot: str, seconds: int) -> Select[Any]:
        where = [*_series, counts.c.seconds == seconds]
        if slot.startswith("cut"):
            looked_up = counts.c.row_count, counts.c.split, counts.c.last_end
            return select(literal(slot), *looked_up).where(*where, counts.c.start == bindparam(f"{slot}_from"))
        rows = func.coalesce(cast(func.sum(counts.c.row_count), BigInteger), 0)
        added = rows, false(), func.coalesce(func.max(counts.c.last_end), 0)
        inside = counts.c.start.between(bindparam(f"{slot}_from"), bindparam(f"{slot}_to"))
        return select(literal(slot), *added).where(*where, inside)

    return union_all(*(of(slot, seconds) for slot, seconds in _SLOTS))
