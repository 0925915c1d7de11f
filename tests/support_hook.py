"""A customer's server of raw sockets, which does to a question about a publish what the test says.

Rule: it reads each question whole, notes it down, and never fails a test itself.
"""

import asyncio
import http.client
import io
import ssl
from collections.abc import Awaitable, Callable

from openkls.domain.ports import PushServer

DEADLINE_SECONDS = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


class HookServer:
    """A server of raw sockets: reads a question whole, then does what it is there for."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.say: Say = saying(OK)
        self.closed = 0

    async def open(self, context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(length))
            await self.say(writer)
            await reader.read()
        except (ConnectionError, EOFError, RuntimeError):
            pass  # RuntimeError: uvloop's word for writing to a connection that has just been closed
        finally:
            self.closed += 1
            writer.close()

    def at(self, path: str = "/ask?token=of-the-url", host: str = "127.0.0.1") -> PushServer:
        return PushServer(f"http://{host}:{self.port}{path}", ("key of the hook",), private=True)

    def headers(self) -> http.client.HTTPMessage:
        head = self.heads[-1].partition(b"\r\n")[2]
        return http.client.parse_headers(io.BytesIO(head))

    async def close(self) -> None:
        self._server.close()
        await until(lambda: self.closed >= len(self.heads))


def saying(*pieces: bytes, pause_seconds: float = 0.0, close: bool = False) -> Say:
    async def say(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_seconds)
        if close:
            writer.close()

    return say


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not fact():  # noqa: ASYNC110 -- the facts asked for have no event
            await asyncio.sleep(0.01)
