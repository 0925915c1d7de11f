"""What the media listeners share: who may connect, who may play, and what they ask.

Rule: counted at the door, freed when it closes.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, TypeVar

from openkls.codec import pushauth
from openkls.config import Network
from openkls.control.admit import Admission
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.domain.keys import StreamKey
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode
from openkls.media.hub import Hub
from openkls.media.hubs import Hubs
from openkls.model import load

T = TypeVar("T")


class AddressCap:
    """At most ``limit`` connections of one address; loopback and trusted proxies are exempt (design, ``[limits]``)."""

    def __init__(self, limit: int, trusted_proxies: Sequence[Network] = ()) -> None:
        self.limit = limit
        self._trusted_proxies = trusted_proxies
        self._counts: dict[str, int] = {}
        self.refused = 0

    def enter(self, address: str) -> bool:
        """Count a connection in; False (and not counted) when the address has as many as it may."""
        count = self._counts.get(address, 0)
        if count >= self.limit and not self.is_exempt(address):
            self.refused += 1
            return False
        self._counts[address] = count + 1
        return True

    def is_exempt(self, address: str) -> bool:
        """Whether many may come from this address."""
        return _is_loopback(address) or _is_within(address, self._trusted_proxies)

    def leave(self, address: str) -> None:
        """Count a connection out that entered."""
        count = self._counts[address] - 1
        if count:
            self._counts[address] = count
        else:
            del self._counts[address]


class Connections(Generic[T]):
    """The open connections of a listener."""

    def __init__(self) -> None:
        self._open: set[T] = set()
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[T]:
        """A snapshot, safe against changes while it is walked."""
        return iter(tuple(self._open))

    def add(self, connection: T) -> None:
        """One more."""
        self._open.add(connection)
        self._none.clear()

    def discard(self, connection: T) -> None:
        """One less. Idempotent."""
        self._open.discard(connection)
        if not self._open:
            self._none.set()

    async def gone(self, deadline_seconds: float) -> bool:
        """Wait until all have closed; False when the deadline came first."""
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._none.wait()
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Seated:
    """A viewer may watch this; ``domain_id`` is what DomainIds counts it under."""

    hub: Hub
    domain_id: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A viewer may not watch: 404, no such stream is live, or 403, and why."""

    status: HTTPStatus
    text: str


@dataclass(frozen=True, slots=True)
class Doors:
    """What a media connection asks; one for all listeners of a process."""

    admission: Admission
    endings: Endings
    directory: Directory
    registry: Registry
    hubs: Hubs
    cap: AddressCap
    clock: Callable[[], float]
    merge_ms: int
    grace_seconds: float = 0.0
    """How long viewers wait for a publisher that left."""
    faults: dict[str, int] = field(default_factory=dict)
    """How often a connection ended by the peer's fault, by the limit or "malformed"."""

    def seat(self, host: str, app: str, stream: str, query: str) -> Seated | TurnedAway:
        """Whether a play URL's host, names and raw query let a viewer in, and to what."""
        seat = self.directory.seat(host, app, stream, self.registry)
        hub = self.hubs.find(seat.name) if seat is not None else None
        if seat is None or hub is None:
            return TurnedAway(HTTPStatus.NOT_FOUND, "No such stream is live.")
        if seat.domain is not None and seat.domain.auth == "md5":
            verdict = int(pushauth.check_md5(seat.domain.keys, stream, query, int(self.clock())))
            if verdict != BreakCode.SUCCESS:
                return TurnedAway(HTTPStatus.FORBIDDEN, load().break_codes[verdict].text)
        return Seated(hub, seat.domain_id)

    def open_hub(self, key: StreamKey) -> Hub:
        """The hub of a publish that begins, as its app is set up."""
        merge_ms = self.directory.settings(key.name).merge_ms
        return self.hubs.open(key.name, self.merge_ms if merge_ms is None else merge_ms)

    def suspend_hub(self, hub: Hub, key: StreamKey) -> None:
        """End a publish whose publisher may come back, as its app is set up."""
        grace_seconds = self.directory.settings(key.name).republish_grace_seconds
        self.hubs.suspend(hub, key, self.grace_seconds if grace_seconds is None else grace_seconds)

    def count_fault(self, limit: str) -> None:
        """Count a connection ended by a ProtocolError."""
        self.faults[limit or "malformed"] = self.faults.get(limit or "malformed", 0) + 1


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
