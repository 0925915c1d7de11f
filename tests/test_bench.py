"""The benches run, so that they don't rot: few viewers, a second, no peers. What they measure is asserted nowhere."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bench import clip
from bench.__main__ import BENCHES
from openkls.codec import flv
from openkls.codec.rtmp import Message
from openkls.codec.rtmp.chunk import ChunkReader
from support_media import AUDIO_HEADER, METADATA, VIDEO_HEADER, frame, key_frame, sound
from support_tools import need
from tests.support_browser import build_console

ROOT = Path(__file__).parent.parent
WIRE_SECONDS = 60.0


def bench(*arguments: str, seconds: float = WIRE_SECONDS) -> str:
    """What a bench prints; fails unless it ends with 0."""
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def made() -> clip.Clip:
    """A clip of three frames and four sounds, in chunks of 128 bytes."""
    tags = [flv.Tag(flv.SCRIPT, 0, METADATA), flv.Tag(flv.VIDEO, 0, VIDEO_HEADER), flv.Tag(flv.AUDIO, 0, AUDIO_HEADER)]
    tags += [flv.Tag(flv.VIDEO, 0, key_frame(bytes(1000)))]
    tags += [flv.Tag(flv.VIDEO, ms, frame(bytes(300))) for ms in (40, clip.LOOP_MS - 40)]
    tags += [flv.Tag(flv.AUDIO, ms, sound()) for ms in (0, 23, 46, clip.LOOP_MS - 23)]
    tags += [flv.Tag(flv.VIDEO, clip.LOOP_MS - 40, b"\x17\x02\x00\x00\x00")]
    return clip.build(tags, 128)


def read(*wires: bytes | bytearray) -> list[Message]:
    """The messages of a publisher."""
    return ChunkReader().feed(b"".join(wires))


def test_looped_clip_has_going_timestamps(made: clip.Clip) -> None:
    twice = read(made.headers, *(piece.wire for piece in [*made.first_pass, *made.loop]))
    for type_id, count in ((flv.VIDEO, 3), (flv.AUDIO, 4)):
        times = [message.timestamp for message in twice if message.type_id == type_id][1:]
        assert [late - early for early, late in zip(times, times[count:], strict=False)] == [clip.LOOP_MS] * count
        assert all(early < late for early, late in pairwise(times))


def test_every_frame_has_a_mark_that_says_what_follows(made: clip.Clip) -> None:
    frames = [message.payload for message in read(made.headers, *(piece.wire for piece in made.first_pass))]
    frames = [payload for payload in frames if payload[:2] in (b"\x17\x01", b"\x27\x01")]
    assert len(frames) == 3
    for payload, kind in zip(frames, b"KFF", strict=True):
        at = payload.index(clip.MARK)
        assert payload[at + len(clip.MARK)] == kind
        assert int(payload[at + clip.REST_AT : at + clip.TIME_AT], 16) == len(payload) - at
        # A NAL unit of its own, SEI, whose length is right.
        length = int.from_bytes(payload[5:9], "big")
        assert payload[9] == 6
        assert payload[9 + length - 1] == 0x80
        assert payload[9 + length :] in (bytes(1000), bytes(300))


def test_time_of_sending_goes_where_the_mark_has_it(made: clip.Clip) -> None:
    for piece in made.loop:
        assert bool(piece.time_at) == (clip.MARK in piece.wire)
        if piece.time_at:
            assert piece.wire[piece.time_at : piece.time_at + 16] == bytes(16)


@pytest.mark.parametrize("name", BENCHES)
def test_bench_says_what_it_takes(name: str) -> None:
    assert f"usage: python -m bench {name}" in bench(name, "--help")


def test_unknown_bench_is_named() -> None:
    command = [sys.executable, "-m", "bench", "nosuch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WIRE_SECONDS, check=False)
    assert done.returncode == 1
    assert "no bench is called nosuch" in done.stderr


@pytest.mark.e2e
def test_fanout_bench_runs() -> None:
    few = ("--viewers", "5", "--seconds", "1", "--rounds", "1", "--merge", "150", "--visitors", "3")
    said = bench("fanout", "--no-peers", *few, "--streams", "2", "--sizes")
    assert len(re.findall(r"round 1: OpenKLS 150 ms, (?:RTMP|FLV) .* lost 0\n", said)) == 3
    assert len(re.findall(r"first key frame .* \(3 viewers\)", said)) == 2


@pytest.mark.e2e
def test_ingest_bench_runs() -> None:
    said = bench("ingest", "--no-peers", "--publishers", "3", "--seconds", "1", "--rounds", "1")
    assert re.search(r"OpenKLS 150 ms .* of a core; \d+ KB a publisher", said)


@pytest.mark.e2e
def test_hls_bench_runs() -> None:
    said = bench("hls", "--no-peers", "--streams", "2", "--seconds", "1", "--rounds", "1")
    assert re.search(r"round 1: OpenKLS 150 ms .* 0 missed", said)
    assert re.search(r"of a core for each stream; first segment after \d+\.\d\d s", said)


@pytest.mark.e2e
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_history_bench_runs(store: str) -> None:
    few = ("--rows-small", "2000", "--rows-large", "4000", "--runs", "1", "--live", "50")
    said = bench("history", "--store", store, *few, seconds=110.0)
    assert re.search(rf"{store}: 4,000 rows loaded at [0-9,]+ a second; \d+ bytes a session", said)
    assert re.search(r"page 0, one dense stream +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +1\.5 (met|MISSED)", said)


@pytest.mark.e2e
def test_console_bench_runs() -> None:
    build_console()
    need("chromium", "chromium-browser", "google-chrome")
    said = bench("console", "--streams", "200", "--rounds", "1", "--seconds", "1")
    assert re.search(r"round 1: first rows after \d+ ms .* scrolling [\d,]+ px: longest task \d+ ms", said)
    assert re.search(r"first rows: median \d+ ms, goal 2000: (met|MISSED)", said)
