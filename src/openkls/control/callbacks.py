"""Telling customers' servers of their streams: at least once, in the order of each stream.

Rule: an event leaves the outbox when its server has accepted it, or as a dead letter; nothing else loses one. No server
keeps the events of another waiting.

Theory of operation. One process tells at a time, the one that holds the lease in the store; it takes the lease when
there is something to tell, and begins no attempt that might outlast it, so that whoever takes over finds none under
way. A round reads which spaces have events, asks for those that are due, and begins an attempt for each, one at a time
for a stream. Rounds follow a new event of this process and an attempt that ended at once, and others within
POLL_SECONDS. What came of an attempt is written down however often the store has to be asked; only then is its stream
free again.

Attempts under way are bounded, in all and for each server; a server that could not be reached, or did not answer, is
left with PROBES_LIMIT until it answers again. So one that hangs keeps few of the places, and a hundred of them not all.
"""

import asyncio
import contextlib
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from openkls.domain.callbacks import (
    AWAY,
    GIVE_UP_SECONDS,
    Callback,
    CallbackSender,
    CallbackTarget,
    OutboxPort,
    Outcome,
    SpaceCounts,
    Told,
    retry_delay_seconds,
)
from openkls.domain.errors import StoreUnavailable
from openkls.domain.keys import StreamName

log = logging.getLogger("openkls.control.callbacks")

SENDS_LIMIT: Final = 256
SENDS_PER_TARGET_LIMIT: Final = 32
PROBES_LIMIT: Final = 2
# From the begin of an attempt to its end; the sender keeps to it.
SEND_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 15
RENEW_SECONDS: Final = 3.0
# What the clocks of nodes may be apart.
SKEW_SECONDS: Final = 2.0
POLL_SECONDS: Final = 1.0
# Between rounds: attempts that end together are one round.
PACE_SECONDS: Final = 0.02
STORE_PAUSE_SECONDS: Final = 1.0
# A server that fails is told of in the log so often.
WARN_SECONDS: Final = 60.0
PURGE_SECONDS: Final = 3600.0
# At the end, for the events of the sessions that end with the process. Of the 10 s of a stop.
FAREWELL_SECONDS: Final = 1.5
RESIGN_SECONDS: Final = 0.5


class Callbacks:
    """Delivers the events of all spaces. ``run`` is its loop; the owner starts and cancels it, then calls ``close``."""

    def __init__(
        self,
        outbox: OutboxPort,
        sender: CallbackSender,
        target_of: Callable[[str], CallbackTarget | None],
        owner: str,
        retention_seconds: int,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``target_of`` gives the server of a space; ``owner`` is the name of this process."""
        self._outbox = outbox
        self._sender = sender
        self._target_of = target_of
        self._owner = owner
        self._retention_seconds = retention_seconds
        self._clock = clock
        self._chance = chance
        self._wake = asyncio.Event()
        self._attempts: dict[StreamName, asyncio.Task[None]] = {}
        self._attempts_at: Counter[str] = Counter()
        self._away: set[str] = set()
        self._warned_at: dict[str, float] = {}
        self._led_at: float | None = None
        self._purge_at = 0.0
        self.delivered = 0
        """Events that their servers accepted, since the start."""
        self.failed: Counter[Outcome] = Counter()
        """Attempts that failed, since the start."""
        self.given_up = 0
        """Events that became dead letters, since the start."""
        self.waiting = 0
        """Events in the outbox, of all processes, when it was last read."""
        self.dead = 0
        """Dead letters there."""

    @property
    def in_flight(self) -> int:
        """Attempts under way."""
        return len(self._attempts)

    @property
    def leads(self) -> bool:
        """Whether this process tells."""
        return self._led_at is not None

    def wake(self) -> None:
        """There are new events."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._wake.clear()
            pause = POLL_SECONDS
            try:
                await self._round()
            except StoreUnavailable as error:  # told of by the store itself
                log.debug("callbacks wait for the store: %s", error)
                pause = STORE_PAUSE_SECONDS
            except Exception:
                log.exception("a round of callbacks failed")
                pause = STORE_PAUSE_SECONDS
            await asyncio.sleep(PACE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def close(self) -> None:
        """After ``run`` has been cancelled: tell what can be told at once, then let another process lead."""
        with contextlib.suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._round()
                while self._attempts:
                    await asyncio.wait(self._attempts.values(), return_when=asyncio.FIRST_COMPLETED)
                    await self._round()
        left = list(self._attempts.values())
        for attempt in left:
            attempt.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._led_at is not None:
            self._led_at = None
            with contextlib.suppress(TimeoutError, StoreUnavailable):
                async with asyncio.timeout(RESIGN_SECONDS):
                    await self._outbox.resign(self._owner)

    # -- a round

    async def _round(self) -> None:
        spaces = await self._outbox.spaces()
        self.waiting = sum(space.waiting for space in spaces)
        self.dead = sum(space.dead for space in spaces)
        if self.dead:
            await self._purge()
        if not self.waiting:
            return
        if not await self._lead():
            return
        room = self._room(spaces)
        if not room:
            return
        now = int(self._clock())
        for callback in await self._outbox.due(now, room):
            # The lease may have run out while the store was asked.
            if not self._may_begin() or len(self._attempts) >= SENDS_LIMIT:
                return
            self._begin(callback)

    async def _lead(self) -> bool:
        """Whether this process may begin attempts; asks for the lease, or renews it, where it is time."""
        now = asyncio.get_running_loop().time()
        if self._led_at is not None and now - self._led_at < RENEW_SECONDS:
            return True
        # From before it was asked: the lease may be shorter than known here, never longer.
        if await self._outbox.lead(self._owner, int(self._clock()), LEASE_SECONDS):
            if self._led_at is None:
                log.info("this process delivers the callbacks")
            self._led_at = now
            return True
        self._led_at = None
        return False

    def _may_begin(self) -> bool:
        if self._led_at is None:
            return False
        age = asyncio.get_running_loop().time() - self._led_at
        return age + SEND_SECONDS + SKEW_SECONDS <= LEASE_SECONDS

    def _room(self, spaces: list[SpaceCounts]) -> dict[str, int]:
        """How many due events to ask for of each space: as many as there are places, behind those under way."""
        busy = Counter(name.unique_name for name in self._attempts)
        room = {}
        # In another order each time, so that where places are short no space is always the first to get them.
        for space in sorted(spaces, key=lambda _: self._chance()):
            if space.waiting:
                free = self._free(self._url_of(space.unique_name))
                if free > 0:
                    room[space.unique_name] = free + busy[space.unique_name]
        return room

    def _url_of(self, unique_name: str) -> str:
        target = self._target_of(unique_name)
        return "" if target is None else target.url

    def _free(self, url: str) -> int:
        most = PROBES_LIMIT if url in self._away else SENDS_PER_TARGET_LIMIT
        return most - self._attempts_at[url]

    def _begin(self, callback: Callback) -> None:
        target = self._target_of(callback.name.unique_name)
        url = "" if target is None else target.url
        if callback.name in self._attempts or self._free(url) <= 0:
            return
        self._attempts_at[url] += 1
        task = asyncio.create_task(self._attempt(callback, target), name=f"callback-{callback.number}")
        self._attempts[callback.name] = task

        def ended(_: asyncio.Task[None]) -> None:
            del self._attempts[callback.name]
            self._attempts_at[url] -= 1
            if not self._attempts_at[url]:
                del self._attempts_at[url]
            self._wake.set()

        task.add_done_callback(ended)

    async def _purge(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._purge_at:
            self._purge_at = now + PURGE_SECONDS
            await self._outbox.purge(int(self._clock()) - self._retention_seconds)

    # -- an attempt

    async def _attempt(self, callback: Callback, target: CallbackTarget | None) -> None:
        try:
            told = Told(Outcome.NO_TARGET) if target is None else await self._sender.send(target, callback)
        except Exception:
            log.exception("callback %d could not be sent", callback.number)
            told = Told(Outcome.BROKEN)
        if target is not None:
            (self._away.add if told.outcome in AWAY else self._away.discard)(target.url)
        if told.outcome is Outcome.ACCEPTED:
            self.delivered += 1
            if self._warned_at.pop(callback.name.unique_name, None) is not None:
                log.info("callbacks of space %s are accepted again", callback.name.unique_name)
            await self._written(lambda: self._outbox.done(callback))
            return
        self.failed[told.outcome] += 1
        now = self._clock()
        if now - callback.created_at >= GIVE_UP_SECONDS:
            self.given_up += 1
            self._warn(callback, target, told, "; it is given up: `openkls callbacks list --dead`")
            await self._written(lambda: self._outbox.give_up(callback, int(now), str(told)))
            return
        self._warn(callback, target, told, "; it is tried again")
        next_try = math.ceil(now + retry_delay_seconds(callback.attempts + 1, self._chance()))
        await self._written(lambda: self._outbox.put_off(callback, next_try, str(told)))

    async def _written(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write down what came of an attempt; until then its stream is not free for another."""
        while True:
            try:
                await write()
            except StoreUnavailable:
                await asyncio.sleep(STORE_PAUSE_SECONDS)
            else:
                return

    def _warn(self, callback: Callback, target: CallbackTarget | None, told: Told, and_now: str) -> None:
        now = asyncio.get_running_loop().time()
        space = callback.name.unique_name
        if now - self._warned_at.get(space, -WARN_SECONDS) < WARN_SECONDS:
            return
        self._warned_at[space] = now
        url = urlsplit("" if target is None else target.url)
        where = f"the server {url.scheme}://{url.netloc}" if url.netloc else "the server"
        log.warning("callback %d of space %s: %s %s%s", callback.number, space, where, told, and_now)
