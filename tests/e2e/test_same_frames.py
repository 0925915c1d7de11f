"""What comes out is what was pushed: the same frames, in the same order, at the same times, by every protocol.

Rule: ffmpeg makes, pushes and reads; nothing of ours judges the media. Both ends of a comparison are packets as ffmpeg
copies them out of a container, with the framing of the container taken off: Annex B without parameter sets for H.264,
raw AAC.

Theory of operation. The encoder reads its material from a pipe. It gets the beginning first; when every player is in,
it gets the rest, so that what a player has to receive does not depend on the machine's speed: a stream with video from
its first frame on, a stream without video from its join on, whole to its end.
"""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from openkls.codec import flv
from support_service import FFMPEG, RunningService, until

pytestmark = pytest.mark.e2e

SECONDS: Final = 6
# What the encoder has before the players come: less than the distance of key frames.
HEAD_MS: Final = 1500
PLAYER_SECONDS: Final = 45
# RTMP rounds the time of a frame to 1 ms; where several frames of AAC share a PES packet, only the first one's time is
# written and the others' follow from their lengths, exactly.
SPREAD_MS: Final = {"rtmp": 0.0, "flv": 0.0, "hls": 1.0}
# ffmpeg 9 gives the first two packets of HLS without video one time, and what shares their PES packet is a frame early;
# it does so with segments of its own, too.
UNTIMED: Final = 16
# Materials under way; a player each by three protocols, and an encoder.
AT_ONCE: Final = 4
PICTURE: Final = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25")
TONE: Final = ("-f", "lavfi", "-i", "sine=sample_rate=44100")
GOP: Final = ("-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
H264: Final = (*PICTURE, *TONE, "-c:v", "libx264", "-preset", "veryfast", *GOP)
AAC: Final = ("-c:a", "aac", "-b:a", "64k")
MP3: Final = ("-c:a", "libmp3lame", "-b:a", "64k")
FLAT: Final = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25")


@dataclass(frozen=True)
class Material:
    """What is pushed, and by what it is read."""

    arguments: tuple[str, ...]
    protocols: tuple[str, ...] = ("rtmp", "flv", "hls")
    has_video: bool = True


# Take a container's framing off, and the parameter sets and delimiters that one of them repeats.
ANNEX_B: Final = {
    "libx264": "h264_mp4toannexb,filter_units=remove_types=7-9",
    "libx265": "hevc_mp4toannexb,filter_units=remove_types=32-35",
}
BY_TAG: Final = ("rtmp", "flv")
MATERIALS: Final = {
    "h264-aac": Material((*H264, "-bf", "0", *AAC)),
    "h264-b-frames-aac": Material((*H264, "-bf", "3", "-b_strategy", "0", *AAC)),
    "h264-mp3": Material((*H264, "-bf", "2", *MP3)),
    "h264-alone": Material((*PICTURE, "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", *GOP)),
    "aac-alone": Material((*TONE, *AAC), has_video=False),
    "mp3-alone": Material((*TONE, *MP3), has_video=False),
    "hevc-aac": Material(
        (
            *(*FLAT, *TONE, "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
            *("-x265-params", "log-level=none:info=0:keyint=50:min-keyint=50:scenecut=0:bframes=2:open-gop=0", *AAC),
        )
    ),
    "av1-aac": Material(
        (*FLAT, *TONE, "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "50", *AAC), BY_TAG
    ),
}


class Packet(NamedTuple):
    """One packet of one track; times in ms."""

    dts: float
    pts: float
    size: int
    digest: str


Tracks = dict[str, list[Packet]]


@cache
def made(name: str) -> bytes:
    """The material as an FLV."""
    command = [FFMPEG, "-v", "error", *MATERIALS[name].arguments, "-t", str(SECONDS)]
    command += ["-flvflags", "no_duration_filesize", "-f", "flv", "-"]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout


def split(data: bytes) -> tuple[bytes, bytes]:
    """The material's beginning, up to HEAD_MS, and the rest."""
    tags = flv.FlvReader().feed(data)
    head = sum(tag.timestamp < HEAD_MS for tag in tags)
    size = len(flv.build_header(audio=True, video=True)) + sum(len(flv.build_tag(*tag)) for tag in tags[:head])
    return data[:size], data[size:]


def reading(url: str, material: Material) -> list[str]:
    """The command that tells every packet of a URL by its hash."""
    command = [FFMPEG, "-v", "error", "-copyts"]
    if url.endswith(".m3u8"):
        command += ["-live_start_index", "0"]
    command += ["-i", url, "-map", "0:v?", "-map", "0:a?", "-c", "copy"]
    for encoder, filters in ANNEX_B.items():
        if encoder in material.arguments:
            command += ["-bsf:v", filters]
    if url.endswith(".m3u8") and "aac" in material.arguments:
        command += ["-bsf:a", "aac_adtstoasc"]
    return [*command, "-f", "framehash", "-"]


def parsed(text: str) -> Tracks:
    """The tracks of ffmpeg's framehash format, by their kind."""
    bases: dict[str, float] = {}
    kinds: dict[str, str] = {}
    tracks: Tracks = {}
    for line in text.splitlines():
        words = line.replace(":", " ").replace(",", " ").split()
        if line.startswith("#tb"):
            over, under = words[2].split("/")
            bases[words[1]] = 1000 * int(over) / int(under)
        elif line.startswith("#media_type"):
            kinds[words[1]] = words[2]
            tracks[words[2]] = []
        elif line and not line.startswith("#"):
            index, dts, pts, _, size, digest = words[:6]
            base = bases[index]
            tracks[kinds[index]].append(Packet(int(dts) * base, int(pts) * base, int(size), digest))
    return tracks


@contextlib.contextmanager
def fed_encoder(url: str, head: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """A real ffmpeg that pushes what it is fed, which is the beginning at first, in real time."""
    # It would wait for more than there is before it decides what it has got.
    command = [FFMPEG, "-v", "error", "-probesize", "20000", "-analyzeduration", "500000", "-re", "-f", "flv"]
    process = subprocess.Popen([*command, "-i", "pipe:0", "-c", "copy", "-f", "flv", url], stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        process.stdin.write(head)
        process.stdin.flush()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def watching(service: RunningService, stream: str, protocol: str) -> int:
    return int(service.call("ListRealtimeStreamsInfo", Stream=stream, PullProtocol=protocol)["OnlineUser"])


def played(service: RunningService, name: str) -> dict[str, Tracks]:
    """Push a material and read it by all its protocols at once."""
    material = MATERIALS[name]
    head, rest = split(made(name))
    urls = {"rtmp": service.push_url(name), "flv": service.flv_url(name), "hls": service.hls_url(name)}
    with contextlib.ExitStack() as stack:
        encoder = stack.enter_context(fed_encoder(service.push_url(name), head))
        until(lambda: service.call("ListRealtimeStreamsInfo", Type="push", Stream=name)["Streams"], 20)
        players = {}
        for protocol in material.protocols:
            if protocol == "hls":
                # HLS begins with the first request of a playlist, which is answered when there is a segment.
                first = stack.enter_context(socket.create_connection(("127.0.0.1", service.play_port)))
                first.sendall(f"GET /live/{name}.m3u8 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            command = reading(urls[protocol], material)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            players[protocol] = process
        for protocol in ("rtmp", "http+flv"):
            until(lambda protocol=protocol: watching(service, name, protocol) == 1, 30, 0.2)
        assert encoder.stdin is not None
        encoder.stdin.write(rest)
        encoder.stdin.close()
        assert encoder.wait(PLAYER_SECONDS) == 0
        outcomes = {protocol: process.communicate(timeout=PLAYER_SECONDS) for protocol, process in players.items()}
    for protocol, process in players.items():
        assert process.returncode == 0, (protocol, outcomes[protocol][1])
    return {protocol: parsed(out.decode()) for protocol, (out, _) in outcomes.items()}


def pushed(name: str, folder: Path) -> Tracks:
    """The material's own packets."""
    path = folder / f"{name}.flv"
    path.write_bytes(made(name))
    command = reading(str(path), MATERIALS[name])
    return parsed(subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout)


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[dict[str, Tracks]]]]:
    """Every material, pushed and read; some at a time, as each takes as long as it plays."""
    service = RunningService(tmp_path_factory.mktemp("same-frames"))
    service.start()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield {name: pool.submit(played, service, name) for name in MATERIALS}
    finally:
        service.end()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", MATERIALS)
def test_the_same_frames_come_out_as_were_pushed(
    plays: dict[str, Future[dict[str, Tracks]]], name: str, tmp_path: Path
) -> None:
    material = MATERIALS[name]
    expected = pushed(name, tmp_path)
    assert ("video" in expected) == material.has_video
    # What comes before the first key frame is no part of what a player starts from.
    begin = expected["video"][0].dts if material.has_video else HEAD_MS
    outcomes = plays[name].result()
    assert set(outcomes) == set(material.protocols)
    for protocol, received in outcomes.items():
        assert set(received) == set(expected), protocol
        shifts: dict[str, list[float]] = {}
        for kind, packets in received.items():
            whole = expected[kind]
            at_least = len(whole) if kind == "video" else sum(packet.dts > begin for packet in whole)
            assert at_least <= len(packets) <= len(whole), (protocol, kind)
            wanted = whole[-len(packets) :]
            assert [(packet.size, packet.digest) for packet in packets] == [
                (packet.size, packet.digest) for packet in wanted
            ], (protocol, kind)
            timed = list(zip(packets, wanted, strict=True))
            if protocol == "hls" and not material.has_video:
                timed = timed[UNTIMED:]
            shifts[kind] = [got.dts - want.dts for got, want in timed] + [got.pts - want.pts for got, want in timed]
        # One clock for sound and picture, and no frame off it.
        every = [shift for each in shifts.values() for shift in each]
        assert max(every) - min(every) <= SPREAD_MS[protocol], protocol
        assert max(shifts.get("video", [0])) == min(shifts.get("video", [0])), protocol
