"""Everything that is peculiar to PostgreSQL. Rule: no other module of the store knows which database it talks to.

Theory of operation. Many processes write at once, each on one connection, READ COMMITTED. What must not cross stands
in line: changes of bans and of keys at the row of their counter, the sessions of one process at a lock named after it
(``hold``), counts at their own rows, in one order (counts.py). A deadlock or a lock waited for too long undoes the
whole batch, which is then done again.

Whoever hangs must not make others hang. The server ends what a dead client left open (idle in transaction); the
kernel gives up on a silent line (TCP_USER_TIMEOUT); and ``abandon`` shuts a line that is alive but answers nothing,
as through a stalled proxy, which none of these sees.
"""

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from openkls.store import partitions
from openkls.store.errors import SetupError

# REPEATABLE READ sees the counts and the rows of one moment; attached partitions and INCLUDE need 11, generic plans
# that leave partitions out at run time 12; older ones than 13 get no corrections any more.
OLDEST_VERSION = 130000
CONNECT_SECONDS = 2
# Longer than a batch of any process holds a row; less than the deadline of those who wait.
LOCK_WAIT_MS = 1000
# A client that fell silent in the midst of a transaction holds up the others this long.
IDLE_IN_TRANSACTION_MS = 2000
# A statement of the writer takes milliseconds; the longest one ends the sessions of a dead process.
STATEMENT_MS = 10_000
UNACKNOWLEDGED_MS = 3000
# "opkl": the first half of the two-part advisory locks, so that other programs' locks in the database do not meet.
LOCK_SPACE: Final = 0x6F706B6C
MIGRATING: Final = 1

_OPTIONS = (
    f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS} -c client_min_messages=warning "
    "-c timezone=UTC -c default_transaction_isolation=read\\ committed"
)
# There is no CHECK in the schema: this says that a row has no partition.
CHECK_VIOLATION = "23514"
_AGAIN = {"40P01", "40001", "55P03", "25P03"}
_ADVICE = {
    "28": "it refuses the user or the password: check them in [store] url, and the server's pg_hba.conf",
    "3D": "there is no such database: make it (createdb), or correct [store] url",
    "42501": "the user may not do this: make it the owner of the database",
    "53100": "the server's disk is full: free space, the service goes on by itself",
    "53300": "the server has too many connections: raise max_connections; each process uses up to 5",
    "25006": "the server is read-only (a standby?): point [store] url at the primary",
    "57P01": "the server is being stopped; the service goes on by itself when it is back",
    "57P02": "the server has crashed; the service goes on by itself when it is back",
    "57P03": "the server is starting; the service goes on by itself when it is up",
}
_UNREACHABLE = "it cannot be reached, or the connection broke: check the server and the network; the service goes on "
_UNREACHABLE += "by itself when it is back"


class Postgres:
    """One database of a PostgreSQL server, and the connections to it."""

    partitioned = True

    def __init__(self, url: URL) -> None:
        host = url.host or "".join(url.query.get("host", "")) or None
        # Put together anew, as a password may be among the parameters too.
        self.name = URL.create("postgresql", url.username, None, host, url.port, url.database).render_as_string()
        self._days: set[int] = set()
        self._engine: Engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=_connect_args(url),
        )

    @classmethod
    def from_url(cls, url: URL) -> "Postgres":
        """The database of ``postgresql://user:password@host:port/database``; SetupError when it names none."""
        if not url.database:
            raise SetupError("[store] url: expected postgresql://user:password@host:5432/database")
        return cls(url)

    def connect_writer(self) -> Connection:
        """A connection whose commits are on disk when they return."""
        connection = self._connect()
        connection.exec_driver_sql(
            f"SET lock_timeout = {LOCK_WAIT_MS}; SET statement_timeout = {STATEMENT_MS}; SET synchronous_commit = on"
        )
        return connection

    def connect_reader(self) -> Connection:
        """A connection that cannot write."""
        connection = self._connect()
        connection.exec_driver_sql("SET default_transaction_read_only = on")
        return connection

    def begin_migrating(self, connection: Connection) -> None:
        """Begin a transaction that no other migration runs beside: it waits for theirs."""
        _check_version(connection, self.name)
        connection.exec_driver_sql("SET lock_timeout = 0; SET statement_timeout = 0; BEGIN")
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {MIGRATING})")

    def begin_writing(self, connection: Connection) -> None:
        """Begin a transaction that writes."""
        connection.exec_driver_sql("BEGIN")

    def begin_reading(self, connection: Connection, deadline: float) -> None:
        """Begin a transaction that sees one state of the database and whose statements end by ``deadline``."""
        left_ms = max(1, int((deadline - time.monotonic()) * 1000))
        connection.exec_driver_sql(f"SET statement_timeout = {left_ms}; BEGIN ISOLATION LEVEL REPEATABLE READ")

    def in_transaction(self, connection: Connection) -> bool:
        """Whether a transaction is open, also one that failed and awaits its ROLLBACK."""
        if connection.closed or connection.invalidated:
            return False
        status = _driver(connection).info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def abandon(self, connection: Connection) -> None:
        """Shut the line: whatever waits for the server's answer fails at once."""
        with contextlib.suppress(OSError, AssertionError, psycopg.Error, AttributeError):
            # A descriptor of our own, as the connection may close its one this very moment.
            line = socket.socket(fileno=os.dup(_driver(connection).pgconn.socket))
            with line:
                line.shutdown(socket.SHUT_RDWR)

    def hold(self, connection: Connection, name: str) -> None:
        """Let no other transaction that holds ``name`` run until this one has ended."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, hashtext(%(name)s))", {"name": name})

    def make_room(self, connection: Connection, fin_time: int) -> None:
        """See that there is the partition of the day. One that this transaction makes is not yet remembered, as it may
        be undone with it."""
        day = partitions.day_of(fin_time)
        if day in self._days:
            return
        if partitions.exists(connection, day):
            self._days.add(day)
            return
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {MIGRATING})")
        partitions.make(connection, day)

    def copy(self, connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows at once, by COPY."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with _driver(connection).cursor() as cursor, cursor.copy(statement.encode()) as lines:
            for row in rows:
                lines.write_row(row)

    def drop_days(self, before: int) -> int:
        """Remove the partitions of the days wholly before ``before``, each with its counts."""
        dropped = 0
        with self._connect() as connection:
            connection.exec_driver_sql(f"SET lock_timeout = {LOCK_WAIT_MS}")
            for day in partitions.days(connection):
                if partitions.day_of(before) > day:
                    dropped += partitions.drop(connection, day)
        return dropped

    def size_bytes(self, connection: Connection) -> int:
        """What its tables and indexes take on the server's disk."""
        found: int = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        return found

    def again(self, error: DBAPIError) -> bool:
        """Whether the transaction was undone because of others: a deadlock, a lock waited for too long, or a day of
        history that another process has made or dropped since this transaction began to use the table."""
        if _code(error) == CHECK_VIOLATION:
            self._days.clear()
            return True
        return _code(error) in _AGAIN

    def interrupted(self, error: DBAPIError) -> bool:
        """Whether the statement timeout ended the work."""
        return _code(error) == "57014"

    def usable(self, error: DBAPIError) -> bool:
        """Whether the connection is as good as before: the server answered, and goes on."""
        code = _code(error)
        return bool(code) and not error.connection_invalidated and code[:2] not in ("08", "57", "58", "XX")

    def explain(self, error: DBAPIError) -> str:
        """What went wrong and what to do, for the log: never a statement, its parameters or a password."""
        code = _code(error)
        advice = _ADVICE.get(code) or _ADVICE.get(code[:2])
        if advice is None and isinstance(error.orig, psycopg.OperationalError) and code[:2] in ("", "08"):
            advice = _refused(error.orig) or _UNREACHABLE
        if advice is None:
            diagnosis = getattr(error.orig, "diag", None)
            advice = getattr(diagnosis, "message_primary", None) or "see the server's log for its cause"
        return f"database {self.name} ({code or type(error.orig).__name__}): {advice}"

    def _connect(self) -> Connection:
        return self._engine.connect()


def _connect_args(url: URL) -> dict[str, Any]:
    """What every connection is made with; the url's own parameters win."""
    args: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "openkls",
        "tcp_user_timeout": UNACKNOWLEDGED_MS,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "options": _OPTIONS,
    }
    return {name: value for name, value in args.items() if name not in url.query}


def _check_version(connection: Connection, name: str) -> None:
    version = _driver(connection).info.server_version
    if version < OLDEST_VERSION:
        raise SetupError(f"database {name} is PostgreSQL {version // 10000}; 13 or newer is needed")


def _refused(error: psycopg.OperationalError) -> str | None:
    """The advice for a refused connection: libpq gives such errors no code."""
    text = str(error)
    if "password" in text or "authentication" in text or "role " in text or "pg_hba.conf" in text:
        return _ADVICE["28"]
    if "database " in text and "does not exist" in text:
        return _ADVICE["3D"]
    if "too many" in text or "remaining connection slots" in text:
        return _ADVICE["53300"]
    if "starting up" in text:
        return _ADVICE["57P03"]
    return None


def _driver(connection: Connection) -> "psycopg.Connection[Any]":
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _code(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
