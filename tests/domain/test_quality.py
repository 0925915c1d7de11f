"""Push quality as the contract (7) defines it, beside an oracle that keeps every frame."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openkls.domain.quality import GAP_SECONDS, INT_LIMIT, STEP_LIMIT_MS, Quality, Reading, Traits, round_half_up, whole

TICK_MS = 250
WINDOW_MS = 10_000
WRAP = 2**32


@dataclass
class Frame:
    at_ms: int
    dts_ms: int
    size_bytes: int


@dataclass
class Oracle:
    """Keeps everything. Media time is cut into runs at every jump of the timestamps; a run lasts from its first
    decoding timestamp to its last and makes the bytes of all its frames but the first."""

    since_ms: int
    video: list[Frame] = field(default_factory=list)
    audio: list[Frame] = field(default_factory=list)
    received: list[tuple[int, int]] = field(default_factory=list)

    def opening_ms(self, now_ms: int) -> int:
        """The start of the oldest tick that counts."""
        return (now_ms // TICK_MS - WINDOW_MS // TICK_MS + 1) * TICK_MS

    def seconds(self, now_ms: int) -> float:
        """From the last arrival before the window to the last in it, where silences of GAP_SECONDS are none."""
        opening_ms = self.opening_ms(now_ms)
        arrivals = [self.since_ms, *(at_ms for at_ms, _ in self.received)]
        arrivals = sorted([*arrivals, *(frame.at_ms for frame in (*self.video, *self.audio))])
        before = max((at_ms for at_ms in arrivals if at_ms < opening_ms), default=self.since_ms)
        start = max(before / 1000, opening_ms / 1000 - GAP_SECONDS)
        last = arrivals[-1] / 1000
        end = last if now_ms / 1000 - last < GAP_SECONDS else now_ms / 1000
        return max(1.0, end - start)

    def in_window(self, frames: list[Frame], now_ms: int) -> list[Frame]:
        return [frame for frame in frames if frame.at_ms >= self.opening_ms(now_ms)]

    def media(self, frames: list[Frame], now_ms: int) -> tuple[int, int]:
        """Milliseconds of media time and the bytes made in them."""
        runs: list[list[Frame]] = []
        for frame in self.in_window(frames, now_ms):
            if runs and (frame.dts_ms - runs[-1][-1].dts_ms) % WRAP <= STEP_LIMIT_MS:
                runs[-1].append(frame)
            else:
                runs.append([frame])
        spans = [(run[-1].dts_ms - run[0].dts_ms) % WRAP for run in runs]
        return sum(spans), sum(frame.size_bytes for run in runs for frame in run[1:])

    def media_bps(self, frames: list[Frame], now_ms: int) -> float:
        span_ms, made_bytes = self.media(frames, now_ms)
        return made_bytes * 8000 / span_ms if span_ms else 0.0


def steady(
    fps: int = 25, size_bytes: int = 5000, seconds: int = 20, start: float = 100.0, first_dts_ms: int = 0
) -> Quality:
    """A stream whose frames arrive as they are made."""
    quality = Quality(start)
    quality.vcodec = "h264"
    for number in range(fps * seconds):
        now = start + number / fps
        quality.received(now, size_bytes + 50)
        quality.video_frame(now, (first_dts_ms + number * 1000 // fps) % WRAP, size_bytes)
    return quality


# -- steady streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [1, 5, 10, 24, 25, 30, 50, 60])
@pytest.mark.parametrize("phase", [0.0, 0.001, 0.12, 0.2])
def test_steady_stream_reads_its_frame_rate_at_any_phase(fps: int, phase: float) -> None:
    reading = steady(fps).read(120.0 - 1e-9 + phase)
    assert (reading.curfps, reading.frame_rate, reading.flr) == (fps, fps, 0)


@pytest.mark.parametrize("fps", [5, 10, 24, 25, 30, 50, 60])
@pytest.mark.parametrize("batch_seconds", [0.05, 0.15, 0.2])
def test_stream_heard_of_in_batches_reads_its_frame_rate_at_any_moment(fps: int, batch_seconds: float) -> None:
    quality, heard = Quality(100.0), 0
    quality.vcodec = "h264"
    for batch in range(1, int(25 / batch_seconds)):
        now = 100.0 + batch * batch_seconds
        came = math.floor(batch * batch_seconds * fps + 1e-6)
        for number in range(heard, came):
            quality.received(now, 5050)
            quality.video_frame(now, number * 1000 // fps, 5000)
        heard = came
        if batch * batch_seconds < 11:
            continue
        for later in (0.0, batch_seconds / 2, batch_seconds - 1e-6):
            reading = quality.read(now + later)
            assert (reading.curfps, reading.flr) == (fps, 0)
            assert reading.real_bps == pytest.approx(fps * 5050 * 8, rel=0.05 if fps < 24 else 0.006)


def test_steady_stream_is_exact() -> None:
    reading = steady(fps=20, size_bytes=5000, seconds=10).read(110.0 - 1e-9)
    assert reading.curfps == 20
    assert reading.video_bps == 800_000  # 199 frames in 199 steps
    assert reading.real_bps == pytest.approx(200 * 5050 * 8 / 9.95)  # the first came at once, and the last at 9.95


def test_chunk_headers_make_bwdiff_slightly_negative() -> None:
    reading = steady(size_bytes=5000).read(119.9)
    assert reading.video_bps < reading.real_bps < reading.video_bps * 1.05


def test_timestamps_that_wrap_are_no_jump() -> None:
    plain = steady().read(119.9)
    wrapped = steady(first_dts_ms=WRAP - 15_000).read(119.9)
    assert wrapped == plain


def test_uplink_too_slow_shows_as_media_ahead_of_the_wall() -> None:
    quality = Quality(100.0)
    quality.vcodec = "h264"
    for number in range(100):  # 25 fps of media at half the speed
        now = 100.0 + number / 12.5
        quality.received(now, 5000)
        quality.video_frame(now, number * 40, 5000)
    reading = quality.read(108.0)
    assert reading.video_bps == 1_000_000
    assert reading.real_bps == pytest.approx(100 * 5000 * 8 / 7.92)
    assert reading.frame_rate == 25
    assert reading.curfps == 13  # 12.5, half up
    assert reading.flr == 48


def test_stall_decays_to_zero() -> None:
    quality = steady()
    quality.from_metadata.frame_rate = 25.0
    fps = [quality.read(120.0 + quarter / 4).curfps for quarter in range(42)]
    assert fps == sorted(fps, reverse=True)
    reading = quality.read(130.25)
    assert (reading.curfps, reading.video_bps, reading.audio_bps, reading.real_bps) == (0, 0.0, 0.0, 0.0)
    assert reading.flr == 100
    assert reading.frame_rate == 25


def test_ring_is_clean_after_a_long_stall() -> None:
    quality = steady()
    quality.video_frame(500.0, 20_000, 1)
    reading = quality.read(500.1)
    assert reading.curfps == 0  # one frame in ten seconds
    assert reading.video_bps == 0.0


def test_ring_reused_exactly_one_turn_later_counts_only_the_new_tick() -> None:
    quality = Quality(0.0)
    quality.received(100.0, 1000)
    quality.received(110.0, 10)
    assert quality.read(110.0).real_bps == 10 * 8 / 10


def test_a_clock_read_a_moment_earlier_loses_nothing() -> None:
    quality = Quality(0.0)
    for second in range(12):
        quality.received(float(second), 100)
    quality.received(10.99, 50)  # an event loop's cached time, just behind a tick
    assert quality.read(10.99).real_bps == pytest.approx(1050 * 8 / 9.99)
    assert quality.read(11.0).real_bps == pytest.approx(1050 * 8 / 9.99)


def test_session_younger_than_a_second_is_measured_over_one() -> None:
    quality = Quality(100.0)
    quality.vcodec = "h264"
    for number in range(5):
        quality.received(100.0 + number / 25, 1000)
        quality.video_frame(100.0 + number / 25, number * 40, 1000)
    reading = quality.read(100.2)
    assert reading.curfps == 5
    assert reading.real_bps == 40_000
    assert reading.video_bps == 4000 * 8 / 0.16
    assert quality.read(102.0).curfps == 3  # 2.5, half up


def test_age_counts_from_begin() -> None:
    quality = Quality(0.0)
    quality.begin(100.0)
    quality.received(101.0, 1000)
    assert quality.read(102.0).real_bps == 4000


# -- jumps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_ms", [STEP_LIMIT_MS + 1, 3_600_000, -1, -3_600_000])
def test_jump_of_the_clock_costs_one_step(jump_ms: int) -> None:
    quality = Quality(0.0)
    quality.vcodec = "h264"
    dts_ms = 10_000_000
    for number in range(100):
        quality.video_frame(number * 0.04, dts_ms % WRAP, 5000)
        dts_ms += 40 if number != 50 else jump_ms
    assert quality.read(4.0).video_bps == 98 * 5000 * 8 / (98 * 0.040)


def test_longest_step_is_media_time() -> None:
    quality = Quality(0.0)
    quality.video_frame(0.0, 0, 100)
    quality.video_frame(1.0, STEP_LIMIT_MS, 1000)
    assert quality.read(2.0).video_bps == 1000 * 8 / 10


def test_frames_of_one_timestamp_have_no_rate() -> None:
    quality = Quality(0.0)
    quality.vcodec = "h264"
    for _ in range(3):
        quality.video_frame(0.1, 500, 1000)
    reading = quality.read(1.0)
    assert (reading.video_bps, reading.frame_rate, reading.curfps, reading.flr) == (0.0, 0, 3, 0)


def test_single_frame_has_no_bitrate() -> None:
    quality = Quality(0.0)
    quality.video_frame(0.1, 500, 1000)
    assert quality.read(1.0).video_bps == 0.0


# -- the oracle ------------------------------------------------------------------------------------------------------

arrivals = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 7, 20, 33, 40, 40, 40, 249, 250, 251, 900, 4000]) | st.integers(0, 3000),
        st.sampled_from(["video", "audio", "received"]),
        # steps of media time: usual ones, none, the longest, jumps both ways
        st.sampled_from([40, 40, 40, 33, 21, 23, 0, 1, STEP_LIMIT_MS, STEP_LIMIT_MS + 1, -1, -40, 2**31, -(2**31)]),
        st.integers(0, 200_000),
    ),
    max_size=80,
)


@example(
    1,
    0,
    [(0, "video", 40, 0)] * 4
    + [(4000, "audio", 40, 0)]
    + [(0, "video", 40, 0)] * 4
    + [(4000, "video", 40, 0), (4000, "audio", 40, 0)],
    0,
)
@given(
    st.integers(0, 10**8),
    st.integers(0, WRAP - 1) | st.integers(WRAP - 2000, WRAP - 1),
    arrivals,
    st.integers(0, 12_000),
)
def test_every_figure_is_that_of_an_oracle_which_keeps_every_frame(
    start_ms: int, first_dts_ms: int, pattern: list[tuple[int, str, int, int]], pause_ms: int
) -> None:
    quality = Quality(start_ms / 1000)
    quality.vcodec, quality.acodec = "h264", "aac"
    oracle = Oracle(start_ms)
    now_ms, dts_ms = start_ms, {"video": first_dts_ms, "audio": first_dts_ms}
    for gap_ms, kind, step_ms, size_bytes in pattern:
        now_ms += gap_ms
        now = now_ms / 1000
        if kind == "received":
            quality.received(now, size_bytes)
            oracle.received.append((now_ms, size_bytes))
            continue
        dts_ms[kind] = (dts_ms[kind] + step_ms) % WRAP
        frame = Frame(now_ms, dts_ms[kind], size_bytes)
        if kind == "video":
            quality.video_frame(now, frame.dts_ms, size_bytes)
            oracle.video.append(frame)
        else:
            quality.audio_frame(now, frame.dts_ms, size_bytes)
            oracle.audio.append(frame)
    now_ms += pause_ms
    reading = quality.read(now_ms / 1000)

    seconds = oracle.seconds(now_ms)
    frames = oracle.in_window(oracle.video, now_ms)
    assert reading.curfps == math.floor(len(frames) / seconds + 0.5)
    assert reading.video_bps == pytest.approx(oracle.media_bps(oracle.video, now_ms))
    assert reading.audio_bps == pytest.approx(oracle.media_bps(oracle.audio, now_ms))
    opening_ms = oracle.opening_ms(now_ms)
    counted = sum(size_bytes for at_ms, size_bytes in oracle.received if at_ms >= opening_ms)
    assert reading.real_bps == pytest.approx(counted * 8 / seconds)
    # Against the contract's own window, which slides: the ring's is at most one tick shorter, and its wall time may
    # begin with the last arrival before it.
    if now_ms - start_ms >= WINDOW_MS:
        least = sum(frame.at_ms > now_ms - WINDOW_MS + TICK_MS for frame in oracle.video) / (10 + GAP_SECONDS)
        most = sum(frame.at_ms >= now_ms - WINDOW_MS for frame in oracle.video) / 9.75
        assert math.floor(least + 0.5) <= reading.curfps <= math.floor(most + 0.5)


@given(
    st.integers(WRAP - 30_000, WRAP - 1),
    st.lists(st.tuples(st.integers(1, 100), st.integers(1, 50_000)), min_size=2, max_size=90),
)
def test_without_jumps_the_bitrate_is_last_timestamp_minus_first(
    first_dts_ms: int, steps: list[tuple[int, int]]
) -> None:
    quality = Quality(0.0)
    quality.vcodec = "h264"
    at_ms = 0
    for step_ms, size_bytes in steps:
        at_ms += step_ms
        quality.video_frame(at_ms / 1000, (first_dts_ms + at_ms) % WRAP, size_bytes)
    span_ms = at_ms - steps[0][0]
    made_bytes = sum(size_bytes for _, size_bytes in steps[1:])
    reading = quality.read(at_ms / 1000)
    assert reading.video_bps == pytest.approx(made_bytes * 8000 / span_ms)
    assert reading.frame_rate == math.floor((len(steps) - 1) * 1000 / span_ms + 0.5)


# -- what the stream says of itself -----------------------------------------------------------------------------------


def test_declared_frame_rate_is_metadata_then_headers_then_measured() -> None:
    quality = steady(fps=10)
    assert quality.read(119.9).frame_rate == 10
    quality.from_headers.frame_rate = 29.97
    assert quality.read(119.9).frame_rate == 30
    quality.from_metadata.frame_rate = 24.5
    assert quality.read(119.9).frame_rate == 25


def test_size_and_sample_rate_are_the_headers_then_metadata() -> None:
    quality = Quality(0.0)
    quality.vcodec, quality.acodec = "h264", "aac"
    quality.from_metadata = Traits(width=640, height=360, sample_rate=22_050)
    reading = quality.read(1.0)
    assert (reading.width, reading.height, reading.sample_rate) == (640, 360, 22_050)
    quality.from_headers = Traits(width=1280, height=720, sample_rate=44_100)
    reading = quality.read(1.0)
    assert (reading.width, reading.height, reading.sample_rate) == (1280, 720, 44_100)
    assert (reading.vcodec, reading.acodec) == ("h264", "aac")


def test_audio_only_stream_has_no_video_figures() -> None:
    quality = Quality(0.0)
    quality.acodec = "aac"
    quality.from_metadata = Traits(width=640, height=360, frame_rate=25.0, sample_rate=48_000)
    for number in range(430):
        quality.audio_frame(number * 0.02, number * 20, 200)
    reading = quality.read(8.6)
    assert (reading.frame_rate, reading.curfps, reading.flr, reading.width, reading.height) == (0, 0, 0, 0, 0)
    assert reading.vcodec == ""
    assert reading.video_bps == 0.0
    assert reading.audio_bps == 80_000
    assert reading.sample_rate == 48_000


def test_video_only_stream_has_no_audio_figures() -> None:
    quality = steady()
    quality.from_metadata.sample_rate = 44_100
    reading = quality.read(119.9)
    assert (reading.audio_bps, reading.sample_rate, reading.acodec) == (0.0, 0, "")


@pytest.mark.parametrize(
    ("frame_rate", "curfps", "flr"),
    [(25, 25, 0), (25, 30, 0), (25, 0, 100), (30, 29, 3), (30, 20, 33), (25, 24, 4), (0, 5, 0), (3, 2, 33), (7, 1, 85)],
)
def test_frame_loss_is_cut_to_whole_per_cent(frame_rate: int, curfps: int, flr: int) -> None:
    assert Reading(frame_rate, curfps, 0.0, 0.0, 0.0, 0, 0, 0, "h264", "").flr == flr


# -- rounding --------------------------------------------------------------------------------------------------------


def test_halves_round_up() -> None:
    assert [round_half_up(value) for value in (0.5, 1.5, 2.5, 2.4999)] == [1, 2, 3, 2]
    assert round_half_up(223.45, 1) == 223.5
    assert round_half_up(0.125, 2) == 0.13
    assert round_half_up(-0.5) == 0
    assert whole(2.5) == 3


def test_whole_fits_a_32_bit_reader() -> None:
    assert whole(float(INT_LIMIT)) == INT_LIMIT
    assert whole(float(INT_LIMIT + 1)) == whole(1e300) == INT_LIMIT
