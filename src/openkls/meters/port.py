"""`[metrics] listen`: the sites of metrics and health on a port of their own, for a process without an API and for who
does not want them on the API's.

Rule: as bounded as the API's port: every byte, second and connection a client may use up is a constant here.
"""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import web

from openkls.api.listener import Site
from openkls.config import Address
from openkls.meters.door import say

log = logging.getLogger("openkls.meters.port")

# From the opening, or the last answer, to the end of the next head.
HEAD_SECONDS: Final = 10.0
LINE_LIMIT_BYTES: Final = 4 * 1024
HEADERS_LIMIT: Final = 64
# A handful of scrapers and probes.
CONNECTIONS_LIMIT: Final = 64
ANSWER_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 1.0
_FIXED_HEADERS: Final = {"Server": "OpenKLS", "X-Content-Type-Options": "nosniff"}


class MetricsPort:
    """An open port."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        """``sites`` by their whole paths."""
        self._sites = sites
        self._web = _Front(self)
        self._server: asyncio.Server | None = None
        self.open_count = 0
        self.refused = 0
        """Connections over CONNECTIONS_LIMIT, since the start."""

    async def open(self, address: Address) -> Address:
        """Listen; returns the address bound. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._web, address.host, address.port, backlog=CONNECTIONS_LIMIT)
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    async def close(self) -> None:
        """Stop listening, close every connection. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._web.pre_shutdown()
            await self._web.shutdown(CLOSE_SECONDS)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        site = self._sites.get(path)
        if site is None or request.body_exists:
            response: web.StreamResponse = say(HTTPStatus.NOT_FOUND, f"Here are {', '.join(self._sites)}.")
        else:
            response = await site(request, path, query, b"", request.remote or "")
        response.headers.update(_FIXED_HEADERS)
        if request.body_exists:
            response.force_close()
        transport = request.transport
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if transport is not None:
                transport.abort()
        except ConnectionError:
            pass  # it has left
        return response


class _Front(web.Server):
    def __init__(self, port: MetricsPort) -> None:
        super().__init__(port.answer)
        self.port = port

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=HEAD_SECONDS,
            lingering_time=0,
            max_line_size=LINE_LIMIT_BYTES,
            max_field_size=LINE_LIMIT_BYTES,
            max_headers=HEADERS_LIMIT,
            auto_decompress=False,
            access_log=None,
            logger=log,
        )


class _Connection(web.RequestHandler):
    """aiohttp's connection, but for the limit and for what it says of requests it cannot parse."""

    __slots__ = ("_counted", "_port")

    def __init__(self, front: _Front, **settings: Any) -> None:
        super().__init__(front, **settings)
        self._port = front.port
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._port.open_count >= CONNECTIONS_LIMIT:
            self._port.refused += 1
            cast(asyncio.Transport, transport).abort()
            return
        self._port.open_count += 1
        self._counted = True
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._port.open_count -= 1
            self._counted = False
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP request, and our own bugs; aiohttp's own logs a traceback for both."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request for %s failed", request.path, exc_info=exc)
        response = say(HTTPStatus(status), HTTPStatus(status).phrase)
        response.force_close()
        return response
