"""Push quality, measured from what arrives. Rule: counting is a few integer additions per message; nothing is stored
per message, and a reading costs the same however much has arrived.

Theory of operation (contract, 7). Wall time is cut into ticks (see window). Bytes, frames and media time are summed up
since the start; at the begin of each tick the sums so far are noted in a ring, so that what arrived within the window
is the difference between two sums. Media time is summed frame by frame, as the step from the frame before, so that a
jump of the timestamps (a new encoder run, a wrapped clock) spoils one step and not the window. The window's first frame
marks where media time begins: its own bytes and step, noted for each tick, are taken off again, which leaves the bits
between the first decoding timestamp and the last.

What has come is heard of in batches, up to GAP_SECONDS after it came (media.polling). So wall time is measured from the
last batch before the window to the last one in it: all that came between these two, and nothing else, is counted.
"""

from array import array
from dataclasses import dataclass
from math import floor
from typing import NamedTuple

from openkls.domain.window import TICKS_PER_SECOND, WINDOW_MIN_SECONDS, WINDOW_TICKS

# A step between two frames longer than this, or backwards, is a jump of the clock and no media time. Longer than the
# window itself would be unmeasurable anyway.
STEP_LIMIT_MS = 10_000
# A publisher that is not heard of for longer is silent: wall time goes on without it.
GAP_SECONDS = 0.25
# Int members of the contract are read into 32-bit integers by the Java SDK.
INT_LIMIT = 2**31 - 1


def round_half_up(value: float, digits: int = 0) -> float:
    """Rounded the way the contract asks for; Python's own round() takes halves to the even neighbour."""
    scale: int = 10**digits
    return floor(value * scale + 0.5) / scale


def whole(value: float) -> int:
    """Rounded half up to an integer that a 32-bit reader can hold."""
    return min(INT_LIMIT, floor(value + 0.5))


class Reading(NamedTuple):
    """One stream's quality at one moment. Rates are in bits a second, unrounded.

    A tuple, as the longest list makes ten thousand of them at once.
    """

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
    """The sums of one kind of media, and what they were at the begin of each tick of the ring."""

    __slots__ = ("_firsts", "_last_ms", "_starts", "count_bytes", "frames", "span_ms")

    def __init__(self) -> None:
        self.frames = 0
        self.count_bytes = 0
        self.span_ms = 0
        self._last_ms: int | None = None
        self._starts = [(0, 0, 0)] * WINDOW_TICKS
        # Bytes and step of each tick's first frame.
        self._firsts: list[tuple[int, int] | None] = [None] * WINDOW_TICKS

    def begin_tick(self, place: int) -> None:
        self._starts[place] = (self.frames, self.count_bytes, self.span_ms)
        self._firsts[place] = None

    def add(self, place: int, dts_ms: int, size_bytes: int) -> None:
        step_ms = _step_ms(self._last_ms, dts_ms)
        self._last_ms = dts_ms
        if step_ms is None:  # no media time to spread its bytes over
            step_ms = size_bytes = 0
        if self._firsts[place] is None:
            self._firsts[place] = (size_bytes, step_ms)
        self.frames += 1
        self.count_bytes += size_bytes
        self.span_ms += step_ms

    def since(self, oldest_tick: int, ticks: int) -> tuple[int, float, float]:
        """Frames, bits a second and frames a second of media time within the window of so many ticks."""
        oldest_place = oldest_tick % WINDOW_TICKS
        frames, count_bytes, span_ms = self._starts[oldest_place]
        frames = self.frames - frames
        if not frames:
            return _NOTHING
        first = self._firsts[oldest_place]
        if first is None:
            places = (tick % WINDOW_TICKS for tick in range(oldest_tick + 1, oldest_tick + ticks))
            first = next(first for place in places if (first := self._firsts[place]) is not None)
        first_bytes, first_ms = first
        span_ms = self.span_ms - span_ms - first_ms
        if span_ms <= 0:
            return frames, 0.0, 0.0
        count_bytes = self.count_bytes - count_bytes - first_bytes
        return frames, count_bytes * 8000 / span_ms, (frames - 1) * 1000 / span_ms


class Quality:
    """The counters of one publish. Times are monotonic seconds, timestamps 32-bit milliseconds."""

    __slots__ = (
        "_audio",
        "_heard",
        "_heard_starts",
        "_received_starts",
        "_since",
        "_tick",
        "_video",
        "acodec",
        "from_headers",
        "from_metadata",
        "received_bytes",
        "vcodec",
    )

    def __init__(self, now: float = 0.0) -> None:
        self._since = now
        self._tick = int(now * TICKS_PER_SECOND)
        self._heard = now
        # When something was heard of last before each tick.
        self._heard_starts = array("d", [now]) * WINDOW_TICKS
        self.received_bytes = 0
        """From the peer, since it published."""
        self._received_starts = [0] * WINDOW_TICKS
        self._video = _Track()
        self._audio = _Track()
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
        self._place(now)
        self.received_bytes += size_bytes

    def video_frame(self, now: float, dts_ms: int, size_bytes: int) -> None:
        """A coded video tag arrived; ``size_bytes`` of coded data."""
        self._video.add(self._place(now), dts_ms, size_bytes)

    def audio_frame(self, now: float, dts_ms: int, size_bytes: int) -> None:
        """A coded audio tag arrived; ``size_bytes`` of coded data."""
        self._audio.add(self._place(now), dts_ms, size_bytes)

    def read(self, now: float) -> Reading:
        """The figures of the window that ends at ``now``."""
        # An event loop's clock may stand a little before the one that is read here, and the other way round.
        oldest = max(int(now * TICKS_PER_SECOND), self._tick) - WINDOW_TICKS + 1
        ticks = self._tick - oldest + 1
        received_bytes, video, audio = 0, _NOTHING, _NOTHING
        if ticks > 0:  # else nothing has arrived for the whole window
            received_bytes = self.received_bytes - self._received_starts[oldest % WINDOW_TICKS]
            video, audio = self._video.since(oldest, ticks), self._audio.since(oldest, ticks)
        seconds = self._seconds(now, oldest)
        headers, metadata = self.from_headers, self.from_metadata
        frame_rate = curfps = width = height = 0
        frames, video_bps, measured_rate = video
        if self.vcodec:
            frame_rate = whole(metadata.frame_rate or headers.frame_rate or measured_rate)
            curfps = whole(frames / seconds)
            width, height = headers.width or metadata.width, headers.height or metadata.height
        sample_rate = (headers.sample_rate or metadata.sample_rate) if self.acodec else 0
        real_bps = received_bytes * 8 / seconds
        return Reading(
            frame_rate,
            curfps,
            video_bps,
            audio[1],
            real_bps,
            width,
            height,
            sample_rate,
            self.vcodec,
            self.acodec,
        )

    def _place(self, now: float) -> int:
        """The ring's place for ``now``; ticks that went by without anything begin where the last one ended."""
        tick = int(now * TICKS_PER_SECOND)
        if tick > self._tick:
            for begun in range(max(self._tick, tick - WINDOW_TICKS) + 1, tick + 1):
                place = begun % WINDOW_TICKS
                self._heard_starts[place] = self._heard
                self._received_starts[place] = self.received_bytes
                self._video.begin_tick(place)
                self._audio.begin_tick(place)
            self._tick = tick
        self._heard = now
        return self._tick % WINDOW_TICKS

    def _seconds(self, now: float, oldest_tick: int) -> float:
        """The wall time of the window whose first tick is given: at most the age, at least WINDOW_MIN_SECONDS."""
        begin = oldest_tick / TICKS_PER_SECOND
        heard = self._heard_starts[oldest_tick % WINDOW_TICKS]
        start = max(heard, begin - GAP_SECONDS, self._since) if oldest_tick <= self._tick else begin
        end = self._heard if now - self._heard < GAP_SECONDS else now
        return max(WINDOW_MIN_SECONDS, end - start)


_NOTHING = (0, 0.0, 0.0)


def _step_ms(last_ms: int | None, dts_ms: int) -> int | None:
    """Media time from the frame before; None at the first frame and at a jump. Timestamps wrap at 2^32."""
    if last_ms is None:
        return None
    step_ms = (dts_ms - last_ms) & 0xFFFFFFFF
    return step_ms if step_ms <= STEP_LIMIT_MS else None
