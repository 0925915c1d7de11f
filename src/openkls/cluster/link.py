"""The connection to Redis, and whether it is worth asking.

Rule: nothing waits for Redis longer than its deadline, and once it did not answer nobody asks it any more until it has.

Theory of operation. The link is up or down. A call that fails or is late takes it down, and from then on every call
raises ``ClusterUnavailable`` at once: a Redis that hangs costs one deadline and not one for each call. While it is down
``run`` tries every PROBE_SECONDS, on fresh connections, with a write and the scripts that the ports use, in one round
trip; when that succeeds the link is up, and whoever asked to be told is told. A failure of a call that was made before
the link last came up says nothing about it now.

A connection that breaks shows in more ways than redis-py (8.1) says: FAULTS are what was seen to come out of it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from openkls.domain.errors import ClusterUnavailable
from openkls.domain.histogram import Histogram

log = logging.getLogger("openkls.cluster")

T = TypeVar("T")

# A publish waits for a claim, a request for its rate: neither may wait longer. Redis answers in less than 1 ms.
DEADLINE_SECONDS = 0.5
# For what nobody waits for: the claims and the snapshot of a whole node, and the probe. A busy machine answers late.
BULK_DEADLINE_SECONDS = 2.0
PROBE_SECONDS = 0.5
# Calls at once; more stand in line for a connection, first come first served. If Redis hangs those in front find it out
# within their deadline, and those behind them are told when it is their turn, so that none waits much longer.
CONNECTIONS_LIMIT = 16
# RuntimeError: uvloop, when a connection that was just made is closed by the peer before it is first written to.
# AttributeError: redis-py, when a connection is closed between two of its steps.
FAULTS = (RedisError, OSError, TimeoutError, RuntimeError, AttributeError)


def heed_cancellation() -> None:
    """Raise CancelledError if this task has been cancelled: redis-py (8.1) now and then keeps a cancellation to itself,
    and a loop that missed it would run, and be waited for, for ever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextlib.contextmanager
def own_cancellation() -> Iterator[None]:
    """Let only a cancellation of this task through: who waits for a connection to close hears of the cancellation of
    everybody else who does, and a loop that took it for its own would end in silence."""
    try:
        yield
    except asyncio.CancelledError as error:
        heed_cancellation()
        raise ConnectionResetError("the connection was closed by another task") from error


class RedisLink:
    """The link of one process. ``scripts`` are loaded whenever it comes up."""

    def __init__(self, url: str, prefix: str, scripts: Sequence[str] = ()) -> None:
        """Raises ValueError for a URL that is none."""
        self.prefix = prefix
        self._url = url
        self._scripts = scripts
        # And one for the probe, which may run while late calls are still giving theirs back.
        self.redis = self.client(2 * CONNECTIONS_LIMIT)
        self._line = asyncio.Semaphore(CONNECTIONS_LIMIT)
        self._up_since: float | None = None
        self._generation = 0
        self._calls: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._told = False
        self.took = Histogram()
        """Of the calls that were answered."""
        self.failures = 0
        """Calls that failed or were late, since the start."""
        self.refused = 0
        """Calls that were not made because the link was down, since the start."""
        self.outages = 0
        """How often the link went down, since the start."""

    def client(self, connections: int) -> Redis:
        """A client of its own on the same Redis. Nothing is tried twice: the deadline is the caller's."""
        pool = ConnectionPool.from_url(
            self._url,
            max_connections=connections,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=DEADLINE_SECONDS,
            protocol=2,
        )
        return Redis.from_pool(pool)

    @property
    def up(self) -> bool:
        """Whether Redis is asked."""
        return self._up_since is not None

    @property
    def up_seconds(self) -> float:
        """For how long it has been; 0 while it is not."""
        return 0.0 if self._up_since is None else asyncio.get_running_loop().time() - self._up_since

    def on_up(self, call: Callable[[], None]) -> None:
        """Call this whenever the link comes up."""
        self._calls.append(call)

    async def ask(self, question: Callable[[Redis], Awaitable[T]], deadline_seconds: float = DEADLINE_SECONDS) -> T:
        """What Redis answers. Raises ClusterUnavailable, within the deadline."""
        self._refuse_while_down()
        async with self._line:
            self._refuse_while_down()
            return await self._ask(question, deadline_seconds)

    async def _ask(self, question: Callable[[Redis], Awaitable[T]], deadline_seconds: float) -> T:
        generation = self._generation
        began = time.monotonic()
        try:
            async with asyncio.timeout(deadline_seconds):
                with own_cancellation():
                    answer = await question(self.redis)
            heed_cancellation()
            self.took.note(time.monotonic() - began)
            return answer
        except FAULTS as error:
            heed_cancellation()
            self.failures += 1
            if generation == self._generation:
                self._go_down(error)
            raise ClusterUnavailable(f"Redis did not answer: {_text_of(error)}") from error

    def _refuse_while_down(self) -> None:
        if self._up_since is None:
            self.refused += 1
            raise ClusterUnavailable("Redis does not answer")

    async def try_now(self) -> bool:
        """Whether Redis answers; the link is up if so."""
        if self._up_since is not None:
            return True
        try:
            async with asyncio.timeout(BULK_DEADLINE_SECONDS):
                with own_cancellation():
                    await self._probe()
            heed_cancellation()
        except FAULTS as error:
            heed_cancellation()
            if not self._told:  # it never was up
                self._tell_down(error)
            return False
        self._up_since = asyncio.get_running_loop().time()
        self._generation += 1
        if self._told:
            log.warning("Redis answers again")
        self._told = False
        for call in self._calls:
            call()
        return True

    async def _probe(self) -> None:
        # What is left in the pool is dead, or was late. Calls under way give theirs back within their deadline.
        await self.redis.connection_pool.disconnect(inuse_connections=False)
        pipe = self.redis.pipeline(transaction=False)
        pipe.set(f"{self.prefix}probe", b"1", px=int(PROBE_SECONDS * 1000))
        for script in self._scripts:
            pipe.script_load(script)
        await pipe.execute()

    async def run(self) -> None:
        """Bring the link up whenever it is down, until cancelled."""
        while True:
            self._wake.clear()
            if await self.try_now():
                await self._wake.wait()  # and then at once: it may have been one connection only
            else:
                await asyncio.sleep(PROBE_SECONDS)

    def doubt(self, error: BaseException) -> None:
        """A connection that is always open was lost: Redis may have come and gone, and what it held with it, while
        nobody here asked it anything."""
        self._go_down(error)

    async def close(self) -> None:
        """Close all connections."""
        self._up_since = None
        with contextlib.suppress(*FAULTS):
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self.redis.aclose()

    def _go_down(self, error: BaseException) -> None:
        if self._up_since is None:
            return
        self._up_since = None
        self.outages += 1
        self._wake.set()
        self._tell_down(error)

    def _tell_down(self, error: BaseException) -> None:
        self._told = True
        log.error(
            "Redis does not answer: %s; live streams go on, and this process admits, lists and counts by itself",
            _text_of(error),
        )


def _text_of(error: BaseException) -> str:
    return str(error) or type(error).__name__
