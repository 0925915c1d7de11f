"""From one publisher to all its viewers.

Rule: the bytes of a flush are built at most once for each wire format and shared by all its viewers, each of whom costs
one ``transport.write``; no queue, no task and no copy per viewer.

Theory of operation. Messages of the publisher gather in ``_pending`` and are flushed together, ``merge_ms`` after the
first of them. At the flush they also enter the cache that a late viewer starts from: the sequence headers, the metadata
and the messages since the last key frame (GOP), bounded in frames and bytes. Because the cache holds what has been
flushed and nothing else, a viewer who joins between two flushes gets every message exactly once.

A viewer whose socket holds more than its limit is lagging: it is passed over until the flush with the next key frame,
from where it goes on, sequence headers first; one that lags too long is dropped. Without viewers a message goes
straight into the cache.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from openkls.codec import flv
from openkls.codec.rtmp.answers import AUDIO_CSID, DATA_CSID, OUT_CHUNK_SIZE, PLAY_STREAM_ID, VIDEO_CSID
from openkls.codec.rtmp.chunk import build_message
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.keys import StreamName
from openkls.domain.viewers import Group, PullProtocol, Viewers
from openkls.media.ingest import Role

# A GOP of 10 s at 60 fps with its audio, and 8 s at 8 Mbps; a stream beyond it is joined at its next key frame.
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
        self._ended = False
        self.skipped = 0
        """Times a viewer began to lag."""
        self.dropped = 0
        """Viewers that lagged too long."""

    def push(self, role: Role, message: MediaReceived) -> None:
        """A message arrived from the publisher."""
        if not self._audiences:
            self._cache.add(role, message)
            return
        self._pending.append((role, message))
        if self._timer is None:
            if self._merge_seconds:
                self._timer = self._loop.call_later(self._merge_seconds, self._flush)
            else:  # still once per batch of arrived bytes
                self._timer = self._loop.call_soon(self._flush)

    def subscribe(self, viewer: Viewer, domain_id: str) -> None:
        """Count a viewer in and send it what it can start from."""
        now = self._loop.time()
        burst = b"".join(map(viewer.wire.build, self._cache.start()))
        viewer.group = self._viewers.join(self.name, viewer.wire.protocol, domain_id, now)
        viewer.limit_bytes = BACKLOG_LIMIT_BYTES + len(burst)
        if self._cache.has_video and not self._cache.has_key_frame:
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

    def end(self, cut: bool) -> None:
        """The publish is over: the viewers are ended, with ``cut`` ahead of everything that waits. Idempotent."""
        if self._ended:
            return
        self._ended = True
        if not cut:
            self._flush()
        self._settle()
        for viewer in [viewer for audience in self._audiences.values() for viewer in audience]:
            self.unsubscribe(viewer)
            viewer.on_over(cut)

    def _settle(self) -> None:
        """Nobody is to be written to: what is pending only enters the cache."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for role, message in self._pending:
            self._cache.add(role, message)
        self._pending.clear()

    def _flush(self) -> None:
        self._timer = None
        pending, self._pending = self._pending, []
        if not pending:
            return
        for role, message in pending:
            self._cache.add(role, message)
        now = self._loop.time()
        blobs: dict[Wire, tuple[bytes, bytes]] = {}
        too_slow: list[Viewer] = []
        for group, audience in self._audiences.items():
            wire = next(iter(audience)).wire
            if wire not in blobs:
                blobs[wire] = b"".join(wire.build(message) for _, message in pending), self._resumption(wire, pending)
            self._deliver(group, audience, blobs[wire], now, too_slow)
        for viewer in too_slow:
            self.dropped += 1
            self.unsubscribe(viewer)
            viewer.on_over(True)

    def _deliver(
        self, group: Group, audience: set[Viewer], blobs: tuple[bytes, bytes], now: float, too_slow: list[Viewer]
    ) -> None:
        whole, resumption = blobs
        sent_bytes = 0
        for viewer in audience:
            if viewer.lagging_since is None:
                if viewer.transport.get_write_buffer_size() <= viewer.limit_bytes:
                    viewer.transport.write(whole)
                    sent_bytes += len(whole)
                    continue
                viewer.lagging_since = now
                self.skipped += 1
            waiting_bytes = viewer.transport.get_write_buffer_size()
            if resumption and waiting_bytes <= viewer.limit_bytes:
                viewer.lagging_since = None
                viewer.transport.write(resumption)
                sent_bytes += len(resumption)
            elif waiting_bytes > viewer.limit_bytes and now - viewer.lagging_since > LAG_LIMIT_SECONDS:
                too_slow.append(viewer)
        group.sent.add(now, sent_bytes)

    def _resumption(self, wire: Wire, pending: list[tuple[Role, MediaReceived]]) -> bytes:
        """What a lagging viewer goes on with: the headers and the flush from its first key frame; nothing when it
        has none. A stream without video goes on anywhere."""
        first = next((i for i, (role, _) in enumerate(pending) if role is Role.KEY_FRAME), None)
        if first is None:
            if self._cache.has_video:
                return b""
            first = 0
        rest = [message for _, message in pending[first:]]
        return b"".join(map(wire.build, [*self._cache.headers(rest[0].timestamp), *rest]))


class Cache:
    """What a viewer starts from."""

    __slots__ = ("_gop", "_gop_bytes", "_headers", "has_video")

    def __init__(self) -> None:
        self._headers: dict[Role, MediaReceived] = {}
        self._gop: list[MediaReceived] = []
        self._gop_bytes = 0
        self.has_video = False

    @property
    def has_key_frame(self) -> bool:
        """Whether a viewer can start now."""
        return bool(self._gop)

    def add(self, role: Role, message: MediaReceived) -> None:
        """Take a message in, in the order of the stream."""
        if role is Role.METADATA or role is Role.VIDEO_HEADER or role is Role.AUDIO_HEADER:
            if role is Role.VIDEO_HEADER:
                self.has_video = True
                self._clear()  # the frames before it are another sequence's
            self._headers[role] = message
            return
        if role is Role.KEY_FRAME:
            self.has_video = True
            self._clear()
        elif role is Role.FRAME:
            self.has_video = True
            if not self._gop:
                return
        elif not self._gop:
            return
        self._gop.append(message)
        self._gop_bytes += len(message.payload)
        if len(self._gop) > GOP_LIMIT_MESSAGES or self._gop_bytes > GOP_LIMIT_BYTES:
            self._clear()

    def headers(self, timestamp: int) -> Iterator[MediaReceived]:
        """Metadata and sequence headers, in the order players want them, at the time of what follows them."""
        for role in (Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER):
            header = self._headers.get(role)
            if header is not None:
                yield header._replace(timestamp=timestamp)

    def start(self) -> list[MediaReceived]:
        """Headers and the GOP so far."""
        timestamp = self._gop[0].timestamp if self._gop else 0
        return [*self.headers(timestamp), *self._gop]

    def _clear(self) -> None:
        self._gop.clear()
        self._gop_bytes = 0


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
