"""The one writer of the store. Rule: a caller learns of success only after COMMIT has returned.

Theory of operation. Writes wait in one queue, first come, first served. One task takes what waits, at most
BATCH_LIMIT, and hands it in one hop to the writer's thread, which does it in one transaction and so with one sync of
the disk; whatever comes meanwhile is the next batch. In a batch each write has a savepoint: one that fails is undone
alone. When the transaction itself fails, all its writes fail.

One hop a batch, with the driver's plain connection, is why this is not SQLAlchemy's asyncio extension: there every
statement is several hops to aiosqlite's thread, also inside run_sync. Measured for a ban (four statements, with
savepoint) on 2 cores: 0.45 ms against 1.7 ms alone, 59 microseconds against 1.3 ms each in a batch of 256.

Whoever waits has a deadline. A write whose deadline passes before it was begun is withdrawn: its caller was told, and
will try again if it matters. A write whose caller was cancelled is done all the same, as nobody will try again.
While another process locks the database, or when its locks and ours have crossed, nothing is done, and the writes
stay in the queue.

``pending`` is what writes leave to be done once for the whole batch, before COMMIT: the counts of
history, then the events of callbacks. A write that fails takes back what it left.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.histogram import Histogram
from openkls.store.database import Database

# A batch holds the interpreter for about 60 microseconds a write; more than this at once would be felt by the media
# plane, and the sync of the disk is spread thin enough.
BATCH_LIMIT = 128
# Two seconds' worth, the deadline, at 2,000 writes a second: what waits beyond would be too late anyway.
WAITING_LIMIT = 4096
DEADLINE_SECONDS = 2.0
# Half of the 10 s in which the service ends.
CLOSE_SECONDS = 5.0
LOG_EVERY_SECONDS = 1.0
# A statement that takes longer hangs in the network: even on a busy machine they take milliseconds.
HANG_SECONDS = 5.0

T = TypeVar("T")
Write = Callable[[Connection], T]
_Outcome = tuple[Any, Exception | None]

_log = logging.getLogger("openkls.store")


class Pending(Protocol):
    """What the writes of a batch leave for its end."""

    def mark(self) -> int:
        """How much there is."""
        ...

    def rewind(self, mark: int) -> None:
        """Forget what has come since ``mark``; 0 forgets all."""
        ...

    def settle(self, connection: Connection) -> None:
        """Do it, all of it, and forget it."""
        ...

    def committed(self) -> None:
        """What was settled is durable; in the event loop."""
        ...


class _Locked(Exception):
    """Another process holds the lock; nothing was done."""


class _Job:
    """A write that waits, and who waits for it."""

    __slots__ = ("done", "withdrawn", "write")

    def __init__(self, write: Write[Any], done: asyncio.Future[Any]) -> None:
        self.write = write
        self.done = done
        self.withdrawn = False


class TroubleLog:
    """Warns of a trouble at most once in LOG_EVERY_SECONDS and says when it is over."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._silent_until = 0.0
        self._unsaid = 0
        self.last = ""
        """The trouble of now; empty when all is well."""

    def warn(self, text: str) -> None:
        """Note a failure."""
        self.last = text
        now = time.monotonic()
        if now < self._silent_until:
            self._unsaid += 1
            return
        self._silent_until = now + LOG_EVERY_SECONDS
        more = f" (and {self._unsaid} more times)" if self._unsaid else ""
        self._unsaid = 0
        _log.warning("%s fails: %s%s", self._doing, text, more)

    def well(self) -> None:
        """Note a success."""
        if self.last:
            self.last = ""
            _log.info("%s works again", self._doing)


class Writer:
    """Does writes, in order and durably, on the only connection that writes."""

    def __init__(
        self, database: Database, *, deadline_seconds: float = DEADLINE_SECONDS, pending: Sequence[Pending] = ()
    ) -> None:
        self._database = database
        self._pending = pending
        self._deadline_seconds = deadline_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="openkls-store-writer")
        self._connection: Connection | None = None
        # A dict as an ordered set: a withdrawn write leaves from the middle at once.
        self._waiting: dict[_Job, None] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._trouble = TroubleLog("writing to the store")
        self.batches = 0
        self.refused = 0
        self.late = 0
        self.took = Histogram()
        """Of the writes that were waited for, from the call to its durable end."""
        self._task = asyncio.create_task(self._run(), name="openkls-store-writer")

    @property
    def waiting(self) -> int:
        """How many writes wait for their turn."""
        return len(self._waiting)

    async def write(self, write: Write[T]) -> T:
        """Do ``write`` in a transaction of the writer's thread and return its result once that is durable.

        ``write`` is synchronous and must be safe to repeat. Raises StoreTimeout after the deadline (it may have been
        done then), StoreUnavailable when the queue is full or the database fails, and whatever ``write`` raises.
        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        if len(self._waiting) >= WAITING_LIMIT:
            self.refused += 1
            trouble = f"{WAITING_LIMIT} writes wait already"
            self._trouble.warn(f"{trouble}; {self._trouble.last}" if self._trouble.last else trouble)
            raise StoreUnavailable(trouble)
        job = _Job(write, asyncio.get_running_loop().create_future())
        self._waiting[job] = None
        self._wake.set()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                result: T = await job.done
                self.took.note(time.monotonic() - began)
                return result
        except TimeoutError:
            job.withdrawn = True
            self._waiting.pop(job, None)
            self.late += 1
            because = f": {self._trouble.last}" if self._trouble.last else ""
            raise StoreTimeout(f"not written within {self._deadline_seconds:g} s{because}") from None

    async def close(self) -> None:
        """Finish what waits, within CLOSE_SECONDS, and close the connection. Idempotent."""
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        lost, self._waiting = self._waiting, {}
        _settle_all(lost, StoreUnavailable("the store was closed"))
        if lost:
            _log.warning("the store was closed with %d writes undone", len(lost))
        with contextlib.suppress(RuntimeError, TimeoutError):  # closed before, or the thread hangs in the disk
            closing = asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            await asyncio.wait_for(closing, CLOSE_SECONDS)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            if not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                continue
            batch = list(itertools.islice(self._waiting, BATCH_LIMIT))
            for job in batch:
                del self._waiting[job]
            try:
                outcomes = await self._patiently(loop.run_in_executor(self._thread, self._transact, batch))
            except _Locked as error:
                self._trouble.warn(str(error))
                again = {job: None for job in batch if not job.withdrawn}
                self._waiting = again | self._waiting
            except asyncio.CancelledError:
                _settle_all(batch, StoreUnavailable("the store was closed"))
                raise
            except StoreUnavailable as error:
                self._trouble.warn(str(error))
                _settle_all(batch, error)
            except Exception as error:  # noqa: BLE001 - a bug in one batch must not end the writer
                _log.exception("a batch of %d writes failed", len(batch))
                _settle_all(batch, StoreUnavailable(f"a write failed: {type(error).__name__}"))
            else:
                self._settle(batch, outcomes)

    async def _patiently(self, work: "asyncio.Future[list[_Outcome]]") -> list[_Outcome]:
        """The outcome of a batch; a line that answers nothing for HANG_SECONDS is cut."""
        while not (await asyncio.wait({work}, timeout=HANG_SECONDS))[0]:
            kept = self._connection
            if kept is not None and self._database.abandon(kept, HANG_SECONDS):
                _log.warning("the database has not answered for %g s; the connection is cut", HANG_SECONDS)
        return await work

    def _settle(self, batch: list[_Job], outcomes: list[_Outcome]) -> None:
        self.batches += 1
        for pending in self._pending:
            pending.committed()
        broken = [error for _, error in outcomes if isinstance(error, StoreUnavailable)]
        for error in broken:
            self._trouble.warn(str(error))
        if not broken:
            self._trouble.well()
        for job, (result, failure) in zip(batch, outcomes, strict=True):
            if job.done.done():
                continue
            if failure is None:
                job.done.set_result(result)
            else:
                _fail(job, failure)

    # From here on: in the writer's thread.

    def _transact(self, batch: list[_Job]) -> list[_Outcome]:
        connection = self._begin()
        committing = False
        try:
            outcomes = [self._attempt(connection, job) for job in batch]
            for pending in self._pending:
                pending.settle(connection)
            committing = True
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            for pending in self._pending:
                pending.rewind(0)
            self._roll_back(connection, error)
            if isinstance(error, DBAPIError):
                why = self._database.explain(error)
                if self._database.again(error) and not committing:
                    raise _Locked(why) from error
                raise StoreUnavailable(why) from error
            raise
        return outcomes

    def _begin(self) -> Connection:
        while True:
            kept = self._connection
            try:
                connection = self._connection = kept or self._database.connect_writer()
                self._database.begin_writing(connection)
            except DBAPIError as error:
                if self._database.again(error):
                    raise _Locked(self._database.explain(error)) from error
                self._disconnect()
                # A connection that was good once may just be gone: nothing was begun, so try a new one.
                if kept is None:
                    raise StoreUnavailable(self._database.explain(error)) from error
            else:
                return connection

    def _attempt(self, connection: Connection, job: _Job) -> _Outcome:
        if job.withdrawn:  # while this batch waited for a lock
            return None, None
        connection.exec_driver_sql("SAVEPOINT one")
        marks = [pending.mark() for pending in self._pending]
        try:
            result = job.write(connection)
        except Exception as error:
            if not self._database.in_transaction(connection):
                raise
            if isinstance(error, DBAPIError) and self._database.again(error):
                raise
            for pending, mark in zip(self._pending, marks, strict=True):
                pending.rewind(mark)
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT one")
            connection.exec_driver_sql("RELEASE SAVEPOINT one")
            if not isinstance(error, DBAPIError):
                return None, error
            failure = StoreUnavailable(self._database.explain(error))
            failure.__cause__ = error
            return None, failure
        connection.exec_driver_sql("RELEASE SAVEPOINT one")
        return result, None

    def _roll_back(self, connection: Connection, error: BaseException) -> None:
        """Undo the transaction; keep the connection only when nothing is wrong with it."""
        try:
            if self._database.in_transaction(connection):
                connection.exec_driver_sql("ROLLBACK")
            if isinstance(error, DBAPIError) and self._database.usable(error):
                return
        except SQLAlchemyError:
            _log.debug("rolling back failed; a new connection follows", exc_info=True)
        self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.close()


def _settle_all(jobs: Iterable[_Job], error: StoreUnavailable) -> None:
    for job in jobs:
        if not job.done.done():
            # One exception object raised in many tasks would gather all their tracebacks.
            _fail(job, type(error)(*error.args))


def _fail(job: _Job, error: Exception) -> None:
    job.done.set_exception(error)
    # Looked at once, so that the loop does not complain when the deadline passes at this very moment.
    job.done.exception()
