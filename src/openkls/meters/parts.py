"""The parts of a process that metrics are read from, as far as it has them. Rule: handed over by the composition root;
read, never changed."""

import time
from dataclasses import dataclass, field

from openkls.api import Listener
from openkls.api.ledger import Ledger
from openkls.api.tls import Certificate
from openkls.control.admit import Admission
from openkls.control.audit import AuditTrail
from openkls.control.callbacks import Callbacks
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.control.journal import Journal
from openkls.control.membership import Membership
from openkls.control.reconcile import Reconcile
from openkls.domain.backoff import Backoff
from openkls.domain.blacklist import Blacklist
from openkls.domain.origin import AddressCap
from openkls.domain.rates import Rates
from openkls.domain.registry import Registry
from openkls.domain.viewers import Viewers
from openkls.hooks.authority import PushHooks
from openkls.media.doors import Doors
from openkls.media.hls import Hls
from openkls.media.hls_proxy import HlsProxy
from openkls.media.hubs import Hubs
from openkls.media.play import PlayListener
from openkls.media.relay import Relays
from openkls.media.relay_port import RelayPort
from openkls.media.rtmp_listener import RtmpListener
from openkls.meters.redis import Redis
from openkls.store import Store


@dataclass(frozen=True, slots=True)
class Media:
    """The media ports of a process."""

    doors: Doors
    hls: Hls
    rtmp: RtmpListener
    play: PlayListener
    relay_port: RelayPort | None
    relays: Relays | None
    proxy: HlsProxy | None


@dataclass(slots=True)
class Parts:
    """One process; what is None it does not have, or not yet."""

    version: str
    role: str
    node: str
    directory: Directory
    registry: Registry
    viewers: Viewers
    blacklist: Blacklist
    endings: Endings
    admission: Admission
    journal: Journal
    hooks: PushHooks
    hubs: Hubs
    audit: AuditTrail
    rates: Rates
    reconcile: Reconcile
    store: Store
    callbacks: Callbacks | None = None
    membership: Membership | None = None
    redis: Redis | None = None
    media: Media | None = None
    backoff: Backoff | None = None
    ledger: Ledger | None = None
    api_cap: AddressCap | None = None
    certificate: Certificate | None = None
    listeners: list[Listener] = field(default_factory=list)
    """The API's ports."""
    started_at: float = field(default_factory=time.time)
