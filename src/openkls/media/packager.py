"""The HLS segments of one publish and the playlists that list them. Rule: a tap of its hub; it never waits for it.

Theory of operation. Each finished segment goes to the shelf as a whole HTTP answer. The newest PLAYLIST_SEGMENTS of the
shelf are listed; older ones stay fetchable for clients that are behind. A playlist's text is made when it is first
asked for after a change, once for each play domain: the domains differ in the token in the names of their segments,
so that a segment that is fetched tells through which domain its viewer came.
"""

import asyncio
import secrets
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from typing import Final, NamedTuple

from openkls.codec import flv, rfc6381
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.keys import StreamKey
from openkls.domain.quality import Quality
from openkls.domain.window import ByteRate
from openkls.media import playlists
from openkls.media.answers import Answer
from openkls.media.hub import Hub
from openkls.media.ingest import Role
from openkls.media.segments import MIN_SEGMENT_SECONDS, Segment, Segmenter

PLAYLIST_SEGMENTS: Final = 6
# RFC 8216, 6.2.2: a segment that has left the playlist stays for its own duration and that of the longest playlist
# that listed it.
KEPT_SEGMENTS: Final = 2 * PLAYLIST_SEGMENTS + 1
# The shelf of one stream: 13 segments of 5 s at 8 Mbps. Beyond it the oldest go first, from the playlist too.
KEPT_BYTES: Final = 64 * 1024 * 1024
# A segment's begin is told by when its last message arrived; beyond this the clocks have drifted apart.
DATE_TOLERANCE_SECONDS: Final = 1.0
# No live player asks for a segment ten minutes later, and a shared cache need not keep what was forbidden since.
SEGMENT_CACHING: Final = "public, max-age=600, immutable"
PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
SEGMENT_TYPE: Final = "video/mp2t"
_TOKEN_BYTES: Final = 16


class State(Enum):
    """Of a packager."""

    LIVE = "live"
    """Or between a publish that ended and one that may take over."""
    ENDED = "ended"
    GONE = "gone"
    """Forbidden, idle or stopped: nothing of it may be shown."""


class Edition:
    """What viewers through one play domain are given."""

    __slots__ = ("domain_id", "playlist", "sent", "token")

    def __init__(self, domain_id: str, now: float) -> None:
        self.domain_id = domain_id
        self.token = secrets.token_hex(_TOKEN_BYTES)
        self.sent = ByteRate(now)
        self.playlist: Answer | None = None


class _Held(NamedTuple):
    segment: Segment
    answer: Answer
    begins_at: float | None
    """Unix seconds."""
    anchored: bool
    """``begins_at`` does not follow from the segment before."""


class Packager:
    """A tap that makes HLS of a stream."""

    def __init__(
        self,
        hub: Hub,
        key: StreamKey | None,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        first: int,
        on_gone: Callable[["Packager"], None],
    ) -> None:
        """``first`` is the number of the first segment; ``clock`` tells Unix seconds; ``on_gone`` is called once."""
        self.hub = hub
        self.key = key
        self.state = State.LIVE
        self.target_seconds = int(MIN_SEGMENT_SECONDS)
        """Never shrinks; grows only when a segment is longer than any before (RFC 8216 has no better answer to an
        encoder that changes its mind: 4.3.3.1 binds every segment, 6.2.1 the tag)."""
        self.editions: dict[str, Edition] = {}
        self.asked_at = loop.time()
        self.ended_at = 0.0
        self.squeezed = 0
        """Segments that left the playlist early, because the shelf was full."""
        self.readers: set[asyncio.Transport] = set()
        """Connections that a segment waits to go out on."""
        self._loop = loop
        self._clock = clock
        self._on_gone = on_gone
        self._segmenter = Segmenter(first)
        self._shelf: dict[int, _Held] = {}
        self._shelf_bytes = 0
        self._left_discontinuities = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._video_header = b""
        self._audio_sample = b""
        self._last: _Held | None = None
        self._replaying = True
        hub.tap(self)
        self._replaying = False

    # -- the tap

    def take(self, role: Role, message: MediaReceived) -> None:
        """A message of the stream."""
        if role is Role.VIDEO_HEADER:
            self._video_header = message.payload
        elif role is Role.AUDIO_HEADER or (role is Role.AUDIO and not self._audio_sample):
            self._audio_sample = message.payload
        segment = self._segmenter.take(role, message)
        if segment is not None:
            self._shelve(segment, None if self._replaying else self._clock())

    def over(self, cut: bool, waiting: bool) -> None:
        """The publish ended."""
        if cut:
            self.vanish()
            return
        self._break_off()
        if not waiting and self.state is State.LIVE:
            self.state = State.ENDED
            self.ended_at = self._loop.time()
            self._changed()

    def resumed(self) -> None:
        """Another publish goes on in the same hub."""
        self._break_off()

    def moved(self) -> None:
        """What follows is made into HLS by another process."""
        self.over(cut=False, waiting=False)

    # -- what is asked of it

    @property
    def has_segments(self) -> bool:
        """Whether a playlist would list anything."""
        return bool(self._shelf)

    @property
    def unplayable(self) -> str:
        """The codecs for which nothing of the stream can be carried, as text; "" when something can."""
        return "" if self._segmenter.playable else ", ".join(sorted(self._segmenter.left_out))

    @property
    def next_sequence(self) -> int:
        """The number after the newest segment's."""
        return 0 if self._last is None else self._last.segment.sequence + 1

    async def changed(self, deadline_seconds: float) -> None:
        """Wait for a first segment or the end; returns at the deadline at the latest."""
        waiter = self._loop.create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(deadline_seconds):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiter)

    def edition(self, domain_id: str) -> Edition:
        """The edition of a play domain."""
        edition = self.editions.get(domain_id)
        if edition is None:
            edition = self.editions[domain_id] = Edition(domain_id, self._loop.time())
        return edition

    def playlist(self, edition: Edition) -> Answer:
        """The media playlist; the same object until something changes."""
        if edition.playlist is None:
            listed = self._listed()
            rows = [
                playlists.Row(
                    f"{edition.token}-{held.segment.sequence}.ts",
                    held.segment.duration_seconds,
                    held.segment.discontinuity,
                    held.begins_at if held.anchored or held is listed[0] else None,
                )
                for held in listed
            ]
            text = playlists.build_media(
                rows,
                self.target_seconds,
                listed[0].segment.sequence if listed else 0,
                self._left_discontinuities,
                self.state is State.ENDED,
            )
            edition.playlist = Answer(HTTPStatus.OK, PLAYLIST_TYPE, text)
        return edition.playlist

    def segment(self, sequence: int) -> Answer | None:
        """A segment that is still on the shelf."""
        held = self._shelf.get(sequence)
        return None if held is None else held.answer

    def traits(self, quality: Quality | None) -> playlists.Traits:
        """What the master playlist says. There must be a segment."""
        held = [each.segment for each in self._shelf.values()]
        rates = [len(each.payload) * 8 / max(each.duration_seconds, 0.001) for each in held]
        seconds = sum(each.duration_seconds for each in held)
        average_bps = sum(len(each.payload) for each in held) * 8 / max(seconds, 0.001)
        names = tuple(name for name in (self._video_name(), self._audio_name()) if name)
        traits = playlists.Traits(int(max(rates)) + 1, int(average_bps), names)
        if quality is None or self._video_name() is None:
            return traits
        reading = quality.read(self._loop.time())
        frame_rate = quality.from_metadata.frame_rate or quality.from_headers.frame_rate or reading.frame_rate
        return traits._replace(width=reading.width, height=reading.height, frame_rate=frame_rate)

    def vanish(self) -> None:
        """Nothing of it may be shown any more: whoever waits is told, whoever is being sent to is cut. Idempotent."""
        if self.state is State.GONE:
            return
        self.state = State.GONE
        self.hub.untap(self)
        self._shelf.clear()
        self._changed()
        for transport in tuple(self.readers):
            transport.abort()
        self._on_gone(self)

    # -- the shelf

    def _break_off(self) -> None:
        segment = self._segmenter.break_off()
        if segment is not None:
            self._shelve(segment, None)

    def _shelve(self, segment: Segment, arrived_at: float | None) -> None:
        """Keep a segment. ``arrived_at``: when what ended it arrived, if that says when it was made."""
        answer = Answer(HTTPStatus.OK, SEGMENT_TYPE, segment.payload, SEGMENT_CACHING)
        held = _Held(segment, answer, *self._date(segment, arrived_at))
        self._last = self._shelf[segment.sequence] = held
        self._shelf_bytes += len(segment.payload)
        if len(self._shelf) > PLAYLIST_SEGMENTS:
            left = list(self._shelf.values())[-PLAYLIST_SEGMENTS - 1]
            self._left_discontinuities += left.segment.discontinuity
        while len(self._shelf) > KEPT_SEGMENTS or (self._shelf_bytes > KEPT_BYTES and len(self._shelf) > 1):
            first = self._shelf.pop(next(iter(self._shelf)))
            self._shelf_bytes -= len(first.segment.payload)
            if len(self._shelf) < PLAYLIST_SEGMENTS:
                self.squeezed += 1
                self._left_discontinuities += first.segment.discontinuity
        self.target_seconds = playlists.target_seconds([segment.duration_seconds], self.target_seconds)
        self._changed()

    def _date(self, segment: Segment, arrived_at: float | None) -> tuple[float | None, bool]:
        last = self._last
        expected = None
        if last is not None and last.begins_at is not None and not segment.discontinuity:
            expected = last.begins_at + last.segment.duration_seconds
        if arrived_at is None:
            return expected, False
        begins_at = arrived_at - segment.duration_seconds
        if expected is not None and abs(begins_at - expected) <= DATE_TOLERANCE_SECONDS:
            return expected, False
        return begins_at, True

    def _listed(self) -> list[_Held]:
        return list(self._shelf.values())[-PLAYLIST_SEGMENTS:]

    def _changed(self) -> None:
        for edition in self.editions.values():
            edition.playlist = None
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _video_name(self) -> str | None:
        tag = flv.parse_video(self._video_header)
        config = self._video_header[tag.body_offset :]
        if tag.codec == "h264":
            return rfc6381.avc_name(config)
        return rfc6381.hevc_name(config) if tag.codec == "hevc" else None

    def _audio_name(self) -> str | None:
        tag = flv.parse_audio(self._audio_sample)
        if tag.codec == "mp3":
            return rfc6381.MP3_NAME
        is_config = tag.codec == "aac" and tag.kind is flv.Kind.SEQUENCE_HEADER
        return rfc6381.aac_name(self._audio_sample[tag.body_offset :]) if is_config else None
