"""From one publisher to all its viewers.

Rule: the bytes of a flush are built at most once for each wire format and shared by all its viewers, each of whom costs
one ``transport.write``; no queue, no task and no copy per viewer.

Theory of operation. Messages of the publisher gather in ``_pending`` and are flushed together, ``merge_ms`` after the
first of them. At the flush they also enter the cache that a late viewer starts from: the last key frame with the
headers that were in force there, and everything since, bounded in messages and bytes. Because the cache holds what has
been flushed and nothing else, a viewer who joins between two flushes gets every message exactly once.

A viewer whose socket holds more than its limit is lagging: it is passed over until a flush with a key frame, from
where it goes on as if it had just come; one that lags too long is dropped. A viewer who comes when there is no key
frame to start from waits for one in the same way. Without viewers a message goes straight into the cache.

A tap (the HLS segmenter) is no viewer: it gets what the cache holds, then each message at once, unmerged.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from openkls.codec import flv
from openkls.codec.rtmp.answers import AUDIO_CSID, DATA_CSID, OUT_CHUNK_SIZE, PLAY_STREAM_ID, VIDEO_CSID
from openkls.codec.rtmp.chunk import build_message
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.keys import StreamName
from openkls.domain.viewers import Group, PullProtocol, Viewers
from openkls.media.ingest import Role

# What a late viewer starts from, headers included: 10 s at 60 fps with its audio, and 8 s at 8 Mbps. A stream beyond it
# is joined at its next key frame.
GOP_LIMIT_MESSAGES: Final = 1200
GOP_LIMIT_BYTES: Final = 8 * 1024 * 1024
# What may wait in a viewer's socket beyond what it was given to start from: 8 s of 1 Mbps.
BACKLOG_LIMIT_BYTES: Final = 1024 * 1024
LAG_LIMIT_SECONDS: Final = 15.0

_CSIDS: Final = {flv.AUDIO: AUDIO_CSID, flv.VIDEO: VIDEO_CSID, flv.SCRIPT: DATA_CSID}


class Wire(NamedTuple):
    """How messages are written to one kind of viewer."""

    protocol: PullProtocol
    build: Callable[[MediaReceived], bytes]


def _rtmp(message: MediaReceived) -> bytes:
    csid = _CSIDS.get(message.type_id, DATA_CSID)
    return build_message(message.type_id, message.timestamp, PLAY_STREAM_ID, message.payload, csid, OUT_CHUNK_SIZE)


def _flv(message: MediaReceived) -> bytes:
    return flv.build_tag(message.type_id, message.timestamp, message.payload)


RTMP_WIRE: Final = Wire(PullProtocol.RTMP, _rtmp)
FLV_WIRE: Final = Wire(PullProtocol.HTTP_FLV, _flv)


class Viewer:
    """One playing connection, as the hub sees it. ``on_over(cut)`` is called once, when the hub ends it: with ``cut``
    nothing more may be waited for."""

    __slots__ = ("group", "lagging_since", "limit_bytes", "on_over", "transport", "wire")

    def __init__(self, wire: Wire, transport: asyncio.WriteTransport, on_over: Callable[[bool], None]) -> None:
        self.wire = wire
        self.transport = transport
        self.on_over = on_over
        self.group: Group | None = None
        self.limit_bytes = BACKLOG_LIMIT_BYTES
        self.lagging_since: float | None = None


class Tap(Protocol):
    """Something that takes a stream message by message, as it arrives, and is counted as nobody."""

    def take(self, role: Role, message: MediaReceived) -> None:
        """A message of the stream, or one the hub replays."""

    def over(self, cut: bool, waiting: bool) -> None:
        """The publish ended. With ``waiting`` it may come back in this same hub, and the tap stays; else it is let go.
        With ``cut`` it was forbidden: nothing that was taken may be shown any more."""

    def resumed(self) -> None:
        """A new publish of the same name goes on in this hub: what follows is another encoder's run."""


class Hub:
    """The viewers of one live stream and what the late ones start from. Belongs to one event loop."""

    def __init__(self, name: StreamName, viewers: Viewers, merge_ms: int, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self._viewers = viewers
        self._merge_seconds = merge_ms / 1000
        self._loop = loop
        self._cache = Cache()
        self._pending: list[tuple[Role, MediaReceived]] = []
        self._timer: asyncio.Handle | None = None
        self._audiences: dict[Group, set[Viewer]] = {}
        self._taps: tuple[Tap, ...] = ()
        self._ended = False
        self.skipped = 0
        """Times a viewer began to lag."""
        self.dropped = 0
        """Viewers that lagged too long."""

    def push(self, role: Role, message: MediaReceived) -> None:
        """A message arrived from the publisher."""
        for tap in self._taps:
            tap.take(role, message)
        if not self._audiences:
            self._cache.add(role, message)
            return
        self._pending.append((role, message))
        if self._timer is None:
            if self._merge_seconds:
                self._timer = self._loop.call_later(self._merge_seconds, self._flush)
            else:  # still once per batch of arrived bytes
                self._timer = self._loop.call_soon(self._flush)

    @property
    def tracks(self) -> tuple[bool, bool]:
        """Whether the stream has audio and video, as far as is known; both before anything has come."""
        audio, video = self._cache.has_audio, self._cache.has_video
        return (audio, video) if audio or video else (True, True)

    def subscribe(self, viewer: Viewer, domain_id: str) -> None:
        """Count a viewer in and send it what it can start from."""
        now = self._loop.time()
        burst = self._cache.burst(viewer.wire)
        viewer.group = self._viewers.join(self.name, viewer.wire.protocol, domain_id, now)
        viewer.limit_bytes = BACKLOG_LIMIT_BYTES + len(burst)
        if not self._cache.can_start:
            viewer.lagging_since = now
        self._audiences.setdefault(viewer.group, set()).add(viewer)
        if burst:
            viewer.transport.write(burst)
            viewer.group.sent.add(now, len(burst))

    def unsubscribe(self, viewer: Viewer) -> None:
        """Count a viewer out. Idempotent."""
        group = viewer.group
        if group is None:
            return
        viewer.group = None
        audience = self._audiences[group]
        audience.remove(viewer)
        if not audience:
            del self._audiences[group]
        self._viewers.leave(self.name, group)
        if not self._audiences:
            self._settle()

    def tap(self, tap: Tap) -> None:
        """Hand a tap what a late viewer would start from - without a key frame to start from, the headers in force -
        and what is pending, at once, and from then on every message."""
        for role, message in (*self._cache.start(), *self._pending):
            tap.take(role, message)
        self._taps = (*self._taps, tap)

    def untap(self, tap: Tap) -> None:
        """Let a tap go, without a word to it. Idempotent; a tap may do it while it is called."""
        self._taps = tuple(other for other in self._taps if other is not tap)

    def end(self, cut: bool) -> None:
        """The publish is over: the viewers are ended, with ``cut`` ahead of everything that waits. Idempotent."""
        if self._ended:
            return
        self._ended = True
        taps, self._taps = self._taps, ()
        for tap in taps:
            tap.over(cut, waiting=False)
        self._stop_timer()
        if not cut:
            self._flush()
        self._settle()
        for viewer in [viewer for audience in self._audiences.values() for viewer in audience]:
            self.unsubscribe(viewer)
            viewer.on_over(cut)

    def _settle(self) -> None:
        """Nobody is to be written to: what is pending only enters the cache."""
        self._stop_timer()
        for role, message in self._pending:
            self._cache.add(role, message)
        self._pending.clear()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        self._timer = None
        pending, self._pending = self._pending, []
        if not pending:
            return
        now = self._loop.time()
        flush = _Flush(pending, self._cache)
        too_slow: list[Viewer] = []
        for group, audience in self._audiences.items():
            group.sent.add(now, self._deliver(flush, audience, now, too_slow))
        for viewer in too_slow:
            self.dropped += 1
            self.unsubscribe(viewer)
            viewer.on_over(True)

    def _deliver(self, flush: "_Flush", audience: Iterable[Viewer], now: float, too_slow: list[Viewer]) -> int:
        """Send a flush to one group; returns the bytes sent."""
        sent_bytes = 0
        for viewer in audience:
            waiting_bytes = viewer.transport.get_write_buffer_size()
            if waiting_bytes > viewer.limit_bytes:
                if viewer.lagging_since is None:
                    viewer.lagging_since = now
                    self.skipped += 1
                elif now - viewer.lagging_since > LAG_LIMIT_SECONDS:
                    too_slow.append(viewer)
                continue
            if waiting_bytes <= BACKLOG_LIMIT_BYTES:
                viewer.limit_bytes = BACKLOG_LIMIT_BYTES  # what it was given to start from has been taken
            if viewer.lagging_since is None:
                blob = flush.whole(viewer.wire)
            elif flush.can_resume:
                viewer.lagging_since = None
                blob = flush.resumption(viewer.wire)
            else:
                continue
            viewer.transport.write(blob)
            sent_bytes += len(blob)
        return sent_bytes


class Cache:
    """What a viewer starts from."""

    __slots__ = ("_bursts", "_gop", "_gop_bytes", "_headers", "_last_timestamp", "has_audio", "has_video")

    def __init__(self) -> None:
        self._headers: dict[Role, MediaReceived] = {}
        self._gop: list[tuple[Role, MediaReceived]] = []
        """The headers in force at the last key frame, that frame, and everything since."""
        self._gop_bytes = 0
        self._bursts: dict[Wire, bytes] = {}
        self._last_timestamp = 0
        self.has_audio = False
        self.has_video = False

    @property
    def can_start(self) -> bool:
        """Whether a viewer can start now; a stream without video can be joined anywhere."""
        return bool(self._gop) or not self.has_video

    def add(self, role: Role, message: MediaReceived) -> None:
        """Take a message in, in the order of the stream."""
        self._bursts.clear()
        self._last_timestamp = message.timestamp
        if role is Role.KEY_FRAME:
            self._clear()
            for header in self.headers(message.timestamp):
                self._append(*header)
            self._append(role, message)
        elif self._gop:
            self._append(role, message)
        if role is Role.METADATA or role is Role.VIDEO_HEADER or role is Role.AUDIO_HEADER:
            self._headers[role] = message
        if role is Role.AUDIO or role is Role.AUDIO_HEADER:
            self.has_audio = True
        elif role is Role.FRAME or role is Role.KEY_FRAME or role is Role.VIDEO_HEADER:
            self.has_video = True
        if len(self._gop) > GOP_LIMIT_MESSAGES or self._gop_bytes > GOP_LIMIT_BYTES:
            self._clear()

    def headers(self, timestamp: int) -> Iterator[tuple[Role, MediaReceived]]:
        """Metadata and sequence headers, in the order players want them, at the time of what follows them."""
        for role in (Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER):
            header = self._headers.get(role)
            if header is not None:
                yield role, header._replace(timestamp=timestamp)

    def start(self) -> Iterable[tuple[Role, MediaReceived]]:
        """What a tap starts from: the headers in force at the last key frame, that frame, and everything since; where
        there is none, the headers in force now."""
        return self._gop or self.headers(self._last_timestamp)

    def burst(self, wire: Wire) -> bytes:
        """The bytes of what a viewer starts from; the same object for all who come before the next message."""
        burst = self._bursts.get(wire)
        if burst is None:
            start = self.start() if self.can_start else ()
            burst = self._bursts[wire] = b"".join(wire.build(message) for _, message in start)
        return burst

    def _append(self, role: Role, message: MediaReceived) -> None:
        self._gop.append((role, message))
        self._gop_bytes += len(message.payload)

    def _clear(self) -> None:
        self._gop.clear()
        self._gop_bytes = 0


class _Flush:
    """The bytes of one flush, each built when the first viewer needs it. It enters the cache when it is made."""

    __slots__ = ("_cache", "_headers_before", "_messages", "_whole", "can_resume")

    def __init__(self, pending: list[tuple[Role, MediaReceived]], cache: Cache) -> None:
        self._cache = cache
        self._messages = [message for _, message in pending]
        self._whole: dict[Wire, bytes] = {}
        # Headers that come with this flush stand at their own place in it.
        self._headers_before = [header for _, header in cache.headers(self._messages[0].timestamp)]
        for role, message in pending:
            cache.add(role, message)
        # The cache begins at the last key frame, so that if this flush has one, the cache is a part of this flush.
        self.can_resume = cache.can_start and (
            not cache.has_video or any(role is Role.KEY_FRAME for role, _ in pending)
        )

    def whole(self, wire: Wire) -> bytes:
        """For a viewer that has had everything before it."""
        whole = self._whole.get(wire)
        if whole is None:
            whole = self._whole[wire] = b"".join(map(wire.build, self._messages))
        return whole

    def resumption(self, wire: Wire) -> bytes:
        """For a viewer that has missed something: as for one that has just come."""
        if self._cache.has_video:
            return self._cache.burst(wire)
        return b"".join((*map(wire.build, self._headers_before), self.whole(wire)))


class Hubs:
    """The hubs of this process, by name. The registry decides who publishes; a hub follows its session."""

    def __init__(self, viewers: Viewers, loop: asyncio.AbstractEventLoop) -> None:
        self._viewers = viewers
        self._loop = loop
        self._hubs: dict[StreamName, Hub] = {}

    def open(self, name: StreamName, merge_ms: int) -> Hub:
        """Begin a stream; one that is still there under the name ends first."""
        former = self._hubs.get(name)
        if former is not None:
            former.end(cut=False)
        hub = self._hubs[name] = Hub(name, self._viewers, merge_ms, self._loop)
        return hub

    def find(self, name: StreamName) -> Hub | None:
        """The hub of a live stream."""
        return self._hubs.get(name)

    def close(self, hub: Hub, cut: bool) -> None:
        """End a stream. Idempotent; never touches a successor of the same name."""
        if self._hubs.get(hub.name) is hub:
            del self._hubs[hub.name]
        hub.end(cut)
