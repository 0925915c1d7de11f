"""The servers that bench.api loads: OpenKLS whole, and the least that aiohttp can do.

``python -m bench.api_server openkls CONFIG`` or ``... echo``. Prints its port, then obeys lines on its standard input
and answers each with ``done``: ``fill N [FIRST]`` registers N live streams, numbered from FIRST and each with a viewer,
in the running service's registry, ``feed`` gives their counters ten seconds of media up to now; ``answer FILE`` is what
the echo answers from now on. It ends when its input does.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest import mock

import uvloop
from aiohttp import web

from openkls import config
from openkls.app import Service
from openkls.app import api as api_part
from openkls.control.ids import new_session_id
from openkls.control.live import LiveStreams
from openkls.control.peers import Peers
from openkls.domain.keys import StreamKey
from openkls.domain.quality import Quality
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode, Session, SessionFacts
from openkls.domain.viewers import Group, PullProtocol, Viewers

FED_SECONDS: Final = 10
FRAMES_PER_SECOND: Final = 25
MEDIA_KBPS: Final = 1000
CHUNK_SHARE: Final = 1.01


class _Silent:
    """A publisher's connection without a connection."""

    def kick(self, code: BreakCode) -> None:
        """Nothing to cut."""

    def catch_up(self) -> None:
        """Nothing waits to be read."""

    def silent_seconds(self) -> float:
        """It never is."""
        return 0.0


@dataclass(slots=True)
class _Stream:
    session: Session
    group: Group
    dts_ms: int = 0

    def feed(self, until: float) -> None:
        """Ten seconds of frames and of bytes sent to the viewer, in the order in which they would have come."""
        quality, size_bytes = self.session.quality, MEDIA_KBPS * 125 // FRAMES_PER_SECOND
        step_ms = 1000 // FRAMES_PER_SECOND
        for frame in range(FED_SECONDS * FRAMES_PER_SECOND):
            now = until - FED_SECONDS + frame / FRAMES_PER_SECOND
            quality.received(now, int(size_bytes * CHUNK_SHARE) + 160)
            quality.video_frame(now, self.dts_ms, size_bytes)
            quality.audio_frame(now, self.dts_ms, 160)
            self.group.sent.add(now, size_bytes)
            self.dts_ms += step_ms


class Filled(LiveStreams):
    """The service's own live streams, handed over so that they can be filled from outside."""

    current: "Filled"

    def __init__(self, registry: Registry, viewers: Viewers, peers: Peers | None = None) -> None:
        super().__init__(registry, viewers, peers)
        self.parts = registry, viewers
        self.streams: list[_Stream] = []
        Filled.current = self

    def fill(self, count: int, first: int = 0) -> None:
        """Register streams of demo/live as their connections would have."""
        registry, viewers = self.parts
        now, ticks = time.time(), time.monotonic()
        for number in range(first, first + count):
            key = StreamKey("demo", "push.demo.local", "live", f"stream-{number:05}")
            pub_time = int(now) - number % 3600
            facts = SessionFacts(new_session_id(now), key, "192.0.2.7", 50000, "127.0.0.1", "bench", pub_time)
            session = Session(facts, _Silent(), Quality(ticks - FED_SECONDS), started=True)
            quality = session.quality
            quality.vcodec, quality.acodec = "h264", "aac"
            quality.from_headers.width, quality.from_headers.height = 640, 360
            quality.from_headers.sample_rate = 44100
            quality.from_metadata.frame_rate = float(FRAMES_PER_SECOND)
            assert registry.claim(session, now).refusal is None
            group = viewers.join(key.name, PullProtocol.HTTP_FLV, "1001", ticks - FED_SECONDS)
            self.streams.append(_Stream(session, group))

    def feed(self) -> None:
        """Media for all, up to now."""
        now = time.monotonic()
        for stream in self.streams:
            stream.feed(now)


def main() -> None:
    """Serve until the input ends."""
    serve = _openkls(sys.argv[2]) if sys.argv[1] == "openkls" else _echo()
    uvloop.run(serve)


async def _openkls(path: str) -> None:
    with mock.patch.object(api_part, "LiveStreams", Filled):
        service = await Service.start(config.load(Path(path)))

    def obey(order: str, argument: str) -> None:
        if order == "fill":
            Filled.current.fill(*map(int, argument.split()))
        elif order == "feed":
            Filled.current.feed()

    assert service.api_address is not None
    await _obey(service.api_address.port, obey)
    await service.stop()


async def _echo() -> None:
    body = b""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.body_exists:
            await request.read()
        return web.Response(body=body, headers={"Content-Type": "application/json; charset=utf-8"})

    def obey(order: str, argument: str) -> None:
        nonlocal body
        if order == "answer":
            body = Path(argument).read_bytes()

    server = await asyncio.get_running_loop().create_server(web.Server(answer, access_log=None), "127.0.0.1", 0)
    await _obey(server.sockets[0].getsockname()[1], obey)


async def _obey(port: int, obey: Callable[[str, str], None]) -> None:
    """Print the port, then do what each line says; until the end of the input."""
    print(port, flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().strip():
        obey(*line.partition(" ")[::2])
        print("done", flush=True)


if __name__ == "__main__":
    main()
