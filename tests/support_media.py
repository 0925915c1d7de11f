"""A media plane in this process over in-memory ports, and scripted clients on real loopback sockets.

Rule: nothing here waits for a time to pass; every wait is for a fact, and has a deadline.
"""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from functools import cache
from typing import ClassVar, Self

import imageio_ffmpeg

from openkls import config
from openkls.codec import amf0, flv
from openkls.codec.rtmp import (
    HANDSHAKE_RANDOM_BYTES,
    ClientEvent,
    ClientSession,
    MediaReceived,
    Mode,
    PlayStarted,
    PublishStarted,
    parse_rtmp_url,
)
from openkls.config import Address
from openkls.control.admit import Admission
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.control.forbid import Forbids
from openkls.control.journal import Journal
from openkls.domain.blacklist import Blacklist
from openkls.domain.hls_sessions import HlsSessions, SessionIds
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.origin import AddressCap
from openkls.domain.ports import Whereabouts
from openkls.domain.registry import Registry
from openkls.domain.session import HistoryRow, Session
from openkls.domain.viewers import Viewers
from openkls.media.doors import Doors
from openkls.media.hls import Hls
from openkls.media.hls_proxy import HlsProxy
from openkls.media.hubs import Hubs
from openkls.media.play import PlayListener
from openkls.media.relay import Relays
from openkls.media.relay_port import RelayPort
from openkls.media.rtmp_listener import RtmpListener
from support_ports import MemoryBlacklist, MemoryHistory

DEADLINE_SECONDS = 10.0
RELAY_TOKEN = "the token of this cluster"
POLL_SECONDS = 0.005

SPACE = config.Space(
    "demo",
    apps=("live", "merged", "patient", "hasty"),
    publish_domains=("push.demo.local", "localhost", "127.0.0.1"),
    publish_domain=(
        config.PublishDomain("md5.demo.local", auth="md5", keys=("123456",)),
        config.PublishDomain("hmac.demo.local", auth="hmac", keys=("AK:TESTSECRET",)),
    ),
    app=(
        config.App("merged", merge_ms=50),
        config.App("patient", republish_grace_seconds=60),
        config.App("hasty", merge_ms=50, republish_grace_seconds=0.2),
    ),
)
GUARDED = config.Space(
    "guarded",
    publish_domains=("push.guarded.local",),
    play_domain=(
        config.PlayDomain("7", "play.guarded.local"),
        config.PlayDomain("8", "md5.guarded.local", auth="md5", keys=("123456",)),
    ),
)
ACCOUNTS = (config.Account("1", space=(SPACE, GUARDED)),)

# H.264 High 640x360 with timing for 25 frames a second, made by x264; AAC-LC 44,100 Hz stereo.
AVC_CONFIG = bytes.fromhex("0164001effe1001a6764001eacd940a02ff97011000003000100000300320f162d9601000468ef8fcbfdf8f800")
METADATA = amf0.encode("onMetaData", amf0.EcmaArray({"width": 640.0, "height": 360.0, "framerate": 25.0}))
VIDEO_HEADER = b"\x17\x00\x00\x00\x00" + AVC_CONFIG
AUDIO_HEADER = b"\xaf\x00\x12\x10"


def key_frame(body: bytes = b"\x00\x00\x00\x01\x65") -> bytes:
    """An H.264 key frame's message."""
    return b"\x17\x01\x00\x00\x00" + body


def frame(body: bytes = b"\x00\x00\x00\x01\x41") -> bytes:
    """A frame that needs those before it."""
    return b"\x27\x01\x00\x00\x00" + body


def sound(body: bytes = b"\x21\x10") -> bytes:
    """A coded AAC frame."""
    return b"\xaf\x01" + body


async def seen(fact: Callable[[], object], deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until ``fact()`` is true; fails at the deadline."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_seconds
    while not fact():
        assert loop.time() < end, "the fact was not seen before the deadline"
        await asyncio.sleep(POLL_SECONDS)


class House:
    """Everything of a service but its API and its store; times are real."""

    def __init__(self, merge_ms: int = 0, connections_per_address: int = 1000, grace_seconds: float = 0) -> None:
        self.history = MemoryHistory()
        self.bans = MemoryBlacklist()
        self.blacklist = Blacklist()
        self.viewers = Viewers()
        self.registry = Registry(self.blacklist)
        self.directory = Directory(ACCOUNTS)
        self.journal = Journal(self.history)
        self.endings = Endings(self.registry, self.journal)
        self.forbids = Forbids(self.bans, self.blacklist, self.registry, self.endings, cut_waiting=self._cut_waiting)
        self.admission = Admission(self.directory, self.registry, self.journal, self.endings, "boot-1", "127.0.0.1")
        self.merge_ms = merge_ms
        self.session_key = os.urandom(32)
        self.grace_seconds = grace_seconds
        self.connections_per_address = connections_per_address
        self.trusted_proxies: tuple[config.Network, ...] = ()
        self.whereabouts: Whereabouts | None = None
        self.relays: Relays | None = None
        self.proxy: HlsProxy | None = None
        self._closed = True

    async def open(self) -> None:
        """Listen on free ports."""
        self._closed = False
        loop = asyncio.get_running_loop()
        self._writing = asyncio.create_task(self.journal.run())
        self.hubs = Hubs(self.viewers, loop)
        self.doors = Doors(
            admission=self.admission,
            endings=self.endings,
            directory=self.directory,
            registry=self.registry,
            hubs=self.hubs,
            cap=AddressCap(self.connections_per_address),
            clock=time.time,
            merge_ms=self.merge_ms,
            grace_seconds=self.grace_seconds,
            whereabouts=self.whereabouts,
        )
        self.sessions = HlsSessions(self.viewers)
        self.hls = Hls(self.doors, self.sessions, SessionIds(self.session_key))
        if self.whereabouts is not None:
            self.relays = Relays(self.doors, self.whereabouts, RELAY_TOKEN)
            self.proxy = HlsProxy(self.doors, RELAY_TOKEN)
            self.relay_port = RelayPort(self.doors, self.hls, RELAY_TOKEN)
            self.relay_address = await self.relay_port.open(Address("127.0.0.1", 0))
        self.flv = PlayListener(self.doors, self.hls, self.trusted_proxies, self.relays, self.proxy)
        self.flv_address = await self.flv.open(Address("127.0.0.1", 0))
        self.rtmp = RtmpListener(self.doors, self.relays)
        self.rtmp_address = await self.rtmp.open(Address("127.0.0.1", 0))

    def _cut_waiting(self, key: StreamKey) -> bool:
        return self.hubs.cut(key)

    async def close(self) -> None:
        """Stop as the service does. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self.relays is not None:
            self.relays.stop()
        await self.rtmp.close()
        await self.flv.close()
        if self.relays is not None and self.proxy is not None:
            await self.relays.close()
            await self.proxy.close()
            await self.relay_port.close()
        self._writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._writing
        await self.journal.drain(DEADLINE_SECONDS)

    def url(self, stream: str, app: str = "live", host: str = "127.0.0.1") -> str:
        """The RTMP URL of a stream; another host than the address is named as vhost."""
        url = f"rtmp://127.0.0.1:{self.rtmp_address.port}/{app}/{stream}"
        if host != "127.0.0.1":
            url += f"{'&' if '?' in stream else '?'}vhost={host}"
        return url

    def flv_url(self, stream: str, app: str = "live") -> str:
        """The HTTP-FLV URL of a stream."""
        return f"http://127.0.0.1:{self.flv_address.port}/{app}/{stream}.flv"

    def hls_url(self, stream: str, app: str = "live") -> str:
        """The URL of a stream's master playlist."""
        return f"http://127.0.0.1:{self.flv_address.port}/{app}/{stream}.m3u8"

    def session(self, stream: str = "s1", app: str = "live") -> Session | None:
        """The live session of a name."""
        return self.registry.holder(StreamName("demo", app, stream))

    def rows(self, stream: str | None = None) -> list[HistoryRow]:
        """What history knows as over, once the journal is written out; in order of their ids."""
        rows = [row for row in self.history.rows.values() if stream in (None, row.facts.key.stream)]
        return sorted(rows, key=lambda row: row.facts.session_id)

    async def row(self, stream: str = "s1") -> HistoryRow:
        """The one row of a stream, when it has been written."""
        await seen(lambda: self.rows(stream) and not len(self.journal))
        (row,) = self.rows(stream)
        return row

    async def published(self, stream: str = "s1", app: str = "live", host: str = "127.0.0.1") -> "Peer":
        """A publisher that has been told Publish.Start."""
        peer = await Peer.open(self.rtmp_address, Mode.PUBLISH, self.url(stream, app, host))
        await peer.until(PublishStarted)
        return peer

    async def playing(self, stream: str = "s1", app: str = "live", host: str = "127.0.0.1") -> "Peer":
        """A player that has been told Play.Start."""
        peer = await Peer.open(self.rtmp_address, Mode.PLAY, self.url(stream, app, host))
        await peer.until(PlayStarted)
        return peer

    def empty(self) -> bool:
        """Nothing is left of any publish or play."""
        return not (
            len(self.registry)
            or self.registry._by_app
            or self.hubs._hubs
            or self.hubs._waiting
            or self.hubs._relayed
            or self.viewers._groups
            or self.doors.cap._counts
            or len(self.rtmp.connections)
            or self.rtmp.admissions
            or len(self.flv.connections)
            or len(self.sessions)
        )


def key(stream: str = "s1", app: str = "live") -> StreamKey:
    """The key streams of the house are recorded under."""
    return StreamKey("demo", "push.demo.local", app, stream)


class Wire:
    """A raw TCP connection to the house; those left open are reset when the house's test is over."""

    opened: ClassVar[list["Wire"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        Wire.opened.append(self)

    @classmethod
    async def dial(cls, address: Address) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection(address.host, address.port))

    async def send(self, data: bytes) -> None:
        """Write; a server that has closed is no error here."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def ended(self) -> bytes:
        """Everything the server still says until it closes or resets; fails at the deadline."""
        said = b""
        async with asyncio.timeout(DEADLINE_SECONDS):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    said += piece
        return said

    async def read_until(self, end: bytes) -> bytes:
        """What the server says up to ``end``."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.readuntil(end)

    async def close(self) -> None:
        """Close in order."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def reset(self) -> None:
        """Leave abruptly."""
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Peer(Wire):
    """An RTMP client: the client's machine over a raw connection."""

    session: ClientSession

    @classmethod
    async def open(cls, address: Address, mode: Mode, url: str) -> "Peer":
        """Dial and ask; read the answer with ``until``."""
        peer = await cls.dial(address)
        peer.session = ClientSession(mode, parse_rtmp_url(url), os.urandom(HANDSHAKE_RANDOM_BYTES))
        peer.events = []
        await peer.flush()
        return peer

    events: list[ClientEvent]
    """Everything that happened, in order."""

    async def flush(self) -> None:
        """Write what the machine wants to say."""
        data = self.session.data_to_send()
        if data:
            await self.send(data)

    async def until(self, *kinds: type[object]) -> ClientEvent:
        """The first event of one of these kinds, reading on until it has come; fails when the server closes first."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                for event in self.events:
                    if isinstance(event, kinds):
                        return event
                data = await self.reader.read(65536)
                assert data, f"closed before {kinds}; seen {self.events}"
                self.events += self.session.receive(data)
                await self.flush()

    async def heard(self, count: int) -> list[MediaReceived]:
        """At least so many messages of media, and all that came with them."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.heard_media) < count:
                data = await self.reader.read(65536)
                assert data, f"closed after {len(self.heard_media)} messages, {count} expected"
                self.events += self.session.receive(data)
                await self.flush()
        return self.heard_media

    @property
    def heard_media(self) -> list[MediaReceived]:
        """The media received so far, without the permission every player is told."""
        return [e for e in self.events if isinstance(e, MediaReceived) and b"RtmpSampleAccess" not in e.payload]

    async def over(self) -> list[ClientEvent]:
        """All events, once the server has closed."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(65536):
                    self.events += self.session.receive(data)
                    await self.flush()
        return self.events

    async def media(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Send one message of media."""
        self.session.send_media(type_id, timestamp, payload)
        await self.flush()

    async def start_stream(self) -> None:
        """Send the headers and a first key frame."""
        await self.media(flv.SCRIPT, 0, METADATA)
        await self.media(flv.VIDEO, 0, VIDEO_HEADER)
        await self.media(flv.AUDIO, 0, AUDIO_HEADER)
        await self.media(flv.VIDEO, 0, key_frame())


FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25")
TONE = ("-f", "lavfi", "-i", "sine=sample_rate=44100")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")


@cache
def clip(*arguments: str, seconds: float = 2.0) -> list[flv.Tag]:
    """What the real ffmpeg makes of inputs and codecs, as FLV tags."""
    command = [FFMPEG, "-v", "error", *arguments, "-t", str(seconds), "-f", "flv", "-"]
    made = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return flv.FlvReader().feed(made)
