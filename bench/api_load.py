"""The load of bench.api: requests signed beforehand, written to a few kept connections, one at a time on each.

Rule: as little as possible per request, so that the server is the limit; how busy this process was is part of every
figure. A server that closes its connections (moto's development server) is connected to again.
"""

import os
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONNECTIONS: Final = 8
READ_BYTES: Final = 1 << 20
WAIT_SECONDS: Final = 60.0
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figure:
    """What one run of so many requests cost."""

    requests: int
    wall_seconds: float
    server_seconds: float
    """User and system time of the server's process, all threads; the kernel counts it in hundredths."""
    client_seconds: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.wall_seconds

    @property
    def server_us(self) -> float:
        """The server's processor time for a request, in microseconds."""
        return self.server_seconds / self.requests * 1e6

    @property
    def client_share(self) -> float:
        """How much of its core the client used."""
        return self.client_seconds / self.wall_seconds


class _Connection:
    """One kept connection and the answer it waits for."""

    __slots__ = ("_begin", "_missing_bytes", "_port", "expected", "socket")

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.expected = b""
        self._begin = b""
        self._missing_bytes = -1

    def ask(self, request: bytes, expected: bytes) -> None:
        """Send the next request; its answer must hold ``expected`` near its begin."""
        self.expected, self._begin, self._missing_bytes = expected, b"", -1
        self.socket.sendall(request)

    def reconnect(self) -> None:
        """A new connection in the place of one that the server closed."""
        self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self._port), WAIT_SECONDS)

    def read(self) -> bool:
        """Whether the answer is now whole. AssertionError when it is not what was expected."""
        data = self.socket.recv(READ_BYTES)
        assert data, self._begin
        if self._missing_bytes >= 0:
            self._missing_bytes -= len(data)
            return not self._missing_bytes
        data = self._begin + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._begin = data
            return False
        assert data.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")), data[:500]
        length = data.lower().index(b"content-length: ", 0, end) + 16
        self._missing_bytes = end + 4 + int(data[length : data.index(b"\r", length)]) - len(data)
        if not self._missing_bytes:
            assert self.expected in data, data[:1000]
        return not self._missing_bytes


def load(
    port: int, pid: int, requests: Sequence[bytes], expected: bytes, *, keeps: bool, connections: int = CONNECTIONS
) -> Figure:
    """Send the requests in their order over the connections and wait for all answers, each of which holds
    ``expected``. ``keeps``: the server keeps its connections open."""
    pending = iter(requests)
    selector = selectors.DefaultSelector()
    for _ in range(min(connections, len(requests))):
        connection = _Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    server, client, wall = processor_seconds(pid), time.process_time(), time.perf_counter()
    waiting = 0
    for key in list(selector.get_map().values()):
        key.data.ask(next(pending), expected)
        waiting += 1
    while waiting:
        ready = selector.select(WAIT_SECONDS)
        assert ready, "no answer"
        for key, _ in ready:
            connection = key.data
            if not connection.read():
                continue
            request = next(pending, None)
            if request is None:
                waiting -= 1
                selector.unregister(connection.socket)
                connection.socket.close()
                continue
            if not keeps:
                selector.unregister(connection.socket)
                connection.reconnect()
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask(request, expected)
    wall = time.perf_counter() - wall
    return Figure(len(requests), wall, processor_seconds(pid) - server, time.process_time() - client)


def fetch(port: int, request: bytes) -> bytes:
    """The body of one answer."""
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as connection:
        connection.sendall(request)
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += connection.recv(READ_BYTES)
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r", 1)[0])
        pieces = [body]
        missing = length - len(body)
        while missing > 0:
            pieces.append(connection.recv(READ_BYTES))
            missing -= len(pieces[-1])
    return b"".join(pieces)


def processor_seconds(pid: int) -> float:
    """User and system time of a process and all its threads so far (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
