"""How many rows history has, kept beside the rows. Rule: counts and rows change in one transaction, so that a count is
exact, never an estimate.

Theory of operation. For each app behind its door, and again for each of its streams, accepted sessions and errors
apart, the rows of each day are counted (by ``pub_time``, days of UTC). A day with more than SPLIT_ROWS rows is split:
its hours are counted as well; a full hour likewise into minutes. So there is about one count for each day a stream was
published on, and there are fine ones only where rows are dense; and between two counts there are never more than a few
hundred rows (or one minute's).

A total is then the counts inside the window plus at most two remainders at its ends, counted from the index. The row at
an offset is found by walking the counts, in the order of the answer and down into the one that holds it; OFFSET is left
with what lies inside that one. Neither grows with the table. Measured on PostgreSQL and SQLite by bench/history.py.

Writing. The rows of a batch are counted at its end (``Tally``), day, then hour, then minute, each in the order of its
key: whoever changes counts takes their locks in that same order, and holds them for the shortest time there is. Who
splits a count holds its lock and sees exactly the rows that are in it: another batch's rows are committed together with
their counts, and that batch waits for the lock.
"""

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)

from openkls.store.database import insert
from openkls.store.tables import ACCEPTED, ERRORS, LEVELS, history
from openkls.store.tables import history_counts as counts

# What is read one by one at most, at each end of a window and behind an offset. Smaller makes more counts: at 256 a
# split day has at least ten rows for each of its 24 hours.
SPLIT_ROWS = 256
# Streams looked at in one statement; SQLite before 3.32 takes 999 parameters.
LOOK_BATCH = 500
EVERY_STREAM = ""

Params = dict[str, Any]

_KEY = (*("unique_name", "app", "pubdomain", "stream", "errors"), "start")
_LEVEL_KEY = [counts.c[name] for name in (*_KEY, "seconds")]


class Counted(NamedTuple):
    """What of a row of history is counted."""

    unique_name: str
    app: str
    pubdomain: str
    stream: str
    pub_time: int
    fin_time: int
    code: int
    accepted: bool


class Cell(NamedTuple):
    """A count of one level, by its key."""

    unique_name: str
    app: str
    pubdomain: str
    stream: str
    errors: bool
    start: int

    def within(self, seconds: int) -> "Cell":
        """The count of that level that it is part of."""
        return self._replace(start=self.start - self.start % seconds)


@dataclass(slots=True)
class _Rows:
    """How many, and when the last of them ended."""

    count: int = 0
    last_end: int = 0


_Changes = dict[Cell, _Rows]


class Tally:
    """The rows that a batch has added and taken back, to be counted at its end. Only used in the writer's thread."""

    def __init__(self) -> None:
        self._rows: list[tuple[Counted, bool]] = []

    def add(self, row: Counted) -> None:
        """Count a row that was inserted."""
        self._rows.append((row, True))

    def take(self, row: Counted) -> None:
        """Count a row no more that was deleted."""
        self._rows.append((row, False))

    def committed(self) -> None:
        """Nothing is left to do."""

    def mark(self) -> int:
        """How many there are."""
        return len(self._rows)

    def rewind(self, mark: int) -> None:
        """Forget those that have come since ``mark``."""
        del self._rows[mark:]

    def settle(self, connection: Connection) -> None:
        """Bring the counts up to date, and forget the rows."""
        added = [row for row, is_new in self._rows if is_new]
        gone = []
        for row, is_new in self._rows:
            if not is_new:
                # One that came in this very batch was never counted; of equal ones it does not matter which.
                if row in added:
                    added.remove(row)
                else:
                    gone.append(row)
        self._rows = []
        # First: what is counted anew below is read from the rows, where these are no more.
        if gone:
            take_rows(connection, gone)
        if added:
            add_rows(connection, added)


def add_rows(connection: Connection, rows: Iterable[Counted]) -> None:
    """Count rows that were inserted in this transaction."""
    waiting = _by_minute(rows)
    fresh: set[Cell] = set()
    for seconds, below in zip(LEVELS, (*LEVELS[1:], 0), strict=True):
        changes = _at_level(waiting, seconds)
        if changes:
            # By their keys, so that no two batches wait for each other's locks.
            ordered = sorted(changes.items(), key=operator.itemgetter(0))
            values = [_new(cell, seconds, rows.count, rows.last_end) for cell, rows in ordered]
            connection.execute(_add(), values)
        if not below:
            return
        full = _full(connection, sorted(fresh | changes.keys()), seconds)
        fresh = set()
        for cell, split in full.items():
            if not split:
                fresh |= _split(connection, cell, seconds, below)
        descends = {cell for cell, split in full.items() if split}
        waiting = {cell: rows for cell, rows in waiting.items() if cell.within(seconds) in descends}


def take_rows(connection: Connection, rows: Iterable[Counted]) -> None:
    """Take rows out of the counts that are deleted in this transaction."""
    gone = _by_minute(rows)
    for seconds in LEVELS:
        ordered = sorted(_at_level(gone, seconds).items(), key=operator.itemgetter(0))
        values = [_named(cell, seconds) | {"gone": rows.count} for cell, rows in ordered]
        if values:
            connection.execute(_take, values)
            connection.execute(_drop_empty, values)


def _by_minute(rows: Iterable[Counted]) -> _Changes:
    found: _Changes = {}
    for unique_name, app, pubdomain, stream, pub_time, fin_time, code, accepted in rows:
        start = pub_time - pub_time % LEVELS[-1]
        kinds = ([False] if accepted else []) + ([True] if code != 200 or not accepted else [])
        for errors in kinds:
            for name in (EVERY_STREAM, stream):
                cell = Cell(unique_name, app, pubdomain, name, errors, start)
                entry = found.get(cell)
                if entry is None:
                    entry = found[cell] = _Rows()
                entry.count += 1
                entry.last_end = max(entry.last_end, fin_time)
    return found


def _at_level(minutes: _Changes, seconds: int) -> _Changes:
    found: _Changes = {}
    for cell, rows in minutes.items():
        above = cell.within(seconds)
        entry = found.get(above)
        if entry is None:
            entry = found[above] = _Rows()
        entry.count += rows.count
        entry.last_end = max(entry.last_end, rows.last_end)
    return found


def _full(connection: Connection, cells: list[Cell], seconds: int) -> dict[Cell, bool]:
    """Those of the cells that are split, or have to be; whether they are."""
    groups: dict[Cell, list[str]] = {}
    for cell in cells:
        groups.setdefault(cell._replace(stream=EVERY_STREAM), []).append(cell.stream)
    found: dict[Cell, bool] = {}
    for group, streams in groups.items():
        for first in range(0, len(streams), LOOK_BATCH):
            asked = group._asdict() | {"streams": streams[first : first + LOOK_BATCH], "seconds": seconds}
            for stream, split in connection.execute(_look, asked | {"most": SPLIT_ROWS}):
                found[group._replace(stream=stream)] = split
    return found


def _split(connection: Connection, cell: Cell, seconds: int, below: int) -> set[Cell]:
    """Count the pieces of a cell, whose lock the caller holds; returns them."""
    one_stream = cell.stream != EVERY_STREAM
    asked = cell._asdict() | {"from": cell.start, "to": cell.start + seconds - 1, "below": below}
    pieces: set[Cell] = set()
    values: list[Params] = []
    for start, rows, last_end in connection.execute(_pieces_statement(cell.errors, one_stream), asked):
        piece = cell._replace(start=start)
        pieces.add(piece)
        values.append(_new(piece, below, rows, last_end))
    if values:
        connection.execute(_add(), values)
    connection.execute(_mark_split, _named(cell, seconds))
    return pieces


def _new(cell: Cell, seconds: int, rows: int, last_end: int) -> Params:
    return {**cell._asdict(), "seconds": seconds, "row_count": rows, "split": False, "last_end": last_end}


def _named(cell: Cell, seconds: int) -> Params:
    """The parameters of ``_of_cell``."""
    return {f"of_{name}": value for name, value in cell._asdict().items()} | {"of_seconds": seconds}


@functools.cache
def _add() -> Any:
    put = insert(counts)
    return put.on_conflict_do_update(
        index_elements=_LEVEL_KEY,
        set_={
            "row_count": counts.c.row_count + put.excluded.row_count,
            # GREATEST has another name in SQLite.
            "last_end": case(
                (counts.c.last_end > put.excluded.last_end, counts.c.last_end), else_=put.excluded.last_end
            ),
        },
    )


_of_cell = [counts.c[name] == bindparam("of_" + name) for name in (*_KEY, "seconds")]
_mark_split = update(counts).where(*_of_cell).values(split=True)
_take = update(counts).where(*_of_cell).values(row_count=counts.c.row_count - bindparam("gone"))
_drop_empty = delete(counts).where(*_of_cell, counts.c.row_count <= 0)
_look: Select[Any] = select(counts.c.stream, counts.c.split).where(
    *(counts.c[name] == bindparam(name) for name in ("unique_name", "app", "pubdomain", "errors", "seconds", "start")),
    counts.c.stream.in_(bindparam("streams", expanding=True)),
    or_(counts.c.split, counts.c.row_count > bindparam("most")),
)


@functools.cache
def _pieces_statement(errors: bool, one_stream: bool) -> Select[Any]:
    start = (history.c.pub_time - history.c.pub_time % bindparam("below")).label("piece")
    columns = ["unique_name", "app", "pubdomain", *(["stream"] if one_stream else [])]
    return (
        select(start, func.count(), func.max(history.c.fin_time))
        .where(
            *(history.c[column] == bindparam(column) for column in columns),
            history.c.pub_time.between(bindparam("from"), bindparam("to")),
            history.c.fin_time >= bindparam("from"),
            literal_column(ERRORS if errors else ACCEPTED),
        )
        .group_by(literal_column("piece"))
    )
