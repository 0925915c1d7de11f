"""Publishes, open and finished: HistoryPort. Rule: each write is one transaction and may be repeated.

Theory of operation. A session is in ``open_sessions`` or in ``history``, never in both: whoever moves it does so in
one transaction, so that a reader meets it exactly once. The first row of a session in history stays, whoever else
closes it later: its own end and a declaration of its process as dead may cross.

A process that could not reach the store for long may have been declared dead and forgotten while it lives. Its next
heartbeat, or the next session it opens, puts its boot back.
"""

import functools
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    String,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.sql import ColumnElement, CompoundSelect

from openkls.domain.keys import StreamKey
from openkls.domain.ports import HistoryPage, HistoryQuery, Span
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from openkls.store.readers import Readers
from openkls.store.sqlite import insert
from openkls.store.tables import (
    ACCEPTED,
    ERRORS,
    LONG,
    LONG_SECONDS,
    METADATA,
    boots,
    history,
    open_sessions,
)
from openkls.store.writer import Writer

# One batch of purging holds the writer for about 10 ms; a ban that comes meanwhile waits that long.
PURGE_BATCH = 250

Params = dict[str, Any]

_FACTS = [column.name for column in open_sessions.columns]

_add_boot = insert(boots).on_conflict_do_nothing()
_beat = update(boots).where(boots.c.boot_id == bindparam("boot")).values(heartbeat_at=bindparam("now"))
_of_boot = exists().where(open_sessions.c.boot_id == bindparam("boot"))
_drop_boot = delete(boots).where(boots.c.boot_id == bindparam("boot"), ~_of_boot)

_add_open = (
    insert(open_sessions)
    .from_select(
        _FACTS,
        select(*(bindparam(column.name, type_=column.type) for column in open_sessions.columns)).where(
            ~exists().where(history.c.session_id == bindparam("session_id", type_=String))
        ),
    )
    .on_conflict_do_nothing()
)
_drop_open = delete(open_sessions).where(open_sessions.c.session_id == bindparam("session"))
_add_row = insert(history).on_conflict_do_nothing()

# FOR UPDATE says nothing to SQLite; elsewhere it keeps two nodes from ending the same sessions.
_dead_boots = (
    select(boots.c.boot_id, boots.c.heartbeat_at)
    .where(
        boots.c.boot_id != bindparam("boot"),
        or_(boots.c.node_id == bindparam("node"), boots.c.heartbeat_at < bindparam("lapsed_before")),
    )
    .with_for_update()
)
_open_of_boot = (
    select(open_sessions)
    .where(open_sessions.c.boot_id == bindparam("boot"))
    .order_by(open_sessions.c.pub_time, open_sessions.c.session_id)
)

# By session_id, which begins with the time of the claim: the bound ends the walk, the condition decides.
_purge = delete(history).where(
    history.c.session_id.in_(
        select(history.c.session_id)
        .where(history.c.session_id < bindparam("bound"), history.c.fin_time < bindparam("before"))
        .order_by(history.c.session_id)
        .limit(bindparam("batch"))
    )
)


class HistoryStore:
    """HistoryPort on the database."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers
        self._begun: dict[str, Params] = {}

    async def begin_boot(self, boot_id: str, node_id: str, now: int) -> None:
        """Record that a process began; its first heartbeat. Idempotent."""
        boot = {"boot_id": boot_id, "node_id": node_id, "started_at": now, "heartbeat_at": now}
        self._begun[boot_id] = boot

        def write(connection: Connection) -> None:
            connection.execute(_add_boot, boot)

        await self._writer.write(write)

    async def heartbeat(self, boot_id: str, now: int) -> None:
        """Record that the process lives; one that was forgotten, though begun here, is put back."""
        boot = self._begun.get(boot_id)

        def write(connection: Connection) -> None:
            beaten = connection.execute(_beat, {"boot": boot_id, "now": now})
            if beaten.rowcount == 0 and boot is not None:
                connection.execute(_add_boot, boot | {"heartbeat_at": now})

        await self._writer.write(write)

    async def end_boot(self, boot_id: str) -> None:
        """Forget a process that ended cleanly. With an open session left its boot stays, so that the next start finds
        the session."""

        def write(connection: Connection) -> None:
            connection.execute(_drop_boot, {"boot": boot_id})

        await self._writer.write(write)
        self._begun.pop(boot_id, None)

    async def close_lapsed(self, node_id: str, boot_id: str, lapsed_before: int) -> list[SessionFacts]:
        """End the sessions of dead processes at their last heartbeat and forget those processes; see the port."""
        asked = {"node": node_id, "boot": boot_id, "lapsed_before": lapsed_before}

        def write(connection: Connection) -> list[SessionFacts]:
            ended: list[SessionFacts] = []
            for dead, heartbeat_at in connection.execute(_dead_boots, asked).all():
                left = [_read_facts(row) for row in connection.execute(_open_of_boot, {"boot": dead})]
                for facts in left:
                    fin_time = max(heartbeat_at, facts.pub_time)
                    _close(connection, HistoryRow(facts, fin_time, BreakCode.SUCCESS, Reason.CRASH))
                connection.execute(_drop_boot, {"boot": dead})
                ended += left
            return ended

        return await self._writer.write(write)

    async def open(self, facts: SessionFacts) -> None:
        """Record a live session, unless it is known already, live or finished. Its boot must have begun."""
        boot = self._begun.get(facts.boot_id)
        params = _fact_params(facts)

        def write(connection: Connection) -> None:
            if boot is not None:
                connection.execute(_add_boot, boot | {"heartbeat_at": max(boot["heartbeat_at"], facts.pub_time)})
            connection.execute(_add_open, params)

        await self._writer.write(write)

    async def close(self, row: HistoryRow) -> None:
        """Record that a session is over, whether or not it had been opened; the first row of a session stays."""
        await self._writer.write(lambda connection: _close(connection, row))

    async def page(self, query: HistoryQuery) -> HistoryPage:
        """Answer one page of history, rows and total of one moment."""
        asked = _query_params(query.unique_name, query.app, query.pubdomain, query.stream)
        asked |= {"start": query.start, "end": query.end}
        one_stream = query.stream is not None
        count = _count_statement(query.errors, one_stream)
        rows = _page_statement(query.errors, one_stream, query.ascending)

        def question(connection: Connection) -> HistoryPage:
            total = connection.execute(count, asked).scalar_one()
            if query.offset >= total:
                return HistoryPage([], total)
            found = connection.execute(rows, asked | {"limit": query.limit, "offset": query.offset})
            return HistoryPage([_read_row(row) for row in found], total)

        return await self._readers.ask(question)

    async def spans(
        self, unique_name: str, app: str, pubdomain: str, stream: str | None, start: int, end: int, limit: int
    ) -> list[Span]:
        """The accepted sessions, live ones too, that overlap [start, end); see the port."""
        asked = _query_params(unique_name, app, pubdomain, stream)
        asked |= {"start": start, "end": end, "early": start - LONG_SECONDS, "limit": limit + 1}
        statement = _spans_statement(stream is not None)

        def question(connection: Connection) -> list[Span]:
            return [Span(found, began, over) for found, began, over, _ in connection.execute(statement, asked)]

        return await self._readers.ask(question)

    async def purge(self, before: int, batch: int = PURGE_BATCH) -> int:
        """Delete what ended before ``before`` (Unix seconds), ``batch`` rows a transaction; returns how many rows.

        Other writes come in between. May be repeated, also after a StoreUnavailable half way.
        """
        # The ids begin with the milliseconds of the claim (RFC 9562, 5.7), and no session ends before its claim.
        asked = {"bound": f"{max(before, 0) * 1000:012x}", "before": before, "batch": batch}
        purged = 0
        while True:
            count = await self._writer.write(lambda connection: connection.execute(_purge, asked).rowcount)
            purged += count
            if count < batch:
                return purged


def _close(connection: Connection, row: HistoryRow) -> None:
    connection.execute(_drop_open, {"session": row.facts.session_id})
    params = _fact_params(row.facts)
    params |= {
        "fin_time": row.fin_time,
        "code": int(row.code),
        "reason": str(row.reason),
        "accepted": row.accepted,
    }
    connection.execute(_add_row, params)


def _fact_params(facts: SessionFacts) -> Params:
    return {
        "session_id": facts.session_id,
        "unique_name": facts.key.unique_name,
        "pubdomain": facts.key.pubdomain,
        "app": facts.key.app,
        "stream": facts.key.stream,
        "client_ip": facts.client_ip,
        "client_port": facts.client_port,
        "node": facts.node,
        "boot_id": facts.boot_id,
        "pub_time": facts.pub_time,
    }


def _read_facts(row: Row[Any]) -> SessionFacts:
    session_id, unique_name, pubdomain, app, stream, client_ip, client_port, node, boot_id, pub_time = row[:10]
    key = StreamKey(unique_name, pubdomain, app, stream)
    return SessionFacts(session_id, key, client_ip, client_port, node, boot_id, pub_time)


def _read_row(row: Row[Any]) -> HistoryRow:
    fin_time, code, reason, accepted = row[10:]
    return HistoryRow(_read_facts(row), fin_time, BreakCode(code), Reason(reason), accepted)


def _query_params(unique_name: str, app: str, pubdomain: str, stream: str | None) -> Params:
    asked = {"unique_name": unique_name, "app": app, "pubdomain": pubdomain}
    return asked if stream is None else asked | {"stream": stream}


def _of_key(name: str, one_stream: bool) -> list[ColumnElement[bool]]:
    table = METADATA.tables[name]
    columns = ["unique_name", "app", "pubdomain", *(["stream"] if one_stream else [])]
    return [table.c[column] == bindparam(column) for column in columns]


def _listed(errors: bool, one_stream: bool) -> list[ColumnElement[bool]]:
    condition: ColumnElement[bool] = literal_column(ERRORS if errors else ACCEPTED)
    began = history.c.pub_time.between(bindparam("start"), bindparam("end"))
    return [*_of_key("history", one_stream), began, condition]


@functools.cache
def _count_statement(errors: bool, one_stream: bool) -> Select[tuple[int]]:
    return select(func.count()).select_from(history).where(*_listed(errors, one_stream))


@functools.cache
def _page_statement(errors: bool, one_stream: bool, ascending: bool) -> Select[Any]:
    order = [history.c.pub_time, history.c.session_id]
    return (
        select(history)
        .where(*_listed(errors, one_stream))
        .order_by(*(column.asc() if ascending else column.desc() for column in order))
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )


@functools.cache
def _spans_statement(one_stream: bool) -> CompoundSelect[Any]:
    """Three disjoint kinds (see tables.py): began at most LONG_SECONDS before the window or within it; began before
    that, so that it is a long one if it reaches in; live."""
    of_history = select(history.c.stream, history.c.pub_time, history.c.fin_time, history.c.session_id)
    recent = of_history.where(
        *_of_key("history", one_stream),
        literal_column(ACCEPTED),
        history.c.pub_time > bindparam("early"),
        history.c.pub_time < bindparam("end"),
        or_(history.c.fin_time > bindparam("start"), history.c.pub_time >= bindparam("start")),
    )
    # Adding nothing hides these columns from the planner, which would walk all of time in another index.
    long = of_history.where(
        *_of_key("history", False),
        literal_column(LONG),
        history.c.fin_time > bindparam("start"),
        history.c.pub_time + 0 <= bindparam("early"),
        *([history.c.stream.concat("") == bindparam("stream")] if one_stream else []),
    )
    live = select(
        open_sessions.c.stream,
        open_sessions.c.pub_time,
        null().label("fin_time"),
        open_sessions.c.session_id,
    ).where(*_of_key("open_sessions", one_stream), open_sessions.c.pub_time < bindparam("end"))
    return union_all(recent, long, live).order_by(text("pub_time"), text("session_id")).limit(bindparam("limit"))
