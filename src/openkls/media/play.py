"""The play port: HTTP-FLV and HLS over aiohttp.

Rule: aiohttp parses, this module admits and answers; a connection that is let in to an FLV stream leaves aiohttp.

Theory of operation. A playlist or segment is a whole answer that exists before it is asked for (`media.answers`): it
is written to the transport as it is, head and body, past aiohttp's own response, and the connection is kept for the
next request. An HTTP-FLV viewer's connection is taken off aiohttp: the transport gets the viewer as its protocol, the
request handler is told that its connection is lost without being able to close it. Both touch attributes of
aiohttp's RequestHandler, so its version is pinned and tests hold it to this.

What a client may use up: HEAD_SECONDS from its connection to its first head and IDLE_SECONDS from each answer to the
next head; ANSWER_SECONDS to read an answer; REQUESTS_LIMIT requests a connection; the cap of connections per address.
"""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, cast

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from openkls.config import Address, Network
from openkls.domain.origin import client_address
from openkls.domain.viewers import PullProtocol
from openkls.media.answers import Answer, Dates, refusal
from openkls.media.doors import NOT_LIVE, Connections, Doors, Elsewhere, Seated, TurnedAway
from openkls.media.hls import SESSION_FIELD, Hls
from openkls.media.hls_proxy import HlsProxy
from openkls.media.http_flv import FAREWELL_SECONDS, FLV_HEAD, FlvViewer
from openkls.media.play_paths import FORMS, Asked, Kind, parse_path
from openkls.media.relay import Relays
from openkls.media.wires import wire_for

log = logging.getLogger("openkls.media.play")

# A request line and headers; a play URL with its signature is below 1 KiB.
HEAD_LIMIT_BYTES: Final = 8190
# From the connection to the end of the first request's head.
HEAD_SECONDS: Final = 15.0
# From an answer to the end of the next head. A player asks once in a target duration, and few of those are over 10 s.
IDLE_SECONDS: Final = 30.0
# To read one answer: a segment is at most 30 s long, so whoever takes twice that cannot follow anyway.
ANSWER_SECONDS: Final = 60.0
# As nginx has it by default: what a connection has gathered is freed now and then.
REQUESTS_LIMIT: Final = 1000
# A body from this size on is written for itself, which costs a call and saves a copy.
COPY_LIMIT_BYTES: Final = 16 * 1024

_CLOSE: Final = b"Connection: close\r\n\r\n"
_KEEP: Final = b"Connection: keep-alive\r\n\r\n"
_METHODS: Final = "GET, HEAD, OPTIONS"
_PREFLIGHT: Final = Answer(
    HTTPStatus.NO_CONTENT,
    "",
    b"",
    headers=(
        f"Access-Control-Allow-Methods: {_METHODS}",
        "Access-Control-Allow-Headers: *",
        "Access-Control-Max-Age: 86400",
    ),
)
_NOT_ALLOWED: Final = refusal(
    HTTPStatus.METHOD_NOT_ALLOWED, f"Only {_METHODS} are understood here.", f"Allow: {_METHODS}"
)
_NO_PATH: Final = refusal(HTTPStatus.NOT_FOUND, f"A stream is played at {FORMS}.")
_UNREADABLE: Final = refusal(HTTPStatus.BAD_REQUEST, "This is no HTTP request that can be read.")
_FAILED: Final = refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "The request failed; see the service's log.")


class RequestHandler(web.RequestHandler):
    """aiohttp's, with the cap per address and deadlines of our own."""

    __slots__ = ("address", "deadline", "listener", "requests")

    listener: "PlayListener"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.address: str | None = None
        self.requests = 0
        self.deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._overdue)
        peer = transport.get_extra_info("peername")
        if peer is None or not self.listener.cap.enter(peer[0]):
            cast(asyncio.Transport, transport).abort()
            return
        self.address = peer[0]
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.deadline.cancel()
        address, self.address = self.address, None
        if address is not None:
            self.listener.cap.leave(address)
        super().connection_lost(exc)

    def hand_over(self) -> tuple[asyncio.Transport, str] | None:
        """Take the connection off aiohttp: returns the transport, which aiohttp can't close any more, and the
        address that is counted for it; None when the viewer has left before it was admitted."""
        transport, address = self.transport, self.address
        if transport is None or address is None:
            return None
        self.address = None
        self.transport = None
        self._task_handler = None  # connection_lost would cancel it, and it is what is running here
        self.connection_lost(None)
        return transport, address

    def force_close(self) -> None:
        """aiohttp's; what the peer does not read does not keep the connection."""
        transport = self.transport
        super().force_close()
        if transport is not None and transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, transport.abort)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp's hook for what it cannot parse, and for our own bugs; its own logs a traceback for both."""
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self.listener.doors.count_fault("http")
            return self.listener.write(request, _UNREADABLE)
        log.error("a play request failed", exc_info=exc)
        return self.listener.write(request, _FAILED)

    def _overdue(self) -> None:
        self.listener.doors.count_fault("HEAD_SECONDS")
        self.force_close()


class _Server(web.Server):
    """Makes our request handlers."""

    listener: "PlayListener"

    def __call__(self) -> web.RequestHandler:
        handler = RequestHandler(self, loop=self._loop, **self._kwargs)
        handler.listener = self.listener
        return handler


class Answered(web.StreamResponse):
    """What aiohttp is told of a request that has been answered past it, or whose connection is not its any more."""

    def __init__(self, keeps_connection: bool) -> None:
        super().__init__()
        self._keeps_connection = keeps_connection

    @property
    def keep_alive(self) -> bool | None:
        return self._keeps_connection

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


KEPT: Final = Answered(keeps_connection=True)
OVER: Final = Answered(keeps_connection=False)


class PlayListener:
    """The play port and its viewers."""

    def __init__(
        self,
        doors: Doors,
        hls: Hls,
        trusted_proxies: Sequence[Network] = (),
        relays: Relays | None = None,
        proxy: HlsProxy | None = None,
        shares_port: bool = False,
    ) -> None:
        """``relays`` and ``proxy`` lead to the streams of other processes. With ``shares_port`` other processes of this
        machine may listen on the same address."""
        self.doors = doors
        self.hls = hls
        self.cap = doors.cap
        self._relays = relays
        self._proxy = proxy
        self._shares_port = shares_port
        self.connections: Connections[FlvViewer] = Connections()
        self._trusted_proxies = trusted_proxies
        self._dates = Dates()
        self._web: _Server | None = None
        self._server: asyncio.Server | None = None

    async def open(self, address: Address) -> Address:
        """Listen; returns the address bound. Raises OSError."""
        self._web = _Server(
            self._answer,
            access_log=None,
            logger=log,
            max_line_size=HEAD_LIMIT_BYTES,
            max_field_size=HEAD_LIMIT_BYTES,
            auto_decompress=False,
            lingering_time=0,
            keepalive_timeout=IDLE_SECONDS,
            handler_cancellation=True,  # who waits for a first segment and leaves waits no longer
        )
        self._web.listener = self
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._web, address.host, address.port, backlog=1024, reuse_port=self._shares_port or None
        )
        bound = self._server.sockets[0].getsockname()
        await self._begin()
        return Address(bound[0], bound[1])

    async def _begin(self) -> None:
        self.hls.start()

    async def _end(self) -> None:
        self.hls.stop()
        for viewer in self.connections:
            viewer.stop()

    async def close(self) -> None:
        """Stop listening and end all viewers. Bounded by thrice FAREWELL_SECONDS."""
        if self._server is None or self._web is None:
            return
        self._server.close()
        await self._end()
        self._web.pre_shutdown()
        await self._web.shutdown(timeout=FAREWELL_SECONDS)
        await self.connections.gone(2 * FAREWELL_SECONDS)

    def write(self, request: web.BaseRequest, answer: Answer) -> Answered:
        """Write an answer; what the connection does not take at once waits in its buffer."""
        transport = request.transport
        if transport is None or transport.is_closing():
            return OVER
        keeps = self._keeps(request, answer.keeps_connection)
        head = answer.head + self._dates.line(self.doors.clock()) + (_KEEP if keeps else _CLOSE)
        if request.method == "HEAD":
            transport.write(head)
        elif len(answer.body) < COPY_LIMIT_BYTES:
            transport.write(head + answer.body)
        else:
            transport.write(head)
            transport.write(answer.body)
        return KEPT if keeps else OVER

    def _keeps(self, request: web.BaseRequest, wanted: bool) -> bool:
        """Whether the connection stays after this answer."""
        handler = cast(RequestHandler, request.protocol)
        handler.requests += 1
        return wanted and request.keep_alive and handler.requests < REQUESTS_LIMIT

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        cast(RequestHandler, request.protocol).deadline.cancel()
        if request.method == "OPTIONS":
            return self.write(request, _PREFLIGHT)
        if request.method not in ("GET", "HEAD"):
            return self.write(request, _NOT_ALLOWED)
        path, _, query = request.raw_path.partition("?")
        asked = parse_path(path)
        if asked is None:
            return self.write(request, _NO_PATH)
        is_counted = request.method == "GET"
        if asked.kind is Kind.SEGMENT or asked.kind is Kind.MEDIA:
            address = self._elsewhere(request, asked)
            if address is not None:
                return await self._send_passed(request, address)
            return await self.send_made(request, asked, query, self._capped_address(request))
        seated = self.doors.seat(request.host, asked.app, asked.stream, query)
        if seated is NOT_LIVE and await self.doors.is_beginning(request.host, asked.app, asked.stream):
            seated = self.doors.seat(request.host, asked.app, asked.stream, query)
        if isinstance(seated, TurnedAway):
            return self.write(request, refusal(seated.status, seated.text))
        if asked.kind is Kind.MASTER:
            return await self.send_master(request, asked, seated)
        if isinstance(seated, Elsewhere):
            hub = None if self._relays is None else await self._relays.open(seated.name)
            if hub is None:
                return self.write(request, refusal(NOT_LIVE.status, NOT_LIVE.text))
            seated = Seated(hub, seated.domain_id)
        if not is_counted:
            if request.transport is not None:
                request.transport.write(FLV_HEAD)
            return OVER
        handed_over = cast(RequestHandler, request.protocol).hand_over()
        if handed_over is not None:
            transport, address = handed_over
            wire = wire_for(PullProtocol.HTTP_FLV, query)
            viewer = FlvViewer(self.connections, self.doors, transport, seated.hub, wire, address)
            transport.set_protocol(viewer)
            transport.resume_reading()
            viewer.begin(seated.domain_id)
        return OVER

    async def send_master(
        self, request: web.BaseRequest, asked: Asked, seated: Seated | Elsewhere
    ) -> web.StreamResponse:
        """Answer with the master playlist of a stream that may be watched."""
        if isinstance(seated, Seated):
            return self.write(request, await self.hls.master(seated, asked.folder))
        address = self._elsewhere(request, asked)
        if address is None:
            return self.write(request, refusal(NOT_LIVE.status, NOT_LIVE.text))
        return await self._send_passed(request, address)

    async def send_made(
        self, request: web.BaseRequest, asked: Asked, query: str, client: str | None
    ) -> web.StreamResponse:
        """Answer with what is made here: a segment, or a media playlist for ``client`` (see `HlsSessions.request`)."""
        is_counted = request.method == "GET"
        if asked.kind is Kind.SEGMENT:
            return await self._send_segment(request, asked, is_counted)
        session = next((field for field in query.split("&") if field.startswith(SESSION_FIELD)), "")
        session = session.removeprefix(SESSION_FIELD)
        answer = await self.hls.media(request.host, asked.app, asked.stream, session, client, is_counted)
        return self.write(request, answer)

    def _elsewhere(self, request: web.BaseRequest, asked: Asked) -> str | None:
        """Where else HLS of a stream is made; None when it is here, or nowhere."""
        if self._proxy is None or (asked.kind is Kind.SEGMENT and self.hls.holds(asked.token)):
            return None
        return self._proxy.address_of(request.host, asked.app, asked.stream)

    async def _send_passed(self, request: web.BaseRequest, address: str) -> web.StreamResponse:
        """Pass a request on to another process, and its answer back as it comes."""
        assert self._proxy is not None
        client = self._capped_address(request)
        async with self._proxy.pass_on(address, request.method, request.raw_path, request.host, client) as passed:
            if isinstance(passed, Answer):
                return self.write(request, passed)
            transport = request.transport
            if transport is None or transport.is_closing():
                return OVER
            keeps = self._keeps(request, passed.is_ok)
            transport.write(passed.head + self._dates.line(self.doors.clock()) + (_KEEP if keeps else _CLOSE))
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    async for piece in passed.content.iter_any():
                        transport.write(piece)
                        await request.writer.drain()
            except TimeoutError:
                self.doors.count_fault("ANSWER_SECONDS")
                transport.abort()
                return OVER
            except (ConnectionError, aiohttp.ClientError):  # the stream was cut, or its process died
                transport.abort()
                return OVER
        return KEPT if keeps else OVER

    async def _send_segment(self, request: web.BaseRequest, asked: Asked, is_counted: bool) -> web.StreamResponse:
        """Write a segment and wait until most of it is gone, so that a client has one of them waiting at most."""
        found = self.hls.segment(asked.app, asked.stream, asked.token, asked.sequence, is_counted)
        if isinstance(found, Answer):
            return self.write(request, found)
        transport = request.transport
        answered = self.write(request, found.answer)
        if transport is None or not transport.get_write_buffer_size():
            return answered
        found.readers.add(transport)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await request.writer.drain()
        except TimeoutError:
            self.doors.count_fault("ANSWER_SECONDS")
            transport.abort()
        except ConnectionError:
            return OVER
        finally:
            found.readers.discard(transport)
        if answered is OVER and transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(ANSWER_SECONDS, transport.abort)
        return answered

    def _capped_address(self, request: web.BaseRequest) -> str | None:
        """What sessions are capped by; None for loopback and for a trusted proxy that does not say whom it serves."""
        address = cast(RequestHandler, request.protocol).address or ""
        if self._trusted_proxies:
            forwarded = ", ".join(request.headers.getall("X-Forwarded-For", ()))
            address = client_address(address, forwarded, self._trusted_proxies)
        return None if self.doors.cap.is_exempt(address) else address
