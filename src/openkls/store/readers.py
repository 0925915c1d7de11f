"""The readers of the store. Rule: a question sees one state of the database, and never waits for the writer.

Theory of operation. A few threads, each taking an idle connection for one question: BEGIN, the question's statements,
COMMIT, so that the total and the rows of a page are of one moment. The deadline counts from the asking; a question
still running then is ended inside the database, so that late ones do not pile up; one that even so does not end hangs
in the network, and its line is cut.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.histogram import Histogram
from openkls.store.database import Database
from openkls.store.writer import CLOSE_SECONDS, DEADLINE_SECONDS, TroubleLog

# SQLite answers on the processor; the interpreter's lock lets little more than this run at once.
READERS = 4
# At 30 ms for the slowest usual question, what waits beyond this would be too late anyway.
ASKING_LIMIT = 256
# The database ends a late question by itself; whatever has not ended by then hangs in the network.
HANG_GRACE_SECONDS = 1.0

T = TypeVar("T")
Question = Callable[[Connection], T]


class _Line:
    """The connection on which a question is being asked, for who may have to cut it."""

    __slots__ = ("connection",)

    def __init__(self) -> None:
        self.connection: Connection | None = None


class Readers:
    """Answers questions on connections that only read."""

    def __init__(self, database: Database, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._database = database
        self._deadline_seconds = deadline_seconds
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="openkls-store-reader")
        self._idle: list[Connection] = []
        self._trouble = TroubleLog("reading from the store")
        self._closing = False
        self.asking = 0
        self.refused = 0
        self.late = 0
        self.took = Histogram()
        """Of the questions that were answered."""

    async def ask(self, question: Question[T]) -> T:
        """The answer of ``question``, a synchronous function of a connection.

        Raises StoreTimeout after the deadline and StoreUnavailable when too many ask or the database fails.
        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        if self.asking >= ASKING_LIMIT:
            self.refused += 1
            raise StoreUnavailable(f"{ASKING_LIMIT} questions wait already")
        began = time.monotonic()
        deadline = began + self._deadline_seconds
        loop = asyncio.get_running_loop()
        line = _Line()
        self.asking += 1
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answer = await loop.run_in_executor(self._threads, self._answer, question, deadline, line)
        except (TimeoutError, StoreTimeout):
            self.late += 1
            loop.call_later(HANG_GRACE_SECONDS, self._cut, line)
            raise StoreTimeout(f"no answer within {self._deadline_seconds:g} s") from None
        except StoreUnavailable as error:
            self._trouble.warn(str(error))
            raise
        finally:
            self.asking -= 1
        self.took.note(time.monotonic() - began)
        self._trouble.well()
        return answer

    async def close(self) -> None:
        """Wait for the questions asked, which end by their deadlines, and close the connections. Idempotent."""
        self._closing = True
        with contextlib.suppress(TimeoutError):  # a thread hangs in the disk
            await asyncio.wait_for(asyncio.to_thread(self._threads.shutdown), CLOSE_SECONDS)
        while self._idle:
            self._idle.pop().close()

    def _cut(self, line: _Line) -> None:
        connection = line.connection
        if connection is not None:
            self._database.abandon(connection, 0)

    # From here on: in a reader's thread.

    def _answer(self, question: Question[T], deadline: float, line: _Line) -> T:
        if time.monotonic() > deadline:
            raise StoreTimeout
        try:
            connection = self._begin(deadline, line)
            answer = question(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            if line.connection is not None:
                with contextlib.suppress(SQLAlchemyError):
                    line.connection.close()
            if not isinstance(error, DBAPIError):
                raise
            if self._database.interrupted(error):
                raise StoreTimeout from error
            raise StoreUnavailable(self._database.explain(error)) from error
        finally:
            line.connection = None
        self._idle.append(connection)
        return answer

    def _begin(self, deadline: float, line: _Line) -> Connection:
        while True:
            kept = self._take()
            try:
                connection = line.connection = kept or self._database.connect_reader()
                self._database.begin_reading(connection, deadline)
            except DBAPIError:
                # One that was good once may just be gone, as after a restart of the server: another, then a new one.
                if kept is None:
                    raise
                with contextlib.suppress(SQLAlchemyError):
                    kept.close()
                line.connection = None
            else:
                return connection

    def _take(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
