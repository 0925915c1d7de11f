"""What is live and who watches it, as the realtime lists show it. Rule: read-only, one synchronous pass."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openkls.domain.registry import Registry
from openkls.domain.session import Session
from openkls.domain.viewers import PullProtocol, Viewers

# Contract, 6: ListRealtimeStreamsInfo.
ROWS_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Pull:
    """The viewers of one pulled name; ``bps`` is what they are sent, bits a second."""

    stream: str
    online: int
    bps: float


@dataclass(frozen=True, slots=True)
class LiveStream:
    """A live source stream and the pulls of it and of its renditions, the source's first."""

    session: Session
    pulls: tuple[Pull, ...]

    @property
    def online(self) -> int:
        """Viewers of the source and its renditions."""
        return sum(pull.online for pull in self.pulls)

    @property
    def bps(self) -> float:
        """Bits a second sent to them."""
        return sum(pull.bps for pull in self.pulls)


class LiveStreams:
    """The live streams of this process."""

    def __init__(self, registry: Registry, viewers: Viewers) -> None:
        self._registry = registry
        self._viewers = viewers

    def sources(
        self,
        unique_name: str,
        app: str,
        suffixes: Sequence[str],
        protocol: PullProtocol,
        domain_ids: frozenset[str] | None,
        now: float,
    ) -> list[LiveStream]:
        """Every live stream of an app that is no rendition of another, newest push first, with its pulls by one
        protocol. ``now`` in monotonic seconds."""
        sessions = {session.key.stream: session for session in self._started(unique_name, app)}
        base_of = renditions(sessions, suffixes)
        pulled: dict[str, list[Pull]] = {}
        for name in self._viewers.watched(unique_name, app):
            audience = self._viewers.audience(name, protocol, domain_ids, now)
            if audience.online:
                pull = Pull(name.stream, audience.online, audience.bps)
                pulled.setdefault(base_of.get(name.stream, name.stream), []).append(pull)
        rows = [
            LiveStream(session, tuple(sorted(pulled.get(stream, ()), key=lambda pull: pull.stream)))
            for stream, session in sessions.items()
            if stream not in base_of
        ]
        rows.sort(key=lambda row: (-row.session.facts.pub_time, row.session.key.stream))
        return rows

    def published(self, unique_name: str, app: str, pubdomain: str) -> list[Session]:
        """The live sessions of an app pushed through one publish domain, in no particular order."""
        return [session for session in self._started(unique_name, app) if session.key.pubdomain == pubdomain]

    def _started(self, unique_name: str, app: str) -> list[Session]:
        """Without those that hold their name but whose encoder has not been answered yet: they may still be refused,
        and what is listed as live is in the store."""
        return [session for session in self._registry.sessions_of(unique_name, app) if session.started]


def renditions(live: Iterable[str], suffixes: Sequence[str]) -> dict[str, str]:
    """Which live names are renditions, and of which source (contract, 6: a live name that is another live name plus
    one of the suffixes; the longest base on ambiguity). A rendition of a rendition belongs to the first source."""
    names = set(live)
    bases: dict[str, str] = {}
    for name in names:
        candidates = [name.removesuffix(suffix) for suffix in suffixes if suffix and name.endswith(suffix)]
        found = [base for base in candidates if base in names]
        if found:
            bases[name] = max(found, key=len)
    sources = {}
    for name in bases:
        source = name
        while source in bases:
            source = bases[source]
        sources[name] = source
    return sources
