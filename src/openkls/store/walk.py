"""Finds its way through history by its counts (counts.py). Rule: what it asks is a few rows, whatever there is."""

import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, literal, select, union_all
from sqlalchemy.sql import CompoundSelect

from openkls.store.tables import LEVELS
from openkls.store.tables import history_counts as counts

# Later than any second: a range from here is empty, and no partition has to be looked at.
NEVER = 1 << 62

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a window, both ends included, and how many rows are in it."""

    first: int
    last: int
    rows: int
    seconds: int
    """The level of the count it is; 0 when its rows were counted one by one."""
    split: bool


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
        bounds: Params = {"day_from": _floor(self._start, LEVELS[0]), "day_to": self._end}
        for seconds, below in itertools.pairwise(LEVELS):
            bounds[f"start_{below}_from"] = _floor(self._start, below)
            bounds[f"start_{below}_to"] = _floor(self._start, seconds) + seconds - 1
            bounds[f"end_{below}_from"] = _floor(self._end, seconds)
            bounds[f"end_{below}_to"] = self._end
        cells: dict[tuple[int, int], tuple[int, bool]] = {}
        last_end = 0
        for seconds, start, rows, split, end in self._connection.execute(_cells_statement(), self._series | bounds):
            cells[seconds, start] = rows, split
            last_end = max(last_end, end)
        return Pieces(self._count_rest(self._cover(cells), last_end), last_end)

    def find(self, piece: Piece, offset: int, ascending: bool) -> tuple[Piece, int]:
        """The smallest piece that holds the row at ``offset`` of ``piece``, and the offset in it."""
        while piece.split:
            below = LEVELS[LEVELS.index(piece.seconds) + 1]
            asked = self._series | {"seconds": below, "from": piece.first, "to": piece.last}
            inner = [
                Piece(start, start + below - 1, rows, below, split)
                for start, rows, split in self._connection.execute(_inner, asked)
            ]
            piece, offset = at_offset(inner, offset, ascending)
        return piece, offset

    def _cover(self, cells: Mapping[tuple[int, int], tuple[int, bool]]) -> list[Piece]:
        pieces: list[Piece] = []

        def visit(level: int, start: int) -> None:
            seconds = LEVELS[level]
            rows, split = cells.get((seconds, start), (0, False))
            first, last = max(self._start, start), min(self._end, start + seconds - 1)
            if rows <= 0:
                return
            if last - first + 1 == seconds:
                pieces.append(Piece(first, last, rows, seconds, split))
            elif split:
                below = LEVELS[level + 1]
                for inner in range(_floor(first, below), last + 1, below):
                    visit(level + 1, inner)
            else:
                pieces.append(Piece(first, last, 0, 0, split=False))

        for start in sorted(start for seconds, start in cells if seconds == LEVELS[0]):
            visit(0, start)
        return pieces

    def _count_rest(self, pieces: list[Piece], last_end: int) -> list[Piece]:
        """Count what no count covers: at most a piece at each end of the window."""
        rest = [piece for piece in pieces if piece.seconds == 0]
        if not rest:
            return pieces
        asked = self._series | {"start": self._start, "last_end": last_end}
        for name, at in (("first", 0), ("last", 1)):
            piece = rest[at] if at < len(rest) else None
            asked |= {f"{name}_from": piece.first if piece else NEVER, f"{name}_to": piece.last if piece else 0}
        numbers = dict(zip(rest, self._connection.execute(self._listed, asked).one(), strict=False))
        counted = [
            Piece(piece.first, piece.last, numbers[piece], 0, split=False) if piece in numbers else piece
            for piece in pieces
        ]
        return [piece for piece in counted if piece.rows]


def at_offset(pieces: Iterable[Piece], offset: int, ascending: bool) -> tuple[Piece, int]:
    """The piece that holds the row at ``offset``, which must be below the total, and the offset in it."""
    ordered = list(pieces) if ascending else list(pieces)[::-1]
    for piece in ordered:
        if offset < piece.rows:
            return piece, offset
        offset -= piece.rows
    raise AssertionError("the offset lies beyond the total")


def _floor(at: int, seconds: int) -> int:
    return at - at % seconds


_series = [counts.c[name] == bindparam(name) for name in ("unique_name", "app", "pubdomain", "stream", "errors")]
_inner: Select[Any] = (
    select(counts.c.start, counts.c.row_count, counts.c.split)
    .where(*_series, counts.c.seconds == bindparam("seconds"))
    .where(counts.c.start.between(bindparam("from"), bindparam("to")))
    .order_by(counts.c.start)
)


@functools.cache
def _cells_statement() -> CompoundSelect[Any]:
    """All days, and the hours and minutes around the two ends, in one question: few rows, whatever the table's size."""

    def of(seconds: int, name: str) -> Select[Any]:
        columns = [counts.c[column] for column in ("start", "row_count", "split", "last_end")]
        inside = counts.c.start.between(bindparam(f"{name}_from"), bindparam(f"{name}_to"))
        return select(literal(seconds), *columns).where(*_series, counts.c.seconds == seconds, inside)

    ends = [of(below, f"{name}_{below}") for name in ("start", "end") for below in LEVELS[1:]]
    return union_all(of(LEVELS[0], "day"), *ends)
