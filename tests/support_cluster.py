"""The ephemeral ports as tests are given them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openkls.domain.ports import BusPort, ClaimsPort, RatesPort, SnapshotsPort


@dataclass
class Ports:
    """The ephemeral ports, and a way to let their leases lapse."""

    kind: str
    claims: ClaimsPort
    snapshots: SnapshotsPort
    bus: BusPort
    rates: RatesPort
    lapse: Callable[[str], Any]
    """Ends the lease of everything whose name holds this."""
    other_bus: BusPort
