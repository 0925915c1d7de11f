"""What is PostgreSQL's own: several processes at once, restarts, stalled lines, days of history, and clear errors."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from openkls.domain.audit import AuditEntry, Author
from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.ports import HistoryPage
from openkls.store import SetupError, Store, open_store, readers, writer
from openkls.store.database import open_database
from openkls.store.engine import prepare
from openkls.store.questions import count_statement, page_statement
from openkls.store.secrets import Seal
from openkls.store.walk import NEVER
from support_store import KEY, NOON, SECRET, build_facts, build_query, build_row, check_exact
from tools.postgres import PrivatePostgres

PATIENCE_SECONDS = 30.0
DAY = NOON - NOON % 86400


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
async def other(url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """Another process's store on the same database."""
    opened = await open_store(url, tmp_path, SECRET, deadline_seconds=20)
    yield opened
    await opened.close()


async def works_again(ask: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await ask()  # type: ignore[misc]
            except (StoreUnavailable, StoreTimeout):
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET outcome = '0'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE number = 77"],
)
async def test_no_program_changes_or_removes_a_row_of_the_audit(
    store: Store, postgres: PrivatePostgres, url: str, statement: str
) -> None:
    author = Author("AK1", "192.0.2.1", "req-1")
    await store.audit.append(AuditEntry(NOON, "2000001", author, "ForbidStream", "s", "8201", ""))
    name = url.partition("?")[0].rpartition("/")[2]
    with pytest.raises(Exception, match="psql") as caught:
        postgres.sql(name, statement)
    assert "audit is append-only" in caught.value.stderr  # type: ignore[attr-defined]
    assert postgres.sql(name, "SELECT outcome FROM audit") == "8201"


async def test_versions_of_two_processes_are_one_order_without_gaps(store: Store, other: Store) -> None:
    from dataclasses import replace

    bans = await asyncio.gather(
        *(
            side.blacklist.forbid(replace(KEY, stream=f"s{n}"), NOON, NOON + 60, permanent=False)
            for n in range(150)
            for side in (store, other)
        )
    )
    made = [ban.version for ban in bans if ban is not None]
    assert sorted(made) == list(range(1, 151))  # the same second: one of the two
    assert [ban.version for ban in await other.blacklist.since(0)] == list(range(1, 151))
    keys = await asyncio.gather(
        *(side.keys.create("1", f"AK{side is store}{n}", "s", NOON) for n in range(40) for side in (store, other))
    )
    assert sorted(key.version for key in keys) == list(range(1, 81))


async def test_two_processes_count_into_the_same_cells(store: Store, other: Store) -> None:
    rows = [build_row(pub_time=DAY + n * 61) for n in range(1200)]
    await asyncio.gather(*((store, other)[n % 2].history.close(row) for n, row in enumerate(rows)))
    found = await check_exact(store)
    assert found["", False, 86400, DAY] == 1200


async def test_crossed_locks_are_undone_and_done_again(store: Store, other: Store) -> None:
    met = threading.Barrier(2, timeout=PATIENCE_SECONDS)

    def hold(side: Store, first: str, second: str) -> Callable[[Connection], str]:
        tries = []

        def write(connection: Connection) -> str:
            side.database.hold(connection, first)
            if not tries:
                tries.append(1)
                met.wait()
            side.database.hold(connection, second)
            return f"{first}{second}"

        return write

    answers = await asyncio.gather(store.writer.write(hold(store, "a", "b")), other.writer.write(hold(other, "b", "a")))
    assert answers == ["ab", "ba"]


async def test_days_too_old_go_as_tables_with_their_counts(store: Store, postgres: PrivatePostgres, url: str) -> None:
    for day in range(5):
        for n in range(4):
            await store.history.close(build_row(pub_time=DAY + day * 86400 + n, fin_time=DAY + day * 86400 + n + 9))
    await store.history.close(build_row(pub_time=DAY, fin_time=DAY + 4 * 86400))
    name = url.partition("?")[0].rpartition("/")[2]
    tables = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'history'::regclass"
    assert postgres.sql(name, tables) == "5"
    assert await store.history.purge(DAY + 3 * 86400) == 12
    assert postgres.sql(name, tables) == "2"
    found = await check_exact(store)
    assert found["", False, 86400, DAY] == 1
    assert await store.history.purge(DAY + 3 * 86400) == 0
    # One that ended on a day that is gone, as from a journal written out late, still finds its place.
    await store.history.close(build_row(pub_time=DAY + 1, fin_time=DAY + 2))
    assert (await check_exact(store))["", False, 86400, DAY] == 2


async def test_day_dropped_by_another_process_is_made_again(store: Store, other: Store) -> None:
    await store.history.close(build_row())
    await store.history.close(build_row())
    assert await other.history.purge(NOON + 10 * 86400) == 2
    await store.history.close(build_row())
    assert (await check_exact(other))["", False, 86400, DAY] == 1


async def test_several_processes_may_start_at_once(postgres: PrivatePostgres, tmp_path: Path) -> None:
    url = postgres.create("together")
    opened = await asyncio.gather(*(open_store(url, tmp_path, SECRET, deadline_seconds=20) for _ in range(4)))
    await opened[0].history.close(build_row())
    assert (await opened[3].history.page(build_query())).total == 1
    for store in opened:
        await store.close()
    postgres.drop("together")


async def test_reader_sees_one_moment_and_cannot_write(store: Store, other: Store) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> list[int]:
        count = text("SELECT count(*) FROM history")
        first = connection.execute(count).scalar_one()
        begun.set()
        assert let_go.wait(PATIENCE_SECONDS)
        return [first, connection.execute(count).scalar_one()]

    asked = asyncio.create_task(store.readers.ask(slow))
    await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
    await other.history.close(build_row())
    let_go.set()
    assert await asked == [0, 0]
    with pytest.raises(StoreUnavailable, match="25006"):
        await store.readers.ask(lambda connection: connection.execute(text("DELETE FROM history")))


async def test_late_reading_is_ended_by_the_server(url: str, tmp_path: Path) -> None:
    store = await open_store(url, tmp_path, SECRET, deadline_seconds=0.5)
    answers = await asyncio.gather(
        *(store.readers.ask(lambda connection: connection.execute(text("SELECT pg_sleep(60)"))) for _ in range(8)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreTimeout] * 8
    assert (await store.history.page(build_query())).total == 0
    await store.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_restart_of_the_server_is_survived(tmp_path: Path, how: signal.Signals) -> None:
    with PrivatePostgres() as server:
        store = await open_store(server.create("kls"), tmp_path, SECRET, deadline_seconds=5)
        row = build_row()
        await store.history.close(row)
        for _ in range(4):
            await store.history.page(build_query())
        await asyncio.to_thread(server.stop, how)
        with pytest.raises(StoreUnavailable, match="by itself when it is back"):
            await store.history.close(build_row())
        with pytest.raises(StoreUnavailable):
            await store.history.page(build_query())
        await asyncio.to_thread(server.start)
        again = build_row()
        await works_again(lambda: store.history.close(again))
        await works_again(lambda: store.history.page(build_query()))
        page: HistoryPage = await store.history.page(build_query())
        assert {each.facts.session_id for each in page.rows} == {row.facts.session_id, again.facts.session_id}
        await check_exact(store)
        await store.close()


class Stall:
    """A proxy before the server's socket that takes bytes and, while it stalls, hands none on."""

    def __init__(self, target: Path) -> None:
        self.flows = threading.Event()
        self.flows.set()
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._target))
                self._lines += [near, far]
                for one, two in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, two), daemon=True).start()

    def _pass(self, one: socket.socket, two: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                self.flows.wait()
                two.sendall(piece)
        with contextlib.suppress(OSError):
            two.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.flows.set()
        for line in [self._door, *self._lines]:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()


@pytest.fixture
def stall(postgres: PrivatePostgres) -> Iterator[Stall]:
    proxy = Stall(postgres.socket)
    yield proxy
    proxy.close()


async def test_stalled_line_is_cut_and_holds_nobody_up(
    url: str, tmp_path: Path, stall: Stall, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "HANG_SECONDS", 1.5)
    monkeypatch.setattr(readers, "HANG_GRACE_SECONDS", 0.3)
    name = url.partition("?")[0].rpartition("/")[2]
    behind = await open_store(
        f"postgresql://openkls@127.0.0.1:{stall.port}/{name}", tmp_path, SECRET, deadline_seconds=1
    )
    await behind.history.begin_boot("boot1", "node1", NOON)
    await behind.history.open(build_facts())
    await behind.history.page(build_query())
    stall.flows.clear()
    answers = await asyncio.gather(
        behind.history.close(build_row()),
        *(behind.history.page(build_query()) for _ in range(4)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [StoreTimeout] * 5
    # Others are not held up for longer than the server waits for a silent client.
    await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    await store.history.close(build_row())
    stall.flows.set()
    await works_again(lambda: behind.history.close(build_row()))
    await works_again(lambda: behind.history.page(build_query()))
    await check_exact(store)
    await behind.close()


@pytest.mark.parametrize(
    ("change", "text_found"),
    [
        (("/test", "/nowhere-test"), "there is no such database: make it"),
        (("openkls@/", "nobody:hunter2@/"), "refuses the user or the password"),
        (("?host=/", "?password=hunter2&host=/none/"), "cannot be reached"),
    ],
)
async def test_server_that_refuses_is_explained_without_the_password(
    url: str, tmp_path: Path, change: tuple[str, str], text_found: str
) -> None:
    with pytest.raises(SetupError, match=text_found) as caught:
        await open_store(url.replace(*change), tmp_path, SECRET)
    assert "hunter2" not in str(caught.value)


def test_old_server_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openkls.store.postgres.OLDEST_VERSION", 990000)
    with pytest.raises(SetupError, match="or newer is needed"):
        prepare(open_database(url, tmp_path), Seal(SECRET))


def test_missing_driver_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openkls.store.postgres", None)
    with pytest.raises(SetupError, match=r"pip install 'openkls\[postgres\]'"):
        open_database("postgresql://kls@db/kls", tmp_path)


@pytest.mark.parametrize("errors", [False, True])
@pytest.mark.parametrize("one_stream", [False, True])
async def test_page_and_remainders_walk_their_index_in_order(store: Store, errors: bool, one_stream: bool) -> None:
    await asyncio.gather(
        *(store.history.close(build_row(pub_time=DAY + n, fin_time=DAY + 2000 * n)) for n in range(99))
    )
    asked = {"unique_name": KEY.unique_name, "app": KEY.app, "pubdomain": KEY.pubdomain, "stream": KEY.stream}
    asked |= {"start": DAY, "end": DAY + 50, "last_end": DAY + 200_000, "limit": 20, "offset": 3}
    asked |= {"first_from": DAY, "first_to": DAY + 5, "last_from": NEVER, "last_to": 0}

    def question(connection: Connection) -> list[str]:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plans = []
        for statement in (
            page_statement(errors, one_stream, False, True),
            count_statement(errors, one_stream, True),
        ):
            sql = str(statement.compile(dialect=postgresql.psycopg.dialect()))
            plans.append("\n".join(connection.exec_driver_sql(f"EXPLAIN {sql}", asked).scalars()))
        return plans

    page, count = await store.readers.ask(question)
    assert "->  Sort" not in page
    assert "Index Scan Backward" in page
    assert "Merge Append" in page  # of three days
    assert "Index Only Scan" in count
    assert "Bitmap" not in page + count
