"""An RTMP connection: a publisher, or a player.

Rule: everything but an admission happens within the callback that the bytes came by; the one task of a connection is
its admission - of a publish, or to a stream that another process publishes - and it always ends by itself within that
use case's deadlines.

Theory of operation. The session machine (codec.rtmp.session) says what happened; this front feeds it, writes what it
wants to say, and acts. A publish is admitted by a task while reading is paused. However a publish ends - the peer
leaves, unpublishes, idles, breaks the protocol, is kicked, or the service stops - its hub is closed and control is
asked to finish the session, which happens once.

A connection that is over (``_over``) says nothing more. We end our side of it and read on, into nothing, until the
peer closes: closing at once would reset a peer that is still sending, and a reset may overtake what it was told. The
listener (media.rtmp_listener) sweeps its connections for those that are past their deadline - to come to the point, or
to close - or have gone silent.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Coroutine, Iterable
from math import inf
from typing import Final, Protocol, cast

from openkls.codec import ProtocolError
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
from openkls.control.admit import PublishAsk, Refused
from openkls.domain.keys import StreamName
from openkls.domain.session import BreakCode, Reason, Session
from openkls.domain.viewers import PullProtocol
from openkls.media.doors import NOT_LIVE, Connections, Doors, Elsewhere, Seated, TurnedAway
from openkls.media.hub import Hub, Viewer
from openkls.media.ingest import Ingest
from openkls.media.polling import POLL_MS, Poller
from openkls.media.silence import count_if_silent, end_if_silent
from openkls.media.wires import wire_for
from openkls.model import load

log = logging.getLogger("openkls.media.rtmp")

# From the connection to a publish or play; encoders over satellite need seconds for the five round trips.
HANDSHAKE_SECONDS: Final = 15.0
# A publisher that sends nothing; real encoders send audio or video several times a second.
IDLE_SECONDS: Final = 30.0
# From our farewell to the peer's own close; a peer that does not take it is cut off.
FAREWELL_SECONDS: Final = 1.0
# From a peer's own goodbye to its close (see PublishEnded).
LINGER_SECONDS: Final = 3.0
# Answers that a peer asked for and does not read. Real clients have less than 4 KiB of them under way; an
# acknowledgement, the only one that keeps coming, is 16 bytes for each megabyte.
ANSWERS_LIMIT_BYTES: Final = 256 * 1024


class Port(Protocol):
    """What the connections of one port share: the listener, as they see it."""

    connections: "Connections[RtmpConnection]"
    poller: Poller
    closing: bool

    def admit(self, admission: Coroutine[None, None, None]) -> None:
        """Run an admission; the listener waits for it when it closes."""

    def running_relay(self, name: StreamName) -> Hub | None:
        """The hub of a stream of another process that is relayed already."""

    async def open_relay(self, name: StreamName) -> Hub | None:
        """The hub of a stream of another process, or None."""

    def tell_fault(self, text: str, *facts: object) -> None:
        """Log what a peer did wrong, within a limit."""


class RtmpConnection(asyncio.Protocol):
    """One peer."""

    __slots__ = (
        "_deadline",
        "_doors",
        "_entered",
        "_hub",
        "_ingest",
        "_last_byte",
        "_loop",
        "_machine",
        "_over",
        "_port",
        "_session",
        "_transport",
        "_viewer",
        "client_ip",
        "client_port",
    )

    def __init__(self, doors: Doors, port: Port) -> None:
        self._doors = doors
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._machine = ServerSession(os.urandom(HANDSHAKE_RANDOM_BYTES))
        self._transport: asyncio.Transport
        self._session: Session | None = None
        self._ingest: Ingest | None = None
        self._hub: Hub | None = None
        self._viewer: Viewer | None = None
        self._entered = False
        self._over = False
        self._last_byte = self._loop.time()
        self._deadline = self._last_byte + HANDSHAKE_SECONDS
        self.client_ip, self.client_port = "", 0

    # -- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None or self._port.closing:  # the peer was gone before it was accepted, or we are about to be
            self.abort()
            return
        self.client_ip, self.client_port = peer[0], peer[1]
        self._entered = self._doors.cap.enter(self.client_ip)
        if not self._entered:
            self.abort()
            return
        self._port.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._last_byte = now = self._loop.time()
        if self._session is not None:
            self._session.quality.received(now, len(data))
        try:
            events = self._machine.receive(data)
            self._answer()
        except ProtocolError as error:
            self._fail(error)
            return
        self._act(events, now)

    def eof_received(self) -> None:
        """The peer has left; what it has not read does not keep it."""
        self._leave()
        self._deadline = self._loop.time() + FAREWELL_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        count_if_silent(self._doors, exc)
        self._leave()
        self._port.connections.discard(self)
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
                self._deadline = inf
                self._port.admit(self._admit(event))
            elif isinstance(event, PlayRequested):
                self._play(event, now)
            elif isinstance(event, PublishEnded):
                self._end_publish(Reason.UNPUBLISH)
                self._linger(now)
            elif isinstance(event, PlayEnded):
                self._end_play()
                self._linger(now)
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
            if isinstance(outcome, Refused):  # and logged
                self._refuse(outcome.code)
            else:
                self._begin(outcome)
        except Exception:
            log.exception("admission of a publish failed")
            self.abort()

    def _begin(self, session: Session) -> None:
        """The session holds its name: from here to the answer there is no await."""
        key = session.key
        if self._over:  # the peer left, or the service stops
            reason = Reason.SHUTDOWN if self._port.closing else Reason.CLOSED
            self._doors.endings.finish(session, BreakCode.SUCCESS, reason, self._doors.clock())
            return
        log.info("session %s began: %s/%s/%s from %s", session.facts.session_id, *key.name, self.client_ip)
        self._session = session
        self._ingest = Ingest(session.quality)
        self._hub = self._doors.open_hub(key)
        try:
            events = self._machine.accept_publish()
            self._answer()
        except ProtocolError as error:
            self._fail(error)
            return
        self._last_byte = self._loop.time()
        self._act(events, self._last_byte)
        if self._over or self._transport.is_closing():
            return
        if self._doors.merge_ms_of(key) < POLL_MS:
            self._transport.resume_reading()
        else:
            self._port.poller.join(self, self._transport)

    def _refuse(self, code: BreakCode) -> None:
        if not self._over:
            self._machine.refuse_publish(int(code), _text_of(code))
            self._close()

    def _play(self, event: PlayRequested, now: float) -> None:
        host = self._doors.directory.play_host(event.tc_url, event.app_query, event.query)
        seated = self._doors.seat(host, event.app, event.stream, event.query)
        hub = self._port.running_relay(seated.name) if isinstance(seated, Elsewhere) else None
        if isinstance(seated, Elsewhere) and hub is not None:
            seated = Seated(hub, seated.domain_id)
        if isinstance(seated, Elsewhere) or (seated is NOT_LIVE and self._doors.whereabouts is not None):
            self._transport.pause_reading()
            self._deadline = inf
            self._port.admit(self._play_from_elsewhere(event, host, seated))
        elif isinstance(seated, TurnedAway):
            self._turn_away(seated)
        else:
            self._sit(event, seated, now)

    async def _play_from_elsewhere(
        self, event: PlayRequested, host: str, asked: Seated | Elsewhere | TurnedAway
    ) -> None:
        """Play what another process publishes, or has perhaps just begun to."""
        try:
            if asked is NOT_LIVE and await self._doors.is_beginning(host, event.app, event.stream):
                asked = self._doors.seat(host, event.app, event.stream, event.query)
            if isinstance(asked, Elsewhere):
                hub = await self._port.open_relay(asked.name)
                asked = NOT_LIVE if hub is None else Seated(hub, asked.domain_id)
            if self._over or self._transport.is_closing():
                return
            if isinstance(asked, TurnedAway):
                self._turn_away(asked)
                return
            self._sit(event, asked, self._loop.time())
            if not (self._over or self._transport.is_closing()):
                self._transport.resume_reading()
        except Exception:
            log.exception("a play of a stream of another process failed")
            self.abort()

    def _turn_away(self, refused: TurnedAway) -> None:
        code = "NetStream.Play.StreamNotFound" if refused.status == 404 else "NetStream.Play.Failed"
        self._machine.refuse_play(code, f"{refused.status:d} {refused.text}")
        self._close()

    def _sit(self, event: PlayRequested, seated: Seated, now: float) -> None:
        try:
            events = self._machine.accept_play()
            self._answer()
        except ProtocolError as error:
            self._fail(error)
            return
        self._deadline = inf
        self._viewer = Viewer(wire_for(PullProtocol.RTMP, event.query), self._transport, self._play_over)
        end_if_silent(self._transport)
        self._hub = seated.hub
        self._hub.subscribe(self._viewer, seated.domain_id)
        self._act(events, now)

    # -- endings

    def kick(self, code: BreakCode) -> None:
        """Publisher's port: cut at once, the viewers first. One that is still being admitted sees by itself that it
        has lost its name."""
        session, self._session = self._session, None
        if session is None:
            return
        if code == BreakCode.FORBIDDEN:
            self._close_hub(cut=True)
        else:  # its encoder has come back on another connection
            self._suspend_hub(session)
        log.info("session %s cut: %d", session.facts.session_id, code)
        self._machine.end_publish(int(code), _text_of(code))
        self._close()

    def catch_up(self) -> None:
        """Publisher's port: read what has come, where it waits for a poll."""
        self._port.poller.poll(self)

    def silent_seconds(self) -> float:
        """Publisher's port: seconds since the last byte."""
        return self._loop.time() - self._last_byte

    def stop(self) -> None:
        """The service stops: say goodbye, whatever the connection is doing."""
        if self._session is not None:
            self._dismiss(Reason.SHUTDOWN)
        elif self._viewer is not None:
            self._end_play()
            self._machine.end_play()
        self._close()

    def abort(self) -> None:
        """Close now, whatever waits."""
        self._over = True
        self._port.poller.leave(self)
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """End a publish that has gone silent; cut off who is past its deadline."""
        if self._session is not None:
            if now - self._last_byte > IDLE_SECONDS:
                self._dismiss(Reason.IDLE)
        elif now > self._deadline:
            if not self._over:
                self._doors.count_fault("HANDSHAKE_SECONDS")
            self.abort()

    def _dismiss(self, reason: Reason) -> None:
        """End a publish in order, from our side."""
        self._end_publish(reason)
        self._machine.end_publish(int(BreakCode.SUCCESS), _text_of(BreakCode.SUCCESS))
        self._close()

    def _fail(self, error: ProtocolError) -> None:
        self._doors.count_fault(error.limit)
        self._port.tell_fault("%s:%d broke the protocol: %s", self.client_ip, self.client_port, error)
        self._end_publish(Reason.PROTOCOL_ERROR)
        self._end_play()
        self.abort()

    def _leave(self) -> None:
        """The peer is gone."""
        self._over = True
        self._port.poller.leave(self)
        self._machine.close()
        self._end_publish(Reason.CLOSED)
        self._end_play()

    def _end_publish(self, reason: Reason) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        if reason is Reason.SHUTDOWN or self._port.closing:  # nobody could come back
            self._close_hub(cut=False)
        else:
            self._suspend_hub(session)
        if self._doors.endings.finish(session, BreakCode.SUCCESS, reason, self._doors.clock()):
            log.info("session %s ended: %d %s", session.facts.session_id, BreakCode.SUCCESS, reason)

    def _close_hub(self, cut: bool) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            self._doors.hubs.close(hub, cut)

    def _suspend_hub(self, session: Session) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            self._doors.suspend_hub(hub, session.key)

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
            self.abort()  # a farewell would stand behind what it has not read
            return
        self._machine.end_play()
        self._close()

    # -- the transport

    def _answer(self) -> None:
        """Write what the machine says to what came. Raises ProtocolError for a peer that asks and does not read."""
        data = self._machine.data_to_send()
        if not data:
            return
        self._transport.write(data)
        # A viewer's media waits there too, and may be over its limit by a flush.
        limit_bytes = ANSWERS_LIMIT_BYTES if self._viewer is None else 2 * self._viewer.limit_bytes
        if self._transport.get_write_buffer_size() > limit_bytes:
            raise ProtocolError("RTMP: a peer that asks and does not read the answers", "ANSWERS_LIMIT_BYTES")

    def _close(self) -> None:
        """Say what is left to be said, and end our side. Idempotent."""
        if self._over:
            return
        self._over = True
        self._transport.write(self._machine.data_to_send())
        self._machine.close()
        self._deadline = self._loop.time() + FAREWELL_SECONDS
        with contextlib.suppress(OSError):  # the peer has reset the connection, which is about to be noticed
            self._transport.write_eof()
        self._port.poller.leave(self)
        self._transport.resume_reading()

    def _linger(self, now: float) -> None:
        """The peer has said goodbye: it closes."""
        self._over = True
        self._port.poller.leave(self)
        self._deadline = now + LINGER_SECONDS


def _text_of(code: BreakCode) -> str:
    return load().break_codes[int(code)].text
