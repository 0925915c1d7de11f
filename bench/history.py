"""What a page of history costs when there are many rows: two databases, a small and a large one, of 28 days and all
under one UniqueName, App and Pubdomain; page 0, page 1000 and Total of windows of five days, with and without Stream.

A quarter of the sessions are of one stream, so that it too has a page 1000; the rest are spread over 2,000. One in 20
is refused, one in 50 of the others ended by an error, one in 1,000 lasts for days. Rows are loaded by COPY (SQLite:
fast inserts) through the code that counts rows in service; PostgreSQL is a private server that syncs to the disk,
vacuumed after loading. TMPDIR decides which disk is measured; 5 million rows take about 3 GB and three
minutes, 50 million ten times that.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openkls.domain.keys import StreamKey
from openkls.domain.ports import HistoryQuery
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from openkls.store import Store, open_store
from openkls.store.bulk import add_history
from openkls.store.database import Database
from tools.postgres import PrivatePostgres

DAY = 86400
DAYS = 28
END = 1_790_000_000
START = END - DAYS * DAY
WINDOW_SECONDS = 5 * DAY
LIMIT = 20
DEEP_PAGE = 1000
STREAMS = 2000
DENSE = "s0"
SPARSE = "s7"
BATCH = 20_000
ROWS_LARGE = {"postgresql": 50_000_000, "sqlite": 5_000_000}
WINDOWS = 5
WARM_RUNS = 6
KEY = StreamKey("demo", "push.demo.local", "live", DENSE)
GOALS = {"page 0": 1.5, "page 1000": 3.0, "total": 1.5}
NOT_SHOWN = """
Not shown: a cold cache, a network between the service and the server, other questions and writes at the same time, and
a service that has run for months instead of a table loaded in order of time."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Median milliseconds by what was asked."""

    rows: int
    times_ms: dict[tuple[str, str], float]


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    chosen = _parse(arguments)
    for adapter in chosen.store:
        large = chosen.rows_large or ROWS_LARGE[adapter]
        asyncio.run(_compare(adapter, [min(chosen.rows_small, large), large], chosen))
    print(NOT_SHOWN)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench history", description=__doc__, formatter_class=form)
    parser.add_argument("--rows-small", type=int, default=500_000)
    parser.add_argument("--rows-large", type=int, help="default: 50,000,000 on PostgreSQL, 5,000,000 on SQLite")
    parser.add_argument(
        "--store", choices=tuple(ROWS_LARGE), action="append", help="may be repeated; default: both, SQLite first"
    )
    parser.add_argument("--runs", type=int, default=20, help="of each question on each window")
    parser.add_argument("--live", type=int, default=3000, help="sessions through the path of the service")
    chosen = parser.parse_args(list(arguments))
    chosen.store = chosen.store or ["sqlite", "postgresql"]
    return chosen


async def _compare(adapter: str, sizes: list[int], chosen: argparse.Namespace) -> None:
    stores = []
    async with contextlib.AsyncExitStack() as stack:
        databases = stack.enter_context(_databases(adapter))
        for rows in sizes:
            url, folder, vacuum = databases(f"bench{len(stores)}")
            store = await open_store(url, folder, bytes(32), deadline_seconds=60)
            stack.push_async_callback(store.close)
            await _load(adapter, store, rows, vacuum)
            stores.append(store)
        times = await _ask(stores, chosen.runs)
        found = [Figures(rows, times_ms) for rows, times_ms in zip(sizes, times, strict=True)]
        _print_figures(adapter, found, chosen.runs)
        await _live(adapter, stores[-1], chosen.live)


def _print_figures(adapter: str, found: list[Figures], runs: int) -> None:
    small, large = found
    print(f"\n{adapter}: milliseconds, median of {WINDOWS} windows x {runs}, both in turns")
    print(f"{'':34}{small.rows:>12,}{large.rows:>12,}   large/small   goal")
    for (what, of), large_ms in large.times_ms.items():
        if (what, of) not in small.times_ms:
            continue
        small_ms = small.times_ms[what, of]
        ratio = large_ms / small_ms
        verdict = f"{GOALS[what]:g} {'met' if ratio <= GOALS[what] else 'MISSED'}"
        print(f"{what + ', ' + of:34}{small_ms:12.2f}{large_ms:12.2f}{ratio:14.2f}   {verdict}")
    for of in ("all streams", "one dense stream"):
        if ("page 1000", of) not in large.times_ms:
            continue
        ratio = large.times_ms["page 1000", of] / large.times_ms["page 0", of]
        print(f"page 1000 / page 0, {of}, large: {ratio:.2f}   goal 3 {'met' if ratio <= 3 else 'MISSED'}")


@contextlib.contextmanager
def _databases(adapter: str) -> Iterator[Callable[[str], tuple[str, Path, Callable[[], None]]]]:
    """Makes new, empty databases by their names: the url, a data folder, and what tidies it up after loading."""
    with tempfile.TemporaryDirectory() as folder:
        if adapter == "sqlite":
            yield lambda name: (f"sqlite:///{name}.db", Path(folder), lambda: None)
            return
        # What a server of this size is commonly given; the defaults are for one of 1 GB.
        settings = ("shared_buffers=2GB", "max_wal_size=8GB", "maintenance_work_mem=256MB", "random_page_cost=1.1")
        with PrivatePostgres(durable=True, settings=settings) as server:

            def create(name: str) -> tuple[str, Path, Callable[[], None]]:
                return server.create(name), Path(folder), lambda: server.sql(name, "VACUUM ANALYZE") and None

            yield create


async def _load(adapter: str, store: Store, rows: int, vacuum: Callable[[], None]) -> None:
    began = time.perf_counter()
    before = await store.readers.ask(store.database.size_bytes)
    for first in range(0, rows, BATCH):
        made = _rows(first, min(first + BATCH, rows), rows)

        await asyncio.to_thread(_add, store.database, made)
    seconds = time.perf_counter() - began
    await asyncio.to_thread(vacuum)
    size = await store.readers.ask(store.database.size_bytes) - before
    counts = await store.readers.ask(
        lambda connection: connection.exec_driver_sql("SELECT count(*) FROM history_counts").scalar_one()
    )
    print(
        f"{adapter}: {rows:,} rows loaded at {rows / seconds:,.0f} a second; {size / rows:.0f} bytes a session, "
        f"{counts / rows:.3f} counts a session",
        flush=True,
    )


def _add(database: Database, made: list[tuple[object, ...]]) -> None:
    """A batch that is much larger than those of the service, on a connection of its own."""
    with database.connect_writer() as connection:
        # Without the deadlines of small writes.
        database.begin_migrating(connection)
        add_history(database, connection, made)
        connection.exec_driver_sql("COMMIT")


def _rows(first: int, last: int, rows: int) -> list[tuple[object, ...]]:
    dice = random.Random(first)
    made: list[tuple[object, ...]] = []
    for number in range(first, last):
        began = START + number * DAYS * DAY // rows
        accepted = dice.random() > 0.05
        length = 0
        if accepted:
            length = dice.randrange(DAY, 3 * DAY) if dice.random() < 0.001 else int(dice.expovariate(1 / 1800))
        stream = DENSE if dice.random() < 0.25 else f"s{dice.randrange(1, STREAMS)}"
        code = 200 if accepted and dice.random() > 0.02 else 423
        session_id = f"{began * 1000 + number % 1000:012x}7{dice.getrandbits(76):019x}"
        made.append(
            (
                *(session_id, KEY.unique_name, KEY.pubdomain, KEY.app, stream, "192.0.2.7", 40000, "127.0.0.1", "boot"),
                *(began, began + length, code, "closed", accepted),
            )
        )
    return made


async def _ask(stores: Sequence[Store], runs: int) -> list[dict[tuple[str, str], float]]:
    """The stores take turns, window by window, so that whatever else the machine does slows all of them. Question by
    question the thread of each would fall asleep in between, and its waking would be what is measured."""
    dice = random.Random(5)
    windows = [START + dice.randrange(DAYS * DAY - WINDOW_SECONDS) for _ in range(WINDOWS)]
    whole = HistoryQuery(KEY.unique_name, KEY.app, KEY.pubdomain, None, 0, 0, False, False, 0, LIMIT)
    kinds = {
        "all streams": whole,
        "all streams, oldest first": replace(whole, ascending=True),
        "one dense stream": replace(whole, stream=DENSE),
        "one of 2,000 streams": replace(whole, stream=SPARSE),
        "errors": replace(whole, errors=True),
    }
    times: list[dict[tuple[str, str], float]] = [{} for _ in stores]
    for of, query in kinds.items():
        deep = replace(query, offset=DEEP_PAGE * LIMIT)
        for what, asked in (("page 0", query), ("page 1000", deep), ("total", replace(query, limit=0))):
            taken: list[list[float]] = [[] for _ in stores]
            empty = [False for _ in stores]
            for start in windows:
                moved = replace(asked, start=start, end=start + WINDOW_SECONDS)
                for at, store in enumerate(stores):
                    for run in range(WARM_RUNS + runs):
                        began = time.perf_counter()
                        page = await store.history.page(moved)
                        # The first ones warm caches and let the server plan once and for all.
                        if run >= WARM_RUNS:
                            taken[at].append((time.perf_counter() - began) * 1000)
                        empty[at] |= what == "page 1000" and not page.rows
            for at, milliseconds in enumerate(taken):
                if not empty[at]:
                    times[at][what, of] = statistics.median(milliseconds)
    return times


async def _live(adapter: str, store: Store, sessions: int) -> None:
    """Sessions through the path of the service: opened, then closed, 128 to a transaction when they queue up."""
    await store.history.begin_boot("boot", "node", END)

    async def publish(number: int) -> None:
        facts = SessionFacts(
            f"{END * 1000 + number:012x}7{random.getrandbits(76):019x}",
            *(replace(KEY, stream=f"s{number % STREAMS}"), "192.0.2.7", 40000, "127.0.0.1", "boot", END),
        )
        await store.history.open(facts)
        await store.history.close(HistoryRow(facts, END + 9, BreakCode.SUCCESS, Reason.CLOSED))

    await _rate(f"{adapter}: sessions opened and closed, {sessions} at once", sessions, publish)


async def _rate(name: str, count: int, work: Callable[[int], Awaitable[None]]) -> None:
    began = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(count)))
    print(f"{name}: {count / (time.perf_counter() - began):,.0f} a second", flush=True)


if __name__ == "__main__":
    main()
