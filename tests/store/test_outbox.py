"""OutboxPort, and the events that history and bans write: over every adapter."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from openkls.domain.callbacks import Callback, Event
from openkls.domain.errors import StoreUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from openkls.store import Store, open_store, outbox
from openkls.store.tables import history, open_sessions
from support_store import KEY, NOON, SECRET, build_facts, build_row

Reopen = Callable[[], Awaitable[Store]]
PARAM = '{"a": "1"}'
OTHER = StreamKey("quiet", "push.quiet.local", "live", "s1")


@pytest.fixture
async def store(reopen: Reopen) -> Store:
    store = await reopen()
    return await telling(store)


async def telling(store: Store) -> Store:
    store.announcements.wants = lambda unique_name: unique_name == KEY.unique_name
    await store.history.begin_boot("boot1", "node1", NOON)
    return store


async def waiting(store: Store, dead: bool = False) -> list[Callback]:
    return await store.outbox.listed(dead, 0, 1000)


async def said(store: Store) -> list[dict[str, Any]]:
    """The bodies of all that waits; each is an object that says its own EventId."""
    found = await waiting(store)
    bodies = [json.loads(each.body) for each in found]
    assert [body["EventId"] for body in bodies] == [each.event_id for each in found]
    assert len({each.event_id for each in found}) == len(found)
    return bodies


async def kinds(store: Store) -> list[str]:
    return [body["NotifyType"] for body in await said(store)]


async def due(store: Store, many: int = 100, now: int = NOON) -> list[str]:
    """Which streams have an event that is due, in order."""
    return [each.name.stream for each in await store.outbox.due(now, {KEY.unique_name: many})]


async def counts(store: Store) -> tuple[int, int, int]:
    """Waiting, dead, refused: and what is there agrees."""
    found = [each for each in await store.outbox.spaces() if each.unique_name == KEY.unique_name]
    if not found:
        return 0, 0, 0
    (space,) = found
    assert len(await waiting(store)) == space.waiting
    assert len(await waiting(store, dead=True)) == space.dead
    heads = [each.name for each in await waiting(store) if each.next_try is not None]
    firsts = list(dict.fromkeys(each.name for each in await waiting(store)))
    assert sorted(heads) == sorted(firsts), "the first of each stream that waits is due, and no other"
    return space.waiting, space.dead, space.refused


async def tell(store: Store, *streams: str) -> list[Callback]:
    """An event of each of these streams, written one after the other."""
    for stream in streams:
        event = Event(replace(KEY, stream=stream).name, {"NotifyType": "PubStart"})
        await store.writer.write(lambda _, event=event: store.announcements.add(event))
    return await waiting(store)


def publish(stream: str = "s1", pub_param: str | None = PARAM) -> SessionFacts:
    return replace(build_facts(replace(KEY, stream=stream)), pub_param=pub_param)


# -- what is written with what ---------------------------------------------------------------------------------------


async def test_publish_is_a_start_and_an_end_of_one_sequence(store: Store) -> None:
    facts = publish()
    await store.history.open(facts)
    assert await kinds(store) == ["PubStart"]
    await store.history.close(
        HistoryRow(facts, NOON + 60, BreakCode.SUCCESS, Reason.CLOSED, end_ms=NOON * 1000 + 60_123)
    )
    start, end = await said(store)
    assert start == {
        "Version": "1.0",
        "NotifyType": "PubStart",
        "UniqueName": "demo",
        "Pubdomain": "push.demo.local",
        "App": "live",
        "Stream": "s1",
        "PubStartUnixTime": NOON * 1000,
        "PubParam": PARAM,
        "ClientIp": "192.0.2.7",
        "ClientPort": "40000",
        "Node": "127.0.0.1",
        "Sequence": facts.session_id,
        "EventId": start["EventId"],
    }
    assert end == start | {
        "NotifyType": "PubEnd",
        "PubEndUnixTime": NOON * 1000 + 60_123,
        "StatusCode": 200,
        "StatusMessage": "Success operation!",
        "EventId": end["EventId"],
    }
    assert await counts(store) == (2, 0, 0)


async def test_writes_that_are_repeated_tell_once(store: Store) -> None:
    facts = publish()
    row = HistoryRow(facts, NOON + 60, BreakCode.SUCCESS, Reason.CLOSED)
    for _ in range(2):
        await store.history.open(facts)
    for _ in range(2):
        await store.history.close(row)
        await store.history.open(facts)
    assert await kinds(store) == ["PubStart", "PubEnd"]


async def test_refusal_is_told_with_its_code(store: Store) -> None:
    row = build_row(code=BreakCode.FORBIDDEN, accepted=False, fin_time=NOON)
    await store.history.close(replace(row, facts=replace(row.facts, pub_param=PARAM)))
    (body,) = await said(store)
    assert (body["NotifyType"], body["StatusCode"], body["StatusMessage"]) == (
        *("PubRefuse", 423),
        "Forbidden by blacklist!",
    )
    assert body["PubParam"] == PARAM
    assert body["PubStartUnixTime"] == body["PubEndUnixTime"] == NOON * 1000


async def test_publish_that_was_told_of_and_lost_its_name_is_told_to_have_ended(store: Store) -> None:
    facts = publish()
    await store.history.open(facts)
    await store.history.close(HistoryRow(facts, NOON, BreakCode.FORBIDDEN, Reason.FORBIDDEN, accepted=False))
    assert [(body["NotifyType"], body.get("StatusCode")) for body in await said(store)] == [
        ("PubStart", None),
        ("PubEnd", 423),
    ]


async def test_end_without_its_start_tells_both(store: Store) -> None:
    facts = publish()
    await store.history.close(HistoryRow(facts, NOON + 1, BreakCode.SUCCESS, Reason.CLOSED))
    await store.history.open(facts)
    assert await kinds(store) == ["PubStart", "PubEnd"]


async def test_session_of_a_dead_process_is_told_to_have_ended_with_its_parameters(reopen: Reopen) -> None:
    store = await telling(await reopen())
    await store.history.open(publish())
    await store.history.heartbeat("boot1", NOON + 30)
    store = await reopen()
    store.announcements.wants = lambda unique_name: True
    await store.history.begin_boot("boot2", "node1", NOON + 100)
    assert len(await store.history.close_lapsed("node1", "boot2", 0)) == 1
    start, end = await said(store)
    assert (start["NotifyType"], end["NotifyType"]) == ("PubStart", "PubEnd")
    assert end["Sequence"] == start["Sequence"]
    assert end["PubParam"] == start["PubParam"] == PARAM
    assert end["PubEndUnixTime"] == (NOON + 30) * 1000


async def test_session_that_is_taken_back_is_told_to_have_begun_again(store: Store) -> None:
    facts = publish()
    await store.history.open(facts)
    await store.history.begin_boot("boot2", "node2", NOON)
    await store.history.close_lapsed("node2", "boot2", NOON + 1000)
    await store.history.heartbeat("boot1", NOON + 20)
    assert await store.history.revive([facts]) == [facts]
    await store.history.close(HistoryRow(facts, NOON + 60, BreakCode.SUCCESS, Reason.CLOSED))
    assert await kinds(store) == ["PubStart", "PubEnd", "PubStart", "PubEnd"]
    assert len({body["Sequence"] for body in await said(store)}) == 1


async def test_own_end_after_a_declared_one_is_told_without_another_start(store: Store) -> None:
    facts = publish()
    await store.history.open(facts)
    await store.history.begin_boot("boot2", "node2", NOON)
    await store.history.close_lapsed("node2", "boot2", NOON + 1000)
    await store.history.close(HistoryRow(facts, NOON + 60, BreakCode.SUCCESS, Reason.CLOSED))
    assert await kinds(store) == ["PubStart", "PubEnd", "PubEnd"]


async def test_bans_are_told_with_their_times(store: Store) -> None:
    ban = await store.blacklist.forbid(KEY, NOON, NOON + 600, permanent=False)
    assert ban is not None
    assert await store.blacklist.forbid(KEY, NOON, NOON + 900, permanent=False) is None
    assert await store.blacklist.resume(KEY, NOON + 1) is not None
    assert await store.blacklist.resume(KEY, NOON + 1) is None
    await store.blacklist.forbid(KEY, NOON + 2, NOON + 600, permanent=True)
    forbidden, resumed, forever = await said(store)
    assert forbidden == {
        "Version": "1.0",
        "NotifyType": "ForbidStream",
        "UniqueName": "demo",
        "Pubdomain": "push.demo.local",
        "App": "live",
        "Stream": "s1",
        "ForbidUnixTime": NOON,
        "ForbidTillUnixTime": NOON + 600,
        "Sequence": str(ban.version),
        "EventId": forbidden["EventId"],
    }
    assert (resumed["NotifyType"], resumed["Sequence"]) == ("ResumeStream", str(ban.version))
    assert forever["ForbidTillUnixTime"] == -1


async def test_space_without_callbacks_has_no_events_and_no_parameters_kept(store: Store) -> None:
    facts = replace(build_facts(OTHER), pub_param=PARAM)
    await store.history.open(facts)
    kept = await store.readers.ask(lambda c: c.execute(select(open_sessions.c.pub_param)).scalars().all())
    assert list(kept) == [None]
    await store.history.close(HistoryRow(facts, NOON + 60, BreakCode.SUCCESS, Reason.CLOSED))
    await store.blacklist.forbid(OTHER, NOON, NOON + 600, permanent=False)
    await store.blacklist.resume(OTHER, NOON + 1)
    assert await store.outbox.spaces() == []


async def test_a_reload_changes_who_is_told(store: Store) -> None:
    facts = publish()
    store.announcements.wants = lambda unique_name: False
    await store.history.open(facts)
    store.announcements.wants = lambda unique_name: True
    await store.history.close(HistoryRow(facts, NOON + 60, BreakCode.SUCCESS, Reason.CLOSED))
    assert await kinds(store) == ["PubStart", "PubEnd"], "no end without its start"
    store.announcements.wants = lambda unique_name: False
    await store.history.close(build_row())
    assert len(await waiting(store)) == 2


async def test_write_that_fails_leaves_neither_fact_nor_event(store: Store) -> None:
    async def fails() -> None:
        def write(connection: Any) -> None:
            store.announcements.add(Event(KEY.name, {}))
            raise ValueError("after its event")

        await store.writer.write(write)

    facts = publish()
    outcomes = await asyncio.gather(fails(), store.history.open(facts), fails(), return_exceptions=True)
    assert [type(each) for each in outcomes] == [ValueError, type(None), ValueError]
    assert await kinds(store) == ["PubStart"]


async def test_event_that_cannot_be_written_takes_its_fact_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_add", text("SELECT 1 FROM no_such_table"))
    with pytest.raises(StoreUnavailable):
        await store.history.close(build_row(facts=publish()))
    monkeypatch.undo()
    assert await store.readers.ask(lambda c: c.execute(select(history)).all()) == []
    await store.history.close(build_row(facts=publish()))
    assert await kinds(store) == ["PubStart", "PubEnd"]


# -- order, and what is due ------------------------------------------------------------------------------------------


async def test_only_the_first_of_each_stream_is_due(store: Store) -> None:
    first, _, _ = await tell(store, "a", "a", "b")
    assert await due(store) == ["a", "b"]
    await store.outbox.done(first)
    assert await counts(store) == (2, 0, 0)
    assert sorted(await due(store)) == ["a", "b"]


async def test_due_is_bounded_and_new_ones_come_before_failed_ones(store: Store) -> None:
    a, _, _ = await tell(store, "a", "b", "c")
    await store.outbox.put_off(a, NOON - 5, "answered 500")
    assert await due(store) == ["b", "c", "a"]
    assert await due(store, 2) == ["b", "c"]
    assert await store.outbox.due(NOON, {}) == []


async def test_failed_attempt_is_noted_and_not_due_before_its_time(store: Store) -> None:
    (event,) = await tell(store, "a")
    for _ in range(2):  # repeated, as every write may be
        await store.outbox.put_off(event, NOON + 10, "answered 500")
    (noted,) = await waiting(store)
    assert (noted.attempts, noted.next_try, noted.error) == (1, NOON + 10, "answered 500")
    assert await due(store, now=NOON + 9) == []
    assert await due(store, now=NOON + 10) == ["a"]
    assert (await tell(store, "a"))[1].next_try is None, "another of the stream does not overtake it"


async def test_done_is_idempotent(store: Store) -> None:
    first, _ = await tell(store, "a", "a")
    for _ in range(2):
        await store.outbox.done(first)
    assert await counts(store) == (1, 0, 0)


async def test_events_of_many_writers_keep_their_order_in_each_stream(store: Store) -> None:
    """Each process's order is kept, and numbers are seen in the order in which they were given."""

    async def one(stream: str) -> None:
        for number in range(20):
            event = Event(replace(KEY, stream=stream).name, {"Place": number})
            await store.writer.write(lambda _, event=event: store.announcements.add(event))

    await asyncio.gather(*(one(f"s{number}") for number in range(5)))
    places: dict[str, list[int]] = {}
    for event in await waiting(store):
        places.setdefault(event.name.stream, []).append(json.loads(event.body)["Place"])
    assert places == {f"s{number}": list(range(20)) for number in range(5)}


async def test_of_two_processes_nobody_sees_a_higher_number_of_a_space_first(
    url: str, tmp_path: Path, store: Store
) -> None:
    """Two writers of one space and its stream, and a reader beside them: what it has not seen has a higher number."""
    other = await open_store(url, tmp_path, SECRET, deadline_seconds=20)
    over = False

    async def write(of: Store, process: str) -> None:
        for number in range(60):
            event = Event(KEY.name, {"Process": process, "Place": number})
            await of.writer.write(lambda _, event=event: of.announcements.add(event))

    async def read() -> None:
        seen: list[int] = []
        while not over:
            found = [each.number for each in await waiting(store)]
            assert found[: len(seen)] == seen
            seen = found

    try:
        reading = asyncio.create_task(read())
        await asyncio.gather(write(store, "one"), write(other, "two"), *(write(other, f"p{n}") for n in range(4)))
        over = True
        await reading
    finally:
        await other.close()
    places: dict[str, list[int]] = {}
    for body in await said(store):
        places.setdefault(body["Process"], []).append(body["Place"])
    assert places == {process: list(range(60)) for process in ("one", "two", "p0", "p1", "p2", "p3")}
    assert (await counts(store))[0] == 360


# -- dead letters ----------------------------------------------------------------------------------------------------


async def test_event_given_up_is_a_dead_letter_and_the_next_is_due(store: Store) -> None:
    first, _ = await tell(store, "a", "a")
    for _ in range(2):
        await store.outbox.give_up(first, NOON, "did not answer in time")
    assert await counts(store) == (1, 1, 0)
    (dead,) = await waiting(store, dead=True)
    assert (dead.number, dead.dead_at, dead.error, dead.next_try) == (
        first.number,
        NOON,
        "did not answer in time",
        None,
    )
    assert await due(store) == ["a"]


async def test_dead_letter_retried_waits_as_if_new_and_goes_before_the_later_ones(store: Store) -> None:
    first, second = await tell(store, "a", "a")
    await store.outbox.give_up(first, NOON, "answered 500")
    assert await store.outbox.retry(first.number, NOON + 5)
    assert await counts(store) == (2, 0, 0)
    head, behind = await waiting(store)
    assert (head.number, head.attempts, head.created_at, head.next_try, head.error) == (
        first.number,
        0,
        NOON + 5,
        0,
        "",
    )
    assert (behind.number, behind.next_try) == (second.number, None)
    assert not await store.outbox.retry(10**6, NOON)


async def test_retry_of_a_waiting_event_has_its_stream_tried_now(store: Store) -> None:
    first, second = await tell(store, "a", "a")
    await store.outbox.put_off(first, NOON + 500, "answered 500")
    assert await store.outbox.retry(second.number, NOON)
    assert await due(store) == ["a"]


async def test_retry_all_revives_the_dead_and_hurries_the_waiting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    events = await tell(store, "a", "b", "c", "d", "e", "f")
    for event in events[:5]:
        await store.outbox.give_up(event, NOON, "")
    await store.outbox.put_off(events[5], NOON + 500, "")
    assert await store.outbox.retry_all(NOON) == 5
    assert sorted(await due(store)) == ["a", "b", "c", "d", "e", "f"]
    assert await counts(store) == (6, 0, 0)


async def test_drop_forgets_what_waits_and_what_is_dead(store: Store) -> None:
    first, second, third = await tell(store, "a", "a", "b")
    await store.outbox.give_up(third, NOON, "")
    assert await store.outbox.drop(first.number)
    assert await due(store) == ["a"]
    assert await store.outbox.drop(third.number)
    assert not await store.outbox.drop(third.number)
    assert [each.number for each in await waiting(store)] == [second.number]
    assert await counts(store) == (1, 0, 0)


async def test_purge_forgets_old_dead_letters_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    events = await tell(store, *"abcdefg")
    for number, event in enumerate(events[:6]):
        await store.outbox.give_up(event, NOON + number, "")
    assert await store.outbox.purge(NOON + 5) == 5
    assert await counts(store) == (1, 1, 0)


async def test_dead_letters_are_bounded_the_oldest_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "DEAD_LIMIT", 2)
    events = await tell(store, *"abc")
    for number, event in enumerate(events):
        await store.outbox.give_up(event, NOON + number, "")
        assert (await counts(store))[1] == min(number + 1, 2)
    assert [each.name.stream for each in await waiting(store, dead=True)] == ["b", "c"]


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_waiting_events_are_bounded_the_newest_refused_counted_and_told_of_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "WAITING_LIMIT", 3)
    caplog.set_level(logging.ERROR)
    events = await tell(store, *"abc")
    assert (await counts(store), store.announcements.refused) == ((3, 0, 0), 0)
    await tell(store, "d")
    await tell(store, "e")
    assert (await counts(store), store.announcements.refused) == ((3, 0, 2), 2)
    assert [each.name.stream for each in await waiting(store)] == ["a", "b", "c"]
    assert len([record for record in caplog.records if "3 callbacks wait already" in record.getMessage()]) == 1
    await store.outbox.give_up(events[0], NOON, "")
    await tell(store, "f")
    assert not await store.outbox.retry(events[0].number, NOON), "no room for the dead"
    await store.outbox.done(events[1])
    assert await store.outbox.retry(events[0].number, NOON)
    assert await counts(store) == (3, 0, 2)


async def test_fact_whose_event_found_no_room_is_written_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "WAITING_LIMIT", 0)
    await store.history.close(build_row())
    assert len(await store.readers.ask(lambda c: c.execute(select(history)).all())) == 1
    assert await counts(store) == (0, 0, 2)


# -- who tells -------------------------------------------------------------------------------------------------------


async def test_one_leads_until_its_lease_has_lapsed(store: Store) -> None:
    lead = store.outbox.lead
    assert await lead("one", NOON, 15)
    assert not await lead("two", NOON + 14, 15)
    assert await lead("one", NOON + 14, 15)
    assert not await lead("two", NOON + 28, 15)
    assert await lead("two", NOON + 29, 15)
    assert not await lead("one", NOON + 30, 15)
    await store.outbox.resign("one")
    assert not await lead("one", NOON + 30, 15), "who does not lead resigns for nobody else"
    await store.outbox.resign("two")
    assert await lead("one", NOON + 30, 15)


async def test_of_many_who_ask_at_once_one_leads(store: Store) -> None:
    answers = await asyncio.gather(*(store.outbox.lead(f"p{number}", NOON, 15) for number in range(8)))
    assert sum(answers) == 1


async def test_new_events_are_told_to_the_loop_and_nothing_else_is(store: Store) -> None:
    calls: list[int] = []
    store.announcements.on_written = lambda: calls.append(1)
    (event,) = await tell(store, "a")
    assert len(calls) == 1
    await store.outbox.put_off(event, NOON, "")
    await store.history.open(build_facts(OTHER))
    assert len(calls) == 1


async def test_events_survive_a_reopening(reopen: Reopen) -> None:
    store = await telling(await reopen())
    await tell(store, "a", "b")
    store = await reopen()
    assert await due(store) == ["a", "b"]
