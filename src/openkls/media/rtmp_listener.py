"""The RTMP port: its connections, what they share, and the one sweep that ends those that are past their deadline or
have gone silent, instead of a timer for each."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final

from openkls.config import Address
from openkls.control.admit import OPEN_DEADLINE_SECONDS
from openkls.domain.keys import StreamName
from openkls.media.doors import Connections, Doors
from openkls.media.hub import Hub
from openkls.media.polling import Poller
from openkls.media.relay import Relays
from openkls.media.rtmp import FAREWELL_SECONDS, RtmpConnection

log = logging.getLogger("openkls.media.rtmp")

SWEEP_SECONDS: Final = 1.0
# Log lines about what peers do wrong; an attacker must not fill the disk.
FAULT_LINES_PER_SECOND: Final = 20


class RtmpListener:
    """The RTMP port and its connections."""

    def __init__(self, doors: Doors, relays: Relays | None = None, shares_port: bool = False) -> None:
        """With ``shares_port`` other processes of this machine may listen on the same address."""
        self._doors = doors
        self._relays = relays
        self._shares_port = shares_port
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._fault_lines = 0
        self.connections: Connections[RtmpConnection] = Connections()
        self.admissions: set[asyncio.Task[None]] = set()
        self.poller = Poller(self._loop)
        self.closing = False

    async def open(self, address: Address) -> Address:
        """Listen; returns the address bound. Raises OSError."""
        self._server = await self._loop.create_server(
            lambda: RtmpConnection(self._doors, self),
            address.host,
            address.port,
            backlog=1024,
            reuse_port=self._shares_port or None,
        )
        self._sweep()
        bound = self._server.sockets[0].getsockname()
        return Address(bound[0], bound[1])

    async def close(self) -> None:
        """Stop listening, end all publishes and plays. Bounded by twice OPEN_DEADLINE_SECONDS and FAREWELL_SECONDS."""
        if self._server is None:
            return
        self._server.close()
        self.closing = True
        for connection in self.connections:
            connection.stop()
        if self.admissions:
            await asyncio.wait(self.admissions, timeout=2 * OPEN_DEADLINE_SECONDS)
        if not await self.connections.gone(FAREWELL_SECONDS):
            for connection in self.connections:
                connection.abort()
            await self.connections.gone(FAREWELL_SECONDS)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def admit(self, admission: Coroutine[None, None, None]) -> None:
        """Run an admission; the listener waits for it when it closes."""
        task = self._loop.create_task(admission)
        self.admissions.add(task)
        task.add_done_callback(self.admissions.discard)

    def running_relay(self, name: StreamName) -> Hub | None:
        """The hub of a stream of another process that is relayed already."""
        return None if self._relays is None else self._relays.running(name)

    async def open_relay(self, name: StreamName) -> Hub | None:
        """The hub of a stream of another process, or None (`Relays.open`)."""
        return None if self._relays is None else await self._relays.open(name)

    def tell_fault(self, text: str, *facts: object) -> None:
        """Log what a peer did wrong: FAULT_LINES_PER_SECOND lines, and what is beyond them as a number."""
        self._fault_lines += 1
        if self._fault_lines <= FAULT_LINES_PER_SECOND:
            log.info(text, *facts)

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in self.connections:
            connection.sweep(now)
        if self._fault_lines > FAULT_LINES_PER_SECOND:
            log.info("%d further peers broke the protocol", self._fault_lines - FAULT_LINES_PER_SECOND)
        self._fault_lines = 0
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)
