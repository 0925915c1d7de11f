"""Rows and stores for the tests of the durable ports."""

import asyncio
import itertools
import uuid
from dataclasses import replace
from pathlib import Path

from openkls.domain.keys import StreamKey
from openkls.domain.ports import HistoryQuery
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from openkls.store import open_store

SECRET = bytes(range(32))
URL = "sqlite:///openkls.db"
# A moment in 2026; any does.
NOON = 1_790_000_000
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
