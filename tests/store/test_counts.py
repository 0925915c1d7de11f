"""The counts beside history: exact whatever is written by whom, split where there are many, gone with their rows."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from openkls.domain.session import BreakCode, HistoryRow, Reason
from openkls.store import Store, counts, history, open_store
from support_store import KEY, NOON, SECRET, build_facts, build_query, build_row, check_exact, read_counts

DAY = NOON - NOON % 86400


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SPLIT_ROWS", 4)
    monkeypatch.setattr(history, "NEAR_ROWS", 8)


async def close_all(store: Store, rows: list[HistoryRow]) -> None:
    await asyncio.gather(*(store.history.close(row) for row in rows))


@pytest.mark.usefixtures("small")
async def test_a_day_with_the_limit_is_one_count_and_with_one_more_has_hours_too(store: Store) -> None:
    await close_all(store, [build_row(pub_time=DAY + 3600 * n) for n in range(4)])
    assert {key[2] for key in await check_exact(store)} == {86400}
    await close_all(store, [build_row(pub_time=DAY + 9)])
    found = await check_exact(store)
    assert sorted(key[3] - DAY for key in found if key[0] == "" and key[2] == 3600) == [0, 3600, 7200, 10800]
    assert {key[2] for key in found} == {86400, 3600}
    await close_all(store, [build_row(pub_time=DAY + 60 * n) for n in range(4)])
    assert {key[2] for key in await check_exact(store)} == {86400, 3600, 60}


@pytest.mark.usefixtures("small")
async def test_counts_stay_exact_through_writes_of_every_kind(store: Store) -> None:
    dice = random.Random(7)
    await store.history.begin_boot("boot1", "node1", NOON)
    kept: list[HistoryRow] = []
    for _ in range(8):
        made = []
        for _ in range(40):
            accepted = dice.random() < 0.8
            code = dice.choice([BreakCode.SUCCESS, BreakCode.SUCCESS, BreakCode.FORBIDDEN])
            key = replace(KEY, stream=dice.choice(["s1", "s2"]))
            began = DAY + dice.choice([0, 86400, 3600, 60]) * dice.randrange(3) + dice.randrange(5)
            made.append(build_row(key, began, began + dice.choice([0, 50, 90_000]), code, accepted))
        for row in made[:10]:
            await store.history.open(row.facts)
        # Some twice, some never opened, some left open to be ended by another process.
        await close_all(store, made[3:] + made[5:9])
        # A session that is ended for a dead process had been accepted.
        kept += [replace(row, accepted=True) for row in made[:3]] + made[3:]
        await check_exact(store)
        await store.history.close_lapsed("node1", "boot2", 0)
        await store.history.begin_boot("boot1", "node1", NOON)
        await check_exact(store)
    assert (await store.history.page(build_query(limit=0))).total == sum(row.accepted for row in kept)
    for before in (DAY + 3, DAY + 86400, DAY + 86400 + 77, DAY + 5 * 86400):
        await store.history.purge(before, batch=7)
        rows, _, _ = await read_counts(store)
        assert all(row.fin_time >= before for row in rows)
        await check_exact(store)
    rows, found, _ = await read_counts(store)
    assert (rows, found) == ([], {})


@pytest.mark.usefixtures("small")
async def test_write_that_fails_is_not_counted(store: Store) -> None:
    def fail(connection: Any) -> None:
        store.history._close(connection, build_row())
        raise LookupError("after it was counted")

    outcomes = await asyncio.gather(
        store.history.close(build_row()),
        store.writer.write(fail),
        store.history.close(build_row()),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), LookupError, type(None)]
    found = await check_exact(store)
    assert found["", False, 86400, DAY] == 2


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("stream", [None, "s1"])
async def test_pages_of_a_dense_week_are_those_of_the_sorted_list(
    store: Store, ascending: bool, stream: str | None
) -> None:
    dice = random.Random(3)
    made = [
        build_row(replace(KEY, stream=dice.choice(["s1", "s2"])), DAY + int(dice.triangular(0, 7 * 86400, 86400)))
        for _ in range(400)
    ]
    await close_all(store, made)
    ordered = sorted(made, key=lambda row: (row.facts.pub_time, row.facts.session_id), reverse=not ascending)
    for start, end in ((DAY, DAY + 7 * 86400), (DAY + 86400 + 1, DAY + 2 * 86400), (DAY + 90_061, DAY + 90_062)):
        expected = [
            row for row in ordered if start <= row.facts.pub_time <= end and stream in (None, row.facts.key.stream)
        ]
        query = build_query(stream=stream, start=start, end=end, ascending=ascending, limit=7)
        for offset in (*range(30), *range(30, len(expected), 17), len(expected)):
            page = await store.history.page(replace(query, offset=offset))
            assert (page.rows, page.total) == (expected[offset : offset + 7], len(expected))


@pytest.mark.usefixtures("small")
async def test_totals_and_deep_rows_of_windows_that_cut_days_hours_and_minutes_anywhere(store: Store) -> None:
    dice = random.Random(11)
    # Dense enough for minutes in places, and nothing at all in others.
    began = [DAY + dice.choice([0, 1, 23, 24, 50]) * 3600 + int(dice.expovariate(1 / 300)) for _ in range(300)]
    await close_all(store, [build_row(pub_time=at) for at in began])
    assert {key[2] for key in await check_exact(store)} == {86400, 3600, 60}
    edges = [
        DAY + day * 86400 + hour * 3600 + minute * 60 + second
        for day in (0, 1, 2)
        for hour in (0, 1, 2, 23)
        for minute in (0, 1, 7, 59)
        for second in (0, 1, 30, 59)
    ]
    for _ in range(300):
        start, end = sorted(dice.choices(edges, k=2))
        inside = sorted(at for at in began if start <= at <= end)
        offset = dice.randrange(len(inside) + 1)
        page = await store.history.page(build_query(start=start, end=end, ascending=True, limit=3, offset=offset))
        found = [row.facts.pub_time for row in page.rows]
        assert (page.total, found) == (len(inside), inside[offset : offset + 3]), (start, end, offset)


async def test_clock_that_was_set_back_gives_a_session_of_no_length(store: Store) -> None:
    facts = build_facts()
    for _ in range(2):
        await store.history.close(HistoryRow(facts, NOON - 50, BreakCode.SUCCESS, Reason.CLOSED))
    page = await store.history.page(build_query())
    assert [row.fin_time for row in page.rows] == [NOON]
    assert page.total == 1


@pytest.mark.usefixtures("small")
async def test_two_stores_race_to_end_the_same_sessions(url: str, tmp_path, store: Store) -> None:  # type: ignore[no-untyped-def]
    other = await open_store(url, tmp_path, SECRET, deadline_seconds=20)
    try:
        for number in range(4):
            boot = f"race{number}"
            await store.history.begin_boot(boot, "node1", NOON)
            facts = [build_facts(pub_time=NOON + n, boot_id=boot) for n in range(60)]
            await asyncio.gather(*(store.history.open(each) for each in facts))
            ends = [HistoryRow(each, NOON + 99, BreakCode.FORBIDDEN, Reason.FORBIDDEN) for each in facts]
            lapsed, more, *_ = await asyncio.gather(
                other.history.close_lapsed("node2", "boot2", NOON + 1),
                store.history.close_lapsed("node3", "boot3", NOON + 1),
                *(owner.history.close(end) for end in ends for owner in (store, other)),
            )
            assert len({each.session_id for each in lapsed + more}) == len(lapsed + more)
            assert (await other.history.page(build_query(limit=0))).total == 60 * (number + 1)
            await check_exact(store)
    finally:
        await other.close()
