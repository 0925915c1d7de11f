"""The viewers of `make soak`: they come and go by every protocol, some without a word, and one never reads.

Rule: a viewer is light and judges little; what the service did to memory, descriptors and log is judged by the soak.

Theory of operation. Publishers of the soak itself are short; those here last long enough to be watched, one of them
with so many bits that whoever does not read it is soon beyond every buffer. A viewer picks a stream that is live, plays
for a while, and leaves in one of the ways that players leave: in order, by a reset, or dying (its socket is deaf from
then on, and closed when the service must have given it up).
"""

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from openkls.codec import ProtocolError
from openkls.codec.flv import VIDEO, Tag
from openkls.media import rtmp_client
from openkls.media.silence import SILENT_SECONDS
from tests.support_sockets import deafen

AVC_HEADER: Final = b"\x17\x00\x00\x00\x00" + bytes.fromhex("0142c01effe100042742c01e01000128")
# An AVC tag's head and one NAL unit behind its length; the first byte says whether it is a key frame's.
THIN_FRAME: Final = b"\x17\x01\x00\x00\x00" + (1000).to_bytes(4, "big") + b"\x65" + bytes(999)
# 8 Mbps at 25 frames a second.
FAT_FRAME: Final = b"\x17\x01\x00\x00\x00" + (40_000).to_bytes(4, "big") + b"\x65" + bytes(39_999)
FRAME_SECONDS: Final = 0.04
GOP_FRAMES: Final = 25
PUBLISHERS: Final = 3
PUBLISH_SECONDS: Final = 20.0
VIEWERS: Final = 12
WATCH_SECONDS: Final = 8.0
# Of ten that leave.
RESETTING, DYING = 2, 1
NEVER_READING_SECONDS: Final = 30.0
REQUEST_SECONDS: Final = 15.0


@dataclass(slots=True)
class Audience:
    """What the viewers saw."""

    ends: Counter[str] = field(default_factory=Counter)
    """By protocol and how it ended."""
    received_bytes: Counter[str] = field(default_factory=Counter)


class SoakViewers:
    """Long streams and those who watch them, against one service."""

    def __init__(self, rtmp_port: int, play_port: int, rng: random.Random, http: aiohttp.ClientSession) -> None:
        self._rtmp = f"rtmp://127.0.0.1:{rtmp_port}/live/"
        self._play_port = play_port
        self._rng = rng
        self._http = http
        self._names = itertools.count()
        self._live: list[str] = []
        self.seen = Audience()

    async def run(self, ending: float) -> None:
        """Until the loop's clock shows ``ending``."""
        async with asyncio.TaskGroup() as group:
            for number in range(PUBLISHERS):
                group.create_task(self._publish_all(ending, fat=number == 0))
            for _ in range(VIEWERS):
                group.create_task(self._watch_all(ending))
            group.create_task(self._never_read(ending))

    # -- streams

    async def _publish_all(self, ending: float, fat: bool) -> None:
        clock = asyncio.get_running_loop().time
        while clock() < ending:
            name = f"{'fat' if fat else 'long'}-{next(self._names)}"
            lasts = min(PUBLISH_SECONDS * self._rng.uniform(0.5, 1.5), max(1.0, ending - clock()))
            tags = _tags(lasts, FAT_FRAME if fat else THIN_FRAME)
            # A publisher that is cut or lost comes again, by another name.
            with contextlib.suppress(rtmp_client.StreamRefused, rtmp_client.ConnectionFailed, ProtocolError):
                await rtmp_client.publish(self._rtmp + name, tags, lambda name=name: self._live.append(name))
            if name in self._live:
                self._live.remove(name)

    # -- viewers

    async def _watch_all(self, ending: float) -> None:
        clock = asyncio.get_running_loop().time
        ways: dict[str, Callable[[str, float], Awaitable[str]]] = {
            "rtmp": self._rtmp_play,
            "flv": self._flv_play,
            "hls": self._hls_play,
        }
        for kind in itertools.cycle(ways):
            if clock() >= ending:
                return
            await asyncio.sleep(self._rng.random())
            # What HLS keeps of a fat stream, and when, would hide any leak.
            watchable = [name for name in self._live if kind != "hls" or not name.startswith("fat")]
            if watchable:
                lasts = min(WATCH_SECONDS * self._rng.random(), max(0.1, ending - clock()))
                end = await ways[kind](self._rng.choice(watchable), lasts)
                self.seen.ends[f"{kind} {end}"] += 1

    async def _rtmp_play(self, name: str, seconds: float) -> str:
        def heard(media: object) -> None:
            self.seen.received_bytes["rtmp"] += len(getattr(media, "payload", b""))

        try:
            async with asyncio.timeout(seconds):
                await rtmp_client.play(self._rtmp + name, heard)
        except TimeoutError:
            return "left"
        except rtmp_client.StreamRefused:
            return "too late"
        except rtmp_client.ConnectionFailed:
            return "ended"
        return "ended"

    async def _flv_play(self, name: str, seconds: float) -> str:
        reader, writer = await self._flv_request(name)
        try:
            async with asyncio.timeout(seconds):
                while piece := await reader.read(65536):
                    self.seen.received_bytes["flv"] += len(piece)
            end = "ended"
        except TimeoutError:
            end = self._rng.choice(["left"] * (10 - RESETTING - DYING) + ["reset"] * RESETTING + ["died"] * DYING)
        except ConnectionError:
            end = "cut"
        if end == "died":
            deafen(writer.get_extra_info("socket"))
            await asyncio.sleep(SILENT_SECONDS + 2)
        await _close(writer, abort=end in ("reset", "died"))
        return end

    async def _hls_play(self, name: str, seconds: float) -> str:
        """Ask as players do: the master playlist, its variant each second, every new segment once."""
        ending = asyncio.get_running_loop().time() + seconds
        playlist, fetched = self._url(f"/live/{name}.m3u8"), set[str]()
        try:
            while asyncio.get_running_loop().time() < ending:
                lines = [line for line in (await self._get(playlist)).decode().splitlines() if line]
                links = [URL(playlist).join(URL(line)) for line in lines if not line.startswith("#")]
                if "#EXT-X-STREAM-INF" in "".join(lines):
                    playlist = str(links[0])
                    continue
                for link in map(str, links):
                    if link not in fetched:
                        fetched.add(link)
                        self.seen.received_bytes["hls"] += len(await self._get(link))
                if "#EXT-X-ENDLIST" in lines:
                    return "ended"
                await asyncio.sleep(1.0)
        except (aiohttp.ClientError, TimeoutError) as error:
            return str(error.status) if isinstance(error, aiohttp.ClientResponseError) else type(error).__name__
        return "left"

    async def _never_read(self, ending: float) -> None:
        """One after the other, on the stream that fills every buffer."""
        clock = asyncio.get_running_loop().time
        while clock() < ending:
            fat = [name for name in self._live if name.startswith("fat")]
            if not fat:
                await asyncio.sleep(FRAME_SECONDS)
                continue
            _, writer = await self._flv_request(fat[0])
            await asyncio.sleep(min(NEVER_READING_SECONDS, max(0.0, ending - clock())))
            await _close(writer, abort=True)
            self.seen.ends["flv never read"] += 1

    # -- requests

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._play_port}{path}"

    async def _get(self, url: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with self._http.get(url, timeout=timeout, raise_for_status=True) as answer:
            return await answer.read()

    async def _flv_request(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._play_port)
        writer.write(f"GET /live/{name}.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return reader, writer


async def _tags(lasts_seconds: float, body: bytes) -> AsyncIterator[Tag]:
    """A stream in real time, a key frame each second."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    yield Tag(VIDEO, 0, AVC_HEADER)
    for number in itertools.count():
        at = number * FRAME_SECONDS
        if at >= lasts_seconds:
            return
        await asyncio.sleep(max(0.0, begun + at - clock()))
        first = b"\x17" if number % GOP_FRAMES == 0 else b"\x27"
        yield Tag(VIDEO, round(at * 1000), first + body[1:])


async def _close(writer: asyncio.StreamWriter, abort: bool) -> None:
    if abort:
        writer.transport.abort()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
