"""An HLS client on one kept connection, and playlists taken apart. Rule: it reads what a player would, no more."""

import asyncio
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit

from openkls.codec import flv
from openkls.domain.viewers import PullProtocol
from openkls.media.packager import Packager
from support_media import (
    AUDIO_HEADER,
    DEADLINE_SECONDS,
    VIDEO_HEADER,
    House,
    Peer,
    Wire,
    frame,
    key,
    key_frame,
    seen,
    sound,
)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Listing:
    """A media playlist."""

    target: int
    sequence: int
    discontinuity_sequence: int
    uris: list[str]
    durations: list[float]
    discontinuities: list[str]
    """The URIs of the segments behind a discontinuity."""
    ended: bool
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Every line is one that is known, in an order that RFC 8216 allows."""
        assert text.startswith("#EXTM3U\n")
        assert text.endswith("\n")
        target = sequence = -1
        discontinuity_sequence, breaks, ended = 0, False, False
        uris, durations, discontinuities = [], [], []
        for line in text.splitlines()[1:]:
            assert not ended
            tag, _, value = line.partition(":")
            match tag:
                case "#EXT-X-TARGETDURATION":
                    target = int(value)
                case "#EXT-X-MEDIA-SEQUENCE":
                    sequence = int(value)
                case "#EXT-X-DISCONTINUITY-SEQUENCE":
                    assert not uris
                    discontinuity_sequence = int(value)
                case "#EXT-X-DISCONTINUITY":
                    breaks = True
                case "#EXTINF":
                    durations.append(float(value.removesuffix(",")))
                    assert int(durations[-1] + 0.5) <= target
                case "#EXT-X-ENDLIST":
                    ended = True
                case "#EXT-X-VERSION":
                    assert value == "3"
                case "#EXT-X-PROGRAM-DATE-TIME":
                    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value)
                case _:
                    assert not line.startswith("#")
                    uris.append(line)
                    if breaks:
                        discontinuities.append(line)
                    breaks = False
        assert len(uris) == len(durations)
        return cls(target, sequence, discontinuity_sequence, uris, durations, discontinuities, ended, text)


class Player:
    """Fetches over one connection, by a Host of its own choice."""

    def __init__(self, wire: Wire, host: str) -> None:
        self.wire = wire
        self.host = host
        self.url = ""
        """The media playlist's path and query."""
        self.publisher: Peer | None = None

    @classmethod
    async def dial(cls, house: House, host: str = "127.0.0.1") -> Self:
        return cls(await Wire.dial(house.flv_address), host)

    async def ask(self, path: str, method: str = "GET", version: str = "1.1", **headers: str) -> None:
        """Send a request."""
        lines = [f"{method} {path} HTTP/{version}", f"Host: {self.host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.wire.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def reply(self, is_head: bool = False) -> Reply:
        """Read one answer."""
        head = (await self.wire.read_until(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        assert status.startswith("HTTP/1.1 ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert len(headers) == len(lines)
        length = 0 if is_head else int(headers.get("content-length", "0"))
        async with asyncio.timeout(DEADLINE_SECONDS):
            body = await self.wire.reader.readexactly(length)
        return Reply(int(status.split()[1]), headers, body)

    async def get(self, path: str, method: str = "GET", version: str = "1.1", **headers: str) -> Reply:
        """Ask and read the answer."""
        await self.ask(path, method, version, **headers)
        return await self.reply(method == "HEAD")

    async def open(self, path: str = "/live/s1.m3u8") -> Reply:
        """Fetch the master playlist; finds the media playlist's URL in it."""
        reply = await self.get(path)
        assert reply.status == 200, reply
        (uri,) = [line for line in reply.text.splitlines() if not line.startswith("#")]
        self.url = urljoin(path, uri)
        return reply

    async def listing(self) -> Listing:
        """Fetch the media playlist."""
        reply = await self.get(self.url)
        assert reply.status == 200, reply
        return Listing.parse(reply.text)

    def path(self, uri: str) -> str:
        """The path of a segment in the media playlist."""
        return urljoin(urlsplit(self.url).path, uri)

    async def segment(self, uri: str) -> bytes:
        """Fetch a segment of the media playlist."""
        reply = await self.get(self.path(uri))
        assert reply.status == 200, reply
        return reply.body


async def push(peer: Peer, segments: int, first: int = 0, body_bytes: int = 100) -> None:
    """So many segments of 2 s, and the key frame that ends the last; the first is number ``first``."""
    if not first:
        await peer.media(flv.VIDEO, 0, VIDEO_HEADER)
        await peer.media(flv.AUDIO, 0, AUDIO_HEADER)
    for number in range(first, first + segments):
        begin_ms = number * 2000
        await peer.media(flv.VIDEO, begin_ms, key_frame(nal(0x65, body_bytes)))
        for step in range(1, 4):
            await peer.media(flv.AUDIO, begin_ms + step * 500 - 250, sound(bytes(20)))
            await peer.media(flv.VIDEO, begin_ms + step * 500, frame(nal(0x41, 50)))
    await peer.media(flv.VIDEO, (first + segments) * 2000, key_frame(nal(0x65, body_bytes)))


def nal(kind: int, size_bytes: int) -> bytes:
    """A NAL unit behind its length."""
    return size_bytes.to_bytes(4, "big") + bytes([kind]) + b"\x88" * (size_bytes - 1)


def the_packager(house: House) -> Packager:
    """The house's only one."""
    (only,) = house.hls._packagers.values()
    return only


async def made(house: House, sequences: int) -> None:
    """Wait until so many segments have been made."""
    first = next(iter(the_packager(house)._shelf), 0)
    await seen(lambda: the_packager(house)._shelf and max(the_packager(house)._shelf) >= first + sequences - 1)


async def opened(house: House, host: str = "127.0.0.1", path: str = "/live/s1.m3u8", segments: int = 1) -> Player:
    """A player that has the master playlist of a stream, of which so many segments have been pushed since."""
    publisher = await house.published(app=path.split("/")[1])
    player = await Player.dial(house, host)
    await player.ask(path)
    await seen(lambda: house.hls._packagers)
    await push(publisher, segments)
    await made(house, segments)
    await player.reply()
    await player.open(path)
    player.publisher = publisher
    return player


def publisher_of(player: Player) -> Peer:
    """The publisher of a player that was ``opened``."""
    assert player.publisher is not None
    return player.publisher


def online(house: House) -> int:
    """HLS viewers of the stream s1."""
    return house.viewers.audience(key().name, PullProtocol.HLS, None, asyncio.get_running_loop().time()).online
