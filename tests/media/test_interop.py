"""Real encoders and players against the house: every frame that was pushed arrives, once, with its time.

Rule: a tool that is not installed skips its test, except in CI, where its absence is a failure.
"""

import asyncio
import io
import os
import shutil
import subprocess
from pathlib import Path

import av
import pytest

from openkls.codec import flv
from openkls.domain.session import BreakCode, Reason
from support_media import FFMPEG, PICTURE, TONE, X264, House, clip, key, seen

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

TOOL_SECONDS = 30.0
CLIP = (*PICTURE, *TONE, *X264, "-bf", "2", "-c:a", "aac", "-b:a", "64k")


def need(tool: str) -> str:
    """The path of a tool."""
    found = shutil.which(tool)
    if found is None:
        text = f"{tool} is not installed (see .ci/run)"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    return found


class Tool:
    """A running program; ended by its own id."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def run(cls, *command: str | Path) -> "Tool":
        return cls(
            await asyncio.create_subprocess_exec(
                *map(str, command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )

    async def ended(self) -> tuple[int, bytes, str]:
        """Exit code, standard output, standard error."""
        try:
            async with asyncio.timeout(TOOL_SECONDS):
                out, err = await self.process.communicate()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise
        assert self.process.returncode is not None
        return self.process.returncode, out, err.decode(errors="replace")


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    """Two seconds of H.264 with B-frames and AAC, a key frame each second."""
    path = tmp_path / "clip.flv"
    body = b"".join(flv.build_tag(*tag) for tag in clip(*CLIP))
    path.write_bytes(flv.build_header(audio=True, video=True) + body)
    return path


def frames(tags: list[flv.Tag], type_id: int = flv.VIDEO) -> list[tuple[int, bytes]]:
    """Time and body of the coded frames."""
    return [(tag.timestamp, tag.payload) for tag in tags if tag.type_id == type_id and tag.payload[1] == 1]


def assert_is_end_of(received: list[tuple[int, bytes]], pushed: list[tuple[int, bytes]], at_least: int) -> None:
    """What was received is the end of what was pushed, whole, and its times differ by one constant."""
    assert at_least <= len(received) <= len(pushed)
    expected = pushed[-len(received) :]
    assert [body for _, body in received] == [body for _, body in expected]
    assert len({time - wanted for (time, _), (wanted, _) in zip(received, expected, strict=True)}) == 1


async def push(house: House, clip_file: Path, stream: str = "s1") -> Tool:
    """ffmpeg publishing the clip in real time."""
    return await Tool.run(
        FFMPEG, "-v", "info", "-nostats", "-re", "-i", clip_file, "-c", "copy", "-f", "flv", house.url(stream)
    )


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_ffmpeg_plays_over_rtmp_and_flv_what_ffmpeg_pushes(house: House, clip_file: Path) -> None:
    pushing = await push(house, clip_file)
    await seen(lambda: (session := house.session()) and session.started)
    urls = (house.url("s1"), house.flv_url("s1"))
    playing = [await Tool.run(FFMPEG, "-v", "error", "-i", url, "-c", "copy", "-f", "flv", "-") for url in urls]
    await seen(lambda: house.viewers.online() == 2)
    code, _, told = await pushing.ended()
    assert code == 0, told
    pushed = clip(*CLIP)
    for viewer in playing:
        _, out, told = await viewer.ended()
        received = flv.FlvReader().feed(out)
        assert_is_end_of(frames(received), frames(pushed), 25)
        assert_is_end_of(frames(received, flv.AUDIO), frames(pushed, flv.AUDIO), 30)
        with av.open(io.BytesIO(out), format="flv") as container:
            decoded = [picture.pts for picture in container.decode(video=0)]
        assert len(decoded) == len(frames(received))
        assert decoded == sorted(set(decoded))
    row = await house.row()
    assert (row.code, row.reason, row.accepted) == (BreakCode.SUCCESS, Reason.UNPUBLISH, True)
    await seen(house.empty)


async def hashes(source: str | Path, stream: str) -> list[str]:
    """What ffmpeg decodes of one stream of a source to its end: a hash for each frame."""
    reading = await Tool.run(
        *(FFMPEG, "-v", "error", "-i", source, "-map", f"0:{stream}", "-fps_mode", "passthrough"),
        *("-f", "framehash", "-hash", "md5", "-"),
    )
    _, out, _ = await reading.ended()
    return [line.rsplit(",", 1)[1].strip() for line in out.decode().splitlines() if not line.startswith("#")]


async def test_ffmpeg_plays_over_hls_what_ffmpeg_pushes(house: House, tmp_path: Path) -> None:
    path = tmp_path / "clip.flv"
    tags = clip(*CLIP, seconds=9.0)
    path.write_bytes(flv.build_header(audio=True, video=True) + b"".join(flv.build_tag(*tag) for tag in tags))
    pushing = await push(house, path)
    await seen(lambda: (session := house.session()) and session.started)
    playing = [
        asyncio.create_task(hashes(house.hls_url("s1"), "v")),
        asyncio.create_task(hashes(house.hls_url("s1"), "a")),
    ]
    await seen(lambda: len(house.sessions) == 2)
    code, _, told = await pushing.ended()
    assert code == 0, told
    pictures, sounds = [await task for task in playing]
    pushed_pictures = await hashes(path, "v")
    pushed_sounds = await hashes(path, "a")
    assert 150 <= len(pictures) <= len(pushed_pictures) == 225
    assert pictures == pushed_pictures[-len(pictures) :]
    assert 250 <= len(sounds) <= len(pushed_sounds)
    assert sounds[1:] == pushed_sounds[1 - len(sounds) :]  # the first is decoded without the one before it


async def test_ffmpeg_is_told_why_it_is_refused(house: House, clip_file: Path) -> None:
    await house.forbids.forbid(key())
    code, _, told = await (await push(house, clip_file)).ended()
    assert code != 0
    assert "423 Forbidden by blacklist!" in told
    await seen(house.empty)


async def test_ffmpeg_is_told_why_it_is_cut(house: House, clip_file: Path) -> None:
    pushing = await push(house, clip_file)
    await seen(lambda: (session := house.session()) and session.started)
    await house.forbids.forbid(key())
    code, _, told = await pushing.ended()
    assert code != 0
    assert "423 Forbidden by blacklist!" in told
    row = await house.row()
    assert (row.code, row.accepted) == (BreakCode.FORBIDDEN, True)
    await seen(house.empty)


async def test_ffmpeg_pushes_hevc_by_enhanced_rtmp(house: House) -> None:
    encoding = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25")
    pushing = await Tool.run(
        FFMPEG, "-v", "error", "-re", *PICTURE, *encoding, "-t", "1.5", "-f", "flv", house.url("s1")
    )
    await seen(lambda: (session := house.session()) and session.quality.vcodec == "hevc")
    playing = await Tool.run(FFMPEG, "-v", "error", "-i", house.flv_url("s1"), "-c", "copy", "-f", "flv", "-")
    code, _, told = await pushing.ended()
    assert code == 0, told
    _, out, told = await playing.ended()
    with av.open(io.BytesIO(out), format="flv") as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert len(list(container.decode(video=0))) >= 25


@pytest.mark.parametrize("sink", ["rtmp2sink location={url}", "rtmpsink location={url}"], ids=["rtmp2sink", "rtmpsink"])
async def test_gstreamer_pushes_every_frame_and_unpublishes_without_an_error(house: House, sink: str) -> None:
    launch = need("gst-launch-1.0")
    pipeline = (
        "videotestsrc num-buffers=40 is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 "
        "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse "
        "! flvmux name=mux streamable=true ! " + sink.format(url=house.url("s1")) + " "
        "audiotestsrc num-buffers=60 is-live=true ! audio/x-raw,rate=44100,channels=2 ! avenc_aac ! aacparse ! mux."
    )
    pushing = await Tool.run(launch, "-q", *pipeline.split())
    await seen(house.session, TOOL_SECONDS)
    viewer = await house.playing()
    events = asyncio.create_task(viewer.over())
    code, _, told = await pushing.ended()
    assert code == 0, told
    assert "ERROR" not in told
    await events
    received = frames([flv.Tag(*media) for media in viewer.heard_media])
    assert len(received) == 40
    assert [time for time, _ in received] == sorted(time for time, _ in received)
    row = await house.row()
    assert (row.code, row.reason) == (BreakCode.SUCCESS, Reason.UNPUBLISH)


async def test_rtmpdump_plays_to_the_end_of_the_stream(house: House, tmp_path: Path) -> None:
    rtmpdump = need("rtmpdump")
    tags = clip(*CLIP)
    peer = await house.published()
    for tag in tags[:30]:
        await peer.media(*tag)
    playing = await Tool.run(rtmpdump, "-q", "-v", "-r", house.url("s1"), "-o", tmp_path / "played.flv")
    await seen(house.viewers.online)
    for tag in tags[30:]:
        await peer.media(*tag)
    peer.session.finish()
    await peer.flush()
    await peer.close()
    await playing.ended()
    received = flv.FlvReader().feed((tmp_path / "played.flv").read_bytes())
    assert_is_end_of(frames(received), frames(tags), 25)
    await seen(house.empty)
