"""DescribeNodes: the processes of the service, and what each has of the account's streams (version 2026-01-01).

Rule: answered also while the store is away: then without the times that only it knows, and without those processes
that only it has heard of.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from openkls.api.services import Place, Services
from openkls.control.live import Load
from openkls.control.reconcile import LEASE_SECONDS
from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import Boot
from openkls.domain.quality import round_half_up

log = logging.getLogger("openkls.api")

KBPS_BPS: Final = 1000


async def describe_nodes(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """This process, the others that show something, and those that only the store knows."""
    names = frozenset(space.unique_name for space in services.directory.spaces(place.account_id))
    here, *others = await services.live.loads(names, services.monotonic)
    boots = {boot.boot_id: boot for boot in await _boots(services)}
    now = int(services.clock())
    own = boots.pop(services.boot_id, None)
    rows = [_row(services.node, services.boot_id, 0 if own is None else own.started_at, now, 1, here)]
    for load in others:
        boot = boots.pop(load.boot_id, None)
        heard = load.read_time if boot is None else max(load.read_time, boot.heartbeat_at)
        # What is shown is shown under a lease.
        rows.append(_row(load.node, load.boot_id, 0 if boot is None else boot.started_at, heard, 1, load))
    for boot in boots.values():
        lives = int(now - boot.heartbeat_at < LEASE_SECONDS)
        rows.append(_row("", boot.boot_id, boot.started_at, boot.heartbeat_at, lives, Load()))
    return {"Nodes": rows}


async def _boots(services: Services) -> list[Boot]:
    try:
        return await services.history.known_boots()
    except StoreUnavailable as error:
        log.warning("DescribeNodes: the store does not answer: %s", error)
        return []


def _row(node: str, boot_id: str, started_at: int, heard_at: int, lives: int, load: Load) -> dict[str, Any]:
    return {
        "Node": node,
        "BootId": boot_id,
        "StartTime": started_at,
        "UpdateTime": heard_at,
        "Live": lives,
        "Streams": load.streams,
        "OnlineUser": load.online,
        "BwReal": round_half_up(load.real_bps / KBPS_BPS, 1),
        "Bw": int(round_half_up(load.bps)),
    }
