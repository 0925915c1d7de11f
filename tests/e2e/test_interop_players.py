"""Real players on a running service: each decodes three seconds of a stream, by each protocol it speaks.

Rule: what a player saw is told by the player itself; a tool that is not installed skips its row, except in CI. The
publishers are in tests/media/test_interop.py, browsers in test_interop_browser.py, hashes in test_same_frames.py.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from openkls.codec import flv
from support_service import FFMPEG, RunningService, pushing, until
from support_tools import need

pytestmark = pytest.mark.e2e

FRAMES = 75
STREAM = "shown"
PLAYER_SECONDS = 60
# Players under way at a time.
AT_ONCE = 4
_CLOCK = re.compile(r"AV: (\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True)
class Played:
    """How a player ended, and what it said."""

    code: int
    out: bytes
    err: str
    file: Path


@dataclass(frozen=True)
class Row:
    """One row of the matrix: a player, the protocol it is to speak, its words, and how its frames are counted."""

    protocol: str
    tool: str
    words: tuple[str, ...]
    count: Callable[[Played], int]


def of_ffprobe(played: Played) -> int:
    """Frames that it decoded."""
    streams = json.loads(played.out)["streams"]
    assert {stream["codec_name"] for stream in streams} >= {"h264", "aac"}
    return next(int(stream["nb_read_frames"]) for stream in streams if stream["codec_name"] == "h264")


def of_gstreamer(played: Played) -> int:
    """It ends by itself when its sink has had all the decoded pictures that it is to take."""
    assert "ERROR" not in played.err, played.err
    assert b"Got EOS" in played.out, played.out
    return FRAMES


def of_mpv(played: Played) -> int:
    """It ends when it has shown what it is told to show, and says where it is in the stream all along."""
    told = [
        int(hours) * 3600 + int(minutes) * 60 + int(seconds) for hours, minutes, seconds in _CLOCK.findall(played.err)
    ]
    assert max(told) - min(told) >= 2, played.err
    return FRAMES


def of_openkls(played: Played) -> int:
    """Video tags of the file that it wrote."""
    tags = flv.FlvReader().feed(played.file.read_bytes())
    assert {tag.type_id for tag in tags} >= {flv.VIDEO, flv.AUDIO}
    return sum(tag.type_id == flv.VIDEO and tag.payload[1] == 1 for tag in tags)


FFPROBE = ("-v", "error", "-read_intervals", "%+4", "-count_frames", "-show_streams", "-of", "json", "{url}")
MPV = (*("--no-config", "--vo=null", "--ao=null", f"--frames={FRAMES}", "{url}"),)
GST_SINK = f"h264parse ! avdec_h264 ! fakesink num-buffers={FRAMES} sync=false"


def gst(source: str) -> tuple[str, ...]:
    return tuple(f"{source} ! {GST_SINK}".split())


ROWS = {
    **{f"ffprobe-{kind}": Row(kind, "ffprobe", FFPROBE, of_ffprobe) for kind in ("rtmp", "flv", "hls")},
    **{f"mpv-{kind}": Row(kind, "mpv", MPV, of_mpv) for kind in ("rtmp", "flv", "hls")},
    "gstreamer-rtmp2src": Row("rtmp", "gst-launch-1.0", gst("rtmp2src location={url} ! flvdemux"), of_gstreamer),
    "gstreamer-rtmpsrc": Row("rtmp", "gst-launch-1.0", gst("rtmpsrc location={url} ! flvdemux"), of_gstreamer),
    "gstreamer-flv": Row("flv", "gst-launch-1.0", gst("souphttpsrc location={url} ! flvdemux"), of_gstreamer),
    "gstreamer-hls": Row(
        "hls",
        "gst-launch-1.0",
        ("uridecodebin3", "uri={url}", *f"! videoconvert ! fakesink num-buffers={FRAMES} sync=false".split()),
        of_gstreamer,
    ),
    "openkls-play-rtmp": Row("rtmp", "", ("play", "{url}", "--seconds", "4", "--output", "{file}"), of_openkls),
    "openkls-play-flv": Row("flv", "", ("play", "{url}", "--seconds", "4", "--output", "{file}"), of_openkls),
}


def play(service: RunningService, name: str) -> Played:
    row = ROWS[name]
    urls = {"rtmp": service.push_url(STREAM), "flv": service.flv_url(STREAM), "hls": service.hls_url(STREAM)}
    file = service.folder / f"{name}.flv"
    tool = [need(row.tool)] if row.tool else [sys.executable, "-m", "openkls"]
    command = [*tool, *(word.format(url=urls[row.protocol], file=file) for word in row.words)]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PLAYER_SECONDS, check=False, cwd=service.folder
    )
    return Played(ended.returncode, ended.stdout, ended.stderr.decode(errors="replace"), file)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Iterator[RunningService]:
    """A service with one stream."""
    running = RunningService(tmp_path_factory.mktemp("players"))
    running.start()
    try:
        with pushing(clip, running.push_url(STREAM)):
            until(lambda: running.call("ListRealtimeStreamsInfo", Type="push")["Streams"], 20)
            yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def plays(live: RunningService) -> Iterator[dict[str, Future[Played]]]:
    """Every player of the matrix, some at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(play, live, name) for name in ROWS}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ROWS)
def test_player_decodes_the_stream(plays: dict[str, Future[Played]], name: str) -> None:
    played = plays[name].result()
    assert played.code == 0, played.err
    assert ROWS[name].count(played) >= FRAMES


def test_openkls_publish_is_read_by_every_protocol(service: RunningService, clip: Path) -> None:
    command = [sys.executable, "-m", "openkls", "publish", str(clip), service.push_url(STREAM)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=service.folder) as process:
        try:
            until(lambda: service.call("ListRealtimeStreamsInfo", Type="push")["Streams"], 20)
            for url in (service.push_url(STREAM), service.flv_url(STREAM), service.hls_url(STREAM)):
                reading = [FFMPEG, "-v", "error", "-i", url, "-frames:v", "25", "-f", "framehash", "-"]
                read = subprocess.run(reading, capture_output=True, text=True, timeout=PLAYER_SECONDS, check=True)
                assert sum(line.startswith("0,") for line in read.stdout.splitlines()) == 25, url
        finally:
            process.kill()


def test_every_row_of_the_documented_matrix_names_a_test_that_is_there() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (root / "docs" / "reference" / "interop.md").read_text())
    assert len(named) >= 10
    for path, test in named:
        assert f"def {test}(" in (root / path).read_text(), (path, test)
