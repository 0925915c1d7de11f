"""HLS segments from the messages of one publish.

Rule: synchronous and free of I/O; broken media never raises, it is left out and counted.

Theory of operation. A segment with video begins at a key frame, one without anywhere; what ends it is the message that
begins the next, so that durations add up to the stream's own clock. Its frames become transport packets as they
arrive; its tables are put before them when it is finished, and so name the tracks that are really there, whichever
came first. A segment whose tracks or encoding differ from those before it is a discontinuity (RFC 8216, 4.3.2.3).

RTMP's clock has milliseconds of 32 bits. It is unwrapped, and a jump of it, which the hub should have repaired,
breaks the segment off. Audio is gathered into groups, for a PES packet each costs more than the frame; within a group
the timestamps follow from the number of samples, which is more exact than milliseconds are.
"""

from functools import cache
from typing import Final, NamedTuple

from openkls.codec import ProtocolError, aac, flv
from openkls.codec.annexb import VideoConfig, parse_video_config
from openkls.codec.mpegts import TICKS_PER_MS, StreamType, TsWriter
from openkls.codec.rtmp.events import MediaReceived
from openkls.media.ingest import Role

MIN_SEGMENT_SECONDS: Final = 2.0
MAX_SEGMENT_SECONDS: Final = 20.0  # x264's default of 250 frames between key frames is 16.7 s at 15 fps
MAX_SEGMENT_BYTES: Final = 16 * 1024 * 1024  # 20 s at 6.7 Mbps; with a window of six, 100 MiB for one stream
VIDEO_GONE_SECONDS: Final = 10.0  # without a frame for so long, segments are cut as those of an audio stream
JUMP_SECONDS: Final = 10.0  # no message for so long is another time line
JUMP_BACK_SECONDS: Final = 3.0  # above the skew of tracks that are interleaved badly

_MIN_SEGMENT_MS: Final = int(1000 * MIN_SEGMENT_SECONDS)
_MAX_SEGMENT_MS: Final = int(1000 * MAX_SEGMENT_SECONDS)
_VIDEO_GONE_MS: Final = int(1000 * VIDEO_GONE_SECONDS)
_JUMP_MS: Final = int(1000 * JUMP_SECONDS)
_JUMP_BACK_MS: Final = int(1000 * JUMP_BACK_SECONDS)

AUDIO_GROUP_BYTES: Final = 2_930  # 16 packets
AUDIO_GROUP_MS: Final = 300  # below the lead the frames have over the clock
AUDIO_SLACK_TICKS: Final = 2 * TICKS_PER_MS  # what rounding to milliseconds explains
MAX_MP3_BYTES: Final = 16 * 1024  # the longest frame is 2881 bytes; some publishers send several in a message

# Pictures shown before they are decoded, by a negative composition time: decoding is told that much earlier.
MAX_NEGATIVE_COMPOSITION_MS: Final = 1_000
_ORIGIN_TICKS: Final = 2_000 * TICKS_PER_MS  # time 0: neither that nor the lead makes a clock negative
_USUAL_FRAME_MS: Final = 40

_LEGACY_AAC: Final = 10  # FLV 10.1, E.4.2.1
VIDEO_CODECS: Final = frozenset(("h264", "hevc"))


class Segment(NamedTuple):
    """A finished segment, which begins with PAT and PMT and, unless the cut was forced, the key frame of its video.

    ``sequence`` is never used twice. ``discontinuity``: an EXT-X-DISCONTINUITY goes before it.
    """

    sequence: int
    duration_seconds: float
    payload: bytes
    discontinuity: bool


class _Audio(NamedTuple):
    """An encoding of audio; equal ones are the same. ``frame_ticks``: what a frame lasts; a message of several frames
    of MP3 has a group of its own, for the next does not come when it is due."""

    kind: StreamType
    adts: aac.Adts | None
    frame_ticks: float


_LOWEST_MPEG1_RATE: Final = 32_000


@cache
def _mp3(sample_rate: int) -> _Audio:
    # ISO 11172-3, 2.4.2.1 and 13818-3: the half sample rates have half the samples
    if sample_rate < _LOWEST_MPEG1_RATE:
        return _Audio(StreamType.MPEG2_AUDIO, None, 90_000 * 576 / sample_rate)
    return _Audio(StreamType.MPEG1_AUDIO, None, 90_000 * 1152 / sample_rate)


class _Open:
    """A segment in the making."""

    __slots__ = ("audio", "end_ms", "frames", "has_video", "parts", "size", "start_ms")

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self.end_ms = start_ms
        """Where it ends if nothing follows."""
        self.parts: list[bytes] = []
        self.size = 0
        self.frames = 0
        self.has_video = False
        self.audio: _Audio | None = None
        """What its audio began as; decides its stream type."""

    def add(self, packets: bytes) -> None:
        self.parts.append(packets)
        self.size += len(packets)

    def is_full(self, now_ms: int, more_bytes: int) -> bool:
        return now_ms - self.start_ms >= _MAX_SEGMENT_MS or self.size + more_bytes > MAX_SEGMENT_BYTES


class Segmenter:
    """Cuts the messages of one publish into MPEG-TS segments of at least MIN_SEGMENT_SECONDS, but shorter ones where
    the encoding changes or the clock jumps; at most MAX_SEGMENT_SECONDS and the pause before the next frame, and
    MAX_SEGMENT_BYTES or one frame."""

    def __init__(self, first_sequence: int = 0) -> None:
        """``first_sequence`` other than 0 continues what another Segmenter began: its first segment is a
        discontinuity."""
        self.left_out: set[str] = set()
        """The codecs seen that no segment carries (``av1``, ``opus``...): why a stream is not playable."""
        self.forced_cuts = 0
        """Segments cut away from a key frame, because they reached a maximum."""
        self.jumps = 0
        """Times the clock jumped by more than JUMP_SECONDS, or back by more than JUMP_BACK_SECONDS."""
        self.broken_headers = 0
        self.broken_frames = 0
        """Frames left out, wholly or in part, because their bytes make no sense."""
        self.dropped_frames = 0
        """Good frames left out: before the first key frame, or of an encoding that their segment does not have."""
        self._sequence = first_sequence
        self._writer = TsWriter()
        self._discontinuity = first_sequence > 0
        self._encodings: tuple[VideoConfig | None, _Audio | None] | None = None
        """Those of the segment before, on this time line."""
        self._forget()

    def _forget(self) -> None:
        """There is no publish any more."""
        self._header = b""
        self._video: VideoConfig | None = None
        self._aac: _Audio | None = None
        self._mp3_seen = False
        self._clock_ms: int | None = None
        self._restart(0)

    def _restart(self, now_ms: int) -> None:
        """A time line begins; what the headers said holds."""
        self._open: _Open | None = None
        self._recut = False
        self._encodings = None
        self._decodable: VideoConfig | None = None
        """The encoding of the last key frame, on which other frames build."""
        self._dts = -1
        self._earlier_ms = 0
        self._video_seen_ms = now_ms
        self._audio: _Audio | None = None
        self._audio_due = 0.0
        """Ticks of the next audio frame if no gap is before it."""
        self._group: list[bytes] = []
        self._group_bytes = 0
        self._group_pts = 0

    @property
    def playable(self) -> bool:
        """Whether anything was seen of this publish that a segment can carry: H.264, HEVC, AAC or MP3."""
        return self._video is not None or self._aac is not None or self._mp3_seen

    def take(self, role: Role, message: MediaReceived) -> Segment | None:
        """Take the next message; returns the segment that it ends. Never raises."""
        if role is Role.AUDIO:
            return self._take_audio(message)
        if role is Role.FRAME or role is Role.KEY_FRAME:
            return self._take_video(role is Role.KEY_FRAME, message)
        if role is Role.VIDEO_HEADER:
            self._take_video_header(message.payload)
        elif role is Role.AUDIO_HEADER:
            self._take_audio_header(message.payload)
        return None

    def break_off(self) -> Segment | None:
        """The publisher ended or was replaced: returns what is open, if it has a frame, and forgets the publish. The
        next segment is a discontinuity. Idempotent."""
        segment = self._end_here()
        self._forget()
        return segment

    # -- headers ------------------------------------------------------------------------------------------------

    def _take_video_header(self, payload: bytes) -> None:
        if payload == self._header:  # some encoders repeat it before every key frame
            return
        self._header = payload
        tag = flv.parse_video(payload)
        if tag.codec not in VIDEO_CODECS:
            self.left_out.add(tag.codec)
            self._video = None
            return
        try:
            video = parse_video_config(tag.codec, payload[tag.body_offset :])
        except ProtocolError:
            self.broken_headers += 1
            return
        if self._video is None:
            self._video_seen_ms = self._clock_ms or 0
        if video != self._video:  # else the former is kept: frames compare it by identity
            self._video = video

    def _take_audio_header(self, payload: bytes) -> None:
        tag = flv.parse_audio(payload)
        if tag.codec != "aac":
            self.left_out.add(tag.codec)
            return
        try:
            adts = aac.parse_adts(payload[tag.body_offset :])
        except ProtocolError:
            self.broken_headers += 1
            self.left_out.add("aac")
            self._aac = None
            return
        if self._aac is None or adts != self._aac.adts:
            self._aac = _Audio(StreamType.AAC, adts, 90_000 * aac.SAMPLES_PER_FRAME / adts.sample_rate)

    # -- frames -------------------------------------------------------------------------------------------------

    def _take_video(self, keyframe: bool, message: MediaReceived) -> Segment | None:
        payload = message.payload
        tag = flv.parse_video(payload)
        video = self._video
        if video is None or video.syntax.codec != tag.codec:
            self.dropped_frames += 1
            if tag.codec not in VIDEO_CODECS:
                self.left_out.add(tag.codec)
            return None
        now_ms, segment = self._advance(message.timestamp)
        if not keyframe and video is not self._decodable:
            self.dropped_frames += 1
            return segment
        pieces, whole = video.access_unit(payload, tag.body_offset, keyframe)
        if not whole:
            self.broken_frames += 1
            if not pieces:
                return segment
        current = self._open
        if current is not None:
            segment = self._cut_before_video(current, keyframe, now_ms, len(payload))
            current = self._open
        if current is None:
            current = self._open = _Open(now_ms)
        self._decodable = video
        self._write_video(current, now_ms, tag.composition_ms, pieces, keyframe)
        return segment

    def _cut_before_video(self, current: _Open, keyframe: bool, now_ms: int, more_bytes: int) -> Segment | None:
        long_enough = now_ms - current.start_ms >= _MIN_SEGMENT_MS
        if keyframe:
            if self._encodings is None and self._decodable is None and not long_enough:
                # the audio that some publishers send before their video: too short to begin a time line with
                self.dropped_frames += current.frames
                self._open = None
                self._writer = TsWriter()  # the counters of packets that nobody gets
                return None
            if long_enough or self._recut or self._decodable is not self._video:
                return self._finish(current, now_ms)
        if current.is_full(now_ms, more_bytes):
            self.forced_cuts += 1
            return self._finish(current, now_ms)
        return None

    def _write_video(self, current: _Open, now_ms: int, composition_ms: int, pieces: list[bytes], key: bool) -> None:
        if composition_ms < -self._earlier_ms:
            self._earlier_ms = min(-composition_ms, MAX_NEGATIVE_COMPOSITION_MS)
        dts = max((now_ms - self._earlier_ms) * TICKS_PER_MS + _ORIGIN_TICKS, self._dts + 1)
        pts = max((now_ms + composition_ms) * TICKS_PER_MS + _ORIGIN_TICKS, dts)
        current.add(self._writer.video(dts, pts, pieces, key))
        frame_ms = now_ms - self._video_seen_ms if current.has_video else _USUAL_FRAME_MS
        current.end_ms = now_ms + max(frame_ms, 1)
        current.frames += 1
        current.has_video = True
        self._dts = dts
        self._video_seen_ms = now_ms

    def _take_audio(self, message: MediaReceived) -> Segment | None:
        payload = message.payload
        if payload[0] >> 4 == _LEGACY_AAC:  # nearly all there is: the rest of its header says nothing
            audio, offset = self._aac, 2
        else:
            audio, offset = self._classify_audio(payload)
        if audio is None:
            self.dropped_frames += 1
            return None
        now_ms, segment = self._advance(message.timestamp)
        size = len(payload) - offset
        if not 0 < size <= (MAX_MP3_BYTES if audio.adts is None else aac.MAX_ADTS_FRAME_BYTES):
            self.broken_frames += 1
            return segment
        current = self._open
        if current is not None:
            if (
                now_ms - current.start_ms >= _MIN_SEGMENT_MS
                or size + current.size > MAX_SEGMENT_BYTES
                or audio is not self._audio
            ):
                cut = self._cut_before_audio(current, audio, now_ms, size)
                if cut is not None:
                    segment = cut
                    self._open = _Open(now_ms)
        elif self._video is None or self._is_video_gone(now_ms):
            self._open = _Open(now_ms)
        self._gather(audio, now_ms, payload[offset:])
        return segment

    def _classify_audio(self, payload: bytes) -> tuple[_Audio | None, int]:
        """The encoding of a frame, None if it cannot be carried, and where the frame begins."""
        tag = flv.parse_audio(payload)
        if tag.codec == "aac":
            return self._aac, tag.body_offset
        if tag.codec == "mp3":
            self._mp3_seen = True
            return _mp3(tag.sample_rate) if tag.sample_rate else None, tag.body_offset
        self.left_out.add(tag.codec)
        return None, 0

    def _is_video_gone(self, now_ms: int) -> bool:
        return now_ms - self._video_seen_ms > _VIDEO_GONE_MS

    def _cut_before_audio(self, current: _Open, audio: _Audio, now_ms: int, more_bytes: int) -> Segment | None:
        if self._decodable is None or self._is_video_gone(now_ms):
            changed = audio is not self._audio and self._audio is not None
            if changed or now_ms - current.start_ms >= _MIN_SEGMENT_MS:
                return self._finish(current, now_ms)
        if current.is_full(now_ms, more_bytes):
            self.forced_cuts += 1
            return self._finish(current, now_ms)
        return None

    def _gather(self, audio: _Audio, now_ms: int, frame: bytes) -> None:
        """Put a frame into the group, or begin the next group with it."""
        ticks = now_ms * TICKS_PER_MS + _ORIGIN_TICKS
        if audio is not self._audio or abs(ticks - self._audio_due) > AUDIO_SLACK_TICKS:
            self._flush_group()
            self._audio_due = ticks
        elif (
            self._group_bytes + len(frame) > AUDIO_GROUP_BYTES
            or ticks - self._group_pts > AUDIO_GROUP_MS * TICKS_PER_MS
        ):
            self._flush_group()
        if not self._group:
            self._group_pts = round(self._audio_due)
        self._audio = audio
        if audio.adts is not None:
            self._group.append(audio.adts.header(len(frame)))
        self._group.append(frame)
        self._audio_due += audio.frame_ticks
        self._group_bytes += len(frame)

    def _flush_group(self) -> None:
        """Write the group; it is lost while nothing is open, for want of a key frame."""
        group, self._group, self._group_bytes = self._group, [], 0
        audio, current = self._audio, self._open
        if not group or audio is None:
            return
        frames = len(group) // 2 if audio.adts else len(group)
        if current is None:
            self.dropped_frames += frames
            return
        if current.audio is None:
            current.audio = audio
        elif audio is not current.audio:
            self._recut = True
            if audio.kind is not current.audio.kind:
                self.dropped_frames += frames
                return
        current.add(self._writer.audio(self._group_pts, group, with_clock=not current.has_video))
        current.frames += frames
        if not current.has_video:
            current.end_ms = (round(self._audio_due) - _ORIGIN_TICKS) // TICKS_PER_MS

    # -- the time line and its segments ------------------------------------------------------------------------

    def _advance(self, timestamp: int) -> tuple[int, Segment | None]:
        """Unwrap a frame's timestamp; a jump ends what is open."""
        clock_ms = self._clock_ms
        if clock_ms is None:
            self._clock_ms = self._video_seen_ms = timestamp
            return timestamp, None
        step_ms = (timestamp - clock_ms + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        now_ms = self._clock_ms = clock_ms + step_ms
        if -_JUMP_BACK_MS <= step_ms <= _JUMP_MS:
            return now_ms, None
        self.jumps += 1
        segment = self._end_here()
        self._restart(now_ms)
        return now_ms, segment

    def _end_here(self) -> Segment | None:
        """End what is open before anything follows it."""
        self._flush_group()
        current = self._open
        segment = self._finish(current, current.end_ms) if current is not None and current.frames else None
        self._discontinuity = self._sequence > 0
        return segment

    def _finish(self, current: _Open, end_ms: int) -> Segment:
        self._flush_group()
        former = self._encodings
        audio = current.audio or (former[1] if former else None)
        encodings = self._encodings = (self._decodable, audio)
        tables = self._writer.tables(
            self._decodable.syntax.stream_type if self._decodable else None,
            audio.kind if audio else None,
            clock_in_video=current.has_video,
        )
        segment = Segment(
            self._sequence,
            max(end_ms - current.start_ms, 1) / 1000,
            b"".join((tables, *current.parts)),
            self._discontinuity or (former is not None and former != encodings),
        )
        self._sequence += 1
        self._discontinuity = False
        self._open = None
        self._recut = False
        return segment
