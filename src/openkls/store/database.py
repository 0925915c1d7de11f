"""What the store asks of a database, and which one ``[store] url`` names. Rule: what differs between them stands behind
this protocol, in sqlite.py and postgres.py; no other module asks which one it talks to.

SQLAlchemy's and the drivers' own transactions are switched off (AUTOCOMMIT): the writer and the readers say BEGIN and
COMMIT themselves, as they must know the very moment at which a transaction holds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, make_url
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, DBAPIError

from openkls.store.errors import SetupError

# ON CONFLICT is written alike for both; PostgreSQL's construct compiles for SQLite, not the other way round.
__all__ = ["Database", "insert", "open_database"]


class Database(Protocol):
    """One database, and the connections to it. Errors that leave it are the driver's, wrapped by SQLAlchemy."""

    name: str
    """Where it is, for texts; never with a password."""
    partitioned: bool
    """Whether history is in a table for each day, found by the session's end."""

    def connect_writer(self) -> Connection:
        """A connection whose commits are on disk when they return."""
        ...

    def connect_reader(self) -> Connection:
        """A connection that cannot write."""
        ...

    def begin_migrating(self, connection: Connection) -> None:
        """Begin a transaction that no other migration runs beside."""
        ...

    def begin_writing(self, connection: Connection) -> None:
        """Begin a transaction that writes."""
        ...

    def begin_reading(self, connection: Connection, deadline: float) -> None:
        """Begin a transaction that sees one state of the database; what runs in it fails once the monotonic clock has
        passed ``deadline``."""
        ...

    def in_transaction(self, connection: Connection) -> bool:
        """Whether a transaction is open; none is on a connection that was lost."""
        ...

    def abandon(self, connection: Connection) -> None:
        """Let a call that hangs in the network fail. The one method for another thread than the connection's."""
        ...

    def hold(self, connection: Connection, name: str) -> None:
        """Let no other transaction that holds ``name`` run until this one has ended."""
        ...

    def make_room(self, connection: Connection, fin_time: int) -> None:
        """See that history can take a row that ended then."""
        ...

    def copy(self, connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows at once, within the caller's transaction. Names are ours, and not quoted."""
        ...

    def drop_days(self, before: int) -> int:
        """Remove, with their counts, the days of history that lie wholly before ``before`` in one go, if the database
        can do that; returns how many rows. Takes its time, on a connection of its own."""
        ...

    def size_bytes(self, connection: Connection) -> int:
        """What it takes on disk."""
        ...

    def again(self, error: DBAPIError) -> bool:
        """Whether nothing was done for a reason that passes: a lock of another process."""
        ...

    def interrupted(self, error: DBAPIError) -> bool:
        """Whether the deadline of ``begin_reading`` ended the work."""
        ...

    def usable(self, error: DBAPIError) -> bool:
        """Whether the connection is as good as before the error."""
        ...

    def explain(self, error: DBAPIError) -> str:
        """What went wrong and what to do, for the log: never a statement, its parameters or a password."""
        ...


def open_database(url: str, data_dir: Path) -> Database:
    """The database that ``[store] url`` names; nothing is connected yet. SetupError, without the url, as it may hold a
    password, when it is none."""
    from openkls.store.sqlite import Sqlite

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SetupError("[store] url is not a url; expected sqlite:///openkls.db or postgresql://...") from None
    scheme = parsed.drivername
    if scheme == "sqlite":
        return Sqlite.from_url(parsed, data_dir)
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        # Its driver is an extra: without it, the embedded store works all the same.
        try:
            from openkls.store.postgres import Postgres
        except ImportError:
            raise SetupError(
                "[store] url: PostgreSQL needs its driver; install it: pip install 'openkls[postgres]'"
            ) from None
        return Postgres.from_url(parsed)
    raise SetupError(f"[store] url: unknown scheme {scheme!r}; use sqlite:///openkls.db or postgresql://...")
