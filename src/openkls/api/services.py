"""What the actions work with. Rule: values handed in by the composition root; nothing here is made or decided."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from openkls import config
from openkls.control.audit import AuditTrail, Deed
from openkls.control.directory import Directory
from openkls.control.forbid import Forbids
from openkls.control.keypairs import KeyPairs
from openkls.control.keyring import KeyRing
from openkls.control.live import LiveStreams
from openkls.control.shared_rates import SharedRates
from openkls.domain.backoff import Backoff
from openkls.domain.blacklist import Blacklist
from openkls.domain.origin import AddressCap
from openkls.domain.ports import HistoryPort
from openkls.domain.rates import Rates
from openkls.domain.series import Metrics


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request may touch. ``clock`` gives Unix seconds, ``monotonic`` the seconds rates are read by."""

    region: str
    regions: tuple[str, ...]
    """Further regions that a credential's scope may name."""
    timezone: ZoneInfo
    directory: Directory
    keys: KeyRing
    forbids: Forbids
    blacklist: Blacklist
    live: LiveStreams
    history: HistoryPort
    audit: AuditTrail
    rates: Rates
    backoff: Backoff
    cap: AddressCap
    """Of the connections to all ports of the API."""
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    metrics: Metrics
    """How what is live went of late."""
    key_pairs: KeyPairs
    node: str = ""
    """The address this node reports."""
    boot_id: str = ""
    """This life of the process."""
    rtmp_port: int = 0
    play_port: int = 0
    """Where media is served, by this process or by others of the service."""
    trusted_proxies: tuple[config.Network, ...] = ()
    """Whose word on where a request comes from is taken."""
    shared_rates: SharedRates | None = None
    """Where a cluster's processes keep the rates together; ``rates`` says whether they are enforced."""
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Lets so many seconds pass."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a request's names stand for, once they are known to be the caller's own."""

    account_id: str
    only: config.Space | None = None
    """The space asked about; None for all of the account's."""
    pubdomain: str = ""
    """The name the Pubdomain asked for is recorded under, never an alias; "" where the action takes none."""
    deed: Deed | None = None
    """The row of an action that is audited, to be written with the change it makes."""

    @property
    def space(self) -> config.Space:
        """The space asked about, of an action that cannot be asked without one."""
        if self.only is None:
            raise AssertionError("the action has to name a space")
        return self.only
