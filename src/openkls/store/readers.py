"""The readers of the store. Rule: a question sees one state of the database, and never waits for the writer.

Theory of operation. A few threads, each taking an idle connection for one question: BEGIN, the question's statements,
COMMIT, so that the total and the rows of a page are of one moment. The deadline counts from the asking; a question
still running then is ended inside the database, so that late ones do not pile up.
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
from openkls.store.sqlite import Sqlite
from openkls.store.writer import CLOSE_SECONDS, DEADLINE_SECONDS, TroubleLog

# SQLite answers on the processor; the interpreter's lock lets little more than this run at once.
READERS = 4
# At 30 ms for the slowest usual question, what waits beyond this would be too late anyway.
ASKING_LIMIT = 256

T = TypeVar("T")
Question = Callable[[Connection], T]


class Readers:
    """Answers questions on connections that only read."""

    def __init__(self, database: Sqlite, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._database = database
        self._deadline_seconds = deadline_seconds
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="openkls-store-reader")
        self._idle: list[Connection] = []
        self._trouble = TroubleLog("reading from the store")
        self._closing = False
        self.asking = 0
        self.refused = 0
        self.late = 0

    async def ask(self, question: Question[T]) -> T:
        """The answer of ``question``, a synchronous function of a connection.

        Raises StoreTimeout after the deadline and StoreUnavailable when too many ask or the database fails.
        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        if self.asking >= ASKING_LIMIT:
            self.refused += 1
            raise StoreUnavailable(f"{ASKING_LIMIT} questions wait already")
        deadline = time.monotonic() + self._deadline_seconds
        loop = asyncio.get_running_loop()
        self.asking += 1
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answer = await loop.run_in_executor(self._threads, self._answer, question, deadline)
        except (TimeoutError, StoreTimeout):
            self.late += 1
            raise StoreTimeout(f"no answer within {self._deadline_seconds:g} s") from None
        except StoreUnavailable as error:
            self._trouble.warn(str(error))
            raise
        finally:
            self.asking -= 1
        self._trouble.well()
        return answer

    async def close(self) -> None:
        """Wait for the questions asked, which end by their deadlines, and close the connections. Idempotent."""
        self._closing = True
        with contextlib.suppress(TimeoutError):  # a thread hangs in the disk
            await asyncio.wait_for(asyncio.to_thread(self._threads.shutdown), CLOSE_SECONDS)
        while self._idle:
            self._idle.pop().close()

    # From here on: in a reader's thread.

    def _answer(self, question: Question[T], deadline: float) -> T:
        if time.monotonic() > deadline:
            raise StoreTimeout
        connection: Connection | None = None
        try:
            connection = self._take()
            self._database.limit(connection, deadline)
            connection.exec_driver_sql(self._database.begin_reading)
            answer = question(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            if connection is not None:
                with contextlib.suppress(SQLAlchemyError):
                    connection.close()
            if not isinstance(error, DBAPIError):
                raise
            if self._database.interrupted(error):
                raise StoreTimeout from error
            raise StoreUnavailable(self._database.explain(error)) from error
        self._idle.append(connection)
        return answer

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._database.connect_reader()
