"""HistoryPort, over every adapter."""

import asyncio
from dataclasses import replace

import pytest

from openkls.domain.errors import StoreUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.ports import Boot, HistoryPort, Span
from openkls.domain.session import BreakCode, HistoryRow, Reason
from openkls.store import Store
from openkls.store.tables import LONG_SECONDS
from support_store import KEY, NOON, build_facts, build_query, build_row


@pytest.fixture
async def history(store: Store) -> HistoryPort:
    await store.history.begin_boot("boot1", "node1", NOON)
    return store.history


async def spans(history: HistoryPort, start: int, end: int, stream: str | None = None, limit: int = 100) -> list[Span]:
    return await history.spans(KEY.unique_name, KEY.app, KEY.pubdomain, stream, start, end, limit)


async def test_closed_session_is_read_back_whole(history: HistoryPort) -> None:
    facts = build_facts(StreamKey("demo", "push.demo.local", "live", "赛事:@~.1"), client_ip="2001:db8::1")
    row = HistoryRow(facts, NOON + 5, BreakCode.FORBIDDEN, Reason.FORBIDDEN)
    await history.open(facts)
    await history.close(row)
    page = await history.page(build_query())
    assert page.rows == [row]
    assert page.total == 1


async def test_live_session_is_a_span_and_no_history(history: HistoryPort) -> None:
    await history.open(build_facts())
    assert (await history.page(build_query())).total == 0
    assert await spans(history, NOON, NOON + 10) == [Span("s1", NOON, None)]


async def test_open_and_close_may_be_repeated_in_any_order(history: HistoryPort) -> None:
    facts = build_facts()
    row = build_row(facts=facts)
    for _ in range(2):
        await history.open(facts)
    assert len(await spans(history, NOON, NOON + 10)) == 1
    for _ in range(2):
        await history.close(row)
    await history.open(facts)  # late, after the end
    assert await spans(history, NOON, NOON + 10) == [Span("s1", NOON, row.fin_time)]
    assert (await history.page(build_query())).rows == [row]


async def test_first_row_of_a_session_stays(history: HistoryPort) -> None:
    first = build_row()
    await history.close(first)
    await history.close(replace(first, fin_time=first.fin_time + 9, code=BreakCode.FORBIDDEN))
    assert (await history.page(build_query())).rows == [first]


async def test_close_without_open_is_recorded(history: HistoryPort) -> None:
    await history.close(build_row())
    assert (await history.page(build_query())).total == 1


async def test_concurrent_closes_of_one_session_make_one_row(history: HistoryPort) -> None:
    facts = build_facts()
    await asyncio.gather(
        history.open(facts), *(history.close(build_row(facts=facts, fin_time=NOON + n)) for n in range(20))
    )
    assert (await history.page(build_query())).total == 1
    assert (await spans(history, NOON, NOON + 10))[0].end is not None


async def test_boots_are_told_until_they_end(history: HistoryPort) -> None:
    await history.begin_boot("later", "node2", NOON + 5)
    await history.begin_boot("earlier", "node3", NOON - 5)
    await history.heartbeat("later", NOON + 10)
    assert await history.known_boots() == [
        Boot("earlier", NOON - 5, NOON - 5),
        Boot("boot1", NOON, NOON),
        Boot("later", NOON + 5, NOON + 10),
    ]
    await history.end_boot("later")
    assert [boot.boot_id for boot in await history.known_boots()] == ["earlier", "boot1"]


async def test_open_of_an_unknown_boot_is_refused(history: HistoryPort) -> None:
    with pytest.raises(StoreUnavailable, match=r"(?i)foreign"):
        await history.open(build_facts(boot_id="never begun"))
    await history.open(build_facts())


@pytest.mark.parametrize(
    ("code", "accepted", "listed", "error"),
    [
        (BreakCode.SUCCESS, True, True, False),
        (BreakCode.FORBIDDEN, True, True, True),
        (BreakCode.ALREADY_EXISTS, False, False, True),
        (BreakCode.SUCCESS, False, False, True),
    ],
)
async def test_refusals_and_failures_are_errors_and_only_accepted_sessions_are_history(
    history: HistoryPort, code: BreakCode, accepted: bool, listed: bool, error: bool
) -> None:
    await history.close(build_row(code=code, accepted=accepted))
    for stream in (None, "s1"):
        assert (await history.page(build_query(stream=stream))).total == listed
        assert (await history.page(build_query(stream=stream, errors=True))).total == error
    assert len(await spans(history, NOON - 1, NOON + 100)) == listed


async def test_page_keeps_to_its_app_behind_its_door(history: HistoryPort) -> None:
    for field in ("unique_name", "pubdomain", "app"):
        await history.close(build_row(replace(KEY, **{field: "another"})))
    await history.close(build_row(replace(KEY, stream="s2")))
    mine = build_row()
    await history.close(mine)
    assert (await history.page(build_query())).total == 2
    assert (await history.page(build_query(stream="s1"))).rows == [mine]
    assert (await history.page(build_query(stream="S1"))).total == 0


async def test_page_beyond_the_last_has_a_total_and_no_rows(history: HistoryPort) -> None:
    await history.close(build_row())
    page = await history.page(build_query(offset=1))
    assert (page.rows, page.total) == ([], 1)


async def test_both_bounds_of_a_page_are_included(history: HistoryPort) -> None:
    for pub_time in (NOON - 1, NOON, NOON + 5, NOON + 6):
        await history.close(build_row(pub_time=pub_time))
    page = await history.page(build_query(start=NOON, end=NOON + 5))
    assert [row.facts.pub_time for row in page.rows] == [NOON, NOON + 5]


@pytest.mark.parametrize(
    ("began", "ended", "overlaps"),
    [
        (-10, -1, False),
        (-10, 0, False),
        (-10, 1, True),
        (-1, 0, False),
        (0, 0, True),
        (5, 5, True),
        (99, 200, True),
        (100, 100, False),
        (100, 200, False),
        (-LONG_SECONDS, 1, True),
        (-LONG_SECONDS + 1, 1, True),
        (-LONG_SECONDS - 1, 1, True),
        (-LONG_SECONDS, 0, False),
        (-LONG_SECONDS - 1, 0, False),
        (-200 * LONG_SECONDS, 1, True),
        (-200 * LONG_SECONDS, 300 * LONG_SECONDS, True),
    ],
)
async def test_span_overlaps_a_window_of_100_seconds(
    history: HistoryPort, began: int, ended: int, overlaps: bool
) -> None:
    await history.close(build_row(pub_time=NOON + began, fin_time=NOON + ended))
    for stream in (None, "s1"):
        found = await spans(history, NOON, NOON + 100, stream)
        assert found == ([Span("s1", NOON + began, NOON + ended)] if overlaps else [])
    assert await spans(history, NOON, NOON + 100, "s2") == []


async def test_spans_of_all_kinds_come_in_order_and_one_over_the_limit(history: HistoryPort) -> None:
    await history.open(build_facts(pub_time=NOON + 3))
    await history.open(build_facts(pub_time=NOON - 5 * LONG_SECONDS))
    await history.open(build_facts(pub_time=NOON + 100))
    for began in (2, -LONG_SECONDS * 9, 4, -1, 3):
        await history.close(build_row(pub_time=NOON + began, fin_time=NOON + 50))
    starts = [-LONG_SECONDS * 9, -5 * LONG_SECONDS, -1, 2, 3, 3, 4]
    assert [span.start - NOON for span in await spans(history, NOON, NOON + 100)] == starts
    assert [span.start - NOON for span in await spans(history, NOON, NOON + 100, limit=3)] == starts[:4]
    assert len(await spans(history, NOON, NOON + 100, limit=6)) == 7
    assert len(await spans(history, NOON, NOON + 100, limit=7)) == 7


async def test_crashed_sessions_end_at_the_last_heartbeat_but_not_before_their_start(history: HistoryPort) -> None:
    early, late = build_facts(pub_time=NOON + 1), build_facts(pub_time=NOON + 99)
    await history.open(early)
    await history.open(late)
    await history.heartbeat("boot1", NOON + 7)
    await history.begin_boot("boot2", "node1", NOON + 200)
    assert await history.close_lapsed("node1", "boot2", 0) == [early, late]
    assert await history.close_lapsed("node1", "boot2", 0) == []
    rows = (await history.page(build_query())).rows
    assert [(row.fin_time, row.code, row.reason) for row in rows] == [
        (NOON + 7, BreakCode.SUCCESS, Reason.CRASH),
        (NOON + 99, BreakCode.SUCCESS, Reason.CRASH),
    ]


async def test_only_lapsed_or_earlier_processes_of_the_node_are_dead(history: HistoryPort) -> None:
    others = {
        "own": ("node1", NOON),  # the caller itself, however old its heartbeat
        "former": ("node1", NOON + 500),
        "lapsed": ("node2", NOON + 99),
        "alive": ("node3", NOON + 100),
    }
    for boot_id, (node_id, beat) in others.items():
        await history.begin_boot(boot_id, node_id, beat)
        await history.open(build_facts(boot_id=boot_id))
    await history.open(build_facts(boot_id="boot1"))
    ended = await history.close_lapsed("node1", "own", NOON + 100)
    assert sorted(facts.boot_id for facts in ended) == ["boot1", "former", "lapsed"]
    assert len([span for span in await spans(history, NOON, NOON + 10) if span.end is None]) == 2


async def test_lapsed_sessions_are_ended_by_one_caller_only(history: HistoryPort) -> None:
    for _ in range(5):
        await history.open(build_facts())
    answers = await asyncio.gather(*(history.close_lapsed("node2", f"boot{n}", NOON + 1) for n in range(2, 6)))
    assert sorted(map(len, answers)) == [0, 0, 0, 5]


async def test_own_end_takes_the_place_of_a_declared_crash(history: HistoryPort) -> None:
    facts = build_facts()
    await history.open(facts)
    await history.close_lapsed("node2", "boot2", NOON + 1)
    row = build_row(facts=facts, fin_time=NOON + 1000)
    for _ in range(2):
        await history.close(row)
    page = await history.page(build_query())
    assert (page.rows, page.total) == ([row], 1)
    await history.close(replace(row, reason=Reason.CRASH))
    assert (await history.page(build_query())).rows == [row]


@pytest.mark.parametrize("first", ["heartbeat", "open"])
async def test_sessions_of_a_process_declared_dead_though_alive_live_again(history: HistoryPort, first: str) -> None:
    ended, lasting, other = build_facts(), build_facts(), build_facts(boot_id="boot3")
    await history.begin_boot("boot3", "node3", NOON)
    for facts in (ended, lasting, other):
        await history.open(facts)
    assert await history.heartbeat("boot1", NOON)
    assert len(await history.close_lapsed("node2", "boot2", NOON + 1)) == 3
    await history.close(build_row(facts=ended, fin_time=NOON + 30))
    if first == "open":
        await history.open(build_facts(pub_time=NOON + 40))
    assert not await history.heartbeat("boot1", NOON + 50)
    for revived in ([lasting], []):
        assert await history.revive([lasting, build_facts()]) == revived
    assert await history.heartbeat("boot1", NOON + 55)
    page = await history.page(build_query())
    assert page.total == 2
    assert {row.facts.session_id: row.reason for row in page.rows} == {
        ended.session_id: build_row().reason,
        other.session_id: Reason.CRASH,
    }
    assert Span(lasting.key.stream, NOON, None) in await spans(history, NOON, NOON + 10)
    await history.close(build_row(facts=lasting, fin_time=NOON + 60))
    assert (await history.page(build_query())).total == 3


async def test_many_sessions_are_revived_in_lots(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openkls.store.history.REVIVED_BATCH", 3)
    await store.history.begin_boot("boot1", "node1", NOON)
    sessions = [build_facts() for _ in range(7)]
    for facts in sessions:
        await store.history.open(facts)
    await store.history.close_lapsed("node2", "boot2", NOON + 1)
    assert not await store.history.heartbeat("boot1", NOON + 20)
    assert await store.history.revive(sessions) == sessions
    assert (await store.history.page(build_query())).total == 0
    assert await store.history.revive([]) == []


@pytest.mark.parametrize("first", ["heartbeat", "open"])
async def test_process_declared_dead_though_alive_comes_back(history: HistoryPort, first: str) -> None:
    assert await history.close_lapsed("node2", "boot2", NOON + 1) == []
    if first == "heartbeat":
        await history.heartbeat("boot1", NOON + 50)
    facts = build_facts(pub_time=NOON + 60)
    await history.open(facts)
    assert await history.close_lapsed("node2", "boot2", NOON + 20) == []
    assert await history.close_lapsed("node2", "boot2", NOON + 100) == [facts]


async def test_clean_end_forgets_the_process(history: HistoryPort) -> None:
    await history.end_boot("boot1")
    await history.end_boot("boot1")
    await history.heartbeat("boot1", NOON + 9)
    with pytest.raises(StoreUnavailable):
        await history.open(build_facts())


async def test_end_with_an_open_session_left_leaves_it_to_be_found(history: HistoryPort) -> None:
    facts = build_facts()
    await history.open(facts)
    await history.end_boot("boot1")
    assert await history.close_lapsed("node1", "boot2", 0) == [facts]


@pytest.mark.parametrize(("count", "batch"), [(0, 3), (2, 3), (3, 3), (4, 3), (7, 1)])
async def test_purge_deletes_by_the_end_in_batches(store: Store, count: int, batch: int) -> None:
    for n in range(count):
        await store.history.close(build_row(pub_time=NOON - 100, fin_time=NOON - 1 - n))
    kept = [
        build_row(pub_time=NOON - 10**5, fin_time=NOON),  # a long one that ended lately
        build_row(pub_time=NOON + 1),
    ]
    for row in kept:
        await store.history.close(row)
    assert await store.history.purge(NOON, batch) == count
    assert await store.history.purge(NOON, batch) == 0
    assert (await store.history.page(build_query())).rows == kept


async def test_history_and_open_sessions_survive_a_restart(reopen) -> None:  # type: ignore[no-untyped-def]
    store = await reopen()
    await store.history.begin_boot("boot1", "node1", NOON)
    row, live = build_row(), build_facts()
    await store.history.close(row)
    await store.history.open(live)
    store = await reopen()
    assert (await store.history.page(build_query())).rows == [row]
    assert await store.history.close_lapsed("node1", "boot2", 0) == [live]
