"""Segments: what was published comes out of them, whatever order, clock and codecs it came with."""

import hashlib
import io
import subprocess
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import flv
from openkls.codec.aac import MAX_ADTS_FRAME_BYTES
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.quality import Quality
from openkls.media import segments
from openkls.media.ingest import Ingest, Role
from openkls.media.segments import (
    JUMP_BACK_SECONDS,
    JUMP_SECONDS,
    MAX_MP3_BYTES,
    MAX_SEGMENT_SECONDS,
    MIN_SEGMENT_SECONDS,
    VIDEO_GONE_SECONDS,
    Segment,
    Segmenter,
)
from support_media import (
    AUDIO_HEADER,
    AVC_CONFIG,
    FFMPEG,
    PICTURE,
    TONE,
    VIDEO_HEADER,
    X264,
    clip,
    frame,
    key_frame,
    sound,
)
from support_ts import Pes, Program, adts_frames, demux, nal_units

AAC = ("-c:a", "aac", "-b:a", "96k")
MP3 = ("-c:a", "libmp3lame", "-b:a", "96k")
B_FRAMES = ("-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3", "-pix_fmt", "yuv420p")
HEVC = (
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "log-level=none:keyint=50:scenecut=0:open-gop=0",
    "-pix_fmt",
    "yuv420p",
)
OTHER_AVC = b"\x17\x00\x00\x00\x00" + AVC_CONFIG.replace(b"\xd9\x40\xa0", b"\xd9\x40\xa1")
OTHER_AAC = b"\xaf\x00\x11\x90"  # 48000 Hz
SOUND_MS = 23
MP3_FRAME = b"\x2f\xff\xfb\x90\xc4" + bytes(413)
TICKS = 90
ORIGIN = 2_000 * TICKS


class Feed:
    """A Segmenter, its messages classified as the service does it."""

    def __init__(self, first_sequence: int = 0) -> None:
        self.segmenter = Segmenter(first_sequence)
        self.ingest = Ingest(Quality(0.0))
        self.made: list[Segment] = []
        self.roles: list[Role] = []

    def send(self, type_id: int, timestamp: int, payload: bytes) -> None:
        message = MediaReceived(type_id, timestamp & 0xFFFFFFFF, payload)
        role = self.ingest.take(message, 0.0)
        self.roles.append(role)
        self._keep(self.segmenter.take(role, message))

    def video(self, timestamp: int, payload: bytes) -> None:
        self.send(flv.VIDEO, timestamp, payload)

    def audio(self, timestamp: int, payload: bytes = sound()) -> None:
        self.send(flv.AUDIO, timestamp, payload)

    def start(self, timestamp: int = 0) -> None:
        self.video(timestamp, VIDEO_HEADER)
        self.audio(timestamp, AUDIO_HEADER)
        self.video(timestamp, key_frame())

    def frames(self, begin_ms: int, end_ms: int, step_ms: int = 40) -> None:
        for timestamp in range(begin_ms, end_ms, step_ms):
            self.video(timestamp, frame())

    def sounds(self, begin_ms: int, end_ms: int, payload: bytes = sound()) -> None:
        for timestamp in range(begin_ms, end_ms, SOUND_MS):
            self.audio(timestamp, payload)

    def break_off(self) -> list[Segment]:
        self._keep(self.segmenter.break_off())
        return self.made

    def _keep(self, segment: Segment | None) -> None:
        if segment is not None:
            self.made.append(segment)

    @property
    def durations(self) -> list[float]:
        return [segment.duration_seconds for segment in self.made]

    @property
    def discontinuities(self) -> list[bool]:
        return [segment.discontinuity for segment in self.made]

    @property
    def programs(self) -> list[Program]:
        counters: dict[int, int] = {}
        return [demux(segment.payload, counters) for segment in self.made]


def fed(tags: list[flv.Tag], shift_ms: int = 0) -> Feed:
    feed = Feed()
    for tag in tags:
        feed.send(tag.type_id, tag.timestamp + shift_ms, tag.payload)
    feed.break_off()
    return feed


def units_of(programs: list[Program], track: str) -> list[Pes]:
    return [pes for program in programs for pes in getattr(program, track)]


def sent_video(tags: list[flv.Tag]) -> list[tuple[int, int, list[bytes]]]:
    """DTS, PTS in ms and NAL units of the frames of a recording."""
    sent = []
    for tag in tags:
        parsed = flv.parse_video(tag.payload)
        if tag.type_id != flv.VIDEO or parsed.kind is not flv.Kind.CODED:
            continue
        units, body = [], tag.payload[parsed.body_offset :]
        while body:
            size = 4 + int.from_bytes(body[:4], "big")
            units.append(body[4:size])
            body = body[size:]
        sent.append((tag.timestamp, tag.timestamp + parsed.composition_ms, units))
    return sent


def sent_audio(tags: list[flv.Tag]) -> list[tuple[int, bytes]]:
    parsed = [(tag, flv.parse_audio(tag.payload)) for tag in tags if tag.type_id == flv.AUDIO]
    return [(t.timestamp, t.payload[p.body_offset :]) for t, p in parsed if p.kind is flv.Kind.CODED]


def assert_video_is_whole(feed: Feed, tags: list[flv.Tag]) -> None:
    seen = units_of(feed.programs, "video")
    sent = sent_video(tags)
    assert sent
    assert [(pes.dts, pes.pts) for pes in seen] == [(d * TICKS + ORIGIN, p * TICKS + ORIGIN) for d, p, _ in sent]
    for pes, (_, _, units) in zip(seen, sent, strict=True):
        written = nal_units(pes.body)[1:]
        assert written[len(written) - len(units) :] == units
        # all that may be before them is parameter sets
        assert {unit[0] & 31 for unit in written[: len(written) - len(units)]} <= {7, 8} or pes.random_access


def assert_aac_is_whole(feed: Feed, tags: list[flv.Tag], sample_rate: int = 44_100) -> None:
    seen = []
    for pes in units_of(feed.programs, "audio"):
        for number, (_, body) in enumerate(adts_frames(pes.body)):
            seen.append(((pes.pts - ORIGIN) / TICKS + number * 1024_000 / sample_rate, body))
    sent = sent_audio(tags)
    assert [body for _, body in seen] == [body for _, body in sent]
    assert all(abs(a - b) <= 2 for (a, _), (b, _) in zip(seen, sent, strict=True))


def decoded(stream: bytes, container_format: str) -> list[str]:
    """The hashes of all pictures, by the real ffmpeg, which must find no fault."""
    command = [
        FFMPEG,
        "-v",
        "error",
        "-xerror",
        "-f",
        container_format,
        "-i",
        "-",
        "-map",
        "0:v",
        "-f",
        "framehash",
        "-",
    ]
    run = subprocess.run(command, input=stream, capture_output=True, check=True, timeout=60)
    assert run.stderr == b""
    return [line.split(",")[-1].strip() for line in run.stdout.decode().splitlines() if not line.startswith("#")]


def played(stream: bytes) -> None:
    """The real ffmpeg decodes every track and finds no fault, not even in the timestamps."""
    command = [FFMPEG, "-v", "warning", "-xerror", "-f", "mpegts", "-i", "-", "-map", "0", "-f", "null", "-"]
    run = subprocess.run(command, input=stream, capture_output=True, check=True, timeout=60)
    assert run.stderr == b""


def as_flv(tags: list[flv.Tag]) -> bytes:
    return flv.build_header(audio=True, video=True) + b"".join(flv.build_tag(*tag) for tag in tags)


# -- real encoders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [X264, B_FRAMES, HEVC], ids=["h264", "b-frames", "hevc"])
@pytest.mark.parametrize("sound", [(), (*TONE, *AAC)], ids=["video-only", "aac"])
def test_pictures_come_out_as_they_were_sent(codec: tuple[str, ...], sound: tuple[str, ...]) -> None:
    inputs = (*PICTURE, *sound[:4])
    tags = clip(*inputs, *codec, *sound[4:], seconds=6.0)
    feed = fed(tags)
    assert_video_is_whole(feed, tags)
    if sound:
        assert_aac_is_whole(feed, tags)
    stream = b"".join(segment.payload for segment in feed.made)
    assert decoded(stream, "mpegts") == decoded(as_flv(tags), "flv")
    played(stream)
    assert len(feed.made) == 3
    assert sum(feed.durations) == pytest.approx(6.0, abs=0.05)
    assert feed.segmenter.broken_frames == feed.segmenter.dropped_frames == 0


@pytest.mark.parametrize("codec", [X264, B_FRAMES, HEVC], ids=["h264", "b-frames", "hevc"])
def test_each_segment_decodes_alone_from_its_first_frame(codec: tuple[str, ...]) -> None:
    feed = fed(clip(*PICTURE, *TONE, *codec, *AAC, seconds=6.0))
    for segment, program in zip(feed.made, feed.programs, strict=True):
        assert program.order[:3] == [0, 0x1000, 0x100]
        assert program.units[0].random_access or program.video[0].random_access
        assert len(decoded(segment.payload, "mpegts")) == len(program.video)


def test_pyav_reads_what_our_demuxer_reads() -> None:
    feed = fed(clip(*PICTURE, *TONE, *B_FRAMES, *AAC, seconds=6.0))
    with av.open(io.BytesIO(b"".join(segment.payload for segment in feed.made)), format="mpegts") as container:
        packets = [(p.stream.type, p.dts, p.pts, bytes(p), p.is_keyframe) for p in container.demux() if p.size]
        assert (container.streams.video[0].codec.name, container.streams.audio[0].codec.name) == ("h264", "aac")
    pictures = [packet[1:] for packet in packets if packet[0] == "video"]
    assert pictures == [(p.dts, p.pts, p.body, p.random_access) for p in units_of(feed.programs, "video")]
    frames = [frame for pes in units_of(feed.programs, "audio") for frame in adts_frames(pes.body)]
    assert [packet[3] for packet in packets if packet[0] == "audio"] == [head + body for head, body in frames]


@pytest.mark.parametrize("picture", [False, True])
def test_aac_alone_and_beside_pictures_keeps_its_frames_and_times(picture: bool) -> None:
    tags = clip(*(PICTURE if picture else ()), *TONE, *(X264 if picture else ()), *AAC, seconds=5.0)
    feed = fed(tags)
    assert_aac_is_whole(feed, tags)
    played(b"".join(segment.payload for segment in feed.made))


@pytest.mark.parametrize("rate", [44_100, 22_050])
@pytest.mark.parametrize("picture", [False, True])
def test_mp3_keeps_its_frames_and_times(rate: int, picture: bool) -> None:
    tags = clip(*(PICTURE if picture else ()), *TONE, *(X264 if picture else ()), *MP3, "-ar", str(rate), seconds=5.0)
    feed = fed(tags)
    sent = sent_audio(tags)
    groups = units_of(feed.programs, "audio")
    for pes in groups:
        while pes.body:
            timestamp, body = sent.pop(0)
            assert pes.body.startswith(body)
            assert abs((pes.pts - ORIGIN) / TICKS - timestamp) <= 2
            samples = 1152 if rate == 44_100 else 576
            pes = pes._replace(body=pes.body[len(body) :], pts=pes.pts + samples * 90_000 // rate)
    assert not sent
    assert {pes.pid: program.tracks[pes.pid] for program in feed.programs for pes in program.audio} == {
        0x101: 3 if rate == 44_100 else 4
    }
    played(b"".join(segment.payload for segment in feed.made))


def test_audio_alone_is_cut_by_time_and_holds_the_clock() -> None:
    feed = fed(clip(*TONE, *AAC, seconds=7.0))
    assert all(2.0 <= duration < 2.03 for duration in feed.durations[:-1])
    assert len(feed.made) == 4
    for program in feed.programs:
        assert program.clock_pid == 0x101
        assert all(pes.clock is not None and pes.random_access for pes in program.audio)


def test_audio_groups_follow_each_other_without_a_gap() -> None:
    feed = fed(clip(*PICTURE, *TONE, *X264, *AAC, seconds=5.0))
    groups = units_of(feed.programs, "audio")
    due = float(groups[0].pts)
    for pes in groups:
        assert abs(pes.pts - due) <= 1 or abs(pes.pts - due) > 2 * TICKS
        due = pes.pts + len(adts_frames(pes.body)) * 1024 * 90_000 / 44_100
    assert len(groups) < len(sent_audio(clip(*PICTURE, *TONE, *X264, *AAC, seconds=5.0))) / 4


@pytest.mark.parametrize("shift_ms", [36_000_000, (1 << 32) - 2_500, (1 << 33) // 90 - 4_500, -3_000])
def test_clock_starts_anywhere_and_wraps(shift_ms: int) -> None:
    tags = clip(*PICTURE, *TONE, *B_FRAMES, *AAC, seconds=6.0)
    feed = fed(tags, shift_ms)
    begin = (shift_ms & 0xFFFFFFFF) * TICKS + ORIGIN
    seen = [((pes.dts - begin) % (1 << 33), (pes.pts - begin) % (1 << 33)) for pes in units_of(feed.programs, "video")]
    assert seen == [(d * TICKS, p * TICKS) for d, p, _ in sent_video(tags)]
    assert feed.durations == fed(tags).durations
    assert not any(feed.discontinuities)
    played(b"".join(segment.payload for segment in feed.made))


# -- where segments are cut -------------------------------------------------------------------------------------


def test_segment_is_cut_at_the_first_key_frame_that_is_late_enough() -> None:
    feed = Feed()
    feed.start()
    for timestamp in (1000, 1999, 2000, 2500, 4001):
        feed.video(timestamp, key_frame())
    assert feed.durations == [MIN_SEGMENT_SECONDS, 2.001]
    assert [segment.sequence for segment in feed.made] == [0, 1]


def test_last_segment_lasts_as_long_as_its_last_frame() -> None:
    feed = Feed()
    feed.start()
    feed.frames(50, 1001, 50)
    assert [s.duration_seconds for s in feed.break_off()] == [1.05]
    assert feed.segmenter.break_off() is None


def test_nothing_is_broken_off_where_nothing_was_written() -> None:
    feed = Feed()
    assert feed.break_off() == []
    feed.video(0, VIDEO_HEADER)
    feed.audio(0, AUDIO_HEADER)
    assert feed.break_off() == []


def test_stream_without_key_frames_is_cut_at_the_maximum() -> None:
    feed = Feed()
    feed.start()
    feed.frames(500, 45_001, 500)
    assert feed.durations == [MAX_SEGMENT_SECONDS] * 2
    assert feed.segmenter.forced_cuts == 2
    feed.video(45_001, key_frame())
    assert feed.segmenter.forced_cuts == 2


@pytest.mark.parametrize("track", ["video", "audio"])
def test_segment_is_cut_before_it_holds_too_many_bytes(track: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_SEGMENT_BYTES", 10 * 188)
    feed = Feed()
    feed.start()
    assert feed.segmenter._open is not None
    room = 10 * 188 - feed.segmenter._open.size
    payload = frame(b"\0\0\0\xff\x41" + b"x" * 254) if track == "video" else sound(b"x" * 250)
    fits = room - len(payload) + (5 if track == "video" else 2)
    feed.video(40, frame((188 * 2).to_bytes(4, "big") + b"\x41" * (188 * 2)))
    assert feed.made == []
    for number in range(20):
        (feed.video if track == "video" else feed.audio)(60 + number, payload)
    assert feed.segmenter.forced_cuts == len(feed.made) > 0
    assert fits > 0
    assert all(len(segment.payload) <= 16 * 188 for segment in feed.made)


def test_audio_cuts_when_the_picture_has_stopped() -> None:
    feed = Feed()
    feed.start()
    feed.sounds(0, 25_000)
    assert feed.segmenter.forced_cuts == 0
    assert all(duration < VIDEO_GONE_SECONDS + 0.1 for duration in feed.durations)
    assert feed.durations[1] == pytest.approx(2.0, abs=0.05)
    assert [program.clock_pid for program in feed.programs][:3] == [0x100, 0x101, 0x101]
    feed.video(25_000, frame())
    feed.video(25_040, key_frame())
    feed.break_off()
    assert not any(feed.discontinuities)
    assert feed.segmenter.dropped_frames == 0


def test_audio_cuts_at_the_maximum_while_pictures_come() -> None:
    feed = Feed()
    feed.start()
    for timestamp in range(0, 20_001, 500):
        feed.audio(timestamp)
        feed.video(timestamp, frame())
    assert feed.durations == [20.0]
    assert feed.segmenter.forced_cuts == 1


# -- tracks that come late, and change ---------------------------------------------------------------------------


def test_audio_just_before_the_first_key_frame_is_kept() -> None:
    feed = Feed()
    feed.video(0, VIDEO_HEADER)
    feed.audio(0, AUDIO_HEADER)
    feed.audio(0)
    feed.video(21, key_frame())
    feed.audio(23)
    (program,) = [demux(segment.payload) for segment in feed.break_off()]
    assert program.order[2] == 0x100
    assert [pes.pts for pes in program.audio] == [ORIGIN]
    assert len(adts_frames(program.audio[0].body)) == 2


def test_audio_long_before_the_first_key_frame_is_lost() -> None:
    feed = Feed()
    feed.video(0, VIDEO_HEADER)
    feed.audio(0, AUDIO_HEADER)
    feed.sounds(0, 3000)
    feed.video(3000, key_frame())
    feed.video(3100, key_frame())  # what was lost has not changed the encoding
    (program,) = [demux(segment.payload) for segment in feed.break_off()]
    assert program.audio[0].pts >= ORIGIN + (3000 - 400) * TICKS
    assert feed.segmenter.dropped_frames > 100


def test_video_that_is_announced_and_never_comes_is_not_waited_for() -> None:
    feed = Feed()
    feed.video(0, VIDEO_HEADER)
    feed.audio(0, AUDIO_HEADER)
    feed.sounds(0, 15_000)
    assert len(feed.made) == 2
    assert all(list(program.tracks.values()) == [0x0F] for program in feed.programs)


def test_video_that_is_announced_late_is_waited_for_from_there() -> None:
    feed = Feed()
    feed.audio(0, AUDIO_HEADER)
    feed.sounds(0, 12_000)
    feed.video(12_000, VIDEO_HEADER)
    feed.video(12_000, frame())
    feed.sounds(12_000, 13_000)
    feed.video(13_000, key_frame())
    feed.break_off()
    assert [list(program.tracks.values()) for program in feed.programs[-2:]] == [[0x0F], [0x1B, 0x0F]]
    assert feed.discontinuities[-2:] == [False, True]
    assert feed.segmenter.dropped_frames == 1


def test_little_audio_before_late_video_is_given_up() -> None:
    feed = Feed()
    feed.audio(0, AUDIO_HEADER)
    feed.sounds(0, 500)
    feed.video(500, VIDEO_HEADER)
    feed.video(500, key_frame())
    feed.break_off()
    assert feed.discontinuities == [False]
    assert feed.programs[0].order[2] == 0x100
    assert feed.segmenter.dropped_frames == 22 - len(adts_frames(feed.programs[0].audio[0].body))


def test_late_audio_is_in_the_segment_it_came_in() -> None:
    feed = Feed()
    feed.video(0, VIDEO_HEADER)
    feed.video(0, key_frame())
    feed.video(2000, key_frame())
    feed.audio(3000, AUDIO_HEADER)
    feed.audio(3000)
    feed.video(4000, key_frame())
    feed.audio(4000)
    feed.break_off()
    assert [list(program.tracks.values()) for program in feed.programs] == [[0x1B], [0x1B, 0x0F], [0x1B, 0x0F]]
    assert feed.discontinuities == [False, True, False]
    assert units_of(feed.programs, "audio")[0].pts == ORIGIN + 3000 * TICKS


def test_audio_that_pauses_stays_in_the_tables() -> None:
    feed = Feed()
    feed.start()
    feed.audio(0)
    for timestamp in (2000, 4000, 6000):
        feed.video(timestamp, key_frame())
    assert [list(program.tracks.values()) for program in feed.programs] == [[0x1B, 0x0F]] * 3
    assert feed.discontinuities == [False] * 3


def test_audio_announced_and_never_sent_is_not_in_the_tables() -> None:
    feed = Feed()
    feed.start()
    feed.break_off()
    assert list(feed.programs[0].tracks.values()) == [0x1B]


def test_repeated_headers_change_nothing() -> None:
    feed = Feed()
    for timestamp in (0, 1000, 2000):
        feed.start(timestamp)
        feed.audio(timestamp)
    assert feed.durations == [2.0]
    # the same parameter sets in a header that differs elsewhere
    feed.video(3000, VIDEO_HEADER + b"\0")
    feed.video(3000, frame())
    feed.break_off()
    assert feed.discontinuities == [False, False]
    assert feed.segmenter.dropped_frames == 0


def test_new_parameter_sets_begin_a_segment_at_their_key_frame() -> None:
    feed = Feed()
    feed.start()
    feed.video(500, OTHER_AVC)
    feed.video(500, frame())
    feed.video(1000, key_frame())
    feed.video(1500, key_frame())
    feed.break_off()
    assert feed.durations == [1.0, 1.0]
    assert feed.discontinuities == [False, True]
    assert feed.segmenter.dropped_frames == 1  # made with the new sets, but no key frame
    first, second = (nal_units(program.video[0].body)[1] for program in feed.programs)
    assert first != second


def test_another_video_codec_begins_a_segment() -> None:
    hevc = clip(*PICTURE, *HEVC, seconds=1.0)
    feed = Feed()
    feed.start()
    for tag in hevc:
        feed.send(tag.type_id, 500 + tag.timestamp, tag.payload)
    feed.video(2000, frame())
    feed.break_off()
    assert [list(program.tracks.values()) for program in feed.programs] == [[0x1B], [0x24]]
    assert feed.discontinuities == [False, True]
    assert feed.segmenter.dropped_frames == 1
    assert feed.programs[1].versions == [1]


def test_new_audio_configuration_begins_a_segment_at_the_next_key_frame() -> None:
    feed = Feed()
    feed.start()
    feed.audio(0)
    feed.audio(100, OTHER_AAC)
    feed.audio(100)
    feed.audio(400)
    feed.video(500, key_frame())
    feed.audio(500)
    feed.break_off()
    assert feed.durations == [0.5, 0.04]
    assert feed.discontinuities == [False, True]
    heads = [head[2] >> 2 & 15 for pes in units_of(feed.programs, "audio") for head, _ in adts_frames(pes.body)]
    assert heads == [4, 3, 3, 3]


def test_another_audio_codec_waits_for_the_next_key_frame() -> None:
    feed = Feed()
    feed.start()
    feed.audio(0)
    feed.audio(100, MP3_FRAME)
    feed.audio(200, MP3_FRAME)
    feed.video(500, key_frame())
    feed.audio(500, MP3_FRAME)
    feed.break_off()
    assert [program.tracks[0x101] for program in feed.programs] == [0x0F, 3]
    assert feed.discontinuities == [False, True]
    assert feed.segmenter.dropped_frames == 2


@pytest.mark.parametrize(("header", "payload", "kind"), [(OTHER_AAC, sound(), 0x0F), (None, MP3_FRAME, 3)])
def test_another_encoding_begins_a_segment_of_audio_alone(header: bytes | None, payload: bytes, kind: int) -> None:
    feed = Feed()
    feed.audio(0, AUDIO_HEADER)
    feed.sounds(0, 500)
    if header:
        feed.audio(500, header)
    feed.sounds(506, 900, payload)
    feed.break_off()
    assert [program.tracks[0x101] for program in feed.programs] == [0x0F, kind]
    assert feed.durations[0] == 0.506
    assert feed.discontinuities == [False, True]
    assert feed.segmenter.dropped_frames == 0


# -- clocks -----------------------------------------------------------------------------------------------------


def composed(composition_ms: int, payload: bytes) -> bytes:
    return payload[:2] + (composition_ms & 0xFFFFFF).to_bytes(3, "big") + payload[5:]


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(-(1 << 23), (1 << 23) - 1)), min_size=1, max_size=50))
def test_no_picture_is_shown_before_it_is_decoded(steps: list[tuple[int, int]]) -> None:
    feed = Feed()
    feed.start()
    now = 0
    for step, composition_ms in steps:
        now += step
        feed.video(now, composed(composition_ms, frame()))
    feed.break_off()
    units = units_of(feed.programs, "video")
    assert all(pes.dts <= pes.pts for pes in units)
    assert all(a.dts < b.dts for a, b in pairwise(units))
    assert len(units) == len(steps) + 1


def test_negative_composition_moves_decoding_and_not_showing() -> None:
    feed = Feed()
    feed.start(1000)
    for number, composition_ms in enumerate([40, -40, -40, 40, -40, -40]):
        feed.video(1040 + 40 * number, composed(composition_ms, frame()))
    feed.break_off()
    shown = [(pes.pts - ORIGIN) // TICKS for pes in units_of(feed.programs, "video")]
    assert shown == [1000, 1080, 1040, 1080, 1200, 1160, 1200]
    clocks = {pes.dts - (pes.clock or 0) for pes in units_of(feed.programs, "video")}
    assert clocks == {700 * TICKS}


@pytest.mark.parametrize("step_ms", [int(1000 * JUMP_SECONDS), int(-1000 * JUMP_BACK_SECONDS)])
def test_step_up_to_the_limit_is_no_jump(step_ms: int) -> None:
    feed = Feed()
    feed.start(50_000)
    feed.video(50_000 + step_ms, frame())
    feed.break_off()
    assert feed.segmenter.jumps == 0
    assert feed.discontinuities == [False]


@pytest.mark.parametrize("step_ms", [int(1000 * JUMP_SECONDS) + 1, int(-1000 * JUMP_BACK_SECONDS) - 1])
def test_jump_breaks_the_segment_off(step_ms: int) -> None:
    feed = Feed()
    feed.start(50_000)
    feed.frames(50_040, 51_000)
    feed.video(51_000 - 40 + step_ms, frame())
    feed.video(51_000 + step_ms, key_frame())
    feed.audio(51_000 + step_ms)
    feed.break_off()
    assert feed.segmenter.jumps == 1
    assert feed.durations == [1.0, 0.04]
    assert feed.discontinuities == [False, True]
    assert feed.segmenter.dropped_frames == 1
    assert len(feed.programs[1].video) == len(feed.programs[1].audio) == 1


def test_jump_of_audio_alone_breaks_the_segment_off() -> None:
    feed = Feed()
    feed.audio(0, AUDIO_HEADER)
    feed.sounds(0, 1000)
    feed.sounds(100_000, 101_000)
    feed.break_off()
    assert feed.discontinuities == [False, True]
    assert feed.durations == [pytest.approx(1.0, abs=0.03)] * 2


def test_audio_gap_begins_a_group_of_its_own() -> None:
    feed = Feed()
    feed.audio(0, AUDIO_HEADER)
    for timestamp in (0, 23, 46, 1000, 1023):
        feed.audio(timestamp)
    feed.break_off()
    assert [pes.pts for pes in feed.programs[0].audio] == [ORIGIN, ORIGIN + 1000 * TICKS]


def test_republish_goes_on_with_the_sequence_after_a_discontinuity() -> None:
    feed = Feed()
    feed.start(9000)
    feed.break_off()
    feed.video(0, key_frame())  # the former publisher's headers hold no longer
    assert not feed.segmenter.playable
    feed.start()
    feed.break_off()
    assert [(segment.sequence, segment.discontinuity) for segment in feed.made] == [(0, False), (1, True)]
    assert feed.programs[1].video[0].dts == ORIGIN


def test_segmenter_that_continues_begins_with_a_discontinuity() -> None:
    feed = Feed(first_sequence=7)
    feed.start()
    feed.video(2000, key_frame())
    feed.break_off()
    assert [(segment.sequence, segment.discontinuity) for segment in feed.made] == [(7, True), (8, False)]


# -- what is not carried, and what is broken --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_id", "payload", "codec"),
    [
        (flv.VIDEO, b"\x90av01\x81\x00\x0c\x00", "av1"),
        (flv.VIDEO, b"\x91av01frame", "av1"),
        (flv.VIDEO, b"\x90vp09\x01\x00\x00\x00", "vp9"),
        (flv.VIDEO, b"\x12h263", "h263"),
        (flv.AUDIO, b"\x90OpusOpusHead", "opus"),
        (flv.AUDIO, b"\x91Opusframe", "opus"),
        (flv.AUDIO, b"\xb2speex", "speex"),
    ],
)
def test_codec_that_is_not_carried_is_named(type_id: int, payload: bytes, codec: str) -> None:
    feed = Feed()
    feed.send(type_id, 0, payload)
    assert feed.break_off() == []
    assert not feed.segmenter.playable
    assert feed.segmenter.left_out == {codec}


@pytest.mark.parametrize("header", [b"\xaf\x00\x12\x00", b"\xaf\x00\xf8\xe8\x50\x00"])
def test_aac_that_adts_cannot_say_is_named(header: bytes) -> None:
    feed = Feed()
    feed.audio(0, header)
    feed.audio(0)
    assert not feed.segmenter.playable
    assert feed.segmenter.left_out == {"aac"}
    assert feed.segmenter.broken_headers == 1
    assert feed.segmenter.dropped_frames == 1


@pytest.mark.parametrize(
    ("type_id", "payload"), [(flv.VIDEO, VIDEO_HEADER), (flv.AUDIO, AUDIO_HEADER), (flv.AUDIO, MP3_FRAME)]
)
def test_stream_is_playable_once_something_is_carried(type_id: int, payload: bytes) -> None:
    feed = Feed()
    assert not feed.segmenter.playable
    feed.send(flv.SCRIPT, 0, b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09")
    assert not feed.segmenter.playable
    feed.send(type_id, 0, payload)
    assert feed.segmenter.playable


def test_sound_of_a_video_that_is_not_carried_is() -> None:
    feed = Feed()
    feed.video(0, b"\x90av01\x81\x00\x0c\x00")
    feed.audio(0, AUDIO_HEADER)
    for timestamp in range(0, 3000, SOUND_MS):
        feed.audio(timestamp)
        feed.video(timestamp, b"\x91av01frame")
    assert [list(program.tracks.values()) for program in feed.programs] == [[0x0F]]


def test_frames_without_their_header_are_dropped() -> None:
    feed = Feed()
    feed.video(0, key_frame())
    feed.audio(0)
    assert feed.break_off() == []
    assert feed.segmenter.dropped_frames == 2
    assert feed.segmenter.left_out == set()


def test_frames_before_the_first_key_frame_are_dropped() -> None:
    feed = Feed()
    feed.video(0, VIDEO_HEADER)
    feed.frames(0, 400)
    feed.video(400, key_frame())
    assert [s.duration_seconds for s in feed.break_off()] == [0.04]
    assert feed.segmenter.dropped_frames == 10


def test_broken_header_leaves_the_former_in_force() -> None:
    feed = Feed()
    feed.start()
    feed.video(1, b"\x17\x00\x00\x00\x00\x01broken")
    feed.video(40, frame())
    feed.break_off()
    assert len(feed.programs[0].video) == 2
    assert feed.segmenter.broken_headers == 1


def test_broken_frames_are_left_out() -> None:
    feed = Feed()
    feed.start()
    feed.video(40, frame(b"\0\0\0\x09\x41"))
    feed.video(80, frame(b"\0\0\0\x01\x41\0\0\0\x09\x41"))
    feed.break_off()
    assert [pes.dts for pes in feed.programs[0].video] == [ORIGIN, ORIGIN + 80 * TICKS]
    assert feed.segmenter.broken_frames == 2


def test_broken_first_key_frame_opens_nothing() -> None:
    feed = Feed()
    feed.video(0, VIDEO_HEADER)
    feed.video(0, key_frame(b"\0\0\0\x09\x65"))
    feed.video(40, frame())
    assert feed.break_off() == []


@pytest.mark.parametrize(
    ("header", "payload", "limit"),
    [(AUDIO_HEADER, b"\xaf\x01", MAX_ADTS_FRAME_BYTES), (b"", b"\x2f", MAX_MP3_BYTES)],
)
def test_audio_frames_are_bounded(header: bytes, payload: bytes, limit: int) -> None:
    feed = Feed()
    if header:
        feed.audio(0, header)
    feed.audio(0, payload + b"\xff" * limit)
    assert feed.segmenter.broken_frames == 0
    feed.audio(100, payload + b"\xff" * (limit + 1))
    assert feed.segmenter.broken_frames == 1
    (segment,) = feed.break_off()
    assert (
        hashlib.sha256(demux(segment.payload).audio[0].body[-limit:]).digest()
        == hashlib.sha256(b"\xff" * limit).digest()
    )


def test_enhanced_messages_are_the_same_codecs() -> None:
    feed = Feed()
    feed.video(0, b"\x90avc1" + AVC_CONFIG)
    feed.audio(0, b"\x90mp4a\x12\x10")
    feed.video(0, b"\x91avc1\x00\x00\x28\x00\x00\x00\x01\x65")
    feed.audio(0, b"\x91mp4asound")
    feed.video(40, b"\xa3avc1\x00\x00\x00\x01\x41")
    feed.break_off()
    assert [(pes.dts - ORIGIN, pes.pts - ORIGIN) for pes in feed.programs[0].video] == [
        (0, 40 * TICKS),
        (40 * TICKS,) * 2,
    ]
    assert [body for _, body in adts_frames(feed.programs[0].audio[0].body)] == [b"sound"]


def test_second_tracks_are_left_out() -> None:
    feed = Feed()
    feed.start()
    feed.audio(0, b"\x95\x01mp4a\x01second")
    feed.video(0, b"\x96\x01avc1\x01\x00\x00\x00\x00\x00\x00\x01\x65")
    feed.break_off()
    assert len(feed.programs[0].units) == 1
    assert feed.segmenter.dropped_frames == 0


def test_enhanced_mp3_without_a_frame_header_is_dropped() -> None:
    feed = Feed()
    feed.audio(0, b"\x91.mp3" + MP3_FRAME[1:])
    feed.audio(26, b"\x91.mp3not a frame")
    (segment,) = feed.break_off()
    assert [pes.body for pes in demux(segment.payload).audio] == [MP3_FRAME[1:]]
    assert feed.segmenter.dropped_frames == 1


def test_jump_at_an_audio_frame_gives_what_was_open() -> None:
    feed = Feed()
    feed.start()
    feed.frames(40, 400)
    feed.audio(100_000)
    assert feed.durations == [0.4]
    assert feed.segmenter.jumps == 1
