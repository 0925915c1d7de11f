"""In-memory twins of the durable ports, honest to domain/ports.py, and failing on demand.

Rule: a twin keeps every promise of its port but durability. Each call suspends at least once, as a store's would, so
that a test's interleavings are real. ``down`` is raised instead of working; ``down_after`` is raised after the work
has been done (a store that did it and failed to say so); ``gate`` holds calls until it is set.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openkls.domain.audit import NOBODY, AuditEntry, AuditQuery, Author
from openkls.domain.blacklist import Ban
from openkls.domain.keys import StreamKey
from openkls.domain.ports import AccessKey, AccountSwitch, Boot, HistoryPage, HistoryQuery, Span
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
        self._begun: dict[str, str] = {}
        self._started: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self.live: dict[str, SessionFacts] = {}
        self.rows: dict[str, HistoryRow] = {}

    async def begin_boot(self, boot_id: str, node_id: str, now: int) -> None:
        await self._begin("begin_boot")
        self.boots[boot_id] = (node_id, now)
        self._started.setdefault(boot_id, now)
        self._begun[boot_id] = node_id
        self._end()

    async def heartbeat(self, boot_id: str, now: int) -> bool:
        await self._begin("heartbeat")
        if boot_id in self._begun:
            if boot_id not in self.boots:
                self._forgotten.add(boot_id)
            self.boots[boot_id] = (self._begun[boot_id], now)
        self._end()
        known = boot_id not in self._forgotten
        self._forgotten.discard(boot_id)
        return known

    async def revive(self, sessions: Sequence[SessionFacts]) -> list[SessionFacts]:
        await self._begin("revive")
        revived = [
            facts for facts in sessions if (row := self.rows.get(facts.session_id)) and row.reason is Reason.CRASH
        ]
        for facts in revived:
            del self.rows[facts.session_id]
            self.live[facts.session_id] = facts
        self._end()
        return revived

    async def purge(self, before: int) -> int:
        over = [session_id for session_id, row in self.rows.items() if row.fin_time < before]
        for session_id in over:
            del self.rows[session_id]
        return len(over)

    async def known_boots(self) -> list[Boot]:
        await self._begin("known_boots")
        self._end()
        known = [Boot(boot_id, self._started[boot_id], heartbeat) for boot_id, (_, heartbeat) in self.boots.items()]
        return sorted(known, key=lambda boot: (boot.started_at, boot.boot_id))

    async def end_boot(self, boot_id: str) -> None:
        await self._begin("end_boot")
        assert not any(facts.boot_id == boot_id for facts in self.live.values()), "a boot ends after its sessions"
        self.boots.pop(boot_id, None)
        self._begun.pop(boot_id, None)
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
        known = self.rows.get(row.facts.session_id)
        if known is None or (known.reason is Reason.CRASH and row.reason is not Reason.CRASH):
            self.rows[row.facts.session_id] = row

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
    """BlacklistPort; its changes are written to ``audit``."""

    def __init__(self, audit: "MemoryAudit | None" = None) -> None:
        super().__init__()
        self.bans: dict[StreamKey, Ban] = {}
        self.audit = audit or MemoryAudit()
        self.version = 0

    async def forbid(
        self, key: StreamKey, now: int, till: int, permanent: bool, entry: AuditEntry | None = None
    ) -> Ban | None:
        await self._begin("forbid")
        known = self.bans.get(key)
        if known is not None and known.active(now) and known.forbid_time == now:
            return None
        self.version += 1
        ban = self.bans[key] = Ban(key, now, till, permanent, resumed=False, version=self.version)
        self._note(entry)
        self._end()
        return ban

    async def resume(self, key: StreamKey, now: int, entry: AuditEntry | None = None) -> Ban | None:
        await self._begin("resume")
        known = self.bans.get(key)
        if known is None or not known.active(now):
            return None
        self.version += 1
        ban = self.bans[key] = replace(known, resumed=True, version=self.version)
        self._note(entry)
        self._end()
        return ban

    async def since(self, version: int) -> list[Ban]:
        await self._begin("since")
        self._end()
        return sorted((ban for ban in self.bans.values() if ban.version > version), key=lambda ban: ban.version)

    def _note(self, entry: AuditEntry | None) -> None:
        if entry is not None:
            self.audit.note(entry)


class MemoryKeys(_Twin):
    """KeysPort."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, AccessKey] = {}
        self.switches: dict[str, AccountSwitch] = {}
        self.audit: list[AuditEntry] = []
        self.trail: MemoryAudit | None = None
        """Where the rows go too, if anywhere."""
        self.version = 0

    async def create(
        self,
        account_id: str,
        access_key: str,
        secret_key: str,
        now: int,
        policy: str | None = None,
        by: Author = NOBODY,
    ) -> AccessKey:
        await self._begin("create")
        if access_key in self.keys:
            raise ValueError(f"the access key {access_key} exists already")
        self.version += 1
        key = AccessKey(access_key, secret_key, account_id, True, now, self.version, policy)
        self.keys[access_key] = key
        detail = "with a policy" if policy is not None else ""
        self._note(AuditEntry(now, account_id, by, "CreateKey", access_key, "0", detail))
        self._end()
        return key

    async def disable(self, access_key: str, now: int, by: Author = NOBODY) -> AccessKey | None:
        await self._begin("disable")
        known = self.keys.get(access_key)
        if known is None or not known.enabled:
            return known
        key = self._change(known, enabled=False)
        self._note(AuditEntry(now, known.account_id, by, "DisableKey", access_key, "0"))
        self._end()
        return key

    async def rotate(
        self,
        access_key: str,
        new_access_key: str,
        new_secret_key: str,
        now: int,
        expires_at: int,
        by: Author = NOBODY,
    ) -> tuple[AccessKey, AccessKey] | None:
        await self._begin("rotate")
        known = self.keys.get(access_key)
        if known is None:
            return None
        if not known.lives(now):
            raise ValueError(f"the access key {access_key} is {'expired' if known.enabled else 'disabled'}")
        if new_access_key in self.keys:
            raise ValueError(f"the access key {new_access_key} exists already")
        end = expires_at if known.expires_at is None else min(expires_at, known.expires_at)
        old = self._change(known, expires_at=end)
        self.version += 1
        new = AccessKey(new_access_key, new_secret_key, known.account_id, True, now, self.version, known.policy)
        self.keys[new_access_key] = new
        detail = f"successor {new_access_key}, ends at {end}"
        self._note(AuditEntry(now, known.account_id, by, "RotateKey", access_key, "0", detail))
        self._end()
        return old, new

    async def set_policy(self, access_key: str, policy: str | None, now: int, by: Author = NOBODY) -> AccessKey | None:
        await self._begin("set_policy")
        known = self.keys.get(access_key)
        if known is None or known.policy == policy:
            return known
        key = self._change(known, policy=policy)
        detail = "cleared" if policy is None else policy
        self._note(AuditEntry(now, known.account_id, by, "SetKeyPolicy", access_key, "0", detail))
        self._end()
        return key

    async def since(self, version: int) -> list[AccessKey]:
        await self._begin("since")
        self._end()
        return sorted((key for key in self.keys.values() if key.version > version), key=lambda key: key.version)

    async def switch_account(self, account_id: str, disabled: bool, now: int, by: Author = NOBODY) -> AccountSwitch:
        await self._begin("switch_account")
        known = self.switches.get(account_id, AccountSwitch(account_id, False, 0))
        if known.disabled == disabled:
            return known
        self.version += 1
        switch = self.switches[account_id] = AccountSwitch(account_id, disabled, self.version)
        action = "DisableAccount" if disabled else "EnableAccount"
        self._note(AuditEntry(now, account_id, by, action, account_id, "0"))
        self._end()
        return switch

    async def accounts_since(self, version: int) -> list[AccountSwitch]:
        await self._begin("accounts_since")
        self._end()
        return sorted(
            (each for each in self.switches.values() if each.version > version), key=lambda each: each.version
        )

    def _change(self, known: AccessKey, **changes: Any) -> AccessKey:
        self.version += 1
        key = self.keys[known.access_key] = replace(known, version=self.version, **changes)
        return key

    def _note(self, entry: AuditEntry) -> None:
        self.audit.append(replace(entry, number=len(self.audit) + 1))
        if self.trail is not None:
            self.trail.note(entry)


class MemoryAudit(_Twin):
    """AuditPort."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[AuditEntry] = []

    async def append(self, entry: AuditEntry) -> None:
        await self._begin("append")
        self.note(entry)
        self._end()

    def note(self, entry: AuditEntry) -> None:
        """What the transaction of a change does."""
        self.rows.append(replace(entry, number=len(self.rows) + 1))

    async def read(self, query: AuditQuery) -> list[AuditEntry]:
        await self._begin("read")
        found = [
            row
            for row in self.rows
            if row.at >= query.since
            and query.action in (None, row.action)
            and query.access_key in (None, row.author.access_key)
            and query.account_id in (None, row.account_id)
        ]
        self._end()
        newest = sorted(found, key=lambda row: (row.at, row.number), reverse=True)
        return newest[query.offset : query.offset + query.limit]

    async def count(self, account_id: str, most: int) -> int:
        await self._begin("count")
        self._end()
        return min(most, sum(row.account_id == account_id for row in self.rows))
