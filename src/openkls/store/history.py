"""Publishes, open and finished: HistoryPort. Rule: each write is one transaction and may be repeated.

Theory of operation. A session is in ``open_sessions`` or in ``history``, never in both: whoever moves it does so in
one transaction, so that a reader meets it exactly once. The first row of a session in history stays, whoever else
closes it later - its own end and a declaration of its process as dead may cross - but for such a declaration. Where
several processes write at once, whoever touches the sessions of a boot first takes the lock named after it, so that
these do not cross half way.

A page is found by the counts kept beside the rows (counts.py), so that neither its total nor its place depends on how
many rows there are.

A process that could not reach the store for long may have been declared dead and forgotten while it lives. Its next
heartbeat, or the next session it opens, puts its boot back. What it says of its own sessions counts for more than what
was said for it: the end that another process gave them is taken back where they live (``revive``), and gives way to
their own.
"""

import asyncio
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    String,
    Table,
    bindparam,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from openkls.domain.errors import StoreUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.ports import Boot, HistoryPage, HistoryQuery, Span
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from openkls.store.counts import EVERY_STREAM, SPLIT_ROWS, Counted, Tally, take_rows
from openkls.store.database import Database, insert
from openkls.store.questions import count_statement, page_statement, spans_statement
from openkls.store.readers import Readers
from openkls.store.tables import (
    LONG_SECONDS,
    boots,
    history,
    open_sessions,
)
from openkls.store.walk import Window, at_offset
from openkls.store.writer import Writer

# One batch of purging holds the writer for about 10 ms; a ban that comes meanwhile waits that long.
PURGE_BATCH = 250
# Sessions of dead processes ended in one transaction: about half a second on PostgreSQL, of a deadline of two.
LAPSED_BATCH = 1000
# Sessions taken back in one transaction, of some statements each.
REVIVED_BATCH = 100

# Processes told of at once; those that died are forgotten within seconds.
BOOTS_MOST = 1000

Params = dict[str, Any]

_add_boot = insert(boots).on_conflict_do_nothing()
_put_boot = _add_boot.execution_options(preserve_rowcount=True)
_beat = update(boots).where(boots.c.boot_id == bindparam("boot")).values(heartbeat_at=bindparam("now"))
_all_boots = (
    select(boots.c.boot_id, boots.c.started_at, boots.c.heartbeat_at)
    .order_by(boots.c.started_at, boots.c.boot_id)
    .limit(bindparam("most"))
)
_of_boot = exists().where(open_sessions.c.boot_id == bindparam("boot"))
_drop_boot = delete(boots).where(boots.c.boot_id == bindparam("boot"), ~_of_boot)

# No session ends before it began (see _close), so that with partitions only days from its own on are looked at.
_known = exists().where(
    history.c.session_id == bindparam("session_id", type_=String),
    history.c.fin_time >= bindparam("pub_time", type_=BigInteger),
)


def _unless_known(table: Table) -> Any:
    values = (bindparam(column.name, type_=column.type) for column in table.columns)
    names = [column.name for column in table.columns]
    return insert(table).from_select(names, select(*values).where(~_known)).on_conflict_do_nothing()


_add_open = _unless_known(open_sessions)
_drop_open = delete(open_sessions).where(open_sessions.c.session_id == bindparam("session"))
# How many rows an INSERT made is otherwise not kept.
_add_row = _unless_known(history).execution_options(preserve_rowcount=True)

# FOR UPDATE says nothing to SQLite; elsewhere it keeps two nodes from ending the same sessions.
_dead_boots = (
    select(boots.c.boot_id, boots.c.heartbeat_at)
    .where(
        boots.c.boot_id != bindparam("boot"),
        or_(boots.c.node_id == bindparam("node"), boots.c.heartbeat_at < bindparam("lapsed_before")),
    )
    .order_by(boots.c.boot_id)
    .with_for_update()
)
_open_of_boot = (
    select(open_sessions)
    .where(open_sessions.c.boot_id == bindparam("boot"))
    .order_by(open_sessions.c.pub_time, open_sessions.c.session_id)
    .limit(bindparam("limit"))
)

# By session_id, which begins with the time of the claim: the bound ends the walk, the condition decides.
_old = (
    select(history)
    .where(history.c.session_id < bindparam("bound"), history.c.fin_time < bindparam("before"))
    .order_by(history.c.session_id)
    .limit(bindparam("batch"))
)
_declared = select(history).where(
    history.c.session_id == bindparam("session"),
    history.c.fin_time >= bindparam("pub_time", type_=BigInteger),
    history.c.reason == str(Reason.CRASH),
)
_purge = delete(history).where(history.c.session_id == bindparam("session"), history.c.fin_time == bindparam("ended"))


class HistoryStore:
    """HistoryPort on the database."""

    def __init__(self, database: Database, writer: Writer, readers: Readers, tally: Tally) -> None:
        self._database = database
        self._tally = tally
        self._writer = writer
        self._readers = readers
        self._begun: dict[str, Params] = {}
        self._forgotten: set[str] = set()
        """Boots begun here that were put back since their last heartbeat but one."""

    async def begin_boot(self, boot_id: str, node_id: str, now: int) -> None:
        """Record that a process began; its first heartbeat. Idempotent."""
        boot = {"boot_id": boot_id, "node_id": node_id, "started_at": now, "heartbeat_at": now}
        self._begun[boot_id] = boot

        def write(connection: Connection) -> None:
            connection.execute(_add_boot, boot)

        await self._writer.write(write)

    async def heartbeat(self, boot_id: str, now: int) -> bool:
        """Record that the process lives; one that was forgotten, though begun here, is put back; see the port."""
        boot = self._begun.get(boot_id)

        def write(connection: Connection) -> None:
            beaten = connection.execute(_beat, {"boot": boot_id, "now": now})
            if beaten.rowcount == 0 and boot is not None:
                self._put_back(connection, boot | {"heartbeat_at": now})

        await self._writer.write(write)
        known = boot_id not in self._forgotten
        self._forgotten.discard(boot_id)
        return known

    async def revive(self, sessions: Sequence[SessionFacts]) -> list[SessionFacts]:
        """Make sessions live again that were ended as those of a dead process; see the port."""
        lots = [sessions[first : first + REVIVED_BATCH] for first in range(0, len(sessions), REVIVED_BATCH)]
        # All in line at once: what ends from now on is written behind them.
        revived = await asyncio.gather(*(self._writer.write(functools.partial(self._revive, lot)) for lot in lots))
        return [facts for lot in revived for facts in lot]

    def _revive(self, sessions: Sequence[SessionFacts], connection: Connection) -> list[SessionFacts]:
        for boot_id in sorted({facts.boot_id for facts in sessions}):
            self._database.hold(connection, boot_id)
        ended = [facts for facts in sessions if self._take_back(connection, facts)]
        for facts in ended:
            connection.execute(_add_open, _fact_params(facts))
        return ended

    def _take_back(self, connection: Connection, facts: SessionFacts) -> bool:
        """Undo the end that another process gave a session; False when there is none."""
        found = connection.execute(_declared, {"session": facts.session_id, "pub_time": facts.pub_time}).first()
        if found is None:
            return False
        connection.execute(_purge, {"session": found.session_id, "ended": found.fin_time})
        self._tally.take(counted(found._asdict()))
        return True

    def _put_back(self, connection: Connection, boot: Params) -> None:
        """Record a boot that is known to have begun; one that was not there any more has been forgotten."""
        if connection.execute(_put_boot, boot).rowcount:
            self._forgotten.add(boot["boot_id"])

    async def known_boots(self) -> list[Boot]:
        """The processes that have begun and are not known to have ended, the oldest first."""
        return await self._readers.ask(
            lambda connection: [Boot(*row) for row in connection.execute(_all_boots, {"most": BOOTS_MOST})]
        )

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
                self._database.hold(connection, dead)
                room = {"boot": dead, "limit": LAPSED_BATCH - len(ended)}
                left = [_read_facts(row) for row in connection.execute(_open_of_boot, room)]
                for facts in left:
                    fin_time = max(heartbeat_at, facts.pub_time)
                    self._close(connection, HistoryRow(facts, fin_time, BreakCode.SUCCESS, Reason.CRASH))
                ended += left
                if len(ended) >= LAPSED_BATCH:
                    return ended
                connection.execute(_drop_boot, {"boot": dead})
            return ended

        all_ended: list[SessionFacts] = []
        while True:
            ended = await self._writer.write(write)
            all_ended += ended
            if len(ended) < LAPSED_BATCH:
                return all_ended

    async def open(self, facts: SessionFacts) -> None:
        """Record a live session, unless it is known already, live or finished. Its boot must have begun."""
        boot = self._begun.get(facts.boot_id)
        params = _fact_params(facts)

        def write(connection: Connection) -> None:
            self._database.hold(connection, facts.boot_id)
            if boot is not None:
                self._put_back(connection, boot | {"heartbeat_at": max(boot["heartbeat_at"], facts.pub_time)})
            connection.execute(_add_open, params)

        await self._writer.write(write)

    async def close(self, row: HistoryRow) -> None:
        """Record that a session is over, whether or not it had been opened; the first row of a session stays."""

        def write(connection: Connection) -> None:
            self._database.hold(connection, row.facts.boot_id)
            self._close(connection, row)

        await self._writer.write(write)

    async def page(self, query: HistoryQuery) -> HistoryPage:
        """Answer one page of history, rows and total of one moment."""
        asked = _query_params(query.unique_name, query.app, query.pubdomain, query.stream)
        one_stream = query.stream is not None
        by_day = self._database.partitioned
        listed = count_statement(query.errors, one_stream, by_day)
        rows = page_statement(query.errors, one_stream, query.ascending, by_day)
        series = asked | {"stream": query.stream if one_stream else EVERY_STREAM, "errors": query.errors}

        def question(connection: Connection) -> HistoryPage:
            window = Window(connection, series, query.start, query.end, listed)
            pieces = window.read()
            if query.offset >= pieces.total or query.limit == 0:
                return HistoryPage([], pieces.total)
            start, end, offset = query.start, query.end, query.offset
            # One of the first pages is read from the window's end on, sooner than its place is looked for.
            if offset > SPLIT_ROWS:
                piece, offset = window.find(*at_offset(pieces.found, offset, query.ascending), query.ascending)
                start, end = (piece.first, end) if query.ascending else (start, piece.last)
            bounds = {"start": start, "end": end, "last_end": pieces.last_end}
            found = connection.execute(rows, asked | bounds | {"limit": query.limit, "offset": offset})
            return HistoryPage([_read_row(row) for row in found], pieces.total)

        return await self._readers.ask(question)

    async def spans(
        self, unique_name: str, app: str, pubdomain: str, stream: str | None, start: int, end: int, limit: int
    ) -> list[Span]:
        """The accepted sessions, live ones too, that overlap [start, end); see the port."""
        asked = _query_params(unique_name, app, pubdomain, stream)
        asked |= {"start": start, "end": end, "early": start - LONG_SECONDS, "limit": limit + 1}
        statement = spans_statement(stream is not None, self._database.partitioned)

        def question(connection: Connection) -> list[Span]:
            return [Span(found, began, over) for found, began, over, _ in connection.execute(statement, asked)]

        return await self._readers.ask(question)

    async def purge(self, before: int, batch: int = PURGE_BATCH) -> int:
        """Delete what ended before ``before`` (Unix seconds), ``batch`` rows a transaction; returns how many rows.

        Where history is kept by days, whole ones go at once. Other writes come in between. May be repeated, also after
        a StoreUnavailable half way.
        """
        try:
            purged = await asyncio.to_thread(self._database.drop_days, before)
        except DBAPIError as error:
            raise StoreUnavailable(self._database.explain(error)) from error
        # The ids begin with the milliseconds of the claim (RFC 9562, 5.7), and no session ends before its claim.
        asked = {"bound": f"{max(before, 0) * 1000:012x}", "before": before, "batch": batch}

        def write(connection: Connection) -> int:
            old = connection.execute(_old, asked).all()
            if old:
                connection.execute(_purge, [{"session": row.session_id, "ended": row.fin_time} for row in old])
                take_rows(connection, [counted(row._asdict()) for row in old])
            return len(old)

        while True:
            count = await self._writer.write(write)
            purged += count
            if count < batch:
                return purged

    def _close(self, connection: Connection, row: HistoryRow) -> None:
        connection.execute(_drop_open, {"session": row.facts.session_id})
        params = _fact_params(row.facts)
        # A clock that was set back must not make an end before the beginning.
        fin_time = max(row.fin_time, row.facts.pub_time)
        params |= {"fin_time": fin_time, "code": int(row.code), "reason": str(row.reason), "accepted": row.accepted}
        self._database.make_room(connection, fin_time)
        added = connection.execute(_add_row, params).rowcount
        if not added and row.reason is not Reason.CRASH and self._take_back(connection, row.facts):
            added = connection.execute(_add_row, params).rowcount
        if added:
            self._tally.add(counted(params))


def counted(row: Mapping[str, Any]) -> Counted:
    """What of a row is counted."""
    return Counted(*(row[name] for name in Counted._fields))


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
