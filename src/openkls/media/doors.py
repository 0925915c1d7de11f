"""What the media listeners share: who may connect, who may play, and what they ask.

Rule: counted at the door, freed when it closes.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Generic, TypeVar

from openkls.codec import pushauth
from openkls.control.admit import Admission
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.origin import AddressCap
from openkls.domain.ports import Whereabouts
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode
from openkls.media.hub import Hub
from openkls.media.hubs import Hubs
from openkls.media.polling import gather_ms
from openkls.model import load

T = TypeVar("T")


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
class Elsewhere:
    """A viewer may watch this, which another process of the cluster publishes."""

    name: StreamName
    domain_id: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A viewer may not watch: 404, no such stream is live, or 403, and why."""

    status: HTTPStatus
    text: str


NOT_LIVE: Final = TurnedAway(HTTPStatus.NOT_FOUND, "No such stream is live.")


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
    whereabouts: Whereabouts | None = None
    """Of the streams of other processes; None where there is no cluster."""
    faults: dict[str, int] = field(default_factory=dict)
    """How often a connection ended by the peer's fault, by the limit or "malformed"."""

    def seat(self, host: str, app: str, stream: str, query: str) -> Seated | Elsewhere | TurnedAway:
        """Whether a play URL's host, names and raw query let a viewer in, and to what."""
        seat = self.directory.seat(host, app, stream, self.registry, self.whereabouts)
        hub = self.hubs.find(seat.name) if seat is not None else None
        if seat is None or (hub is None and self.registry.holder(seat.name)):
            return NOT_LIVE
        if seat.domain is not None and seat.domain.auth == "md5":
            verdict = int(pushauth.check_md5(seat.domain.keys, stream, query, int(self.clock())))
            if verdict != BreakCode.SUCCESS:
                return TurnedAway(HTTPStatus.FORBIDDEN, load().break_codes[verdict].text)
        return Elsewhere(seat.name, seat.domain_id) if hub is None else Seated(hub, seat.domain_id)

    async def is_beginning(self, host: str, app: str, stream: str) -> bool:
        """Whether what a play URL asks for, and ``seat`` did not find, has begun in another process and is found now.
        By an address that stands for several spaces nobody is waited for."""
        seats = self.directory.seats(host, app, stream)
        if self.whereabouts is None or len(seats) != 1 or self.registry.holder(seats[0].name) is not None:
            return False
        return await self.whereabouts.hears_of(seats[0].name)

    def open_hub(self, key: StreamKey) -> Hub:
        """The hub of a publish that begins, as its app is set up."""
        return self.hubs.open(key.name, gather_ms(self.merge_ms_of(key)))

    def merge_ms_of(self, key: StreamKey) -> int:
        """For how long media of a stream is gathered before it goes to viewers, as its app is set up."""
        merge_ms = self.directory.settings(key.name).merge_ms
        return self.merge_ms if merge_ms is None else merge_ms

    def suspend_hub(self, hub: Hub, key: StreamKey) -> None:
        """End a publish whose publisher may come back, as its app is set up."""
        self.hubs.suspend(hub, key, self.grace_seconds_of(key.name))

    def grace_seconds_of(self, name: StreamName) -> float:
        """How long viewers of a stream wait for a publisher that left, as its app is set up."""
        grace_seconds = self.directory.settings(name).republish_grace_seconds
        return self.grace_seconds if grace_seconds is None else grace_seconds

    def count_fault(self, limit: str) -> None:
        """Count a connection ended by a ProtocolError."""
        self.faults[limit or "malformed"] = self.faults.get(limit or "malformed", 0) + 1
