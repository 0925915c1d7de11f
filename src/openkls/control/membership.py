"""This process as one of a cluster: its claims, its messages, what it shows, and the rates it shares.

Rule: wiring over the ephemeral ports; every loop outlives whatever they do.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from openkls.control.claims import Claims
from openkls.control.finish import Endings
from openkls.control.forbid import Forbids
from openkls.control.peers import Peers
from openkls.control.reconcile import Reconcile
from openkls.control.shared_rates import SharedRates
from openkls.control.signals import Signals, SnapshotShown
from openkls.domain.ports import BusPort, ClaimsPort, Link, RatesPort, SnapshotsPort
from openkls.domain.rates import Rates
from openkls.domain.registry import Registry
from openkls.domain.viewers import Viewers

log = logging.getLogger("openkls.control.membership")

# Of the 10 s a stop may take: names given back at once are free for an encoder that comes back elsewhere.
LEAVE_SECONDS = 1.0


class Membership:
    """One process of a cluster. ``node_id`` is its lasting name, ``boot_id`` this life of it; ``has_lists`` as in
    Peers."""

    def __init__(
        self,
        link: Link,
        claims: ClaimsPort,
        snapshots: SnapshotsPort,
        bus: BusPort,
        rates: RatesPort,
        *,
        registry: Registry,
        viewers: Viewers,
        endings: Endings,
        forbids: Forbids,
        reconcile: Reconcile,
        local_rates: Rates,
        node_id: str,
        boot_id: str,
        node: str,
        has_lists: bool,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.claims = Claims(claims, link, registry, endings, node_id, clock, monotonic)
        self.peers = Peers(
            snapshots,
            link,
            registry,
            viewers,
            boot_id,
            node,
            has_lists,
            self._tell_shown,
            clock,
            monotonic,
            claims.is_held,
            endings.failures,
        )
        self.signals = Signals(
            bus, claims, forbids, registry, reconcile.sync_soon, self.peers.follow_soon, self.peers.lists, clock
        )
        self.rates = SharedRates(rates, local_rates)
        self._boot_id = boot_id
        forbids.others = self.signals

    async def run(self) -> None:
        """All loops, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.claims.run(), name="claims")
            group.create_task(self.peers.run(), name="peers")
            group.create_task(self.signals.run(), name="signals")

    async def leave(self) -> None:
        """After ``run`` has been cancelled and every session has ended: give back what is left."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self.claims.step()
                await self.peers.withdraw()
        except TimeoutError:
            log.warning("the names of this process could not be given back; they are free when their lease ends")

    async def _tell_shown(self, names_changed: bool) -> None:
        await self.signals.tell(SnapshotShown(self._boot_id, names_changed))
