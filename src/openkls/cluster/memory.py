"""The ephemeral ports without Redis: what the contract suite holds Redis to, and what models stand on.

Rule: every method is one step, without an await inside; time is the clock handed in.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from openkls.domain.keys import StreamName
from openkls.domain.ports import LEASE_SECONDS, Hold, Part, Posted
from openkls.domain.rates import Rates


@dataclass(frozen=True, slots=True)
class _Claim:
    owner: str
    token: str
    silent: bool
    contest_until: float
    expires: float


class MemoryCluster:
    """All ports at once, for any number of processes on one loop. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._claims: dict[StreamName, _Claim] = {}
        self._posted: dict[str, tuple[Mapping[Part, Posted], float]] = {}
        self._listeners: list[Callable[[bytes], None]] = []
        self._rates = Rates()

    def flush(self) -> None:
        """Lose everything, as a Redis does that comes back empty."""
        self._claims.clear()
        self._posted.clear()
        self._rates = Rates()

    # -- claims

    async def take(self, name: StreamName, owner: str, token: str, contest_seconds: float = 0.0) -> bool:
        """ClaimsPort.take."""
        now, found = self._clock(), self._claim(name)
        if found is not None and found.owner != owner and not found.silent:
            return False
        self._claims[name] = _Claim(owner, token, False, now + contest_seconds, now + LEASE_SECONDS)
        return True

    async def hold(self, owner: str, holds: Mapping[StreamName, Hold], contest_seconds: float) -> list[StreamName]:
        """ClaimsPort.hold."""
        now, lost = self._clock(), []
        for name, hold in holds.items():
            found = self._claim(name)
            if found is None:
                contest_until = now + contest_seconds
            elif found.owner == owner or (now < found.contest_until and hold.token < found.token):
                contest_until = found.contest_until
            else:
                lost.append(name)
                continue
            self._claims[name] = _Claim(owner, hold.token, hold.silent, contest_until, now + LEASE_SECONDS)
        return lost

    async def release(self, owner: str, tokens: Mapping[StreamName, frozenset[str]]) -> None:
        """ClaimsPort.release."""
        for name, known in tokens.items():
            found = self._claim(name)
            if found is not None and found.owner == owner and found.token in known:
                del self._claims[name]

    async def is_held(self, name: StreamName) -> bool:
        """ClaimsPort.is_held."""
        return self._claim(name) is not None

    def _claim(self, name: StreamName) -> _Claim | None:
        found = self._claims.get(name)
        return found if found is not None and self._clock() < found.expires else None

    # -- snapshots

    async def post(self, boot_id: str, snapshot: Mapping[Part, Posted]) -> None:
        """SnapshotsPort.post."""
        self._posted[boot_id] = snapshot, self._clock() + LEASE_SECONDS

    async def renew(self, boot_id: str, number: int) -> bool:
        """SnapshotsPort.renew."""
        posted, expires = self._posted.get(boot_id, (None, 0.0))
        if posted is None or posted[Part.READINGS].number != number or self._clock() >= expires:
            return False
        self._posted[boot_id] = posted, self._clock() + LEASE_SECONDS
        return True

    async def withdraw(self, boot_id: str) -> None:
        """SnapshotsPort.withdraw."""
        self._posted.pop(boot_id, None)

    async def newer(
        self, parts: Sequence[Part], known: Mapping[str, Mapping[Part, int]]
    ) -> dict[str, dict[Part, Posted]]:
        """SnapshotsPort.newer."""
        now = self._clock()
        return {
            boot_id: {part: posted[part] for part in parts if known.get(boot_id, {}).get(part) != posted[part].number}
            for boot_id, (posted, expires) in self._posted.items()
            if now < expires
        }

    # -- bus

    async def tell(self, message: bytes) -> None:
        """BusPort.tell."""
        for receive in tuple(self._listeners):
            receive(message)

    async def listen(self, receive: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        """BusPort.listen."""
        self._listeners.append(receive)
        try:
            connected()
            await asyncio.get_running_loop().create_future()
        finally:
            self._listeners.remove(receive)

    # -- rates

    async def accept(self, caller: tuple[str, ...], requests: int, per_seconds: float) -> float:
        """RatesPort.accept."""
        return self._rates.take(caller, requests, per_seconds, self._clock())
