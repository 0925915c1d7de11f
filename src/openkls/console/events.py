"""Server-sent events: what is live, told to every open page of a session.

Rule: each event is held against the session, its key and the key's rights, right before it is sent; one task a
connection, which is the request's own.

Theory of operation. What is live in an account is the same for all who may see it, so it is asked for once for all of
them (`Boards`): a list that is younger than its pace is sent again, and who comes while it is being made waits for it.
The longer the list, the slower the pace. A session that ends wakes its streams (`Session.over`), which say so and end;
a key that is switched off is found out at the next event. A reader that does not read is cut.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from weakref import WeakValueDictionary

import msgspec
from aiohttp import web

from openkls.console.answers import Refusal, sealed
from openkls.console.ports import Answered, Ports
from openkls.console.sessions import End, Session, Sessions
from openkls.control.keyring import Credential

log = logging.getLogger("openkls.console.events")

STREAMS_PER_SESSION_LIMIT: Final = 4
STREAMS_LIMIT: Final = 256
PACE_SECONDS: Final = 2.0
# Rows of the list that may be sent in a second.
ROWS_PER_SECOND: Final = 1_000
# Proxies take a connection for dead after 30 s or more in which nothing came.
HEARTBEAT_SECONDS: Final = 15.0
# To take one event: the longest list is some five megabytes.
READ_SECONDS: Final = 20.0
# What is written at a time, and waited for: so much, twice or thrice, is all that waits for a slow reader.
SLICE_BYTES: Final = 64 * 1024
# Until a stream that was told to end has, at the service's stop.
END_SECONDS: Final = 1.0
RETRY_MS: Final = 3000
LIVE_QUERY: Final = "Action=DescribeLiveStreams&Version=2026-01-01"

_encode = msgspec.json.Encoder().encode


class Totals(msgspec.Struct, rename={"time": "UpdateTime", "streams": "Count"}, frozen=True):
    """What `DescribeLiveStreams` says of all streams together."""

    time: int
    streams: int
    OnlineUser: int
    BwReal: float
    Bw: int


class _Envelope(msgspec.Struct):
    Data: msgspec.Raw


class _Fault(msgspec.Struct):
    Code: str
    Message: str


class _Refused(msgspec.Struct):
    Error: _Fault


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_TOTALS: Final = msgspec.json.Decoder(Totals)
_REFUSED: Final = msgspec.json.Decoder(_Refused)


class Listing(msgspec.Struct, frozen=True):
    """A list of what is live, as it was at ``made_at`` (monotonic seconds); ``data`` is JSON."""

    data: bytes
    totals: Totals
    made_at: float

    @property
    def pace_seconds(self) -> float:
        """How long it is to be good for."""
        return max(PACE_SECONDS, self.totals.streams / ROWS_PER_SECOND)


class Board:
    """What is live in one account."""

    def __init__(self, ask: Callable[[Credential, str], Awaitable[Answered]], monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._listing: Listing | None = None

    async def listing(self, credential: Credential, client_ip: str) -> Listing | None:
        """The list, asked for as this key if there is no young one; None when it cannot be had now."""
        async with self._asking:
            known = self._listing
            # Half a pace, so that pages whose clocks stand apart share it and yet none shows what is old.
            if known is not None and self._monotonic() - known.made_at < known.pace_seconds / 2:
                return known
            answer = await self._ask(credential, client_ip)
            if answer.status != HTTPStatus.OK:
                return None
            data = bytes(_ENVELOPE.decode(answer.body).Data)
            try:
                self._listing = Listing(data, _TOTALS.decode(data), self._monotonic())
            except msgspec.ValidationError:  # a business failure: it has no rows
                return None
            return self._listing


class Events:
    """The event streams of this process."""

    def __init__(self, ports: Ports, sessions: Sessions) -> None:
        self._ports = ports
        self._sessions = sessions
        self._boards: WeakValueDictionary[str, Board] = WeakValueDictionary()
        self._open: set[_Stream] = set()
        self._is_closing = False
        self.refused = 0
        """Streams that were not opened because there were too many."""
        self.cut = 0
        """Streams whose reader did not read."""

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    async def stream(self, request: web.BaseRequest, session: Session, client_ip: str) -> web.StreamResponse:
        """Send events until the session or the connection ends. Raises Refusal, with nothing sent."""
        if self._is_closing:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceStopping", "The service is about to end.")
        if session.streams >= STREAMS_PER_SESSION_LIMIT or len(self._open) >= STREAMS_LIMIT:
            self.refused += 1
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TooManyEventStreams",
                f"at most {STREAMS_PER_SESSION_LIMIT} pages of a session, and {STREAMS_LIMIT} in all, are told what is "
                "live; close one of them",
                [("Retry-After", str(int(HEARTBEAT_SECONDS)))],
            )
        response = sealed(web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"}))
        # Else a proxy of nginx' kind gathers events until it has a page of them.
        response.headers["X-Accel-Buffering"] = "no"
        response.force_close()
        stream = _Stream(self._ports, self._sessions, self._board, request, response, session, client_ip)
        session.streams += 1
        self._open.add(stream)
        try:
            await stream.run()
        except TimeoutError:
            self.cut += 1
            stream.cut()
        except ConnectionError:
            pass  # the reader left
        except Exception:
            # Nothing can be answered any more: a part of the answer has gone.
            log.exception("an event stream ended: a bug of ours")
            stream.cut()
        finally:
            session.streams -= 1
            self._open.discard(stream)
        return response

    async def close(self) -> None:
        """Wait for the streams of sessions that have all been ended; those that hang are cut. Bounded by
        END_SECONDS."""
        self._is_closing = True
        try:
            async with asyncio.timeout(END_SECONDS):
                while self._open:  # noqa: ASYNC110 -- there is an event a stream, and END_SECONDS for all
                    await asyncio.sleep(0.01)
        except TimeoutError:
            for stream in self._open:
                stream.cut()

    def _board(self, credential: Credential) -> Board:
        # Whoever may list at all may list all of the account: the question names no space.
        board = self._boards.get(credential.account_id)
        if board is None:
            board = self._boards[credential.account_id] = Board(self._ask, self._ports.monotonic)
        return board

    def _ask(self, credential: Credential, client_ip: str) -> Awaitable[Answered]:
        return self._ports.call(credential, LIVE_QUERY, b"", client_ip, is_metered=False)


class _Stream:
    """One open page."""

    def __init__(
        self,
        ports: Ports,
        sessions: Sessions,
        board_of: Callable[[Credential], Board],
        request: web.BaseRequest,
        response: web.StreamResponse,
        session: Session,
        client_ip: str,
    ) -> None:
        self._ports = ports
        self._sessions = sessions
        self._board_of = board_of
        self._request = request
        self._response = response
        self._session = session
        self._client_ip = client_ip
        self._written_at = 0.0
        self._refused = ""
        self._board: Board | None = None
        """Held, so that it is there for the next event."""
        self._listed_at = self._listed_seconds = 0.0

    def cut(self) -> None:
        """End the connection as it is."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def run(self) -> None:
        """Raises TimeoutError for a reader that does not read, ConnectionError for one that left."""
        async with asyncio.timeout(READ_SECONDS):
            await self._response.prepare(self._request)
        await self._write(b"retry: %d\n\n" % RETRY_MS)
        while True:
            credential = self._sessions.credential_of(self._session)
            if credential is None:
                why = self._session.ended_by or End.EXPIRED
                await self._send("end", _encode({"Code": str(why)}))
                return
            await self._tell(credential)
            if self._ports.monotonic() - self._written_at >= HEARTBEAT_SECONDS:
                await self._write(b": still here\n\n")
            try:
                async with asyncio.timeout(PACE_SECONDS):
                    await self._session.over.wait()
            except TimeoutError:
                if self._request.transport is None:
                    return

    async def _tell(self, credential: Credential) -> None:
        refusal = self._ports.rights(credential, LIVE_QUERY, self._client_ip)
        if refusal is not None:
            fault = _REFUSED.decode(refusal.body).Error
            if fault.Code != self._refused:
                self._refused = fault.Code
                self._listed_at = self._listed_seconds = 0.0
                await self._send("refused", _encode({"Code": fault.Code, "Message": fault.Message}))
            return
        self._refused = ""
        self._board = self._board_of(credential)
        listing = await self._board.listing(credential, self._client_ip)
        if listing is None:
            return
        # The asking took time, in which the session may have ended.
        if self._session.ended_by is not None:
            return
        totals = listing.totals
        told = {
            "Time": totals.time,
            "Streams": totals.streams,
            "OnlineUser": totals.OnlineUser,
            "BwReal": totals.BwReal,
            "Bw": totals.Bw,
        }
        await self._send("totals", _encode(told))
        now = self._ports.monotonic()
        # A round is a little more or less than its pace.
        if now - self._listed_at >= self._listed_seconds - PACE_SECONDS / 4:
            self._listed_at, self._listed_seconds = now, listing.pace_seconds
            await self._send("streams", listing.data)

    async def _send(self, event: str, data: bytes) -> None:
        # JSON has no line break of its own, so that it is one line of an event whatever is in it.
        await self._write(b"event: %s\ndata: " % event.encode(), data, b"\n\n")

    async def _write(self, *parts: bytes) -> None:
        self._written_at = self._ports.monotonic()
        async with asyncio.timeout(READ_SECONDS):
            for part in parts:
                view = memoryview(part)
                for begin in range(0, len(view), SLICE_BYTES):
                    await self._response.write(view[begin : begin + SLICE_BYTES])
