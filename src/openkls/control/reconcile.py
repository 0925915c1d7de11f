"""Keeping this process and the store of one mind. Rule: memory follows the store's versions, and never runs ahead of
what has been read in order.

Theory of operation. At the start the sessions of dead processes are ended and the bans and keys are read, before
anything listens. Then a heartbeat every HEARTBEAT_SECONDS vouches for all sessions of the process, and every
SYNC_SECONDS the rows above the versions known are read again: a row whose writer was cancelled, or that another
process wrote, is late by seconds, not lost.

While the store is away nobody's heartbeat gets there. Whoever comes back to it first finds all others silent for longer
than their lease: only who has been in touch for a whole lease declares others dead. A process that was declared dead
and lives, as it alone had lost its way to the store, takes its sessions back with its next heartbeat.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from openkls.control.forbid import Forbids
from openkls.control.keyring import KeyRing
from openkls.domain.blacklist import Blacklist
from openkls.domain.errors import BusinessError, StoreUnavailable
from openkls.domain.ports import BlacklistPort, HistoryPort, KeysPort
from openkls.domain.registry import Registry

log = logging.getLogger("openkls.control.reconcile")

HEARTBEAT_SECONDS = 5.0
# Three heartbeats missed: the process is dead, or as good as dead to its broadcasters.
LEASE_SECONDS = 15
DAY_SECONDS = 86400
SYNC_SECONDS = 2.0
PURGE_SECONDS = 3600.0
# A row read from the store may be on its way to the blacklist as long as its caller's deadline; hours are plenty.
PRUNE_SECONDS = 3600.0


class Reconcile:
    """The loops of one boot."""

    def __init__(
        self,
        history: HistoryPort,
        bans: BlacklistPort,
        keys: KeysPort,
        forbids: Forbids,
        blacklist: Blacklist,
        registry: Registry,
        key_ring: KeyRing,
        boot_id: str,
        node_id: str,
        retention_days: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._history = history
        self._bans = bans
        self._keys = keys
        self._forbids = forbids
        self._blacklist = blacklist
        self._registry = registry
        self._key_ring = key_ring
        self._boot_id = boot_id
        self._node_id = node_id
        self._retention_seconds = retention_days * DAY_SECONDS
        self._clock = clock
        self._ban_version = 0
        self._key_version = 0
        self._account_version = 0
        self._prunable = 0
        self._reading: asyncio.Task[None] | None = None
        self._next_reading: asyncio.Task[None] | None = None
        self._sync_now = asyncio.Event()
        self._in_touch_since: float | None = None
        self._forgotten = False
        """Others took this process for dead, and what they did about it is not undone yet."""
        self.store_reachable = True

    async def start(self) -> int:
        """Begin the boot: returns how many sessions of dead processes were ended. Raises StoreUnavailable."""
        now = int(self._clock())
        self._in_touch_since = asyncio.get_running_loop().time()
        await self._history.begin_boot(self._boot_id, self._node_id, now)
        # Of this node's data folder only: others may be as new to the store as this process is.
        ended = await self._history.close_lapsed(self._node_id, self._boot_id, 0)
        await self.sync()
        return len(ended)

    async def sync(self) -> None:
        """Read what has changed in the store since the last time. Raises StoreUnavailable."""
        await self._sync_bans()
        for key in await self._keys.since(self._key_version):
            if not self._key_ring.apply(key):
                log.error(
                    "key %s is in the store and in the configuration: the configuration's is used", key.access_key
                )
            self._key_version = key.version
        for switch in await self._keys.accounts_since(self._account_version):
            self._key_ring.apply_switch(switch)
            self._account_version = switch.version

    async def _sync_bans(self) -> None:
        for ban in await self._bans.since(self._ban_version):
            with contextlib.suppress(BusinessError):  # logged where it happened; the ban holds
                self._forbids.apply(ban)
            # Another reading may have got further meanwhile.
            self._ban_version = max(self._ban_version, ban.version)

    def sync_soon(self) -> None:
        """Have ``run`` read the store now: something there is known to have changed, or may have."""
        self._sync_now.set()

    async def newer_bans(self) -> None:
        """Read the bans made until this call, and raise nothing: a store that does not answer has told so elsewhere.

        Many may ask at once: one reading serves all who asked before it began.
        """
        if self._next_reading is None:
            self._next_reading = asyncio.create_task(self._read_after(self._reading))
        await asyncio.wait([self._next_reading])

    async def _read_after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._reading, self._next_reading = self._next_reading, None
        try:
            await self._sync_bans()
        except StoreUnavailable as error:
            log.debug("a publish is admitted by the bans known here: %s", error)
        except Exception:
            log.exception("the bans could not be read")

    async def beat(self) -> None:
        """Vouch for this process's sessions, and end those of processes nobody vouches for. Raises StoreUnavailable."""
        now = int(self._clock())
        began = asyncio.get_running_loop().time()
        try:
            self._forgotten |= not await self._history.heartbeat(self._boot_id, now)
            if self._forgotten:
                await self._revive()
        except StoreUnavailable:
            self._in_touch_since = None
            raise
        if self._in_touch_since is None:
            self._in_touch_since = began
        judges = began - self._in_touch_since >= LEASE_SECONDS
        ended = await self._history.close_lapsed(self._node_id, self._boot_id, now - LEASE_SECONDS if judges else 0)
        for facts in ended:
            log.warning("session %s of a dead process ended at its last heartbeat", facts.session_id)

    async def _revive(self) -> None:
        revived = await self._history.revive([session.facts for session in self._registry.sessions()])
        self._forgotten = False
        log.warning("others took this process for dead; %d of its sessions had been ended and live on", len(revived))

    async def purge(self) -> None:
        """Delete history older than the retention. Raises StoreUnavailable."""
        before = int(self._clock()) - self._retention_seconds
        # Whole days (UTC): where history is kept by days, one goes at once, and no row is deleted alone.
        purged = await self._history.purge(before - before % DAY_SECONDS)
        if purged:
            log.info("%d rows of history were over their retention and are deleted", purged)

    def prune(self) -> None:
        """Forget bans that are over and were read at least one call ago."""
        self._blacklist.prune(self._clock(), self._prunable)
        self._prunable = self._ban_version

    async def run(self) -> None:
        """All loops, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(HEARTBEAT_SECONDS, self.beat))
            group.create_task(self._every(SYNC_SECONDS, self.sync, self._sync_now))
            group.create_task(self._every(PURGE_SECONDS, self.purge))
            group.create_task(self._prune_now_and_then())

    async def _prune_now_and_then(self) -> None:
        # Not one of the steps below: it asks the store nothing, and so says nothing about whether it answers.
        while True:
            await asyncio.sleep(PRUNE_SECONDS)
            self.prune()

    async def _every(
        self, seconds: float, step: Callable[[], Awaitable[None]], sooner: asyncio.Event | None = None
    ) -> None:
        sooner = sooner or asyncio.Event()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await sooner.wait()
            sooner.clear()
            try:
                await step()
            except Exception as error:
                # A loop that ended would leave this process's sessions to be declared dead.
                if not isinstance(error, StoreUnavailable):
                    log.exception("%s failed", step.__name__)
                    continue
                if self.store_reachable:
                    log.error("the store does not answer: %s; live streams go on, what they write waits", error)
                self.store_reachable = False
            else:
                if not self.store_reachable:
                    log.warning("the store answers again")
                self.store_reachable = True
