"""From one publisher to all its viewers.

Rule: the bytes of a flush are built at most once for each wire format and shared by all its viewers, each of whom costs
one ``transport.write``; no queue, no task and no copy per viewer.

Theory of operation. Messages of the publisher gather in ``_pending`` and are flushed together, ``merge_ms`` after the
first of them. At the flush they also enter the cache that a late viewer starts from. Because the cache holds what has
been flushed and nothing else, a viewer who joins between two flushes gets every message exactly once.

A flush goes to those who watch at that moment, in slices between which everything else has its turn, so that a large
audience does not hold it up. Who joins between two slices has the flush from the cache and is in none of them; who
leaves is passed over. While slices are left the next flush waits, and grows: none overtakes. Without viewers a message
goes straight into the cache.

A viewer whose socket holds more than its limit is lagging: it is passed over until a flush with a key frame, from
where it goes on as if it had just come; one that lags too long is dropped. A viewer who comes when there is no key
frame to start from waits for one in the same way.

A publisher that left may come back (``wait``, ``resume``): its viewers stay, and start anew in the new run, whose times
follow on the old one's.

A tap (the HLS segmenter, a relay to another process) is no viewer: it gets what the cache holds, then each message at
once, unmerged.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol

from openkls.codec import flv
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.keys import StreamName
from openkls.domain.timeline import Timeline
from openkls.domain.viewers import Group, Viewers
from openkls.media.cache import Cache, opening
from openkls.media.ingest import Role
from openkls.media.wires import Wire

# What may wait in a viewer's socket beyond what it was given to start from: 8 s of 1 Mbps.
BACKLOG_LIMIT_BYTES: Final = 1024 * 1024
LAG_LIMIT_SECONDS: Final = 15.0
# What one turn of the loop sends at most. 250 writes at 1 Mbps were measured to take 2.2 ms, at worst 6 on a quiet
# machine and 12 on a crowded one; a turn is to stay below 10 ms (docs/explain/fan-out.md).
SLICE_VIEWERS: Final = 200
SLICE_BYTES: Final = 8 * 1024 * 1024

_FIRST_FRAME: Final = Role.KEY_FRAME  # and those behind it: the coded frames


class Viewer:
    """One playing connection, as the hub sees it. ``on_over(cut)`` is called once, when the hub ends it: with ``cut``
    nothing more may be waited for."""

    __slots__ = ("fresh", "group", "lagging_since", "limit_bytes", "on_over", "transport", "wire")

    def __init__(self, wire: Wire, transport: asyncio.WriteTransport, on_over: Callable[[bool], None]) -> None:
        self.wire = wire
        self.transport = transport
        self.on_over = on_over
        self.group: Group | None = None
        self.limit_bytes = BACKLOG_LIMIT_BYTES
        self.lagging_since: float | None = None
        self.fresh = True
        """It has been sent nothing yet."""


class Tap(Protocol):
    """Something that takes a stream message by message, as it arrives, and is counted as nobody."""

    def take(self, role: Role, message: MediaReceived) -> None:
        """A message of the stream, or one the hub replays."""

    def over(self, cut: bool, waiting: bool) -> None:
        """The publish ended. With ``waiting`` it may come back in this same hub, and the tap stays; else it is let go.
        With ``cut`` it was forbidden: nothing that was taken may be shown any more."""

    def resumed(self) -> None:
        """A new publish of the same name goes on in this hub: what follows is another encoder's run."""

    def moved(self) -> None:
        """The stream goes on in another process of the cluster; the tap is let go."""


@dataclass(slots=True)
class Lags:
    """Counters of slow viewers, of all hubs of a process, since the start."""

    skipped: int = 0
    """Times a viewer began to lag."""
    dropped: int = 0
    """Viewers that lagged too long."""


class Hub:
    """The viewers of one live stream and what the late ones start from. Belongs to one event loop."""

    def __init__(
        self,
        name: StreamName,
        viewers: Viewers,
        merge_ms: int,
        loop: asyncio.AbstractEventLoop,
        lags: Lags | None = None,
    ) -> None:
        self.name = name
        self.lags = lags or Lags()
        self._viewers = viewers
        self._merge_seconds = merge_ms / 1000
        self._loop = loop
        self._cache = Cache()
        self._timeline = Timeline()
        self._pending: list[tuple[Role, MediaReceived]] = []
        self._due = 0.0
        """When what is pending is to be flushed."""
        self._timer: asyncio.Handle | None = None
        self._round: _Round | None = None
        """The flush that is under way."""
        self._audiences: dict[Group, set[Viewer]] = {}
        self._taps: tuple[Tap, ...] = ()
        self._ended = False
        self.on_deserted: Callable[[Hub], None] | None = None
        """Called when the last viewer or tap of a stream that waits for its publisher has gone."""

    def push(self, role: Role, message: MediaReceived) -> None:
        """A message arrived from the publisher."""
        type_id, timestamp, payload = message
        place = self._timeline.place if role >= _FIRST_FRAME else self._timeline.follow
        placed = place(type_id, timestamp)
        if placed != timestamp:
            message = MediaReceived(type_id, placed, payload)
        for tap in self._taps:
            tap.take(role, message)
        if not self._audiences:
            self._cache.add(role, message)
            return
        if not self._pending:
            self._due = self._loop.time() + self._merge_seconds
            if self._round is None:
                self._set_timer(self._merge_seconds)
        self._pending.append((role, message))

    @property
    def tracks_seen(self) -> tuple[bool, bool]:
        """Whether audio and video have come."""
        return self._cache.has_audio, self._cache.has_video

    @property
    def tracks(self) -> tuple[bool, bool]:
        """Whether the stream has audio and video, as far as is known; both before anything has come."""
        audio, video = self.tracks_seen
        return (audio, video) if audio or video else (True, True)

    def expect(self, audio: bool, video: bool) -> None:
        """Know from another process which tracks the stream has, whether or not they have come here."""
        self._cache.has_audio |= audio
        self._cache.has_video |= video

    def tracks_of(self, wire: Wire) -> tuple[bool, bool]:
        """Whether viewers of a wire are to expect audio and video."""
        audio, video = self.tracks
        return audio and wire.leaves_out != flv.AUDIO, video and wire.leaves_out != flv.VIDEO

    @property
    def is_watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._audiences)

    @property
    def repaired(self) -> int:
        """Jumps of the encoder's clock that viewers did not see."""
        return self._timeline.repaired

    # -- who watches

    def subscribe(self, viewer: Viewer, domain_id: str) -> None:
        """Count a viewer in and send it what it can start from."""
        now = self._loop.time()
        burst = self._cache.burst(viewer.wire, fresh=True)
        viewer.group = self._viewers.join(self.name, viewer.wire.protocol, domain_id, now)
        viewer.limit_bytes = BACKLOG_LIMIT_BYTES + len(burst)
        if not self._cache.can_start(viewer.wire):
            viewer.lagging_since = now
        self._audiences.setdefault(viewer.group, set()).add(viewer)
        if burst:
            viewer.fresh = False
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
            self._tell_deserted()

    def tap(self, tap: Tap) -> None:
        """Hand a tap what a late viewer would start from - without a key frame to start from, the headers in force -
        and what is pending, at once, and from then on every message."""
        for role, message in (*self._cache.start(), *self._pending):
            tap.take(role, message)
        self._taps = (*self._taps, tap)

    def untap(self, tap: Tap) -> None:
        """Let a tap go, without a word to it. Idempotent; a tap may do it while it is called."""
        self._taps = tuple(other for other in self._taps if other is not tap)
        self._tell_deserted()

    # -- the publish ends

    def end(self, cut: bool) -> None:
        """The publish is over: the viewers are ended, with ``cut`` ahead of everything that waits. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self.on_deserted = None
        taps, self._taps = self._taps, ()
        for tap in taps:
            tap.over(cut, waiting=False)
        if not cut:
            self._flush_all()
        self._settle()
        for viewer in self._snapshot():
            self.unsubscribe(viewer)
            viewer.on_over(cut)

    def wait(self) -> bool:
        """The publisher left and may come back: viewers get what is pending, and stay. False when there is nobody."""
        self._flush_all()
        for tap in self._taps:
            tap.over(cut=False, waiting=True)
        self._cache = Cache()  # nobody joins while the stream is away, and its next run begins with its own headers
        now = self._loop.time()
        for viewer in self._snapshot():
            viewer.lagging_since = now
        return bool(self._audiences or self._taps)

    def resume(self, merge_ms: int) -> None:
        """The stream is published again: whoever stayed goes on."""
        self.on_deserted = None
        self._merge_seconds = merge_ms / 1000
        self._timeline.resume()
        for tap in self._taps:
            tap.resumed()

    def move(self) -> None:
        """The stream goes on in another process: what was made of it here is not made of a relay's."""
        taps, self._taps = self._taps, ()
        for tap in taps:
            tap.moved()

    def _tell_deserted(self) -> None:
        if self.on_deserted is not None and not self._audiences and not self._taps:
            on_deserted, self.on_deserted = self.on_deserted, None
            on_deserted(self)

    def _settle(self) -> None:
        """Nobody is to be written to: what is pending only enters the cache."""
        self._round = None
        self._stop_timer()
        for role, message in self._pending:
            self._cache.add(role, message)
        self._pending.clear()

    # -- the flush

    def _set_timer(self, seconds: float) -> None:
        if seconds > 0:
            self._timer = self._loop.call_later(seconds, self._tick)
        else:  # still once per batch of arrived bytes
            self._timer = self._loop.call_soon(self._tick)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        """Begin a flush, or send its next slice."""
        self._timer = None
        now = self._loop.time()
        if self._round is None:
            self._begin_flush()
        self._send_slice(now)
        if self._round is not None:
            self._set_timer(0)
        elif self._pending:  # they came while slices were going out
            self._set_timer(self._due - now)

    def _flush_all(self) -> None:
        """Send everything there is, at once."""
        self._stop_timer()
        now = self._loop.time()
        self._finish_flush(now)
        if self._pending:
            self._begin_flush()
            self._finish_flush(now)

    def _begin_flush(self) -> None:
        pending, self._pending = self._pending, []
        self._round = _Round(_Flush(pending, self._cache), self._snapshot())

    def _finish_flush(self, now: float) -> None:
        while self._round is not None:
            self._send_slice(now)

    def _send_slice(self, now: float) -> None:
        """Send the flush under way to its next viewers."""
        current = self._round
        if current is None:
            return
        if current.is_last:
            self._round = None
        too_slow: list[Viewer] = []
        self._deliver(current.flush, current.pull(), now, too_slow)
        for viewer in too_slow:
            self.lags.dropped += 1
            self.unsubscribe(viewer)
            viewer.on_over(True)

    def _deliver(self, flush: "_Flush", viewers: Sequence[Viewer], now: float, too_slow: list[Viewer]) -> None:
        limit_bytes = BACKLOG_LIMIT_BYTES
        wire: Wire | None = None
        whole = b""
        counted: Group | None = None
        sent_bytes = 0
        for viewer in viewers:
            group = viewer.group
            if group is None:  # has left since the flush
                continue
            transport = viewer.transport
            waiting_bytes = transport.get_write_buffer_size()
            if waiting_bytes <= limit_bytes and viewer.lagging_since is None:  # as almost always
                viewer.limit_bytes = limit_bytes  # what it was given to start from has been taken
                if viewer.wire is not wire:
                    wire = viewer.wire
                    whole = flush.whole(wire)
                blob = whole
            else:
                blob = self._blob_for(viewer, waiting_bytes, flush, now, too_slow)
            if not blob:  # nothing of the kind that is wanted, or nothing until the next key frame
                continue
            transport.write(blob)
            if group is not counted:  # the viewers of a group follow one another
                if counted is not None:
                    counted.sent.add(now, sent_bytes)
                counted, sent_bytes = group, 0
            sent_bytes += len(blob)
        if counted is not None:
            counted.sent.add(now, sent_bytes)

    def _blob_for(
        self, viewer: Viewer, waiting_bytes: int, flush: "_Flush", now: float, too_slow: list[Viewer]
    ) -> bytes:
        """What a viewer that lags, or has just come, is to get of a flush."""
        if waiting_bytes > viewer.limit_bytes:
            if viewer.lagging_since is None:
                viewer.lagging_since = now
                self.lags.skipped += 1
            elif now - viewer.lagging_since > LAG_LIMIT_SECONDS:
                too_slow.append(viewer)
            return b""
        if viewer.lagging_since is None:
            return flush.whole(viewer.wire)
        if waiting_bytes <= BACKLOG_LIMIT_BYTES:
            viewer.limit_bytes = BACKLOG_LIMIT_BYTES
        if not flush.can_resume(viewer.wire):
            return b""
        viewer.lagging_since = None
        fresh, viewer.fresh = viewer.fresh, False
        return flush.resumption(viewer.wire, fresh)

    def _snapshot(self) -> list[Viewer]:
        return [viewer for audience in self._audiences.values() for viewer in audience]


class _Flush:
    """The bytes of one flush, each built when the first viewer needs it. It enters the cache when it is made."""

    __slots__ = ("_cache", "_headers_before", "_messages", "_whole", "has_key_frame", "size_bytes")

    def __init__(self, pending: list[tuple[Role, MediaReceived]], cache: Cache) -> None:
        self._cache = cache
        self._messages = [message for _, message in pending]
        self._whole: dict[Wire, bytes] = {}
        self.size_bytes = sum(len(message.payload) for message in self._messages)
        # Headers that come with this flush stand at their own place in it.
        self._headers_before = list(cache.headers(self._messages[0].timestamp))
        for role, message in pending:
            cache.add(role, message)
        self.has_key_frame = any(role is Role.KEY_FRAME for role, _ in pending)

    def can_resume(self, wire: Wire) -> bool:
        """Whether a viewer that has missed something can go on with this flush."""
        return self._cache.can_start(wire) and (self.has_key_frame or not self._waits_for_key_frame(wire))

    def whole(self, wire: Wire) -> bytes:
        """For a viewer that has had everything before it."""
        whole = self._whole.get(wire)
        if whole is None:
            whole = self._whole[wire] = wire.join(self._messages)
        return whole

    def resumption(self, wire: Wire, fresh: bool) -> bytes:
        """For a viewer that has missed something, or (``fresh``) has had nothing yet."""
        if self._waits_for_key_frame(wire):
            # The cache begins at the last key frame; as this flush has one, the cache is a part of this flush.
            return self._cache.burst(wire, fresh)
        return wire.join(opening(self._headers_before, fresh)) + self.whole(wire)

    def _waits_for_key_frame(self, wire: Wire) -> bool:
        return self._cache.has_video and wire.needs_key_frame


class _Round:
    """A flush on its way to those who watched when it was made."""

    __slots__ = ("_position", "_size", "_viewers", "flush")

    def __init__(self, flush: _Flush, viewers: list[Viewer]) -> None:
        self.flush = flush
        self._viewers = viewers
        self._position = 0
        at_most = max(1, min(SLICE_VIEWERS, SLICE_BYTES // max(1, flush.size_bytes)))
        slices = max(1, ceil(len(viewers) / at_most))
        self._size = max(1, ceil(len(viewers) / slices))

    @property
    def is_last(self) -> bool:
        """Whether the next slice is the last one."""
        return self._position + self._size >= len(self._viewers)

    def pull(self) -> list[Viewer]:
        """The next slice."""
        taken = self._viewers[self._position : self._position + self._size]
        self._position += self._size
        return taken
