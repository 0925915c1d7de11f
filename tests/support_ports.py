"""In-memory twins of the durable ports, honest to domain/ports.py, and failing on demand.

Rule: a twin keeps every promise of its port but durability. Each call suspends at least once, as a store's would, so
that a test's interleavings are real. ``down`` is raised instead of working; ``down_after`` is raised after the work
has been done (a store that did it and failed to say so); ``gate`` holds calls until it is set.
"""

import asyncio
from dataclasses import replace

from openkls.domain.blacklist import Ban
from openkls.domain.keys import StreamKey
from openkls.domain.ports import AccessKey, HistoryPage, HistoryQuery, Span
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts


class _Twin:
    def __init__(self) -> None:
        self.down: Exception | None = None
        self.down_after: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.calls: list[str] = []
        """Names of the methods called, in order."""

    async def _begin(self, method: str) -> None:
        self.calls.append(method)
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.down is not None:
            raise self.down

    def _end(self) -> None:
        if self.down_after is not None:
            raise self.down_after


class MemoryHistory(_Twin):
    """HistoryPort."""

    def __init__(self) -> None:
        super().__init__()
        self.boots: dict[str, tuple[str, int]] = {}
        """node_id and last heartbeat of each process."""
        self.live: dict[str, SessionFacts] = {}
        self.rows: dict[str, HistoryRow] = {}

    async def begin_boot(self, boot_id: str, node_id: str, now: int) -> None:
        await self._begin("begin_boot")
        self.boots[boot_id] = (node_id, now)
        self._end()

    async def heartbeat(self, boot_id: str, now: int) -> None:
        await self._begin("heartbeat")
        if boot_id in self.boots:
            self.boots[boot_id] = (self.boots[boot_id][0], now)
        self._end()

    async def purge(self, before: int) -> int:
        over = [session_id for session_id, row in self.rows.items() if row.fin_time < before]
        for session_id in over:
            del self.rows[session_id]
        return len(over)

    async def end_boot(self, boot_id: str) -> None:
        await self._begin("end_boot")
        assert not any(facts.boot_id == boot_id for facts in self.live.values()), "a boot ends after its sessions"
        self.boots.pop(boot_id, None)
        self._end()

    async def close_lapsed(self, node_id: str, boot_id: str, lapsed_before: int) -> list[SessionFacts]:
        await self._begin("close_lapsed")
        dead = {
            boot: beat
            for boot, (node, beat) in self.boots.items()
            if boot != boot_id and (node == node_id or beat < lapsed_before)
        }
        ended = [facts for facts in self.live.values() if facts.boot_id in dead]
        for facts in ended:
            fin_time = max(facts.pub_time, dead[facts.boot_id])
            self._close(HistoryRow(facts, fin_time, BreakCode.SUCCESS, Reason.CRASH))
        for boot in dead:
            del self.boots[boot]
        self._end()
        return ended

    async def open(self, facts: SessionFacts) -> None:
        await self._begin("open")
        if facts.session_id not in self.rows:
            self.live.setdefault(facts.session_id, facts)
        self._end()

    async def close(self, row: HistoryRow) -> None:
        await self._begin("close")
        self._close(row)
        self._end()

    def _close(self, row: HistoryRow) -> None:
        self.live.pop(row.facts.session_id, None)
        self.rows.setdefault(row.facts.session_id, row)

    async def page(self, query: HistoryQuery) -> HistoryPage:
        await self._begin("page")
        rows = [row for row in self.rows.values() if _asked(row, query)]
        rows.sort(key=lambda row: (row.facts.pub_time, row.facts.session_id), reverse=not query.ascending)
        self._end()
        return HistoryPage(rows[query.offset : query.offset + query.limit], len(rows))

    async def spans(
        self, unique_name: str, app: str, pubdomain: str, stream: str | None, start: int, end: int, limit: int
    ) -> list[Span]:
        await self._begin("spans")
        sessions: list[tuple[SessionFacts, int | None]] = [(facts, None) for facts in self.live.values()]
        sessions += [(row.facts, row.fin_time) for row in self.rows.values() if row.accepted]
        found = [
            (facts, fin_time)
            for facts, fin_time in sessions
            if (facts.key.unique_name, facts.key.app, facts.key.pubdomain) == (unique_name, app, pubdomain)
            and stream in (None, facts.key.stream)
            and facts.pub_time < end
            and (fin_time is None or fin_time > start or facts.pub_time == fin_time == start)
        ]
        found.sort(key=lambda session: (session[0].pub_time, session[0].session_id))
        self._end()
        return [Span(facts.key.stream, facts.pub_time, fin_time) for facts, fin_time in found[: limit + 1]]


def _asked(row: HistoryRow, query: HistoryQuery) -> bool:
    key = row.facts.key
    if (key.unique_name, key.app, key.pubdomain) != (query.unique_name, query.app, query.pubdomain):
        return False
    if query.stream not in (None, key.stream) or not query.start <= row.facts.pub_time <= query.end:
        return False
    return (not row.accepted or row.code != BreakCode.SUCCESS) if query.errors else row.accepted


class MemoryBlacklist(_Twin):
    """BlacklistPort."""

    def __init__(self) -> None:
        super().__init__()
        self.bans: dict[StreamKey, Ban] = {}
        self.version = 0

    async def forbid(self, key: StreamKey, now: int, till: int, permanent: bool) -> Ban | None:
        await self._begin("forbid")
        known = self.bans.get(key)
        if known is not None and known.active(now) and known.forbid_time == now:
            return None
        self.version += 1
        ban = self.bans[key] = Ban(key, now, till, permanent, resumed=False, version=self.version)
        self._end()
        return ban

    async def resume(self, key: StreamKey, now: int) -> Ban | None:
        await self._begin("resume")
        known = self.bans.get(key)
        if known is None or not known.active(now):
            return None
        self.version += 1
        ban = self.bans[key] = replace(known, resumed=True, version=self.version)
        self._end()
        return ban

    async def since(self, version: int) -> list[Ban]:
        await self._begin("since")
        self._end()
        return sorted((ban for ban in self.bans.values() if ban.version > version), key=lambda ban: ban.version)


class MemoryKeys(_Twin):
    """KeysPort."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, AccessKey] = {}
        self.version = 0

    async def create(self, account_id: str, access_key: str, secret_key: str, now: int) -> AccessKey:
        await self._begin("create")
        if access_key in self.keys:
            raise ValueError(f"access key {access_key} exists already")
        self.version += 1
        key = self.keys[access_key] = AccessKey(access_key, secret_key, account_id, True, now, self.version)
        self._end()
        return key

    async def disable(self, access_key: str, now: int) -> AccessKey | None:
        await self._begin("disable")
        known = self.keys.get(access_key)
        if known is None or not known.enabled:
            return known
        self.version += 1
        key = self.keys[access_key] = replace(known, enabled=False, version=self.version)
        self._end()
        return key

    async def since(self, version: int) -> list[AccessKey]:
        await self._begin("since")
        self._end()
        return sorted((key for key in self.keys.values() if key.version > version), key=lambda key: key.version)
