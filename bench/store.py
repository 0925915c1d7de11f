"""What the durable store costs: a ban alone and under load, sessions a second, questions over 500,000 rows.

About 20 s. TMPDIR decides which disk is measured. What it does not show: a disk with a slow sync, a cold cache, and
readers and writers at once.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from bench.machine import no_options
from openkls.domain.keys import StreamKey
from openkls.domain.ports import HistoryQuery
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from openkls.store import Store, open_store
from openkls.store.bulk import COLUMNS, add_history

NOW = 1_790_000_000
DAY_SECONDS = 86400
ROWS = 500_000
DAYS = 60
STREAMS = 2000
CHUNK = 10_000
KEY = StreamKey("demo", "push.demo.local", "live", "s")
RUNS = 5

_random = random.Random(1)


def facts_at(pub_time: int, stream: str) -> SessionFacts:
    session_id = f"{pub_time * 1000:012x}7{_random.getrandbits(76):019x}"
    return SessionFacts(session_id, replace(KEY, stream=stream), "192.0.2.7", 40000, "127.0.0.1", "boot", pub_time)


async def bans(store: Store) -> None:
    alone: list[float] = []
    for number in range(1000):
        began = time.perf_counter()
        await store.blacklist.forbid(replace(KEY, stream=f"a{number}"), NOW, NOW + 60, permanent=False)
        alone.append((time.perf_counter() - began) * 1000)
    print(f"ban, alone                  median {statistics.median(alone):.2f} ms, p99 {sorted(alone)[989]:.2f} ms")

    paced: list[float] = []

    async def one(number: int, start: float) -> None:
        await asyncio.sleep(start + number / 1000 - time.perf_counter())
        began = time.perf_counter()
        await store.blacklist.forbid(replace(KEY, stream=f"p{number}"), NOW, NOW + 60, permanent=False)
        paced.append((time.perf_counter() - began) * 1000)

    start = time.perf_counter() + 0.2
    await asyncio.gather(*(one(number, start) for number in range(3000)))
    print(f"ban, at 1000 a second       median {statistics.median(paced):.2f} ms, p99 {sorted(paced)[2969]:.2f} ms")

    began = time.perf_counter()
    keys = [replace(KEY, stream=f"b{number}") for number in range(3000)]
    await asyncio.gather(*(store.blacklist.forbid(key, NOW, NOW + 60, permanent=False) for key in keys))
    print(f"bans, 3000 at once          {3000 / (time.perf_counter() - began):.0f} a second")


async def sessions(store: Store) -> None:
    async def publish(number: int) -> None:
        facts = facts_at(NOW - 100 * DAY_SECONDS, f"s{number}")
        await store.history.open(facts)
        await store.history.close(HistoryRow(facts, facts.pub_time + 9, BreakCode.SUCCESS, Reason.CLOSED))

    began = time.perf_counter()
    await asyncio.gather(*(publish(number) for number in range(3000)))
    print(f"sessions opened and closed  {3000 / (time.perf_counter() - began):.0f} a second")


def rows() -> list[dict[str, object]]:
    made = []
    for number in range(ROWS):
        began = NOW - DAYS * DAY_SECONDS + number * DAYS * DAY_SECONDS // ROWS
        long = _random.random() < 0.001
        length = _random.randrange(DAY_SECONDS, 20 * DAY_SECONDS) if long else int(_random.expovariate(1 / 1800))
        accepted = _random.random() > 0.05
        made.append(
            {
                "session_id": f"{began * 1000:012x}7{_random.getrandbits(76):019x}",
                "unique_name": KEY.unique_name,
                "pubdomain": KEY.pubdomain,
                "app": KEY.app,
                "stream": f"s{_random.randrange(STREAMS)}",
                "client_ip": "192.0.2.7",
                "client_port": 40000,
                "node": "127.0.0.1",
                "boot_id": "boot",
                "pub_time": began,
                "fin_time": began + (length if accepted else 0),
                "code": 200 if accepted and _random.random() > 0.02 else 423,
                "reason": "closed",
                "accepted": accepted,
            }
        )
    return made


async def fill(store: Store) -> None:
    made = rows()
    for first in range(0, ROWS, CHUNK):
        chunk = made[first : first + CHUNK]

        def write(connection: Connection, chunk: list[dict[str, object]] = chunk) -> None:
            add_history(store.database, connection, [tuple(row[name] for name in COLUMNS) for row in chunk])

        await store.writer.write(write)


async def measured(name: str, ask: Callable[[], Awaitable[int]]) -> None:
    times: list[float] = []
    for _ in range(RUNS):
        began = time.perf_counter()
        count = await ask()
        times.append((time.perf_counter() - began) * 1000)
    print(f"{name:27} median {statistics.median(times):.1f} ms, {min(times):.1f} to {max(times):.1f}, {count} rows")


async def questions(store: Store) -> None:
    whole = HistoryQuery(
        KEY.unique_name, KEY.app, KEY.pubdomain, None, NOW - DAYS * DAY_SECONDS, NOW, False, False, 0, 1000
    )

    def page(query: HistoryQuery) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            return len((await store.history.page(query)).rows)

        return ask

    def spans(first_day: int, last_day: int, stream: str | None) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            start, end = NOW - first_day * DAY_SECONDS, NOW - last_day * DAY_SECONDS
            found = await store.history.spans(KEY.unique_name, KEY.app, KEY.pubdomain, stream, start, end, 100_000)
            return len(found)

        return ask

    five_days = replace(whole, start=NOW - 28 * DAY_SECONDS, end=NOW - 23 * DAY_SECONDS)
    await measured("page 0 of 5 days + total", page(five_days))
    await measured("page 0 of all + total", page(whole))
    await measured("total of all alone", page(replace(whole, limit=0)))
    await measured("page at 400,000 + total", page(replace(whole, offset=400_000)))
    await measured("page 0 of a stream + total", page(replace(whole, stream="s5")))
    await measured("page 0 of errors + total", page(replace(whole, errors=True)))
    await measured("durations, day 55", spans(55, 54, None))
    await measured("durations, day 55, stream", spans(55, 54, "s5"))
    await measured("durations, 10 days", spans(55, 45, None))


def main(options: Sequence[str] = ()) -> None:
    """Measure and print; TMPDIR says on which disk."""
    no_options("store", __doc__, options)
    asyncio.run(_measure())


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as data_dir:
        store = await open_store("sqlite:///bench.db", Path(data_dir), bytes(32), deadline_seconds=30)
        await store.history.begin_boot("boot", "node", NOW)
        await bans(store)
        await sessions(store)
        await fill(store)
        await questions(store)
        began = time.perf_counter()
        purged = await store.history.purge(NOW - 99 * DAY_SECONDS)
        print(f"purged                      {purged / (time.perf_counter() - began):.0f} rows a second")
        await store.close()


if __name__ == "__main__":
    main()
