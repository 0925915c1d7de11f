"""The writer and the readers under trouble: bad writes, full disk, locks, deadlines, cancellation, full queues."""

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.store import readers, writer
from openkls.store.readers import Readers
from openkls.store.sqlite import Sqlite
from openkls.store.writer import Writer

PATIENCE_SECONDS = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Sqlite:
    found = Sqlite(tmp_path / "test.db")
    connection = found.connect_writer()
    connection.exec_driver_sql("CREATE TABLE notes (word TEXT PRIMARY KEY, filler BLOB)")
    connection.close()
    return found


@pytest.fixture
async def scribe(database: Sqlite) -> AsyncIterator[Writer]:
    made = Writer(database, deadline_seconds=PATIENCE_SECONDS)
    yield made
    await made.close()


def add(word: str, filler_bytes: int = 0) -> Callable[[Connection], str]:
    def write(connection: Connection) -> str:
        connection.exec_driver_sql("INSERT INTO notes VALUES (?, zeroblob(?))", (word, filler_bytes))
        return word

    return write


def words(database: Sqlite) -> list[str]:
    """What another process would see."""
    other = sqlite3.connect(database.path)
    try:
        return [word for (word,) in other.execute("SELECT word FROM notes ORDER BY rowid")]
    finally:
        other.close()


@contextmanager
def locked(database: Sqlite) -> Iterator[None]:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


class Gate:
    """A write that holds the writer's thread until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.entered.set()
        assert self.let_go.wait(PATIENCE_SECONDS)

    async def hold(self, scribe: Writer) -> "asyncio.Task[None]":
        task = asyncio.create_task(scribe.write(self))
        await asyncio.to_thread(self.entered.wait, PATIENCE_SECONDS)
        return task


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not fact():  # noqa: ASYNC110 - the fact is another thread's
            await asyncio.sleep(0.005)


async def test_result_comes_when_the_row_is_there_for_others(scribe: Writer, database: Sqlite) -> None:
    assert await scribe.write(add("one")) == "one"
    assert words(database) == ["one"]


async def test_what_waits_is_one_batch_in_order(scribe: Writer, database: Sqlite) -> None:
    gate = Gate()
    held = await gate.hold(scribe)
    waiting = [asyncio.create_task(scribe.write(add(f"w{n}"))) for n in range(writer.BATCH_LIMIT)]
    await until(lambda: scribe.waiting == writer.BATCH_LIMIT)
    gate.let_go.set()
    await asyncio.gather(held, *waiting)
    assert words(database) == [f"w{n}" for n in range(writer.BATCH_LIMIT)]
    assert scribe.batches == 2


async def test_one_more_than_a_batch_waits_for_the_next(scribe: Writer) -> None:
    gate = Gate()
    held = await gate.hold(scribe)
    waiting = [asyncio.create_task(scribe.write(add(f"w{n}"))) for n in range(writer.BATCH_LIMIT + 1)]
    await until(lambda: scribe.waiting == writer.BATCH_LIMIT + 1)
    gate.let_go.set()
    await asyncio.gather(held, *waiting)
    assert scribe.batches == 3


async def test_bad_write_fails_alone_and_leaves_nothing(scribe: Writer, database: Sqlite) -> None:
    def half(connection: Connection) -> None:
        add("half")(connection)
        raise LookupError("a rule said no")

    def bug(connection: Connection) -> None:
        add("bug")(connection)
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")

    gate = Gate()
    held = await gate.hold(scribe)
    waiting = [
        asyncio.create_task(scribe.write(write)) for write in (add("a"), half, add("b"), add("a"), bug, add("c"))
    ]
    await until(lambda: scribe.waiting == len(waiting))
    gate.let_go.set()
    await held
    a, no, b, twice, nowhere, c = await asyncio.gather(*waiting, return_exceptions=True)
    assert (a, b, c) == ("a", "b", "c")
    assert isinstance(no, LookupError)
    assert isinstance(twice, StoreUnavailable)
    assert "UNIQUE" in str(twice)
    assert isinstance(nowhere, StoreUnavailable)
    assert words(database) == ["a", "b", "c"]
    assert scribe.batches == 2


async def test_full_disk_is_said_and_survived(
    scribe: Writer, database: Sqlite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "openkls.store")

    def room(pages: int) -> Callable[[Connection], None]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").close()

    await scribe.write(room(20))
    outcomes = await asyncio.gather(
        *(scribe.write(add(f"big{n}", filler_bytes=30_000)) for n in range(8)), return_exceptions=True
    )
    kept = [outcome for outcome in outcomes if isinstance(outcome, str)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
    assert len(kept) + len(failed) == 8
    assert failed
    assert all("the disk is full: free space" in str(failure) for failure in failed)
    assert words(database) == kept
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert 1 <= len(warnings) <= 2  # not one a failure
    await scribe.write(room(10_000))
    await asyncio.gather(*(scribe.write(add(f"more{n}", filler_bytes=30_000)) for n in range(8)))
    assert len(words(database)) == len(kept) + 8
    assert "writing to the store works again" in caplog.messages


async def test_failed_commit_fails_the_batch_and_the_next_succeeds(scribe: Writer, database: Sqlite) -> None:
    def dangle(connection: Connection) -> None:
        # A deferred foreign key is looked at by COMMIT.
        connection.exec_driver_sql("CREATE TABLE child (n TEXT REFERENCES notes(word) DEFERRABLE INITIALLY DEFERRED)")
        connection.exec_driver_sql("INSERT INTO child VALUES (7)")

    gate = Gate()
    held = await gate.hold(scribe)
    waiting = [asyncio.create_task(scribe.write(write)) for write in (add("a"), dangle, add("b"))]
    await until(lambda: scribe.waiting == 3)
    gate.let_go.set()
    await held
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 3
    assert words(database) == []
    assert await scribe.write(add("a")) == "a"


async def test_lock_of_another_process_is_waited_out(scribe: Writer, database: Sqlite) -> None:
    with locked(database):
        waiting = asyncio.create_task(scribe.write(add("patient")))
        await until(lambda: "SQLITE_BUSY" in scribe._trouble.last)
        assert not waiting.done()
    assert await waiting == "patient"


async def test_lock_held_too_long_is_a_timeout_and_the_write_is_withdrawn(database: Sqlite) -> None:
    scribe = Writer(database, deadline_seconds=0.4)
    with locked(database):
        with pytest.raises(StoreTimeout, match="another process holds a lock"):
            await scribe.write(add("late"))
        assert scribe.late == 1
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await scribe.write(add("next"))
                break
            except StoreTimeout:  # the driver may still sleep on the lock
                continue
    assert words(database) == ["next"]
    await scribe.close()


async def test_write_begun_before_its_deadline_is_done(database: Sqlite) -> None:
    scribe = Writer(database, deadline_seconds=0.2)
    gate = Gate()

    def slow(connection: Connection) -> None:
        add("slow")(connection)
        gate(connection)

    with pytest.raises(StoreTimeout):
        await scribe.write(slow)
    gate.let_go.set()
    await until(lambda: words(database) == ["slow"])
    await scribe.close()


async def test_cancelled_caller_neither_stops_the_writer_nor_its_write(scribe: Writer, database: Sqlite) -> None:
    gate = Gate()
    held = await gate.hold(scribe)
    leaving = asyncio.create_task(scribe.write(add("left behind")))
    staying = asyncio.create_task(scribe.write(add("stayed")))
    await until(lambda: scribe.waiting == 2)
    leaving.cancel()
    held.cancel()  # in the midst of its write
    await asyncio.gather(leaving, held, return_exceptions=True)
    assert leaving.cancelled()
    gate.let_go.set()
    assert await staying == "stayed"
    assert words(database) == ["left behind", "stayed"]


async def test_full_queue_refuses_at_once(scribe: Writer, database: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "WAITING_LIMIT", 3)
    gate = Gate()
    held = await gate.hold(scribe)
    waiting = [asyncio.create_task(scribe.write(add(f"w{n}"))) for n in range(3)]
    await until(lambda: scribe.waiting == 3)
    with pytest.raises(StoreUnavailable, match="3 writes wait already"):
        await scribe.write(add("w3"))
    assert scribe.refused == 1
    gate.let_go.set()
    await asyncio.gather(held, *waiting)
    assert await scribe.write(add("w4")) == "w4"
    assert words(database) == ["w0", "w1", "w2", "w4"]


async def test_lost_connection_is_made_anew(scribe: Writer, database: Sqlite) -> None:
    def cut(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.close()

    await scribe.write(add("before"))
    with pytest.raises(StoreUnavailable):
        await scribe.write(cut)
    assert await scribe.write(add("after")) == "after"
    assert scribe._connection is not None
    cut(scribe._connection)  # between two writes nobody notices
    assert await scribe.write(add("later")) == "later"
    assert words(database) == ["before", "after", "later"]


async def test_close_finishes_what_waits_and_refuses_more(database: Sqlite) -> None:
    scribe = Writer(database, deadline_seconds=PATIENCE_SECONDS)
    gate = Gate()
    held = await gate.hold(scribe)
    waiting = [asyncio.create_task(scribe.write(add(f"w{n}"))) for n in range(300)]
    await until(lambda: scribe.waiting == 300)
    closing = asyncio.create_task(scribe.close())
    gate.let_go.set()
    await asyncio.gather(held, closing)
    await scribe.close()
    assert len(await asyncio.gather(*waiting)) == 300
    with pytest.raises(StoreUnavailable, match="closed"):
        await scribe.write(add("late"))
    assert "test.db-wal" not in os.listdir(database.path.parent)


async def test_close_gives_up_on_a_lock_and_tells_the_callers(
    database: Sqlite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "CLOSE_SECONDS", 0.5)
    scribe = Writer(database, deadline_seconds=PATIENCE_SECONDS)
    with locked(database):
        waiting = asyncio.create_task(scribe.write(add("never")))
        await until(lambda: bool(scribe._trouble.last))
        await scribe.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await waiting
    assert words(database) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind the superuser")
async def test_read_only_file_is_explained(database: Sqlite) -> None:
    database.path.chmod(0o400)
    scribe = Writer(database)
    with pytest.raises(StoreUnavailable, match="check the owner and mode"):
        await scribe.write(add("no"))
    await scribe.close()


async def test_readers_do_not_wait_for_the_writer_and_see_no_half_write(scribe: Writer, database: Sqlite) -> None:
    asked = Readers(database, deadline_seconds=PATIENCE_SECONDS)
    gate = Gate()

    def half(connection: Connection) -> None:
        add("half")(connection)
        gate(connection)

    held = asyncio.create_task(scribe.write(half))
    await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)
    count = await asked.ask(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM notes").scalar())
    assert count == 0
    gate.let_go.set()
    await held
    count = await asked.ask(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM notes").scalar())
    assert count == 1
    await asked.close()


async def test_reader_cannot_write_and_goes_on_after_a_failure(database: Sqlite) -> None:
    asked = Readers(database, deadline_seconds=PATIENCE_SECONDS)
    with pytest.raises(StoreUnavailable, match="READONLY"):
        await asked.ask(add("no"))
    assert await asked.ask(lambda connection: connection.exec_driver_sql("SELECT 7").scalar()) == 7
    await asked.close()
    await asked.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await asked.ask(lambda connection: 0)


async def test_late_reading_is_ended_inside_the_database(database: Sqlite) -> None:
    asked = Readers(database, deadline_seconds=0.2)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    began = time.monotonic()
    answers = await asyncio.gather(
        *(asked.ask(lambda connection: connection.exec_driver_sql(endless).scalar()) for _ in range(8)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreTimeout] * 8
    assert asked.late == 8
    await asked.close()  # waits for the threads: they have ended
    assert time.monotonic() - began < PATIENCE_SECONDS


async def test_too_many_questions_are_refused_at_once(database: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "ASKING_LIMIT", 3)
    asked = Readers(database, deadline_seconds=PATIENCE_SECONDS)
    gate = Gate()
    waiting = [asyncio.create_task(asked.ask(gate)) for _ in range(3)]
    await until(lambda: asked.asking == 3)
    with pytest.raises(StoreUnavailable, match="3 questions"):
        await asked.ask(gate)
    assert asked.refused == 1
    gate.let_go.set()
    await asyncio.gather(*waiting)
    assert asked.asking == 0
    await asked.close()
