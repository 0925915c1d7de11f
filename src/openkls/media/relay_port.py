"""The relay port: this process's streams and their HLS, for the other processes of the cluster.

Rule: only who shows the cluster's token is answered, and only with what is published in this very process: a relay
never relays. Nobody who comes here is a viewer, and nobody is counted.

Theory of operation. It is the play port with another door. HLS requests are a client's, passed on as they came. A
stream is taken by a tap of its hub, so that it leaves here as it arrives: what comes in one turn of the loop is written
together. What the media does not say is said between it (`media.relay_words`).
"""

import asyncio
import hmac
import logging
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from openkls.codec import flv
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.origin import AddressCap
from openkls.media.answers import refusal
from openkls.media.doors import Connections, Doors, TurnedAway
from openkls.media.hls import Hls
from openkls.media.http_flv import FAREWELL_SECONDS, FLV_HEAD
from openkls.media.hub import Hub
from openkls.media.ingest import Role
from openkls.media.play import OVER, PlayListener, RequestHandler
from openkls.media.play_paths import Kind
from openkls.media.play_paths import parse_path as parse_play_path
from openkls.media.relay import ALIVE_SECONDS
from openkls.media.relay_words import CLIENT_HEADER, TOKEN_HEADER, Word, build_control, parse_path
from openkls.media.silence import end_if_silent

log = logging.getLogger("openkls.media.relay_port")

# What may wait for another process beyond what it was given to start from: 8 s of 8 Mbps. It then begins anew.
BACKLOG_LIMIT_BYTES: Final = 8 * 1024 * 1024
# Of one address: another node's HLS requests under way, and its relays.
CONNECTIONS_LIMIT: Final = 4000

_NO_TOKEN: Final = refusal(HTTPStatus.FORBIDDEN, "This port is for the nodes of this cluster.")
_NOT_HERE: Final = refusal(HTTPStatus.NOT_FOUND, "No such stream is published here.")
_NOT_ALLOWED: Final = refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are understood here.")


class Source(asyncio.Protocol):
    """One stream on its way to another process: a tap of its hub."""

    __slots__ = ("_address", "_flushing", "_hub", "_limit_bytes", "_pending", "_port", "_transport", "_written_at")

    def __init__(self, port: "RelayPort", transport: asyncio.Transport, hub: Hub, address: str) -> None:
        self._port = port
        self._transport = transport
        self._hub: Hub | None = hub
        self._address = address
        self._pending: list[bytes] = []
        self._flushing: asyncio.Handle | None = None
        self._limit_bytes = BACKLOG_LIMIT_BYTES
        self._written_at = 0.0

    def begin(self) -> None:
        """Answer, and send what a late viewer starts from."""
        self._port.sources.add(self)
        hub = self._hub
        if hub is None:
            return
        end_if_silent(self._transport)
        self._pending += (FLV_HEAD, flv.build_header(*hub.tracks_seen), *self._begun(hub))
        hub.tap(self)
        self._pending.append(build_control(Word.CAUGHT_UP))
        self._limit_bytes += sum(map(len, self._pending))
        self._flush()

    # -- the tap

    def take(self, role: Role, message: MediaReceived) -> None:
        """A message of the stream."""
        self._pending.append(flv.build_tag(message.type_id, message.timestamp, message.payload))
        if self._flushing is None:
            self._flushing = self._port.loop.call_soon(self._flush)

    def over(self, cut: bool, waiting: bool) -> None:
        """The publish ended."""
        if waiting:
            self._say(Word.WAITING)
            return
        self._hub = None
        if cut:
            self._pending.clear()
            if self._transport.get_write_buffer_size():  # it would stand behind that
                self._transport.abort()
                return
        self._say(Word.CUT if cut else Word.OVER)
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._port.loop.call_later(FAREWELL_SECONDS, self._transport.abort)

    def resumed(self) -> None:
        """Another publish goes on in the same hub."""
        if self._hub is not None:
            self._pending += self._begun(self._hub)
            self._say(Word.CAUGHT_UP)

    def moved(self) -> None:
        """It is published elsewhere, where the other process will find it."""
        self._hub = None
        self._transport.abort()

    # -- the connection

    def data_received(self, data: bytes) -> None:
        """There is nothing more to be said."""

    def eof_received(self) -> None:
        """The other process has left."""
        self._leave()
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._port.sources.discard(self)
        self._port.cap.leave(self._address)

    def stop(self) -> None:
        """The service stops: the stream may go on elsewhere."""
        self._leave()
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """Say that the source lives, if nothing else did of late."""
        if self._hub is not None and now - self._written_at >= ALIVE_SECONDS:
            self._say(Word.ALIVE)

    def _begun(self, hub: Hub) -> list[bytes]:
        holder = self._port.doors.registry.holder(hub.name)
        # A hub is open only while its session holds the name.
        return [] if holder is None else [build_control(Word.BEGUN, holder.facts.session_id, holder.key.pubdomain)]

    def _say(self, word: Word) -> None:
        self._pending.append(build_control(word))
        self._flush()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        pending, self._pending = self._pending, []
        if not pending or self._transport.is_closing():
            return
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes > self._limit_bytes:
            self._port.doors.count_fault("RELAY_BACKLOG_LIMIT_BYTES")
            self._leave()
            self._transport.abort()
            return
        if waiting_bytes <= BACKLOG_LIMIT_BYTES:
            self._limit_bytes = BACKLOG_LIMIT_BYTES
        self._written_at = self._port.loop.time()
        self._transport.write(b"".join(pending))

    def _leave(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.untap(self)


class RelayPort(PlayListener):
    """The relay port and its connections."""

    def __init__(self, doors: Doors, hls: Hls, token: str) -> None:
        super().__init__(doors, hls)
        self.cap = AddressCap(CONNECTIONS_LIMIT)
        self.loop = asyncio.get_running_loop()
        self.sources: Connections[Source] = Connections()
        self._token = token.encode()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closing = False

    def let_go(self) -> None:
        """This process ends: its publishers come back elsewhere, where the other processes will find them. Told before
        their sessions end here, as those would be the streams' ends."""
        self._closing = True
        for source in self.sources:
            source.stop()

    async def _begin(self) -> None:
        self._sweep()

    async def _end(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self.let_go()

    def _sweep(self) -> None:
        self._sweeper = self.loop.call_later(ALIVE_SECONDS / 2, self._sweep)
        now = self.loop.time()
        for source in self.sources:
            source.sweep(now)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        cast(RequestHandler, request.protocol).deadline.cancel()
        shown = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._token):
            self.doors.count_fault("relay token")
            return self.write(request, _NO_TOKEN)
        if request.method not in ("GET", "HEAD"):
            return self.write(request, _NOT_ALLOWED)
        path, _, query = request.raw_path.partition("?")
        name = parse_path(path)
        if name is not None:
            hub = self.doors.hubs.find(name)
            if hub is None or self._closing or request.method == "HEAD":
                return self.write(request, _NOT_HERE)
            handed_over = cast(RequestHandler, request.protocol).hand_over()
            if handed_over is not None:
                transport, address = handed_over
                source = Source(self, transport, hub, address)
                transport.set_protocol(source)
                transport.resume_reading()
                source.begin()
            return OVER
        asked = parse_play_path(path)
        if asked is None or asked.kind is Kind.FLV:
            return self.write(request, _NOT_HERE)
        if asked.kind is not Kind.MASTER:
            return await self.send_made(request, asked, query, request.headers.get(CLIENT_HEADER))
        # Who may watch was decided where it was asked; here it only says what was meant.
        seated = self.doors.seat(request.host, asked.app, asked.stream, query)
        if isinstance(seated, TurnedAway):
            return self.write(request, refusal(seated.status, seated.text))
        return await self.send_master(request, asked, seated)
