"""Viewers of the benches: thousands of RTMP and HTTP-FLV connections in one process, a few of them watched closely.

Rule: what an ordinary viewer costs per read is one system call and two additions; the kernel drops the bytes
(MSG_TRUNC) and nothing is copied. How busy this process was is part of every report.

Theory of operation. A viewer is read for its bytes until its first key frame is complete: that gives the start times.
From there on its bytes are only counted, unless it is watched: then every mark of bench.clip is looked up, which gives
the latency of each frame, and the gap between two reads, which gives the stalls. Watched viewers belong into a process
of their own, so that they don't wait behind the ordinary ones. An RTMP viewer says everything it has to say at once
after the handshake, and answers no ping: it is meant to live for less than the minute after which a server asks.
"""

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final

from bench import clip
from openkls.codec.amf0 import encode
from openkls.codec.rtmp.chunk import build_message
from openkls.codec.rtmp.message import COMMAND

READ_BYTES: Final = 1 << 18
EVENTS_MAX: Final = 8192
CONNECTING_MAX: Final = 50
CONNECT_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.5
# Ordinary viewers are read once in so long, as if their answers took a round trip. A reader asleep on its sockets would
# be woken by nearly every write, on the server's account: measured, that doubles what a write costs in one round and
# not in the next, and no network has it.
TICK_SECONDS: Final = 0.005
_HANDSHAKE_BYTES: Final = 1 + 1536 + 1536
# The record of the sequence header: version 1, then profile, compatibility, level, and 4-byte lengths (x264 High, 3.0).
_CONFIG_BEGINS: Final = b"\x17\x00\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class Play:
    """What to play: ``count`` viewers for each stream of ``app``, by ``rtmp`` or ``flv``."""

    protocol: str
    port: int
    app: str
    streams: tuple[str, ...]
    count: int
    watched: bool = False


@dataclass(slots=True)
class Starts:
    """Milliseconds from the begin of the connection, one entry for each viewer that got so far."""

    first_byte_ms: list[float] = field(default_factory=list)
    """Of the media: the video's header, or a frame."""
    first_frame_ms: list[float] = field(default_factory=list)
    """The begin of the first video frame of any kind."""
    key_frame_ms: list[float] = field(default_factory=list)
    """The end of the first key frame."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the viewers saw since the last report."""

    viewers: int
    lost: int
    """Viewers whose connection was closed by the server."""
    starts: Starts
    received_bytes: int
    least_bytes: int
    """Of the viewer that got the fewest."""
    latency_ms: list[float]
    gaps_ms: list[float]
    """Of each watched viewer, the longest time between two reads."""
    cpu_seconds: float


class _Viewer:
    """One connection while its bytes are looked at."""

    __slots__ = (
        "begun",
        "first_byte",
        "first_frame",
        "gap",
        "key_done",
        "last_read",
        "play",
        "rest",
        "said",
        "skip",
        "socket",
        "stream",
        "tail",
    )

    def __init__(self, play: Play, stream: str) -> None:
        self.play = play
        self.stream = stream
        self.said = False
        self.skip = _HANDSHAKE_BYTES if play.protocol == "rtmp" else 0
        self.tail = b""
        self.rest = -1
        self.first_byte = self.first_frame = self.key_done = False
        self.gap = 0.0
        self.begun = self.last_read = time.monotonic()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", play.port))

    def speak(self) -> None:
        """The connection is there: greet, or ask."""
        self.said = True
        if self.play.protocol == "rtmp":
            self.socket.send(b"\x03" + bytes(1536))
        else:
            path = f"/{self.play.app}/{self.stream}.flv"
            self.socket.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.play.port}\r\n\r\n".encode())

    def _ask(self) -> None:
        app = {"app": self.play.app, "flashVer": "LNX 9,0,124,2", "tcUrl": f"rtmp://127.0.0.1/{self.play.app}"}
        commands = (
            (0, encode("connect", 1.0, app)),
            (0, encode("createStream", 2.0, None)),
            (1, encode("play", 3.0, None, self.stream, -2000.0)),
        )
        said = [build_message(COMMAND, 0, stream_id, payload, 3, 128) for stream_id, payload in commands]
        self.socket.send(bytes(1536) + b"".join(said))

    def take(self, data: bytes, now: float, starts: Starts, latency_ms: list[float]) -> None:
        """Look at what came at ``now``."""
        if self.skip:
            skipped = min(self.skip, len(data))
            self.skip -= skipped
            if self.skip:
                return
            self._ask()
            data = data[skipped:]
        if self.rest > 0:
            self._count_down(len(data), now, starts)
        data = self.tail + data
        if not self.first_byte and (_CONFIG_BEGINS in data or clip.MARK in data):
            self.first_byte = True
            starts.first_byte_ms.append((now - self.begun) * 1000)
        behind, at = 0, data.find(clip.MARK)
        while at >= 0 and at + clip.MARK_BYTES <= len(data):
            behind = at + clip.MARK_BYTES
            self._meet(data[at:behind], len(data) - at, now, starts, latency_ms)
            at = data.find(clip.MARK, behind)
        self.tail = data[max(behind, len(data) - clip.MARK_BYTES + 1) :]

    def _meet(self, mark: bytes, come: int, now: float, starts: Starts, latency_ms: list[float]) -> None:
        if not self.first_frame:
            self.first_frame = True
            starts.first_frame_ms.append((now - self.begun) * 1000)
        if self.key_done:
            latency_ms.append(now * 1000 - int(mark[clip.TIME_AT :], 16) / 1e6)
        elif self.rest < 0 and mark[len(clip.MARK)] == ord("K"):
            # What carries the frame adds a few bytes to its own.
            self.rest = int(mark[clip.REST_AT : clip.TIME_AT], 16)
            self._count_down(come, now, starts)

    def _count_down(self, come: int, now: float, starts: Starts) -> None:
        self.rest -= come
        if self.rest <= 0:
            self.rest = 0
            self.key_done = True
            starts.key_frame_ms.append((now - self.begun) * 1000)


class Audience:
    """All viewers of a worker."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._poller = select.epoll()
        self._poller.register(pipe.fileno(), select.EPOLLIN)
        self._buffer = bytearray(READ_BYTES)
        self._open: dict[int, socket.socket] = {}
        self._connecting: set[int] = set()
        """Those that have not been answered."""
        self._starting: dict[int, _Viewer] = {}
        """Those, and all others without a whole key frame."""
        self._watched: dict[int, _Viewer] = {}
        self._reads: dict[int, Callable[[bytearray, int, int], int]] = {}
        self._counts: dict[int, int] = {}
        self._waiting: list[tuple[Play, str]] = []
        self._visitors = False
        self._starts = Starts()
        self._latency_ms: list[float] = []
        self._lost = 0

    def begin(self, play: Play) -> None:
        """Connect all; a bounded number at a time."""
        self._waiting = [(play, stream) for _ in range(play.count) for stream in play.streams]

    def run(self) -> None:
        """Serve the sockets and the pipe until it ends."""
        while True:
            while self._waiting and len(self._connecting) < CONNECTING_MAX:
                self._connect(*self._waiting.pop())
            if self._reads:
                time.sleep(TICK_SECONDS)
            for fd, events in self._poller.poll(0 if self._reads else POLL_SECONDS, EVENTS_MAX):
                read = self._reads.get(fd)
                if read is not None:
                    try:
                        received = read(self._buffer, READ_BYTES, socket.MSG_TRUNC)
                    except OSError:
                        received = 0
                    if received:
                        self._counts[fd] += received
                    else:
                        self._lose(fd)
                elif fd == self._pipe.fileno():
                    self._answer(self._pipe.recv())
                else:
                    self._look(fd, events)

    def _connect(self, play: Play, stream: str) -> None:
        viewer = _Viewer(play, stream)
        fd = viewer.socket.fileno()
        self._open[fd] = viewer.socket
        self._connecting.add(fd)
        self._starting[fd] = viewer
        self._counts[fd] = 0
        self._poller.register(fd, select.EPOLLOUT)

    def _look(self, fd: int, events: int) -> None:
        viewer = self._starting.get(fd) or self._watched.get(fd)
        if viewer is None:
            return
        try:
            if not viewer.said:
                viewer.speak()
                self._poller.modify(fd, select.EPOLLIN)
                return
            data = viewer.socket.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._lose(fd)
            return
        now = time.monotonic()
        self._counts[fd] += len(data)
        viewer.take(data, now, self._starts, self._latency_ms)
        if not viewer.skip:
            self._connecting.discard(fd)
        if viewer.key_done:
            viewer.gap = max(viewer.gap, now - viewer.last_read)
        viewer.last_read = now
        if viewer.key_done and fd in self._starting:
            self._settle(fd, self._starting.pop(fd))

    def _settle(self, fd: int, viewer: _Viewer) -> None:
        """Its first key frame is there."""
        viewer.gap = 0.0
        if self._visitors:
            self._leave(fd)
        elif viewer.play.watched:
            self._watched[fd] = viewer
        else:
            self._reads[fd] = viewer.socket.recv_into

    def _lose(self, fd: int) -> None:
        self._lost += 1
        self._connecting.discard(fd)
        self._starting.pop(fd, None)
        self._watched.pop(fd, None)
        self._leave(fd)

    def _leave(self, fd: int) -> None:
        self._reads.pop(fd, None)
        self._counts.pop(fd, None)
        self._poller.unregister(fd)
        self._open.pop(fd).close()

    def _answer(self, command: "str | Play") -> None:
        if isinstance(command, Play):  # one visitor: it leaves when it has its key frame
            self._visitors = True
            self._waiting.append((command, command.streams[0]))
        elif command == "started":
            self._pipe.send((len(self._open) - len(self._starting), len(self._starting) + len(self._waiting)))
        else:
            self._pipe.send(self._report())

    def _report(self) -> Seen:
        counts = self._counts
        seen = Seen(
            len(self._open) - len(self._starting),
            self._lost,
            self._starts,
            sum(counts.values()),
            min(counts.values(), default=0),
            self._latency_ms,
            [viewer.gap * 1000 for viewer in self._watched.values()],
            time.process_time(),
        )
        self._starts, self._latency_ms = Starts(), []
        for fd in counts:
            counts[fd] = 0
        for viewer in self._watched.values():
            viewer.gap = 0.0
        return seen


def run(pipe: Connection, play: Play | None) -> None:
    """The body of the worker. Commands: ``started`` gives how many have their first key frame and how many have not
    yet, ``report`` what was seen since the last one; a Play sends in one visitor."""
    audience = Audience(pipe)
    if play is not None:
        audience.begin(play)
    audience.run()
