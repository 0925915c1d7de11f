"""Everything that is peculiar to SQLite. Rule: no other module of the store knows which database it talks to.

Theory of operation. One connection writes, a few others read; in WAL mode neither waits for the other.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from openkls.store.errors import SetupError

# Upserts came with 3.24 (2018).
OLDEST_VERSION = (3, 24, 0)
# How long the driver waits for another process's lock before the writer may look at its queue again. Short, so that
# a caller whose deadline has passed is let go and the service can still be stopped.
LOCK_WAIT_MS = 250
# A write-ahead log that has grown under a long reading is cut back to this at the next checkpoint.
WAL_KEPT_BYTES = 16 * 1024 * 1024
# How often a reading looks at its deadline, in steps of SQLite's virtual machine: about every 100 microseconds.
STEPS_BETWEEN_LOOKS = 10_000

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free space, the service goes on by itself",
    sqlite3.SQLITE_READONLY: "it may not be written: check the owner and mode of the file and its folder, "
    "and that the file system is not mounted read-only",
    sqlite3.SQLITE_BUSY: "another process holds a lock on it: close whatever has the file open",
    sqlite3.SQLITE_LOCKED: "another process holds a lock on it: close whatever has the file open",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that its folder exists and is writable, "
    "and the limit of open files",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write: look into the system's log",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: stop the service and restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database: set [store] url to another one or restore it",
}
_PRIMARY_CODE = 0xFF


class Sqlite:
    """One database file, and the connections to it."""

    partitioned = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._engine: Engine = create_engine(
            "sqlite+pysqlite://", creator=self._open, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )

    @classmethod
    def from_url(cls, url: URL, data_dir: Path) -> "Sqlite":
        """The file that ``sqlite:///<path>`` names, relative to ``data_dir`` unless absolute; SetupError when it names
        none."""
        if url.host or url.query or not url.database or url.database == ":memory:":
            raise SetupError("[store] url: expected sqlite:/// and the path of a file, such as sqlite:///openkls.db")
        if sqlite3.sqlite_version_info < OLDEST_VERSION:
            raise SetupError(f"this Python has SQLite {sqlite3.sqlite_version}; 3.24 or newer is needed")
        return cls(data_dir / url.database)

    def connect_writer(self) -> Connection:
        """A connection whose commits are on disk when they return."""
        connection = self._engine.connect()
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("PRAGMA synchronous=FULL")
        connection.exec_driver_sql(f"PRAGMA journal_size_limit={WAL_KEPT_BYTES}")
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        return connection

    def connect_reader(self) -> Connection:
        """A connection that cannot write."""
        connection = self._engine.connect()
        connection.exec_driver_sql("PRAGMA query_only=ON")
        return connection

    def in_transaction(self, connection: Connection) -> bool:
        """Whether a transaction is open: on some errors SQLite gives the whole transaction up by itself,
        and none is open on a connection that was lost."""
        if connection.closed or connection.invalidated:
            return False
        try:
            return _driver(connection).in_transaction
        except sqlite3.ProgrammingError:  # closed behind SQLAlchemy's back
            return False

    def begin_migrating(self, connection: Connection) -> None:
        """Begin a transaction that no other one writes beside."""
        self.begin_writing(connection)

    def begin_writing(self, connection: Connection) -> None:
        """Begin a transaction that holds the one lock for writing."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def begin_reading(self, connection: Connection, deadline: float) -> None:
        """Begin a transaction that sees one state, and which fails once the monotonic clock has passed ``deadline``."""
        late: Callable[[], int] = lambda: time.monotonic() > deadline  # noqa: E731
        _driver(connection).set_progress_handler(late, STEPS_BETWEEN_LOOKS)
        connection.exec_driver_sql("BEGIN")

    def abandon(self, connection: Connection) -> None:
        """Nothing: a call that hangs in the disk cannot be ended."""

    def hold(self, connection: Connection, name: str) -> None:
        """Nothing: only one transaction writes."""

    def make_room(self, connection: Connection, fin_time: int) -> None:
        """Nothing: there is one table."""

    def copy(self, connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows at once."""
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - names of ours
        _driver(connection).executemany(statement, rows)

    def drop_days(self, before: int) -> int:
        """Nothing: rows are deleted in batches."""
        return 0

    def size_bytes(self, connection: Connection) -> int:
        """The size of the file, without its log."""
        found: int = connection.exec_driver_sql(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        ).scalar_one()
        return found

    def again(self, error: DBAPIError) -> bool:
        """Whether nothing was done because another process holds a lock."""
        return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

    def interrupted(self, error: DBAPIError) -> bool:
        """Whether the deadline of ``begin_reading`` ended the work."""
        return _code(error) == sqlite3.SQLITE_INTERRUPT

    def usable(self, error: DBAPIError) -> bool:
        """Whether there was only no room; the connection is as good as before."""
        return _code(error) == sqlite3.SQLITE_FULL

    def explain(self, error: DBAPIError) -> str:
        """What went wrong and what to do, for the log: never a statement or its parameters."""
        advice = _ADVICE.get(_code(error), "see the message above for its cause")
        name = getattr(error.orig, "sqlite_errorname", type(error.orig).__name__)
        if _code(error) not in _ADVICE:
            advice = str(error.orig)
        return f"database {self.path} ({name}): {advice}"

    def _open(self) -> sqlite3.Connection:
        # The file holds addresses and key pairs; -wal and -shm take over its mode. Only ever a new file may be opened
        # here: closing a descriptor of the database would drop the locks that this process holds on it. When it
        # cannot be made, the driver says so below, with its own code.
        with contextlib.suppress(OSError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return sqlite3.connect(
            self.path,
            timeout=LOCK_WAIT_MS / 1000,
            isolation_level=None,
            # Each connection is used by one thread at a time, yet not always by the same one.
            check_same_thread=False,
        )


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _code(error: DBAPIError) -> int:
    # Absent where the driver itself refuses, as on a closed connection.
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code & _PRIMARY_CODE if isinstance(code, int) else -1
