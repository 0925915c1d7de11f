"""HLS of streams that another process publishes: asked for there, over its relay port, and passed on.

Rule: playlists, sessions and counts are the other process's; nothing is kept here, and no more of an answer is in
memory than is on its way to the client.

Theory of operation. A request is sent on as it came, with the Host it asked by - what a play URL means is the same in
the whole cluster - and with the address its sessions are capped by. Connections to the other processes are kept. What
has ended can be played to its end for a while (`media.hls`), and so the process it was published by is remembered that
long.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
from yarl import URL

from openkls.domain.keys import StreamName
from openkls.media.answers import Answer, refusal
from openkls.media.doors import Doors
from openkls.media.hls import AFTERLIFE_SECONDS, SEGMENT_WAIT_SECONDS
from openkls.media.relay_words import CLIENT_HEADER, TOKEN_HEADER

log = logging.getLogger("openkls.media.hls_proxy")

# Requests under way; each holds a connection to another process and a piece of an answer.
REQUESTS_LIMIT: Final = 2000
CONNECT_SECONDS: Final = 2.0
# A playlist waits for its first segment; what comes later than that and a little never comes.
SILENCE_SECONDS: Final = SEGMENT_WAIT_SECONDS + 2.0
# Shorter than the other side keeps a connection (`media.play`), so that none is used as it is being closed.
KEEP_SECONDS: Final = 20.0
READ_AHEAD_BYTES: Final = 64 * 1024
REMEMBERED_LIMIT: Final = 10_000

_PASSED_ON: Final = ("Content-Type", "Content-Length", "Cache-Control", "Retry-After")
BUSY: Final = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests for streams of other nodes.", "Retry-After: 5")
UNREACHABLE: Final = refusal(HTTPStatus.BAD_GATEWAY, "The node that has this stream does not answer.", "Retry-After: 2")


class Passed(NamedTuple):
    """An answer of the other process: whole lines of its head, and its body as it comes."""

    head: bytes
    is_ok: bool
    content: aiohttp.StreamReader


class HlsProxy:
    """The other processes' HLS. Belongs to one event loop."""

    def __init__(self, doors: Doors, token: str) -> None:
        self._doors = doors
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._remembered: dict[StreamName, tuple[str, float]] = {}
        self._open = 0
        self.passed = 0
        """Requests passed on, since the start."""
        self.failed = 0
        """Requests the other process did not answer, since the start."""
        self.refused = 0
        """Requests over REQUESTS_LIMIT, since the start."""

    def address_of(self, host: str, app: str, stream: str) -> str | None:
        """The relay address of the process that publishes what a play URL asks for, or has published it until just
        now; None where that is this one, or nobody."""
        whereabouts = self._doors.whereabouts
        seats = self._doors.directory.seats(host, app, stream)
        if whereabouts is None or any(self._doors.hubs.find(seat.name) for seat in seats):
            return None
        now = asyncio.get_running_loop().time()
        for seat in seats:
            address = whereabouts.find(seat.name)
            if address is not None:
                self._remember(seat.name, address, now)
                return address
        for seat in seats:
            address, until = self._remembered.get(seat.name, ("", 0.0))
            if now < until and self._doors.registry.holder(seat.name) is None:
                return address
        return None

    @asynccontextmanager
    async def pass_on(
        self, address: str, method: str, target: str, host: str, client: str | None
    ) -> AsyncIterator[Passed | Answer]:
        """Ask the process at ``address`` for the raw ``target``, for ``client`` (None: one that is not counted)."""
        if self._open >= REQUESTS_LIMIT:
            self.refused += 1
            yield BUSY
            return
        self._open += 1
        headers = {"Host": host, TOKEN_HEADER: self._token}
        if client is not None:
            headers[CLIENT_HEADER] = client
        try:
            try:
                answer = await self._client().request(
                    method,
                    URL(f"http://{address}{target}", encoded=True),
                    headers=headers,
                    allow_redirects=False,
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.failed += 1
                log.info("the process at %s did not answer: %s", address, str(error) or type(error).__name__)
                yield UNREACHABLE
                return
            async with answer:
                self.passed += 1
                yield Passed(_head_of(answer), answer.status == 200, answer.content)
        finally:
            self._open -= 1

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=REQUESTS_LIMIT, keepalive_timeout=KEEP_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=READ_AHEAD_BYTES,
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
                ),
            )
        return self._session

    def _remember(self, name: StreamName, address: str, now: float) -> None:
        self._remembered.pop(name, None)
        self._remembered[name] = address, now + AFTERLIFE_SECONDS
        while len(self._remembered) > REMEMBERED_LIMIT:
            del self._remembered[next(iter(self._remembered))]


def _head_of(answer: aiohttp.ClientResponse) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}", "Server: OpenKLS"]
    lines += [f"{name}: {answer.headers[name]}" for name in _PASSED_ON if name in answer.headers]
    lines += ["Access-Control-Allow-Origin: *", "X-Content-Type-Options: nosniff"]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1", "replace")
