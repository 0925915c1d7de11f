"""RTMP connections: publishers and players.

Rule: everything but an admission happens within the callback that the bytes came by; the one task of a connection is
its admission, and it always ends by itself within that use case's deadlines.

Theory of operation. The session machine (codec.rtmp.session) says what happened; this front feeds it, writes what it
wants to say, and acts. A publish is admitted by a task while reading is paused. However a publish ends - the peer
leaves, unpublishes, idles, breaks the protocol, is kicked, or the service stops - ``_end_publish`` closes its hub and
asks control to finish the session, which happens once. A listener sweeps its connections every second for those that
do not come to the point or have gone silent, instead of a timer for each.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable
from typing import Final, cast

from openkls.codec import ProtocolError, pushauth
from openkls.codec.rtmp.events import (
    Connected,
    MediaReceived,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ServerEvent,
)
from openkls.codec.rtmp.handshake import HANDSHAKE_RANDOM_BYTES
from openkls.codec.rtmp.session import ServerSession
from openkls.config import Address
from openkls.control.admit import OPEN_DEADLINE_SECONDS, PublishAsk, Refused
from openkls.domain.session import BreakCode, Reason, Session
from openkls.media.doors import Connections, Doors
from openkls.media.hub import RTMP_WIRE, Hub, Viewer
from openkls.media.ingest import Ingest
from openkls.model import load

log = logging.getLogger("openkls.media.rtmp")

# From the connection to a publish or play; encoders over satellite need seconds for the five round trips.
HANDSHAKE_SECONDS: Final = 15.0
# A publisher that sends nothing; real encoders send audio or video several times a second.
IDLE_SECONDS: Final = 30.0
# After a farewell was written: a peer that does not read it is not waited for.
FAREWELL_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 1.0


class RtmpConnection(asyncio.Protocol):
    """One peer."""

    def __init__(self, doors: Doors, listener: "RtmpListener") -> None:
        self._doors = doors
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._machine = ServerSession(os.urandom(HANDSHAKE_RANDOM_BYTES))
        self._session: Session | None = None
        self._ingest: Ingest | None = None
        self._hub: Hub | None = None
        self._viewer: Viewer | None = None
        self._admission: asyncio.Task[None] | None = None
        self._entered = False
        self._lost = False
        self._since = self._last_byte = self._loop.time()
        self.client_ip, self.client_port = "", 0

    # -- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # the peer was gone before it was accepted
            self._transport.abort()
            return
        self.client_ip, self.client_port = peer[0], peer[1]
        self._entered = self._doors.cap.enter(self.client_ip)
        if not self._entered:
            self._transport.abort()
            return
        self._listener.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._last_byte = now = self._loop.time()
        if self._session is not None:
            self._session.quality.received(now, len(data))
        try:
            events = self._machine.receive(data)
        except ProtocolError as error:
            self._fail(error)
            return
        self._send()
        self._act(events, now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._machine.close()
        self._end_publish(BreakCode.SUCCESS, Reason.CLOSED, cut=False)
        self._end_play()
        self._listener.connections.discard(self)
        if self._entered:
            self._entered = False
            self._doors.cap.leave(self.client_ip)

    # -- what the peer did

    def _act(self, events: Iterable[ServerEvent], now: float) -> None:
        for event in events:
            if type(event) is MediaReceived:
                if self._hub is not None and self._ingest is not None:
                    self._hub.push(self._ingest.take(event, now), event)
            elif isinstance(event, PublishRequested):
                # Nothing more is read until the answer: the encoder waits for it, and what it sends meanwhile
                # stays in the kernel.
                self._transport.pause_reading()
                self._admission = self._loop.create_task(self._admit(event))
                self._listener.admissions.add(self._admission)
                self._admission.add_done_callback(self._listener.admissions.discard)
            elif isinstance(event, PlayRequested):
                self._play(event)
            elif isinstance(event, PublishEnded):
                self._end_publish(BreakCode.SUCCESS, Reason.UNPUBLISH, cut=False)
                self._close()
            elif isinstance(event, PlayEnded):
                self._end_play()
                self._close()
            elif isinstance(event, Connected):
                log.debug("%s:%d connected to app %r", self.client_ip, self.client_port, event.app)

    async def _admit(self, event: PublishRequested) -> None:
        ask = PublishAsk(
            event.app,
            event.app_query,
            event.tc_url,
            event.stream,
            event.query,
            self.client_ip,
            self.client_port,
        )
        try:
            outcome = await self._doors.admission.admit(ask, self)
        except Exception:
            log.exception("admission of a publish failed")
            self._transport.abort()
            return
        finally:
            self._admission = None
        if isinstance(outcome, Refused):
            log.info(
                "publish of %r/%r from %s refused: %d, %s", event.app, event.stream, self.client_ip, *_said(outcome)
            )
            self._refuse(outcome.code)
        else:
            self._begin(outcome)

    def _begin(self, session: Session) -> None:
        """The session holds its name: from here to the answer there is no await."""
        key = session.key
        if self._lost or self._transport.is_closing():
            self._doors.endings.finish(session, BreakCode.SUCCESS, Reason.CLOSED, self._doors.clock())
            return
        log.info("session %s began: %s/%s/%s from %s", session.facts.session_id, *key.name, self.client_ip)
        self._session = session
        self._ingest = Ingest(session.quality)
        settings = self._doors.directory.settings(key.name)
        merge_ms = self._doors.merge_ms if settings.merge_ms is None else settings.merge_ms
        self._hub = self._doors.hubs.open(key.name, merge_ms)
        try:
            events = self._machine.accept_publish()
        except ProtocolError as error:
            self._fail(error)
            return
        self._send()
        self._last_byte = self._loop.time()
        self._act(events, self._last_byte)
        self._resume_reading()

    def _refuse(self, code: BreakCode) -> None:
        if self._lost:
            return
        self._machine.refuse_publish(int(code), load().break_codes[int(code)].text)
        self._send()
        self._close()
        self._resume_reading()

    def _play(self, event: PlayRequested) -> None:
        doors = self._doors
        host = doors.directory.play_host(event.tc_url, event.app_query, event.query)
        seat = doors.directory.seat(host, event.app, event.stream, doors.registry)
        hub = doors.hubs.find(seat.name) if seat is not None else None
        if seat is None or hub is None:
            self._machine.refuse_play("NetStream.Play.StreamNotFound", "No such stream.")
            self._send()
            self._close()
            return
        domain = seat.domain
        if domain is not None and domain.auth == "md5":
            verdict = pushauth.check_md5(domain.keys, event.stream, event.query, int(doors.clock()))
            if int(verdict) != BreakCode.SUCCESS:
                self._machine.refuse_play("NetStream.Play.Failed", f"403 {load().break_codes[int(verdict)].text}")
                self._send()
                self._close()
                return
        events = self._machine.accept_play()
        self._send()
        self._viewer = Viewer(RTMP_WIRE, self._transport, self._play_over)
        self._hub = hub
        hub.subscribe(self._viewer, seat.domain_id)
        self._act(events, self._loop.time())

    # -- endings

    def kick(self, code: BreakCode) -> None:
        """Publisher's port: cut at once, the viewers first."""
        forbidden = code == BreakCode.FORBIDDEN
        hub, self._hub = self._hub, None
        session, self._session = self._session, None
        if hub is not None:
            self._doors.hubs.close(hub, cut=forbidden)
        if session is None:
            return  # still being admitted: the admission sees that it has lost its name, and refuses
        log.info("session %s cut: %d", session.facts.session_id, code)
        self._machine.end_publish(int(code), load().break_codes[int(code)].text)
        self._send()
        self._close()

    def silent_seconds(self) -> float:
        """Publisher's port: seconds since the last byte."""
        return self._loop.time() - self._last_byte

    def stop(self) -> None:
        """The service stops: say goodbye, whatever the connection is doing."""
        self._end_publish(BreakCode.SUCCESS, Reason.SHUTDOWN, cut=False)
        self._end_play()
        self._close()

    def sweep(self, now: float) -> None:
        """Close what does not come to the point, and publishers that have gone silent."""
        if self._session is not None:
            if now - self._last_byte > IDLE_SECONDS:
                self._end_publish(BreakCode.SUCCESS, Reason.IDLE, cut=False)
                self._close()
        elif self._viewer is None and self._admission is None and now - self._since > HANDSHAKE_SECONDS:
            self._doors.count_fault("HANDSHAKE_SECONDS")
            self._transport.abort()

    def _fail(self, error: ProtocolError) -> None:
        self._doors.count_fault(error.limit)
        log.info("%s:%d broke the protocol: %s", self.client_ip, self.client_port, error)
        self._end_publish(BreakCode.SUCCESS, Reason.PROTOCOL_ERROR, cut=False)
        self._end_play()
        self._send()
        self._close()

    def _end_publish(self, code: BreakCode, reason: Reason, cut: bool) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        hub, self._hub = self._hub, None
        if hub is not None:
            self._doors.hubs.close(hub, cut)
        if self._doors.endings.finish(session, code, reason, self._doors.clock()):
            log.info("session %s ended: %d %s", session.facts.session_id, code, reason)

    def _end_play(self) -> None:
        viewer, self._viewer = self._viewer, None
        if viewer is not None and self._hub is not None:
            hub, self._hub = self._hub, None
            hub.unsubscribe(viewer)

    def _play_over(self, cut: bool) -> None:
        """The hub has ended this viewer."""
        self._viewer = None
        self._hub = None
        if cut and self._transport.get_write_buffer_size():
            self._transport.abort()  # a farewell would stand behind what it has not read
            return
        self._machine.end_play()
        self._send()
        self._close()

    # -- the transport

    def _send(self) -> None:
        data = self._machine.data_to_send()
        if data:
            self._transport.write(data)

    def _close(self) -> None:
        """Close after what was written; a peer that does not take it is cut off."""
        self._machine.close()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(FAREWELL_SECONDS, self._transport.abort)

    def _resume_reading(self) -> None:
        if not self._transport.is_closing():
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()


class RtmpListener:
    """The RTMP port and its connections."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.connections: Connections[RtmpConnection] = Connections()
        self.admissions: set[asyncio.Task[None]] = set()

    async def open(self, address: Address) -> Address:
        """Listen; returns the address bound. Raises OSError."""
        self._server = await self._loop.create_server(
            lambda: RtmpConnection(self._doors, self), address.host, address.port, backlog=1024
        )
        self._sweep()
        bound = self._server.sockets[0].getsockname()
        return Address(bound[0], bound[1])

    async def close(self) -> None:
        """Stop listening, end all publishes and plays. Bounded by twice OPEN_DEADLINE_SECONDS and FAREWELL_SECONDS."""
        if self._server is None:
            return
        self._server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in self.connections:
            connection.stop()
        if self.admissions:
            await asyncio.wait(self.admissions, timeout=2 * OPEN_DEADLINE_SECONDS)
        await self.connections.gone(2 * FAREWELL_SECONDS)  # what does not listen is aborted after one of them

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in self.connections:
            connection.sweep(now)
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)


def _said(outcome: Refused) -> tuple[int, str]:
    return int(outcome.code), outcome.cause
