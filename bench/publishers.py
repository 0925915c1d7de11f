"""Publishers of the benches: any number of streams from one process, each message sent when it is due.

Rule: a message costs one heap step and one write; what the bench reads of it is how late it was.

Theory of operation. All publishers are connected, one after another, before the first sends. Their starts are spread
over a group of pictures, so that key frames don't come all at once. Nothing is skipped: a publisher that is held up
sends all the faster afterwards, and the lateness shows it.
"""

import heapq
import os
import select
import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bench import clip
from openkls.codec.rtmp import HANDSHAKE_RANDOM_BYTES, ClientSession, Mode, PublishStarted, parse_rtmp_url

CONNECT_SECONDS: Final = 10.0
BACKLOG_LIMIT_BYTES: Final = 4 * 1024 * 1024
# How long before the first message the streams are said to begin: the time it takes to build the heap.
LEAD_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Push:
    """What to publish: a stream for each name, to ``app`` on a port of this machine."""

    port: int
    app: str
    streams: tuple[str, ...]
    folder: Path
    chunk_size: int = 4096
    bursts: bool = False
    """Audio goes out with the next frame, as muxers that interleave send it; else each message when it is due."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What publishers did since the last report."""

    messages: int
    sent_bytes: int
    late_ms: float
    """How late the latest message was."""
    cpu_seconds: float


class _Publisher:
    __slots__ = ("backlog", "begin", "place", "session", "socket")

    def __init__(self, connection: socket.socket, session: ClientSession) -> None:
        self.socket = connection
        self.session = session
        self.backlog = bytearray()
        self.begin = 0.0
        self.place = 0

    def send(self, data: bytes | bytearray) -> None:
        if not self.backlog:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self.backlog += data
        if len(self.backlog) > BACKLOG_LIMIT_BYTES:
            raise RuntimeError("the server does not read what is published")

    def catch_up(self) -> None:
        """Send what did not fit."""
        if self.backlog:
            try:
                del self.backlog[: self.socket.send(self.backlog)]
            except BlockingIOError:
                return

    def listen(self) -> None:
        """Answer pings."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        if not data:
            raise RuntimeError("the server closed a publisher")
        self.session.receive(data)
        answer = self.session.data_to_send()
        if answer:
            self.send(answer)


def run(pipe: Connection, push: Push) -> None:
    """The body of the worker: connects, says how many, then sends for ever. Commands: ``report``."""
    made = clip.load(push.folder, push.chunk_size, bursts=push.bursts)
    publishers = [_connect(push, stream) for stream in push.streams]
    poller = select.epoll()
    poller.register(pipe.fileno(), select.EPOLLIN)
    by_fd = {}
    for each in publishers:
        each.socket.setblocking(False)
        poller.register(each.socket.fileno(), select.EPOLLIN)
        by_fd[each.socket.fileno()] = each
        each.send(made.headers)
    begin = time.monotonic() + LEAD_SECONDS
    due: list[tuple[float, int]] = []
    for number, each in enumerate(publishers):
        each.begin = begin + number / len(publishers) * clip.GOP_MS / 1000
        heapq.heappush(due, (each.begin + made.first_pass[0].due_ms / 1000, number))
    pipe.send(len(publishers))
    _send_for_ever(pipe, poller, by_fd, publishers, due, made)


def _send_for_ever(
    pipe: Connection,
    poller: select.epoll,
    by_fd: dict[int, _Publisher],
    publishers: list[_Publisher],
    due: list[tuple[float, int]],
    made: clip.Clip,
) -> None:
    messages = sent_bytes = 0
    latest = 0.0
    length = len(made.loop)
    while True:
        wait = due[0][0] - time.monotonic()
        for fd, _ in poller.poll(max(0.0, wait)):
            if fd == pipe.fileno():
                pipe.recv()
                pipe.send(Sent(messages, sent_bytes, latest * 1000, time.process_time()))
                messages, sent_bytes, latest = 0, 0, 0.0
            else:
                by_fd[fd].listen()
        while True:
            moment, number = due[0]
            now = time.monotonic()
            if moment > now:
                break
            latest = max(latest, now - moment)
            publisher = publishers[number]
            turn, at = divmod(publisher.place, length)
            piece = made.loop[at] if turn else made.first_pass[at]
            if publisher.backlog:
                publisher.catch_up()
            wire = piece.wire
            if piece.time_at:
                wire[piece.time_at : piece.time_at + 16] = b"%016x" % time.monotonic_ns()
            publisher.send(wire)
            messages += 1
            sent_bytes += len(wire)
            publisher.place += 1
            turn, at = divmod(publisher.place, length)
            following = publisher.begin + (turn * clip.LOOP_MS + made.loop[at].due_ms) / 1000
            heapq.heapreplace(due, (following, number))


def _connect(push: Push, stream: str) -> _Publisher:
    url = parse_rtmp_url(f"rtmp://127.0.0.1:{push.port}/{push.app}/{stream}")
    session = ClientSession(Mode.PUBLISH, url, os.urandom(HANDSHAKE_RANDOM_BYTES), push.chunk_size)
    connection = socket.create_connection((url.host, url.port), CONNECT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        connection.sendall(session.data_to_send())
        data = connection.recv(65536)
        if not data:
            raise RuntimeError(f"the publish of {stream} was refused")
        if any(isinstance(event, PublishStarted) for event in session.receive(data)):
            connection.sendall(session.data_to_send())
            return _Publisher(connection, session)
