"""What is measured of a stream that is sent or received here. Rule: fed per message, read once a second; no clock."""

from dataclasses import dataclass

from openkls.codec import ProtocolError, amf0, flv
from openkls.codec.aac import parse_aac_config
from openkls.codec.h264 import parse_avc_config

GAP_MS = 1_000  # a step of the video's timestamps beyond this: frames that were left out, or a publisher that paused


@dataclass(frozen=True, slots=True)
class Second:
    """What came between two readings. ``pause_ms``: the longest wait for a message, of wall time."""

    kbps: float
    fps: float
    gaps: int
    pause_ms: int


class Meter:
    """Counts audio and video messages."""

    def __init__(self) -> None:
        self.video = ""
        self.audio = ""
        self.size = ""
        self.bytes = 0
        self.frames = 0
        self.gaps = 0
        self.first_ms: int | None = None
        self.last_ms = 0
        self._last_video_ms: int | None = None
        self._last_at: float | None = None
        self._pause_seconds = 0.0
        self._read_at: float | None = None
        self._read = (0, 0, 0)

    def begin(self, now: float) -> None:
        """The stream has started; ``now`` in seconds, of any steady clock."""
        self._read_at = self._last_at = now

    def take(self, type_id: int, timestamp_ms: int, payload: bytes, now: float) -> None:
        """Count one message."""
        self.bytes += len(payload)
        if self._last_at is not None:
            self._pause_seconds = max(self._pause_seconds, now - self._last_at)
        self._last_at = now
        if type_id == flv.VIDEO:
            self._take_video(timestamp_ms, payload)
        elif type_id == flv.AUDIO:
            self._take_audio(payload)
        else:
            self._take_data(payload)
            return
        if self.first_ms is None:
            self.first_ms = timestamp_ms
        self.last_ms = timestamp_ms

    def read(self, now: float) -> Second:
        """The figures since the last reading."""
        began = now if self._read_at is None else self._read_at
        seconds = max(now - began, 1e-3)
        size, frames, gaps = self._read
        # A wait that still lasts counts too: that is what a person wants to see of a stalled stream.
        waiting = 0.0 if self._last_at is None else now - self._last_at
        second = Second(
            kbps=(self.bytes - size) * 8 / 1000 / seconds,
            fps=(self.frames - frames) / seconds,
            gaps=self.gaps - gaps,
            pause_ms=int(max(self._pause_seconds, waiting) * 1000),
        )
        self._read_at, self._read, self._pause_seconds = now, (self.bytes, self.frames, self.gaps), 0.0
        return second

    @property
    def kind(self) -> str:
        """Codecs and size as far as they are known: ``h264 1280x720 + aac 44100``."""
        video = " ".join(filter(None, (self.video, self.size)))
        return " + ".join(filter(None, (video, self.audio))) or "nothing yet"

    def _take_video(self, timestamp_ms: int, payload: bytes) -> None:
        tag = flv.parse_video(payload)
        self.video = tag.codec or self.video
        if tag.kind is flv.Kind.SEQUENCE_HEADER and tag.codec == "h264":
            try:
                configuration = parse_avc_config(payload[tag.body_offset :])
                self.size = f"{configuration.width}x{configuration.height}"
            except ProtocolError:
                self.size = ""
        if tag.kind is not flv.Kind.CODED:
            return
        self.frames += 1
        if self._last_video_ms is not None and not 0 <= timestamp_ms - self._last_video_ms <= GAP_MS:
            self.gaps += 1
        self._last_video_ms = timestamp_ms

    def _take_audio(self, payload: bytes) -> None:
        tag = flv.parse_audio(payload)
        if tag.kind is flv.Kind.SEQUENCE_HEADER and tag.codec == "aac":
            try:
                self.audio = f"aac {parse_aac_config(payload[tag.body_offset :]).sample_rate}"
            except ProtocolError:
                self.audio = "aac"
        elif tag.codec and not self.audio.startswith(tag.codec):
            self.audio = tag.codec

    def _take_data(self, payload: bytes) -> None:
        try:
            declared = flv.read_metadata(amf0.decode_all(payload))
        except ProtocolError:
            return
        if declared.width and declared.height and not self.size:
            self.size = f"{declared.width}x{declared.height}"
