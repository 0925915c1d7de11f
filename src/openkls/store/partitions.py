"""History by days on PostgreSQL: one table for each day (UTC) that sessions ended on. Rule: rows and their counts come
and go in one transaction.

A day is made when its first row comes and dropped when it is too old: no row is deleted one by one, and what is asked
for a few days reads the tables of these alone.
"""

import re

from sqlalchemy import Connection

from openkls.store.tables import ERRORS, LEVELS

DAY_SECONDS = 86400
_NAME = re.compile(r"history_day_(-?[0-9]+)")


def day_of(fin_time: int) -> int:
    """The number of the day since 1970-01-01 UTC."""
    return fin_time // DAY_SECONDS


def exists(connection: Connection, day: int) -> bool:
    """Whether the day has its table."""
    found = connection.exec_driver_sql("SELECT to_regclass(%(name)s)", {"name": f'"{_name(day)}"'}).scalar()
    return found is not None


def make(connection: Connection, day: int) -> None:
    """Make the table of a day unless it is there. Whoever makes one holds the lock of migrations.

    Attached, not made in place, as that would stop all readers and writers for a moment.
    """
    if exists(connection, day):
        return
    first = day * DAY_SECONDS
    connection.exec_driver_sql(
        f'CREATE TABLE "{_name(day)}" (LIKE history INCLUDING DEFAULTS INCLUDING CONSTRAINTS); '
        f'ALTER TABLE history ATTACH PARTITION "{_name(day)}" FOR VALUES FROM ({first}) TO ({first + DAY_SECONDS})'
    )


def days(connection: Connection) -> list[int]:
    """The days that have a table, in order."""
    names = connection.exec_driver_sql(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
        "WHERE inhparent = to_regclass('history')"
    ).scalars()
    return sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)


def drop(connection: Connection, day: int) -> int:
    """Take a day's rows out of the counts, empty its table in the same transaction, then drop it; returns how many
    rows there were. The connection has no transaction open.

    Dropping locks the whole of history for a moment and so may be late; an empty table may wait for the next time.
    """
    name = _name(day)
    connection.exec_driver_sql("BEGIN")
    connection.exec_driver_sql(f'LOCK TABLE "{name}" IN ACCESS EXCLUSIVE MODE')
    rows: int = connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one()  # noqa: S608
    if rows:
        for seconds in LEVELS:
            for stream in ("''", "stream"):
                for errors, condition in (("false", "accepted"), ("true", ERRORS)):
                    connection.exec_driver_sql(_take_away(name, seconds, stream, errors, condition))
        oldest = f'SELECT min(pub_time) - {DAY_SECONDS} FROM "{name}"'  # noqa: S608
        connection.exec_driver_sql(
            f"DELETE FROM history_counts WHERE row_count <= 0 AND start >= ({oldest}) "  # noqa: S608
            f"AND start < {(day + 1) * DAY_SECONDS}"
        )
        connection.exec_driver_sql(f'TRUNCATE "{name}"')
    connection.exec_driver_sql("COMMIT")
    connection.exec_driver_sql(f'DROP TABLE "{name}"')
    return rows


def _take_away(name: str, seconds: int, stream: str, errors: str, condition: str) -> str:
    return (
        "UPDATE history_counts SET row_count = row_count - gone.rows FROM ("  # noqa: S608 - names and numbers of ours
        f"SELECT unique_name, app, pubdomain, {stream} AS stream, pub_time - pub_time %% {seconds} AS start, "
        f'count(*) AS rows FROM "{name}" WHERE {condition} GROUP BY 1, 2, 3, 4, 5) gone '
        "WHERE (history_counts.unique_name, history_counts.app, history_counts.pubdomain, history_counts.stream, "
        "history_counts.start) = (gone.unique_name, gone.app, gone.pubdomain, gone.stream, gone.start) "
        f"AND history_counts.errors = {errors} AND history_counts.seconds = {seconds}"
    )


def _name(day: int) -> str:
    return f"history_day_{day}"
