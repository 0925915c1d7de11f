"""What an operator does to a database: look at it, bring it up to date, move it to PostgreSQL. Rule: all or nothing,
and what was moved is counted on both sides before it counts."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from openkls.store.bulk import COLUMNS, add_history
from openkls.store.counts import EVERY_STREAM
from openkls.store.database import Database
from openkls.store.engine import prepare
from openkls.store.errors import SetupError
from openkls.store.schema import revision
from openkls.store.secrets import Seal
from openkls.store.sqlite import Sqlite
from openkls.store.tables import (
    ACCEPTED,
    ERRORS,
    LEVELS,
    access_keys,
    accounts,
    audit,
    blacklist,
    boots,
    callback_outbox,
    callback_spaces,
    counters,
    history,
    history_counts,
    open_sessions,
)

LOOK_SECONDS = 60.0
T = TypeVar("T")
BATCH_ROWS = 20_000
# In the order in which they refer to each other; history goes by the code that counts it.
_MOVED = (boots, open_sessions, blacklist, accounts, access_keys, audit, callback_outbox, callback_spaces)
_NUMBERED = (audit, callback_outbox)

Progress = Callable[[str, int, int], None]
"""Is told the table, how many of its rows are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What there is in a database."""

    name: str
    schema: str | None
    size_bytes: int
    live: int
    sessions: int
    """Accepted sessions that are over."""
    errors: int
    oldest: int | None
    """The day, as Unix seconds, of the first one; None without any."""
    newest: int | None
    counts: int
    processes: int
    bans: int
    keys: int
    audit: int


def upgrade(database: Database, seal: Seal) -> tuple[str | None, str | None]:
    """Bring the schema up to date; returns what it was and is. SetupError says why it cannot be."""
    before = _ask(database, revision)
    prepare(database, seal)
    return before, _ask(database, revision)


def read_stats(database: Database) -> Stats:
    """Count what there is; history by its counts, so that this is quick whatever there is."""

    def question(connection: Connection) -> Stats:
        schema = revision(connection)
        if schema is None:
            raise SetupError(f"database {database.name} is empty; `openkls serve` makes its tables")
        if schema < "0003":
            raise SetupError(f"database {database.name} has schema {schema}; bring it up to date: openkls db upgrade")
        days = (history_counts.c.seconds == LEVELS[0], history_counts.c.stream == EVERY_STREAM)

        def history_of(errors: bool) -> int:
            total = select(func.coalesce(func.sum(history_counts.c.row_count), 0)).where(*days)
            return int(connection.execute(total.where(history_counts.c.errors == errors)).scalar_one())

        ends = select(func.min(history_counts.c.start), func.max(history_counts.c.start)).where(*days)
        oldest, newest = connection.execute(ends).one()
        return Stats(
            name=database.name,
            schema=schema,
            size_bytes=database.size_bytes(connection),
            live=_count(connection, open_sessions),
            sessions=history_of(False),
            errors=history_of(True),
            oldest=oldest,
            newest=newest,
            counts=_count(connection, history_counts),
            processes=_count(connection, boots),
            bans=_count(connection, blacklist),
            keys=_count(connection, access_keys),
            audit=_count(connection, audit),
        )

    return _ask(database, question)


def move(path: Path, target: Database, seal: Seal, progress: Progress) -> dict[str, int]:
    """Copy the embedded database of ``path``, brought up to date first, into an empty one; returns the rows of each
    table. In one transaction: what fails half way has done nothing. The caller sees that nobody writes to ``path``.
    """
    if not path.is_file():
        raise SetupError(f"there is no database {path} to move")
    source = Sqlite(path)
    prepare(source, seal)
    prepare(target, seal)
    try:
        with source.connect_reader() as reading, target.connect_writer() as writing:
            source.begin_reading(reading, time.monotonic() + 10**9)
            target.begin_migrating(writing)
            for table in (*_MOVED, history):
                if writing.execute(select(literal_column("1")).select_from(table).limit(1)).first() is not None:
                    raise SetupError(f"database {target.name} has rows in {table.name}; move into an empty one")
            moved = {table.name: _move_table(reading, target, writing, table, progress) for table in _MOVED}
            moved[history.name] = _move_table(reading, target, writing, history, progress)
            for name, value in reading.execute(select(counters)):
                writing.execute(counters.update().where(counters.c.name == name).values(value=value))
            for table in _NUMBERED:
                if moved[table.name]:
                    last = select(func.max(table.c.number)).scalar_subquery()
                    writing.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "number"), last)))
            _compare(reading, writing, moved)
            writing.exec_driver_sql("COMMIT")
    except DBAPIError as error:
        side = source if isinstance(error.orig, sqlite3.Error) else target
        raise SetupError(f"nothing was moved: {side.explain(error)}") from error
    return moved


def _move_table(reading: Connection, target: Database, writing: Connection, table: Table, progress: Progress) -> int:
    total, done = _count(reading, table), 0
    names = [column.name for column in table.columns]
    for rows in reading.execute(select(table)).partitions(BATCH_ROWS):
        if table is history:
            add_history(target, writing, [_in_order(row) for row in rows])
        else:
            target.copy(writing, table.name, names, [tuple(row) for row in rows])
        done += len(rows)
        progress(table.name, done, total)
    return done


def _in_order(row: Any) -> tuple[Any, ...]:
    """A row that does not end before it began; older versions wrote such when the clock was set back."""
    values = row._asdict()
    values["fin_time"] = max(values["fin_time"], values["pub_time"])
    return tuple(values[name] for name in COLUMNS)


def _compare(reading: Connection, writing: Connection, moved: dict[str, int]) -> None:
    for table in (*_MOVED, history):
        found = _count(writing, table)
        if found != moved[table.name] or found != _count(reading, table):
            raise SetupError(f"nothing was moved: {table.name} has {moved[table.name]} rows here and {found} there")
    days = (history_counts.c.seconds == LEVELS[0], history_counts.c.stream == EVERY_STREAM)
    for errors, condition in ((False, ACCEPTED), (True, ERRORS)):
        rows = reading.execute(select(func.count()).select_from(history).where(text(condition))).scalar_one()
        total = select(func.coalesce(func.sum(history_counts.c.row_count), 0)).where(*days)
        counted = writing.execute(total.where(history_counts.c.errors == errors)).scalar_one()
        if counted != rows:
            raise SetupError(f"nothing was moved: {rows} rows of history ({condition}) were counted as {counted}")


def _ask(database: Database, question: Callable[[Connection], T]) -> T:
    try:
        with database.connect_reader() as connection:
            database.begin_reading(connection, time.monotonic() + LOOK_SECONDS)
            return question(connection)
    except DBAPIError as error:
        raise SetupError(database.explain(error)) from error


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
