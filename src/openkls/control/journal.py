"""What history still has to be told. Rule: a session never waits for the store longer than its caller chose to, and a
row is dropped only when the journal is full, and then counted.

Theory of operation. Rows go to the history port in the order they came, in batches that the store commits together;
one that the store did not take (down, late) stays at the front and is tried again with a growing pause. Every row is
idempotent, so a row that was taken by a store which then failed to say so does no harm. What waits here is lost by
kill -9.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import HistoryPort
from openkls.domain.session import HistoryRow, SessionFacts

log = logging.getLogger("openkls.control.journal")

# About 60 MB of rows: hours of a large site's publishes while its store is away.
WAITING_LIMIT = 100_000
BATCH_LIMIT = 256
RETRY_FIRST_SECONDS = 0.1
RETRY_LONGEST_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class _Entry:
    write: Callable[[], Awaitable[None]]
    done: asyncio.Future[None]


class Journal:
    """The queue in front of the history port. ``run`` is its one task; the owner starts and cancels it."""

    def __init__(self, history: HistoryPort, limit: int = WAITING_LIMIT) -> None:
        self._history = history
        self._limit = limit
        self._entries: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._writing = 0
        self.dropped = 0
        """Rows that found the journal full, since the start."""

    def __len__(self) -> int:
        return len(self._entries) + self._writing

    async def open(self, facts: SessionFacts, deadline_seconds: float) -> bool:
        """Record a live session; wait for it at most so long. True when it is durable by then; otherwise the row
        stays in the journal."""
        done = self._submit(lambda: self._history.open(facts))
        await asyncio.wait([done], timeout=deadline_seconds)
        return done.done() and not done.cancelled()

    def close(self, row: HistoryRow) -> None:
        """Record that a session is over; never waits."""
        self._submit(lambda: self._history.close(row))

    async def run(self) -> None:
        """Feed the port until cancelled."""
        pause = RETRY_FIRST_SECONDS
        while True:
            self._wake.clear()
            if not self._entries:
                await self._wake.wait()
            if await self._write_batch():
                pause = RETRY_FIRST_SECONDS
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_LONGEST_SECONDS)

    async def drain(self, deadline_seconds: float) -> bool:
        """After ``run`` has been cancelled: write what waits; False when the deadline came first."""
        try:
            async with asyncio.timeout(deadline_seconds):
                while self._entries:
                    if not await self._write_batch():
                        await asyncio.sleep(RETRY_FIRST_SECONDS)
        except TimeoutError:
            log.error("%d rows of history could not be written before the end", len(self))
            return False
        return True

    def _submit(self, write: Callable[[], Awaitable[None]]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self) >= self._limit:
            self.dropped += 1
            done.cancel()
            return done
        self._entries.append(_Entry(write, done))
        self._wake.set()
        return done

    async def _write_batch(self) -> bool:
        """Write what waits, BATCH_LIMIT at most; False when the store did not take all of it."""
        batch = [self._entries.popleft() for _ in range(min(BATCH_LIMIT, len(self._entries)))]
        self._writing = len(batch)
        left = batch
        try:
            outcomes = await asyncio.gather(*(entry.write() for entry in batch), return_exceptions=True)
            left = [entry for entry, outcome in zip(batch, outcomes, strict=True) if not _settle(entry, outcome)]
        finally:
            self._entries.extendleft(reversed(left))
            self._writing = 0
        return not left


def _settle(entry: _Entry, outcome: BaseException | None) -> bool:
    """Whether the entry is dealt with; a store that is away deals with nothing."""
    if isinstance(outcome, StoreUnavailable):
        return False
    if outcome is not None:
        log.error("a row of history could not be written and is lost", exc_info=outcome)
        entry.done.cancel()
    if not entry.done.done():
        entry.done.set_result(None)
    return True
