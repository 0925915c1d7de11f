"""HTTP-FLV: ``GET /<app>/<stream>.flv``.

Rule: aiohttp parses and this module admits; from then on the connection belongs to a viewer protocol of our own.

Theory of operation. A handler that stays parked for each viewer costs 9.9 KB; a protocol that only knows how to end
costs 1.4 KB, and raw writes into a prepared chunked answer would corrupt it. So the admitted connection is taken off
aiohttp: the transport gets the viewer as its protocol, the request handler is told that its connection is lost without
being able to close it, and the viewer writes its own head (``Connection: close``, unchunked). That touches attributes
of aiohttp's RequestHandler, so its version is pinned and tests hold it to this.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import unquote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from openkls.codec import flv
from openkls.config import Address
from openkls.media.doors import Connections, Doors, TurnedAway
from openkls.media.hub import FLV_WIRE, Hub, Viewer
from openkls.media.silence import count_if_silent, end_if_silent
from openkls.model import matches

log = logging.getLogger("openkls.media.http_flv")

# A request line and headers; a play URL with its signature is below 1 KiB.
HEAD_LIMIT_BYTES: Final = 8190
# From the connection to the end of the request's head.
HEAD_SECONDS: Final = 15.0
FAREWELL_SECONDS: Final = 1.0

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: video/x-flv\r\n"
    b"Cache-Control: no-store\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Connection: close\r\n"
    b"\r\n"
)


class FlvViewer(asyncio.Protocol):
    """An admitted connection: writes its head and the start of the stream, and waits for its end."""

    __slots__ = ("_address", "_hub", "_listener", "_transport", "_viewer")

    def __init__(self, listener: "PlayListener", transport: asyncio.Transport, hub: Hub, address: str) -> None:
        self._listener = listener
        self._transport = transport
        self._address = address
        self._hub: Hub | None = hub
        self._viewer = Viewer(FLV_WIRE, transport, self._over)

    def begin(self, domain_id: str) -> None:
        """Answer, and join the audience."""
        self._listener.connections.add(self)
        if self._hub is not None:
            # Players in browsers (flv.js, mpegts.js) wait for every track that is announced before they show one.
            audio, video = self._hub.tracks
            end_if_silent(self._transport)
            self._transport.write(_HEAD + flv.build_header(audio, video))
            self._hub.subscribe(self._viewer, domain_id)

    def data_received(self, data: bytes) -> None:
        """What a viewer sends after its request is nobody's."""

    def eof_received(self) -> None:
        """The viewer has left; what it has not read does not keep it."""
        self._leave()
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        count_if_silent(self._listener.doors, exc)
        self._leave()
        self._listener.connections.discard(self)
        self._listener.doors.cap.leave(self._address)

    def stop(self) -> None:
        """The service stops."""
        self._leave()
        self._over(cut=False)

    def _leave(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.unsubscribe(self._viewer)

    def _over(self, cut: bool) -> None:
        """The stream is over, or this viewer was too slow for it."""
        self._hub = None
        if cut and self._transport.get_write_buffer_size():
            self._transport.abort()
            return
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._transport.abort)


class _RequestHandler(web.RequestHandler):
    """aiohttp's, with the cap per address and a deadline for the head of the request."""

    __slots__ = ("address", "deadline", "listener")

    listener: "PlayListener"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.address: str | None = None
        self.deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._overdue)
        peer = transport.get_extra_info("peername")
        if peer is None or not self.listener.doors.cap.enter(peer[0]):
            cast(asyncio.Transport, transport).abort()
            return
        self.address = peer[0]
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.deadline.cancel()
        address, self.address = self.address, None
        if address is not None:
            self.listener.doors.cap.leave(address)
        super().connection_lost(exc)

    def hand_over(self) -> tuple[asyncio.Transport, str] | None:
        """Take the connection off aiohttp: returns the transport, which aiohttp can't close any more, and the
        address that is counted for it; None when the viewer has left before it was admitted."""
        transport, address = self.transport, self.address
        if transport is None or address is None:
            return None
        self.address = None
        self.transport = None
        self.connection_lost(None)
        return transport, address

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
            return _refusal(HTTPStatus.BAD_REQUEST, "This is no HTTP request that can be read.")
        log.error("a play request failed", exc_info=exc)
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "The request failed; see the service's log.")

    def _overdue(self) -> None:
        self.listener.doors.count_fault("HEAD_SECONDS")
        self.force_close()


class _Server(web.Server):
    """Makes our request handlers."""

    listener: "PlayListener"

    def __call__(self) -> web.RequestHandler:
        handler = _RequestHandler(self, loop=self._loop, **self._kwargs)
        handler.listener = self.listener
        return handler


class _HandedOver(web.StreamResponse):
    """The answer to a request whose connection is not aiohttp's any more."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class PlayListener:
    """The play port and its viewers."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.connections: Connections[FlvViewer] = Connections()
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
            keepalive_timeout=0,  # no connection is kept, and the head has a deadline of its own
        )
        self._web.listener = self
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._web, address.host, address.port, backlog=1024)
        bound = self._server.sockets[0].getsockname()
        return Address(bound[0], bound[1])

    async def close(self) -> None:
        """Stop listening and end all viewers. Bounded by thrice FAREWELL_SECONDS."""
        if self._server is None or self._web is None:
            return
        self._server.close()
        for viewer in self.connections:
            viewer.stop()
        self._web.pre_shutdown()
        await self._web.shutdown(timeout=FAREWELL_SECONDS)
        await self.connections.gone(2 * FAREWELL_SECONDS)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is understood here.", Allow="GET")
        path, _, query = request.raw_path.partition("?")
        asked = _stream_of(path)
        if asked is None:
            return _refusal(HTTPStatus.NOT_FOUND, "A stream is played at /<app>/<stream>.flv.")
        app, stream = asked
        seated = self.doors.seat(request.host, app, stream, query)
        if isinstance(seated, TurnedAway):
            return _refusal(seated.status, seated.text)
        handed_over = cast(_RequestHandler, request.protocol).hand_over()
        if handed_over is not None:
            transport, address = handed_over
            viewer = FlvViewer(self, transport, seated.hub, address)
            transport.set_protocol(viewer)
            transport.resume_reading()
            viewer.begin(seated.domain_id)
        return _HandedOver()


def _stream_of(path: str) -> tuple[str, str] | None:
    """App and stream of a play path; None when it is no such path or a name is malformed."""
    segments = path.split("/")
    if len(segments) != 3 or segments[0] or not segments[2].endswith(".flv"):
        return None
    app, stream = unquote(segments[1]), unquote(segments[2]).removesuffix(".flv")
    return (app, stream) if matches("App", app) and matches("Stream", stream) else None


def _refusal(status: HTTPStatus, text: str, **headers: str) -> web.Response:
    response = web.Response(
        status=status,
        text=text + "\n",
        headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store", **headers},
    )
    response.force_close()
    return response
