"""Push quality, measured from what arrives. Rule: counting is a few integer additions per message; nothing is stored
per message, and every figure is computed at the reading.

Theory of operation (contract, 7). Wall time is cut into ticks (see rates); a ring of slots holds, for each tick of the
window, how many bytes and frames arrived and how much media time they span. Media time is summed frame by frame, as
the step from the frame before, so that a jump of the timestamps (a new encoder run, a wrapped clock) spoils one step
and not the window. The window's first frame marks where media time begins: its own bytes and step are taken off
again, which leaves the bits between the first decoding timestamp and the last.
"""

from dataclasses import dataclass
from math import floor

from openkls.domain.rates import TICKS_PER_SECOND, WINDOW_TICKS, window_seconds

# A step between two frames longer than this, or backwards, is a jump of the clock and no media time. Longer than the
# window itself would be unmeasurable anyway.
STEP_LIMIT_MS = 10_000
# Int members of the contract are read into 32-bit integers by the Java SDK.
INT_LIMIT = 2**31 - 1


def round_half_up(value: float, digits: int = 0) -> float:
    """Rounded the way the contract asks for; Python's own round() takes halves to the even neighbour."""
    scale: int = 10**digits
    return floor(value * scale + 0.5) / scale


def whole(value: float) -> int:
    """Rounded half up to an integer that a 32-bit reader can hold."""
    return min(INT_LIMIT, int(round_half_up(value)))


@dataclass(frozen=True, slots=True)
class Reading:
    """One stream's quality at one moment. Rates are in bits a second, unrounded."""

    frame_rate: int
    curfps: int
    video_bps: float
    """Of media time: what the encoder makes."""
    audio_bps: float
    real_bps: float
    """Of wall time: what the uplink carries, chunk headers included."""
    width: int
    height: int
    sample_rate: int
    vcodec: str
    acodec: str

    @property
    def flr(self) -> int:
        """Frames lost, in per cent of the declared rate, cut to an integer and never negative."""
        if not self.frame_rate:
            return 0
        return max(0, (self.frame_rate - self.curfps) * 100 // self.frame_rate)


@dataclass(slots=True)
class Traits:
    """What a stream says of itself, by one source; 0 and "" where it says nothing."""

    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    sample_rate: int = 0


class _Track:
    """Bytes, frames and media time of one kind of media within one tick."""

    __slots__ = ("count_bytes", "first_bytes", "first_ms", "frames", "span_ms")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.frames = 0
        self.count_bytes = 0
        self.span_ms = 0
        self.first_bytes = 0
        self.first_ms = 0

    def add(self, step_ms: int, size_bytes: int) -> None:
        if not self.frames:
            self.first_bytes = size_bytes
            self.first_ms = step_ms
        self.frames += 1
        self.count_bytes += size_bytes
        self.span_ms += step_ms


class _Slot:
    __slots__ = ("audio", "received_bytes", "tick", "video")

    def __init__(self) -> None:
        self.tick = -WINDOW_TICKS
        self.received_bytes = 0
        self.video = _Track()
        self.audio = _Track()


class Quality:
    """The counters of one publish. Times are monotonic seconds, timestamps 32-bit milliseconds."""

    __slots__ = (
        "_audio_ms",
        "_ring",
        "_since",
        "_slot",
        "_video_ms",
        "acodec",
        "from_headers",
        "from_metadata",
        "vcodec",
    )

    def __init__(self, now: float = 0.0) -> None:
        self._since = now
        self._ring = [_Slot() for _ in range(WINDOW_TICKS)]
        self._slot = self._ring[0]
        self._video_ms: int | None = None
        self._audio_ms: int | None = None
        self.vcodec = ""
        self.acodec = ""
        self.from_headers = Traits()
        """From the codecs' own headers (SPS, AudioSpecificConfig): believed first, but for the frame rate."""
        self.from_metadata = Traits()
        """From onMetaData: believed first for the frame rate, last for the rest."""

    def begin(self, now: float) -> None:
        """The session's age counts from here."""
        self._since = now

    def received(self, now: float, size_bytes: int) -> None:
        """Bytes arrived on the connection."""
        self._at(now).received_bytes += size_bytes

    def video_frame(self, now: float, dts_ms: int, size_bytes: int) -> None:
        """A coded video tag arrived; ``size_bytes`` of coded data."""
        step_ms = _step_ms(self._video_ms, dts_ms)
        self._video_ms = dts_ms
        # A frame without a step has no media time to spread its bytes over.
        self._at(now).video.add(step_ms or 0, size_bytes if step_ms is not None else 0)

    def audio_frame(self, now: float, dts_ms: int, size_bytes: int) -> None:
        """A coded audio tag arrived; ``size_bytes`` of coded data."""
        step_ms = _step_ms(self._audio_ms, dts_ms)
        self._audio_ms = dts_ms
        self._at(now).audio.add(step_ms or 0, size_bytes if step_ms is not None else 0)

    def read(self, now: float) -> Reading:
        """The figures of the window that ends at ``now``."""
        tick = int(now * TICKS_PER_SECOND)
        slots = sorted(
            (slot for slot in self._ring if tick - WINDOW_TICKS < slot.tick <= tick),
            key=lambda slot: slot.tick,
        )
        seconds = window_seconds(now, self._since)
        video = _total([slot.video for slot in slots])
        audio = _total([slot.audio for slot in slots])
        has_video = bool(self.vcodec)
        headers, metadata = self.from_headers, self.from_metadata
        declared = metadata.frame_rate or headers.frame_rate or video.frame_rate
        return Reading(
            frame_rate=whole(declared) if has_video else 0,
            curfps=whole(video.frames / seconds) if has_video else 0,
            video_bps=video.bps,
            audio_bps=audio.bps,
            real_bps=sum(slot.received_bytes for slot in slots) * 8 / seconds,
            width=(headers.width or metadata.width) if has_video else 0,
            height=(headers.height or metadata.height) if has_video else 0,
            sample_rate=(headers.sample_rate or metadata.sample_rate) if self.acodec else 0,
            vcodec=self.vcodec,
            acodec=self.acodec,
        )

    def _at(self, now: float) -> _Slot:
        tick = int(now * TICKS_PER_SECOND)
        slot = self._slot
        if slot.tick != tick:
            slot = self._slot = self._ring[tick % WINDOW_TICKS]
            if slot.tick != tick:
                slot.tick = tick
                slot.received_bytes = 0
                slot.video.clear()
                slot.audio.clear()
        return slot


@dataclass(frozen=True, slots=True)
class _Total:
    frames: int
    bps: float
    frame_rate: float


def _step_ms(last_ms: int | None, dts_ms: int) -> int | None:
    """Media time from the frame before; None at the first frame and at a jump. Timestamps wrap at 2^32."""
    if last_ms is None:
        return None
    step_ms = (dts_ms - last_ms) & 0xFFFFFFFF
    return step_ms if step_ms <= STEP_LIMIT_MS else None


def _total(tracks: list[_Track]) -> _Total:
    """One kind of media over the window: everything after its first frame (``tracks`` in order of time)."""
    frames = sum(track.frames for track in tracks)
    first = next((track for track in tracks if track.frames), None)
    if first is None:
        return _Total(0, 0.0, 0.0)
    span_ms = sum(track.span_ms for track in tracks) - first.first_ms
    if span_ms <= 0:
        return _Total(frames, 0.0, 0.0)
    count_bytes = sum(track.count_bytes for track in tracks) - first.first_bytes
    return _Total(frames, count_bytes * 8000 / span_ms, (frames - 1) * 1000 / span_ms)
