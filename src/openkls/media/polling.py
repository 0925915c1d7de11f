"""Reading publishers at intervals, where their media waits for a merge window anyway.

Rule: a socket is read here only while its transport is open and does not read it itself.

Theory of operation. An encoder sends some 70 messages a second, nearly each of them a segment of its own. To be woken
for each - a turn of the loop, a read, the way through the layers for one message - costs a multiple of what the message
costs. So a publisher's transport stops reading, and POLL_MS apart all that has come is read from its socket at once.
The window that is left for the hub is shorter by that, so that a viewer waits no longer than `merge_ms` promises
(`gather_ms`): where nothing is left, what a poll has read goes out at once. Publishers are spread over PHASES, that no
turn of the loop has them all; a phase is polled at exact multiples of its time, whatever its publishers send.

Everything else stays the transport's: what is written, and the close. When the peer has left, or the connection has
failed, the publish ends there and then, and reading is given back to the transport, which finds out for itself. Whoever
must know now whether a publisher is still there polls it (``poll``). A transport closes its descriptor no
earlier than in the turn after it says that it is closing, so that none is read that is another's by then.
"""

import asyncio
import logging
import os
from typing import Final, Protocol

log = logging.getLogger("openkls.media.polling")

# The default merge window. A hundred publishers cost a fifth less than polled every 50 ms.
POLL_MS: Final = 150
PHASES: Final = 15
# So that the poll that falls on the end of a window is in it.
MARGIN_MS: Final = 10
READ_BYTES: Final = 256 * 1024
# 3 MiB each 150 ms are 168 Mbps of one publisher; what is beyond waits in the kernel, and slows it down.
READS_LIMIT: Final = 12


def gather_ms(merge_ms: int) -> int:
    """What is left of a merge window once its publisher's media has waited for a poll."""
    if merge_ms < POLL_MS:  # read as it comes
        return merge_ms
    return merge_ms - POLL_MS + MARGIN_MS if merge_ms > POLL_MS else 0


class Polled(Protocol):
    """A connection whose transport does not read."""

    def data_received(self, data: bytes) -> None:
        """As asyncio's."""

    def eof_received(self) -> bool | None:
        """As asyncio's; it may come twice."""

    def abort(self) -> None:
        """Close now."""


class Poller:
    """The publishers of a listener. Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._phases: list[dict[Polled, tuple[asyncio.Transport, int]]] = [{} for _ in range(PHASES)]
        self._turn = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # One for all: a buffer made for each read, and cut to what came, leaves holes in the heap.
        self._buffer = memoryview(bytearray(READ_BYTES))

    def __len__(self) -> int:
        """Connections that are polled."""
        return sum(map(len, self._phases))

    def join(self, connection: Polled, transport: asyncio.Transport) -> None:
        """Read for a transport from now on; it must be open."""
        transport.pause_reading()
        min(self._phases, key=len)[connection] = transport, transport.get_extra_info("socket").fileno()
        if self._timer is None:
            self._due = self._loop.time()
            self._set_timer()

    def leave(self, connection: Polled) -> None:
        """Let the transport read again, if it is open. Idempotent."""
        for phase in self._phases:
            found = phase.pop(connection, None)
            if found is not None and not found[0].is_closing():
                found[0].resume_reading()
        if self._timer is not None and not any(self._phases):
            self._timer.cancel()
            self._timer = None

    def poll(self, connection: Polled) -> None:
        """Read at once what has come for a connection, if it is one of those polled."""
        for phase in self._phases:
            if connection in phase:
                self._poll(phase, connection)
                return

    def _set_timer(self) -> None:
        # Whole phases that the loop was late by are passed over; what is polled later has more to read.
        step = POLL_MS / PHASES / 1000
        self._due += step * max(1, int((self._loop.time() - self._due) / step) + 1)
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._turn = (self._turn + 1) % PHASES
        self._set_timer()
        phase = self._phases[self._turn]
        for connection in tuple(phase):
            self._poll(phase, connection)

    def _poll(self, phase: dict[Polled, tuple[asyncio.Transport, int]], connection: Polled) -> None:
        for _ in range(READS_LIMIT):
            found = phase.get(connection)
            if found is None:  # what was read ended it, or another of this turn did
                return
            transport, descriptor = found
            if transport.is_closing():
                self.leave(connection)
                return
            try:
                count_bytes = os.readv(descriptor, (self._buffer,))
            except BlockingIOError:
                return
            except OSError:  # the peer has reset it: no more will come
                count_bytes = 0
            if not count_bytes:
                self.leave(connection)
                connection.eof_received()
                return
            self._hand_over(connection, bytes(self._buffer[:count_bytes]))
            if count_bytes < len(self._buffer):
                return

    def _hand_over(self, connection: Polled, data: bytes) -> None:
        try:
            connection.data_received(data)
        except Exception:  # one connection's bug is not the others' end
            log.exception("a publisher's data could not be taken")
            connection.abort()
