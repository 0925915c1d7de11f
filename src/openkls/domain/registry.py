"""Who publishes what, now. Rule: every gate is one synchronous step; between question and answer nothing else runs.

Theory of operation. A name is free or held by exactly one session. ``claim`` decides in one step whether the key is
forbidden, whether the name is busy, and inserts. A holder whose peer has been silent for SILENT_SECONDS yields: a
half-open connection must not lock its own encoder out. One that is still being opened does not: nothing is read from
it until it has its answer, which comes within the deadline of its opening. ``release`` frees a name only if the
session given still holds it, so a late goodbye never frees the successor's claim. ``evict`` takes the name away from
whoever holds that key.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from openkls.domain.blacklist import Blacklist
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.session import BreakCode, Session

# A live encoder sends several messages a second, and an encoder that lost its network comes back after a few
# seconds; TCP alone would notice only after minutes (design, flow (a) 5).
SILENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The outcome of a claim: ``refusal`` is None when granted; ``displaced`` then is the silent former holder."""

    refusal: BreakCode | None = None
    displaced: Session | None = None


def is_silent(holder: Session) -> bool:
    """Whether a holder yields its name to who comes next."""
    return holder.started and holder.publisher.silent_seconds() >= SILENT_SECONDS


class Registry:
    """The live sessions of this process, by name."""

    def __init__(self, blacklist: Blacklist) -> None:
        self._blacklist = blacklist
        self._holders: dict[StreamName, Session] = {}
        # Listing one app of one space must not walk every live stream of the process.
        self._by_app: dict[tuple[str, str], dict[StreamName, Session]] = {}
        self.changes = 0
        """Names taken and given up, since the start."""

    def __len__(self) -> int:
        return len(self._holders)

    def claim(self, session: Session, now: float) -> Claim:
        """Take the session's name at ``now`` (Unix seconds): FORBIDDEN, else ALREADY_EXISTS, else granted."""
        refusal = self.refusal(session.key, now)
        if refusal is not None:
            return Claim(refusal=refusal)
        holder = self._holders.get(session.key.name)
        if holder is not None:
            holder.evicted_with = BreakCode.SUCCESS
            self._remove(holder)
        self.changes += 1
        self._holders[session.key.name] = session
        self._by_app.setdefault((session.key.unique_name, session.key.app), {})[session.key.name] = session
        return Claim(displaced=holder)

    def refusal(self, key: StreamKey, now: float) -> BreakCode | None:
        """Why a claim of ``key`` at ``now`` (Unix seconds) would be refused; None when it would be granted."""
        if self._blacklist.forbids(key, now):
            return BreakCode.FORBIDDEN
        holder = self._holders.get(key.name)
        return BreakCode.ALREADY_EXISTS if holder is not None and not is_silent(holder) else None

    def release(self, session: Session) -> bool:
        """Free the session's name if the session still holds it; True when it did. Idempotent."""
        if not self.holds(session):
            return False
        self._remove(session)
        return True

    def evict(self, key: StreamKey, code: BreakCode) -> Session | None:
        """Take the name from the session that publishes under exactly ``key``; None when there is none."""
        holder = self._holders.get(key.name)
        if holder is None or holder.key != key:
            return None
        holder.evicted_with = code
        self._remove(holder)
        return holder

    def holds(self, session: Session) -> bool:
        """Whether this very session holds its name."""
        return self._holders.get(session.key.name) is session

    def holder(self, name: StreamName) -> Session | None:
        """The live session of a name, whatever its publish domain."""
        return self._holders.get(name)

    def forbids(self, key: StreamKey, now: float) -> bool:
        """Whether a claim of ``key`` at ``now`` (Unix seconds) would be refused as forbidden."""
        return self._blacklist.forbids(key, now)

    def sessions(self) -> Iterator[Session]:
        """All live sessions; a snapshot, safe against changes while it is walked."""
        return iter(tuple(self._holders.values()))

    def sessions_of(self, unique_name: str, app: str) -> tuple[Session, ...]:
        """The live sessions of one app of one space, in order of their claims; a snapshot."""
        return tuple(self._by_app.get((unique_name, app), {}).values())

    def apps(self) -> list[tuple[str, str]]:
        """The apps, each with its space, that have a live session."""
        return list(self._by_app)

    def _remove(self, session: Session) -> None:
        name = session.key.name
        self.changes += 1
        del self._holders[name]
        siblings = self._by_app[name.unique_name, name.app]
        del siblings[name]
        if not siblings:
            del self._by_app[name.unique_name, name.app]
