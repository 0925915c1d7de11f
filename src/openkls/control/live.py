"""What is live and who watches it, as the realtime lists show it. Rule: read-only, each step one synchronous pass.

A list may have 10,000 rows, and the loop stands still in a pass: which streams there are is one pass, what is said of
each is asked for row by row, so that whoever asks can let others run in between. Rows are structs that the garbage
collector need not visit, as they are in no cycle.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from openkls.control.peers import NOWHERE, Elsewhere, Peers
from openkls.control.snapshot import Readings, RemoteStream
from openkls.domain.keys import StreamName
from openkls.domain.registry import Registry
from openkls.domain.session import Session
from openkls.domain.viewers import PullProtocol, Shares, Viewers

# Contract, 6: ListRealtimeStreamsInfo.
ROWS_LIMIT = 10_000
# Readings made at once: some 3 ms.
SLICE_ROWS = 500


class Pull(msgspec.Struct, frozen=True, gc=False):
    """The viewers of one pulled name; ``bps`` is what they are sent, bits a second."""

    stream: str
    online: int
    bps: float


class LiveStream(msgspec.Struct, frozen=True, gc=False):
    """A live source stream and the names whose viewers are its own: its name and its renditions', where watched."""

    session: Session | RemoteStream
    watched: Sequence[StreamName]


class Found(msgspec.Struct, frozen=True, gc=False):
    """A live stream, rendition or not, and what other processes show of its app."""

    session: Session | RemoteStream
    elsewhere: Elsewhere


class Load(msgspec.Struct, frozen=True, gc=False):
    """What one process has of some spaces: the streams it receives and the viewers it serves, in bits a second."""

    boot_id: str = ""
    node: str = ""
    read_time: int = 0
    """When it said so, in Unix seconds; 0 of this process."""
    streams: int = 0
    online: int = 0
    real_bps: float = 0.0
    bps: float = 0.0


class LiveStreams:
    """The live streams of this process and, where there are ``peers``, of all others. What is known of those is asked
    for first, and handed over to the methods as ``elsewhere``: of a stream that is here too, what is here counts."""

    def __init__(self, registry: Registry, viewers: Viewers, peers: Peers | None = None) -> None:
        self._registry = registry
        self._viewers = viewers
        self.peers = peers

    def sources(
        self, unique_name: str, app: str, suffixes: Sequence[str], elsewhere: Elsewhere = NOWHERE
    ) -> list[LiveStream]:
        """Every live stream of an app that is no rendition of another, newest push first."""
        sessions: dict[str, Session | RemoteStream] = dict(elsewhere.streams)
        sessions.update((session.facts.key.stream, session) for session in self._started(unique_name, app))
        base_of = renditions(sessions, suffixes)
        watched: dict[str, list[StreamName]] = {}
        names = self._viewers.watched(unique_name, app)
        if elsewhere.watched:
            names = list({*names, *(StreamName(unique_name, app, stream) for stream in elsewhere.watched)})
        for name in names:
            watched.setdefault(base_of.get(name.stream, name.stream), []).append(name)
        if base_of:
            for names in watched.values():
                names.sort()
        # Sorting keeps the order of equals: newest push first, then by name.
        order = sorted([stream for stream in sessions if stream not in base_of])
        order.sort(key=lambda stream: sessions[stream].facts.pub_time, reverse=True)
        return [LiveStream(sessions[stream], watched.get(stream, ())) for stream in order]

    def pulls(
        self,
        source: LiveStream,
        protocol: PullProtocol,
        domain_ids: frozenset[str] | None,
        now: float,
        elsewhere: Elsewhere = NOWHERE,
    ) -> list[Pull]:
        """The viewers of a source and its renditions by one protocol, the source's first. ``now`` in monotonic
        seconds."""
        pulls = []
        for name in source.watched:
            online, bps = self._viewers.audience(name, protocol, domain_ids, now)
            if elsewhere is not NOWHERE:
                others = elsewhere.audience(name.stream, protocol, domain_ids)
                online, bps = online + others.online, bps + others.bps
            if online:
                pulls.append(Pull(name.stream, online, bps))
        return pulls

    def published(
        self, unique_name: str, app: str, pubdomain: str, elsewhere: Elsewhere = NOWHERE
    ) -> list[Session | RemoteStream]:
        """The live sessions of an app pushed through one publish domain, in no particular order."""
        sessions: list[Session | RemoteStream] = list(self._started(unique_name, app))
        if elsewhere.streams:
            here = {session.key.stream for session in sessions}
            sessions += [stream for name, stream in elsewhere.streams.items() if name not in here]
        return [session for session in sessions if session.key.pubdomain == pubdomain]

    async def found(
        self, unique_names: Collection[str] | None, app: str | None = None, stream: str | None = None
    ) -> list[Found]:
        """Every live stream, here and elsewhere, of these spaces (None: of all), newest push first; of one app or name
        where one is given. Others get their turn between two apps."""
        apps = set(self._registry.apps())
        if self.peers is not None:
            apps |= self.peers.apps()
        found = []
        for of_space, name in sorted(apps):
            if (unique_names is not None and of_space not in unique_names) or app not in (None, name):
                continue
            elsewhere = NOWHERE if self.peers is None else await self.peers.app(of_space, name)
            sessions: dict[str, Session | RemoteStream] = dict(elsewhere.streams)
            sessions.update((session.facts.key.stream, session) for session in self._started(of_space, name))
            found += [Found(session, elsewhere) for each, session in sessions.items() if stream in (None, each)]
            await asyncio.sleep(0)
        # Sorting keeps the order of equals: newest push first, then by name.
        found.sort(key=_stream)
        found.sort(key=_pub_time, reverse=True)
        return found

    def shares(self, found: Found, now: float) -> Shares:
        """The viewers of a stream by protocol, here and elsewhere. ``now`` in monotonic seconds."""
        name = found.session.key.name
        here = self._viewers.shares(name, now)
        if found.elsewhere is NOWHERE:
            return here
        there = found.elsewhere.shares(name.stream)
        return Shares(
            here.rtmp + there.rtmp, here.http_flv + there.http_flv, here.hls + there.hls, here.bps + there.bps
        )

    async def loads(self, unique_names: Collection[str], monotonic: Callable[[], float]) -> list[Load]:
        """What each process has of these spaces, this one first. Others get their turn after every SLICE_ROWS."""
        streams, real_bps = 0, 0.0
        for number, session in enumerate(self._registry.sessions()):
            if session.started and not session.ended and session.key.unique_name in unique_names:
                streams += 1
                real_bps += session.read(monotonic()).real_bps
            if number % SLICE_ROWS == SLICE_ROWS - 1:
                await asyncio.sleep(0)
        groups = [
            each for name, groups in self._viewers.groups() if name.unique_name in unique_names for each in groups
        ]
        now = monotonic()
        online, bps = sum([group.online for group in groups]), sum([group.sent.bps(now) for group in groups])
        loads = [Load(streams=streams, online=online, real_bps=real_bps, bps=bps)]
        if self.peers is not None:
            loads += [await _load_of(process, unique_names) for process in self.peers.processes()]
        return loads

    def _started(self, unique_name: str, app: str) -> list[Session]:
        """Without those that hold their name but whose encoder has not been answered yet: they may still be refused,
        and what is listed as live is in the store."""
        return [session for session in self._registry.sessions_of(unique_name, app) if session.started]


async def _load_of(process: Readings, unique_names: Collection[str]) -> Load:
    streams, online, real_bps, bps = 0, 0, 0.0, 0
    for unique_name, app in process.apps():
        if unique_name in unique_names:
            shown = await process.app(unique_name, app)
            streams += len(shown.streams)
            real_bps += sum([stream.reading.real_bps for stream in shown.streams])
            online += sum([row.online for row in shown.watched])
            bps += sum([row.bps for row in shown.watched])
    return Load(process.boot_id, process.node, process.read_time, streams, online, real_bps, float(bps))


def _stream(found: Found) -> str:
    return found.session.facts.key.stream


def _pub_time(found: Found) -> int:
    return found.session.facts.pub_time


def renditions(live: Iterable[str], suffixes: Sequence[str]) -> dict[str, str]:
    """Which live names are renditions, and of which source (contract, 6: a live name that is another live name plus
    one of the suffixes; the longest base on ambiguity). A rendition of a rendition belongs to the first source."""
    names = set(live)
    bases: dict[str, str] = {}
    endings = tuple(suffixes)
    for name in names:
        if not name.endswith(endings):
            continue
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
