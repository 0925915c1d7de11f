"""An RTMP publisher and an RTMP player over asyncio: the front of ``codec.rtmp.client``.

Rule: every wait on the server has a deadline, and a connection is closed whatever ends it, cancellation too.

Theory of operation. One coroutine reads: it feeds the session, writes what that wants to say, and hands its events on.
A player is that coroutine alone. A publisher runs a second one that sends; whichever ends first ends the other, so that
a publisher hears of being cut while it waits for its next frame.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

from openkls.codec.flv import AUDIO, SCRIPT, VIDEO, Tag
from openkls.codec.rtmp.client import ClientSession, ClientState, Mode, RtmpUrl, parse_rtmp_url
from openkls.codec.rtmp.events import Ended, MediaReceived, PlayStarted, PublishStarted, Refused
from openkls.codec.rtmp.handshake import HANDSHAKE_RANDOM_BYTES

OPEN_SECONDS = 10.0  # from the name to the server's consent; ffmpeg and OBS give up after as long or longer
WRITE_SECONDS = 10.0  # for the server to take what was sent, so that a stalled one does not hold a publisher for ever
IDLE_SECONDS = 30.0  # a player's patience: as long as a server waits for a silent publisher
LEAVE_SECONDS = 2.0  # for the server to close after the goodbye
READ_BYTES = 64 * 1024

_MEDIA = frozenset((AUDIO, VIDEO, SCRIPT))


class StreamRefused(Exception):
    """The server said no: to the request (``started`` False), or by cutting the stream later."""

    def __init__(self, refused: Refused, started: bool) -> None:
        super().__init__(f"{refused.description or 'no reason given'} ({refused.code})")
        self.code = refused.code
        self.description = refused.description
        self.started = started


class ConnectionFailed(Exception):
    """The connection was not made, was lost, or stood still for too long."""


async def publish(
    url: str,
    tags: AsyncIterator[Tag],
    on_started: Callable[[], None] = lambda: None,
    on_sent: Callable[[Tag], None] = lambda tag: None,
) -> None:
    """Publish the tags as they come, and leave in order behind the last one.

    The pace is the iterator's. Tags other than audio, video and script are passed over. Raises StreamRefused,
    ConnectionFailed, ProtocolError (the server's fault), ValueError (the URL is none).
    """
    async with _Connection(Mode.PUBLISH, parse_rtmp_url(url)) as connection:
        await connection.open()
        on_started()
        listening = asyncio.create_task(connection.listen(None))
        sending = asyncio.create_task(_send(connection, tags, on_sent))
        try:
            await asyncio.wait((listening, sending), return_when=asyncio.FIRST_COMPLETED)
            if not listening.done() and sending.exception() is not None:
                # A cut breaks the sending too; the server's word, which says why, may be a moment behind.
                await asyncio.wait((listening,), timeout=LEAVE_SECONDS)
            if listening.done():
                ended = listening.result()
                raise ConnectionFailed("the server ended the publish" + (f" ({ended.code})" if ended else ""))
            sending.result()
            await connection.leave(listening)
        finally:
            for task in (listening, sending):
                task.cancel()
            await asyncio.gather(listening, sending, return_exceptions=True)


async def play(
    url: str,
    on_media: Callable[[MediaReceived], None],
    on_started: Callable[[], None] = lambda: None,
    idle_seconds: float = IDLE_SECONDS,
) -> None:
    """Play until the server ends the stream or closes; when cancelled, leave in order. Raises as ``publish`` does."""
    async with _Connection(Mode.PLAY, parse_rtmp_url(url)) as connection:
        await connection.open()
        on_started()
        await connection.listen(on_media, idle_seconds)


async def _send(connection: "_Connection", tags: AsyncIterator[Tag], on_sent: Callable[[Tag], None]) -> None:
    async for tag in tags:
        if tag.type_id in _MEDIA and tag.payload:
            connection.session.send_media(tag.type_id, tag.timestamp, tag.payload)
            await connection.flush()
            on_sent(tag)


class _Connection:
    """One TCP connection and its session; an async context manager that always closes."""

    def __init__(self, mode: Mode, url: RtmpUrl) -> None:
        self.session = ClientSession(mode, url, os.urandom(HANDSHAKE_RANDOM_BYTES))
        self._url = url
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._early: list[MediaReceived] = []

    async def __aenter__(self) -> "_Connection":
        where = f"{self._url.host}:{self._url.port}"
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                self._reader, self._writer = await asyncio.open_connection(self._url.host, self._url.port)
        except TimeoutError as error:
            raise ConnectionFailed(f"{where} did not answer within {OPEN_SECONDS:g} s") from error
        except OSError as error:
            raise ConnectionFailed(f"{where} cannot be reached: {error.strerror or error}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        # A goodbye is said without waiting: what ends the connection may be a cancellation.
        self.session.finish()
        goodbye = self.session.data_to_send()
        if goodbye:
            self._writer.write(goodbye)
        self._writer.close()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._writer.wait_closed()
        except OSError:  # a time-out is one too
            self._writer.transport.abort()

    async def open(self) -> None:
        """Until the server has consented. Raises StreamRefused, ConnectionFailed."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self.flush()
                while self.session.state is not ClientState.STREAMING:
                    for event in self.session.receive(await self._read()):
                        if isinstance(event, Refused):
                            raise StreamRefused(event, started=False)
                        if isinstance(event, Ended):
                            raise ConnectionFailed(f"the server ended the stream at once ({event.code})")
                        if isinstance(event, MediaReceived):
                            self._early.append(event)
                    await self.flush()
        except TimeoutError as error:
            raise ConnectionFailed(f"the server did not consent within {OPEN_SECONDS:g} s") from error

    async def listen(
        self, on_media: Callable[[MediaReceived], None] | None, idle_seconds: float | None = None
    ) -> Ended | None:
        """Read until the server ends the stream (its word) or closes (None). Raises StreamRefused, ConnectionFailed."""
        for media in self._early:
            if on_media is not None:
                on_media(media)
        self._early.clear()
        while True:
            try:
                async with asyncio.timeout(idle_seconds):
                    data = await self._read(at_end=b"")
            except TimeoutError as error:
                raise ConnectionFailed(f"the server sent nothing for {idle_seconds:g} s") from error
            if not data:
                return None
            for event in self.session.receive(data):
                if isinstance(event, MediaReceived):
                    if on_media is not None:
                        on_media(event)
                elif isinstance(event, Refused):
                    raise StreamRefused(event, started=True)
                elif isinstance(event, Ended):
                    return event
                else:
                    assert isinstance(event, PublishStarted | PlayStarted)
            await self.flush()

    async def flush(self) -> None:
        """Write what the session wants to say. Raises ConnectionFailed."""
        data = self.session.data_to_send()
        if not data:
            return
        try:
            self._writer.write(data)
            async with asyncio.timeout(WRITE_SECONDS):
                await self._writer.drain()
        except TimeoutError as error:
            raise ConnectionFailed(f"the server took nothing for {WRITE_SECONDS:g} s") from error
        except OSError as error:
            raise ConnectionFailed(f"the connection broke: {error.strerror or error}") from error

    async def leave(self, listening: "asyncio.Task[Ended | None]") -> None:
        """Say goodbye, and let the server close: bytes that it has not read yet would be lost by a reset."""
        self.session.finish()
        await self.flush()
        with contextlib.suppress(OSError):
            self._writer.write_eof()
        await asyncio.wait((listening,), timeout=LEAVE_SECONDS)

    async def _read(self, at_end: bytes | None = None) -> bytes:
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise ConnectionFailed(f"the connection broke: {error.strerror or error}") from error
        if data or at_end is not None:
            return data
        raise ConnectionFailed("the server closed the connection without a word")
