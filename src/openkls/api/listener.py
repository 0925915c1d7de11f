"""The HTTP front of the API: sockets to calls, answers to sockets.

Rule: every byte, second and header a client may use up is bounded by a constant here; what a client does wrong is
counted, never logged with a traceback.

Theory of operation. aiohttp's low-level server parses HTTP and calls `_serve` with the raw target: a router would
turn an absolute-form target away, and a decoded path cannot be verified against a signature. aiohttp 3.14 closes a
connection whose next complete head has not come within its keep-alive timeout, counted from the connection's opening
or its last answer; that is the deadline for idle and for dripping clients alike. The body's deadline and the answer's
are ours. What aiohttp cannot parse ends in `_Connection.handle_error`, which answers in our envelope and closes.

A path whose first segment is a site's goes to the site, whatever its query names; all others are the API's.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from openkls import config
from openkls.api import described, pipeline, tls, wire
from openkls.api.services import Services
from openkls.codec.sigv4 import SignedRequest, header_value
from openkls.control import ids
from openkls.domain.errors import GatewayError
from openkls.domain.origin import AddressCap, client_address

log = logging.getLogger("openkls.api.http")

# From the opening, or the last answer, to the end of the next head. Long enough for a pool of connections to be of
# use, short enough for a client that sends a byte a second (security class 20).
HEAD_SECONDS: Final = 30.0
# A megabyte in half a minute is 280 kbit/s.
BODY_SECONDS: Final = 30.0
# For an answer that does not fit the socket's buffer; the longest lists are some ten megabytes.
ANSWER_SECONDS: Final = 60.0
# Answers that find less than this waiting before them are handed to the system at once, without a deadline.
ANSWER_WAITING_BYTES: Final = 32 * 1024
# The rest of a refused body is read so long, so that its sender sees the answer and not a reset.
LINGER_SECONDS: Final = 2.0
# The value of one header; Authorization with its list of signed headers is the longest in use.
HEADER_LIMIT_BYTES: Final = 8 * 1024
HEADERS_LIMIT: Final = 100
# At a close: what is being answered may finish, twice this long at most (see Listener.close).
CLOSE_SECONDS: Final = 2.0
BACKLOG: Final = 1024

FORWARDED: Final = "x-forwarded-for"

# A browser that is led to an answer must not take an echoed name in it for a page (security class 15).
_FIXED_HEADERS: Final = {"Server": "OpenKLS", "X-Content-Type-Options": "nosniff"}

# Outcomes that no answer of ours names.
UNREADABLE: Final = "Unreadable"
"""Not HTTP: 400."""
TOO_LATE: Final = "TooLate"
"""A body or an answer that took too long: cut."""
GONE: Final = "Gone"
"""The client left before its body had come."""


class Site(Protocol):
    """What answers below one first segment of a path, on the API's ports, beside the API."""

    async def __call__(
        self, request: web.BaseRequest, path: str, query: str, body: bytes | None, client_ip: str
    ) -> web.StreamResponse:
        """Answer a request: ``path`` and ``query`` raw, the body read (None: over the limit), ``client_ip`` as trusted
        proxies report it. Its RequestId is `control.ids.request_id`. A response that is not prepared has bytes for a
        body and is sent by the listener, with its deadline; one that is prepared is the site's own affair. What it
        raises is logged as a bug and answered in the API's envelope."""
        ...


NO_SITES: Final[Mapping[str, Site]] = {}


class Listener:
    """An open port of the API."""

    def __init__(
        self,
        socket_server: asyncio.Server,
        front: "_Front",
        address: config.Address,
        certificate: tls.Certificate | None = None,
    ) -> None:
        self._socket_server = socket_server
        self._front = front
        self._certificate = certificate
        self.address = address
        """The actual host and port."""

    @property
    def outcomes(self) -> Counter[str]:
        """Requests since the start by outcome: the error's code, "" for HTTP 200, or one of this module's names."""
        return self._front.outcomes

    @property
    def visits(self) -> Counter[tuple[str, int]]:
        """Answers of the sites since the start, by first segment and status."""
        return self._front.visits

    async def close(self) -> None:
        """Stop listening, let what is being answered finish, close every connection. Takes at most about twice
        CLOSE_SECONDS. Idempotent."""
        self._socket_server.close()
        if self._certificate is not None:
            self._certificate.close()
        # Without this, shutdown waits for the idle connections too.
        self._front.pre_shutdown()
        await self._front.shutdown(CLOSE_SECONDS)


async def listen(
    services: Services,
    address: config.Address,
    certificate: tls.Certificate | None = None,
    sites: Mapping[str, Site] = NO_SITES,
) -> Listener:
    """Open a port of the API, HTTPS with a certificate and HTTP without; port 0 lets the system choose. Raises OSError.

    The certificate is watched, for changes of its files, until the port closes. ``sites`` are by their first segment,
    such as ``/console``.
    """
    front = _Front(services, sites)
    secured: dict[str, Any] = {}
    if certificate is not None:
        secured = {
            "ssl": certificate.context,
            "ssl_handshake_timeout": tls.HANDSHAKE_SECONDS,
            "ssl_shutdown_timeout": tls.FAREWELL_SECONDS,
        }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(front, address.host, address.port, backlog=BACKLOG, **secured)
    if certificate is not None:
        certificate.watch()
    host, port = server.sockets[0].getsockname()[:2]
    return Listener(server, front, config.Address(host, port), certificate)


class _Front(web.Server):
    """Makes the connections and answers their requests."""

    def __init__(self, services: Services, sites: Mapping[str, Site]) -> None:
        super().__init__(self._serve)
        self._services = services
        self._sites = sites
        self.outcomes: Counter[str] = Counter()
        self.visits: Counter[tuple[str, int]] = Counter()

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            self.outcomes,
            self._services.cap,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=HEAD_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=wire.TARGET_LIMIT_BYTES,
            max_field_size=HEADER_LIMIT_BYTES,
            max_headers=HEADERS_LIMIT,
            auto_decompress=False,
            access_log=None,
            logger=log,
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = wire.new_request_id()
        ids.request_id.set(request_id)
        body: bytes | None = b""
        if request.body_exists:
            try:
                body = await _read_body(request)
            except TimeoutError:
                self.outcomes[TOO_LATE] += 1
                return _cut(request)
            except ConnectionError:
                self.outcomes[GONE] += 1
                return _cut(request)
        path, query = wire.split_target(request.raw_path)
        headers = tuple(request.headers.items())
        client_ip = client_address(
            request.remote or "", header_value(headers, FORWARDED) or "", self._services.trusted_proxies
        )
        segment = _first_segment(path)
        if segment in self._sites:
            response = await self._sites[segment](request, path, query, body, client_ip)
            self.visits[segment, response.status] += 1
            if isinstance(response, web.Response) and not response.prepared:
                for name, value in _FIXED_HEADERS.items():
                    response.headers.setdefault(name, value)
                await self._send(request, response, len(response.body or b""))  # type: ignore[arg-type]
            return response
        signed = SignedRequest(request.method, path, query, headers, body or b"")
        if described.asks_description(signed):
            answer = described.answer_description(request_id)
        else:
            call = wire.Call(signed, request_id, oversized=body is None, client_ip=client_ip)
            answer = await pipeline.answer_call(self._services, call)
        self.outcomes[answer.error_code] += 1
        response = _response(answer)
        if answer.closes or request.method == "CONNECT":
            response.force_close()
        await self._send(request, response, len(answer.body))
        return response

    async def _send(self, request: web.BaseRequest, response: web.Response, size: int) -> None:
        """Send an answer that may have to wait for its reader; aiohttp then finds it sent."""
        transport = request.transport
        if transport is None or size + transport.get_write_buffer_size() <= ANSWER_WAITING_BYTES:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            self.outcomes[TOO_LATE] += 1
            transport.abort()
        except ConnectionError:
            self.outcomes[GONE] += 1


def _first_segment(path: str) -> str:
    slash = path.find("/", 1)
    return path if slash < 0 else path[:slash]


class _Connection(web.RequestHandler):
    """aiohttp's connection, but for the cap per address and what it says and logs of requests it cannot parse."""

    __slots__ = ("_address", "_cap", "_outcomes")

    def __init__(self, front: _Front, outcomes: Counter[str], cap: AddressCap, **settings: Any) -> None:
        super().__init__(front, **settings)
        self._outcomes = outcomes
        self._cap = cap
        self._address: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        if peer is None or not self._cap.enter(peer[0]):
            cast(asyncio.Transport, transport).abort()
            return
        self._address = peer[0]
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        address, self._address = self._address, None
        if address is not None:
            self._cap.leave(address)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP request, or too large a one; the connection closes after it."""
        request_id = wire.new_request_id()
        ids.request_id.set(request_id)
        if isinstance(exc, LineTooLong):
            answer = wire.gateway_failure(GatewayError("RequestTooLarge", str(exc.args[1])), request_id, None)
        elif status == 400:
            self._outcomes[UNREADABLE] += 1
            return _unreadable(request_id)
        else:
            log.error("request %s: a bug of ours", request_id, exc_info=exc)
            answer = wire.gateway_failure(GatewayError("UndefinedError"), request_id, None)
        self._outcomes[answer.error_code] += 1
        response = _response(answer)
        response.force_close()
        return response


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """The body; None when it is over BODY_LIMIT_BYTES. Raises TimeoutError, ConnectionError.

    A chunked body that breaks off its chunks is waited for like one that does not come: aiohttp's parser stops there
    and tells nobody.
    """
    declared = request.content_length
    if declared is not None and declared > wire.BODY_LIMIT_BYTES:
        return None
    if request.headers.get("Expect", "").lower() == "100-continue":
        # curl before 8 sends it for bodies over 1 KiB, and waits a second for the answer.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Else aiohttp takes it for the answer.
        request.writer.output_size = 0
    body = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        while piece := await request.content.readany():
            body += piece
            if len(body) > wire.BODY_LIMIT_BYTES:
                return None
    return bytes(body)


def _response(answer: wire.Answer) -> web.Response:
    headers = {
        "Content-Type": answer.content_type,
        "x-amzn-RequestId": answer.request_id,
        **_FIXED_HEADERS,
    }
    if answer.error_code:
        headers["x-amzn-errortype"] = answer.error_code
    if answer.retry_after_seconds:
        headers["Retry-After"] = str(answer.retry_after_seconds)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _unreadable(request_id: str) -> web.Response:
    response = web.Response(status=400, headers={"x-amzn-RequestId": request_id, **_FIXED_HEADERS})
    response.force_close()
    return response


def _cut(request: web.BaseRequest) -> web.Response:
    """Close the connection; the response is for aiohttp alone, which finds nobody to send it to."""
    if request.transport is not None:
        request.transport.abort()
    response = web.Response(status=408)
    response.force_close()
    return response
