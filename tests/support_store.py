"""Rows and stores for the tests of the durable ports."""

import asyncio
import itertools
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import select

from openkls.domain.keys import StreamKey
from openkls.domain.ports import HistoryQuery
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from openkls.store import Store, counts, open_store, schema
from openkls.store.sqlite import Sqlite
from openkls.store.tables import LEVELS, history, history_counts

SECRET = bytes(range(32))
URL = "sqlite:///openkls.db"
# A moment in 2026; any does.
NOON = 1_790_000_000
Counts = dict[tuple[str, bool, int, int], int]
KEY = StreamKey("demo", "push.demo.local", "live", "s1")

_serial = itertools.count()


def session_id(pub_time: int) -> str:
    """32 hexadecimal digits that begin with the milliseconds, as version 7 of RFC 9562 does."""
    return f"{pub_time * 1000:012x}7{next(_serial) & 0xFFF:03x}{uuid.uuid4().hex[16:]}"


def build_facts(key: StreamKey = KEY, pub_time: int = NOON, boot_id: str = "boot1", **other: str) -> SessionFacts:
    facts = SessionFacts(session_id(pub_time), key, "192.0.2.7", 40000, "127.0.0.1", boot_id, pub_time)
    return replace(facts, **other)


def build_row(
    key: StreamKey = KEY,
    pub_time: int = NOON,
    fin_time: int | None = None,
    code: BreakCode = BreakCode.SUCCESS,
    accepted: bool = True,
    facts: SessionFacts | None = None,
) -> HistoryRow:
    over = pub_time + 60 if fin_time is None else fin_time
    reason = Reason.CLOSED if accepted else Reason.REFUSED
    return HistoryRow(facts or build_facts(key, pub_time), over, code, reason, accepted)


def build_query(key: StreamKey = KEY, stream: str | None = None, **other: int | bool) -> HistoryQuery:
    query = HistoryQuery(
        unique_name=key.unique_name,
        app=key.app,
        pubdomain=key.pubdomain,
        stream=stream,
        start=NOON - 10**6,
        end=NOON + 10**6,
        errors=False,
        ascending=True,
        offset=0,
        limit=1000,
    )
    return replace(query, **other)


def migrated(url: str) -> str:
    """Bring a database's schema up to date."""

    async def work() -> None:
        await (await open_store(url, Path(), SECRET, deadline_seconds=20)).close()

    asyncio.run(work())
    return url


async def read_counts(store: Store) -> tuple[list[Any], Counts, set[tuple[str, bool, int, int]]]:
    """All rows, all counts, and which of these are split."""

    def question(connection: Any) -> tuple[list[Any], list[Any]]:
        return connection.execute(select(history)).all(), connection.execute(select(history_counts)).all()

    rows, cells = await store.readers.ask(question)
    assert all(cell.row_count > 0 for cell in cells)
    return (
        rows,
        {(cell.stream, cell.errors, cell.seconds, cell.start): cell.row_count for cell in cells},
        {(cell.stream, cell.errors, cell.seconds, cell.start) for cell in cells if cell.split},
    )


async def check_exact(store: Store) -> Counts:
    """Every count is that of its rows, and there is one wherever there has to be."""
    rows, found, split = await read_counts(store)
    expected: Counter[tuple[str, bool, int, int]] = Counter()
    for row in rows:
        kinds = ([False] if row.accepted else []) + ([True] if row.code != 200 or not row.accepted else [])
        for errors in kinds:
            for stream in ("", row.stream):
                above = True
                for seconds in LEVELS:
                    cell = (stream, errors, seconds, row.pub_time - row.pub_time % seconds)
                    if above:
                        expected[cell] += 1
                    above = above and cell in split
    assert found == expected
    assert {cell for cell, count in found.items() if count > counts.SPLIT_ROWS and cell[2] > 60} <= split
    return found


def make_at(path: Path, revision: str) -> None:
    """A new database as an earlier version made it."""
    database = Sqlite(path)
    connection = database.connect_writer()
    database.begin_migrating(connection)
    config = Config()
    config.set_main_option("script_location", str(schema.STEPS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.exec_driver_sql("COMMIT")
    connection.close()
