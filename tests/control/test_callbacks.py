"""Delivery of callbacks: order, repetition, bounds, and who of several processes does it."""

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping

import pytest

from openkls.control.callbacks import (
    FAREWELL_SECONDS,
    LEASE_SECONDS,
    POLL_SECONDS,
    PROBES_LIMIT,
    PURGE_SECONDS,
    SEND_SECONDS,
    SENDS_LIMIT,
    SENDS_PER_TARGET_LIMIT,
    SKEW_SECONDS,
    WARN_SECONDS,
    Callbacks,
)
from openkls.domain.callbacks import GIVE_UP_SECONDS, Callback, CallbackTarget, Outcome, Told
from openkls.domain.errors import StoreUnavailable
from support_control import EPOCH, VirtualLoop
from support_outbox import MemoryOutbox, Post

URL = "https://hooks.example/told?token=secret"
FAILED = Told(Outcome.REFUSED, 500)
RETENTION = 90 * 86400


class Delivery:
    """A process that delivers, on a virtual loop."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.outbox, self.post = MemoryOutbox(), Post()
        self.targets = {"demo": CallbackTarget(URL, ("key",))}
        self.callbacks = self.process("boot-1")
        self.running = self.loop.create_task(self.callbacks.run())
        self.loop.settle()

    def process(self, owner: str) -> Callbacks:
        def build() -> Callbacks:
            return Callbacks(
                *(self.outbox, self.post, self.targets.get, owner, RETENTION),
                clock=lambda: EPOCH + self.loop.now,
                chance=lambda: 0.5,
            )

        return self.loop.call(build)

    def tell(self, stream: str = "s1", unique_name: str = "demo") -> int:
        number = self.outbox.add(stream, int(EPOCH + self.loop.now), unique_name).number
        self.callbacks.wake()
        self.loop.settle()
        return number

    def stop(self) -> None:
        self.running.cancel()
        self.loop.settle()


@pytest.fixture
def delivery() -> Iterator[Delivery]:
    made = Delivery()
    yield made
    made.loop.bury()
    assert not made.loop.faults
    assert not made.post.overlaps


def test_events_of_a_stream_are_told_one_after_the_other(delivery: Delivery) -> None:
    numbers = [delivery.tell("a") for _ in range(5)]
    delivery.loop.advance(2)
    assert delivery.post.numbers() == numbers
    assert delivery.outbox.rows == {}
    assert delivery.callbacks.delivered == 5
    assert delivery.callbacks.in_flight == 0
    delivery.loop.advance(POLL_SECONDS * 2)
    assert delivery.callbacks.waiting == 0


def test_new_event_is_told_at_once(delivery: Delivery) -> None:
    delivery.loop.advance(100.5)
    number = delivery.tell()
    delivery.loop.advance(0.1)
    assert delivery.post.times(number)[0] <= 100.6


def test_event_under_way_is_not_begun_again(delivery: Delivery) -> None:
    delivery.post.answers[URL] = None
    numbers = []
    for stream in "abc":
        numbers.append(delivery.tell(stream))
        delivery.loop.advance(0.5)
    assert delivery.post.numbers() == numbers


def test_failed_event_is_tried_again_with_a_growing_pause_and_holds_up_its_stream_only(delivery: Delivery) -> None:
    delivery.post.answers[URL] = FAILED
    first, second = delivery.tell("a"), delivery.tell("a")
    other = delivery.tell("b")
    delivery.loop.advance(60)
    times = delivery.post.times(first)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 5 <= len(times) <= 6
    assert pauses == sorted(pauses)
    assert pauses[0] >= 1
    assert pauses[-1] >= 16
    assert second not in delivery.post.numbers()
    assert len(delivery.post.times(other)) == len(times)
    assert delivery.callbacks.failed == {Outcome.REFUSED: 2 * len(times)}
    del delivery.post.answers[URL]
    delivery.loop.advance(60)
    told = [number for number in delivery.post.numbers() if number != other]
    assert told.index(second) == len(told) - 1
    assert delivery.outbox.rows == {}


def test_event_is_given_up_after_a_day_and_the_next_one_told(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    delivery.post.answers[URL] = FAILED
    first, second = delivery.tell(), delivery.tell()
    delivery.loop.advance(GIVE_UP_SECONDS - 310)
    assert delivery.callbacks.given_up == 0
    delivery.loop.advance(2 * 310)
    dead = [row for row in delivery.outbox.rows.values() if row.dead_at is not None]
    assert [(row.number, row.error) for row in dead] == [(first, "answered 500"), (second, "answered 500")]
    assert delivery.post.times(second), "each is tried at least once"
    assert delivery.callbacks.given_up == 2
    assert len(delivery.post.times(first)) > 280
    assert "openkls callbacks list --dead" in caplog.text
    delivery.loop.advance(POLL_SECONDS * 2)
    assert (delivery.callbacks.waiting, delivery.callbacks.dead) == (0, 2)


def test_space_without_a_server_waits_and_is_told_when_it_has_one_again(delivery: Delivery) -> None:
    target = delivery.targets.pop("demo")
    number = delivery.tell()
    delivery.loop.advance(5)
    assert delivery.post.sent == []
    assert delivery.callbacks.failed[Outcome.NO_TARGET] > 1
    delivery.targets["demo"] = target
    delivery.loop.advance(20)
    assert delivery.post.numbers() == [number]
    assert delivery.outbox.rows == {}


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_server_that_hangs_keeps_nobody_elses_events_waiting(delivery: Delivery) -> None:
    delivery.targets["other"] = CallbackTarget("https://other.example/")
    delivery.post.answers[URL] = None
    for stream in range(200):
        delivery.tell(f"s{stream}")
    delivery.loop.advance(1)
    assert delivery.post.most[URL] == SENDS_PER_TARGET_LIMIT
    for _ in range(10):
        asked = delivery.loop.now
        number = delivery.tell("s", "other")
        delivery.loop.advance(1)
        assert delivery.post.times(number)[0] - asked <= 0.1
        delivery.loop.advance(6)
    before = len(delivery.post.numbers(URL))
    delivery.post.most.clear()
    delivery.loop.advance(50)
    assert delivery.post.most[URL] == PROBES_LIMIT, "once it is known to be away"
    assert len(delivery.post.numbers(URL)) - before <= PROBES_LIMIT * 11
    del delivery.post.answers[URL]
    delivery.loop.advance(320)
    assert delivery.outbox.rows == {}


@pytest.mark.parametrize(("streams", "under_way"), [(SENDS_PER_TARGET_LIMIT, 32), (SENDS_PER_TARGET_LIMIT + 1, 32)])
def test_attempts_at_one_server_are_bounded_whatever_the_space(
    delivery: Delivery, streams: int, under_way: int
) -> None:
    delivery.targets["twin"] = CallbackTarget(URL)
    delivery.post.answers[URL] = None
    for stream in range(streams):
        delivery.tell(f"s{stream}", "demo" if stream % 2 else "twin")
    delivery.loop.advance(1)
    assert delivery.callbacks.in_flight == under_way


@pytest.mark.parametrize("more", [0, 1])
def test_attempts_in_all_are_bounded(delivery: Delivery, more: int) -> None:
    servers = SENDS_LIMIT // SENDS_PER_TARGET_LIMIT
    for server in range(servers + more):
        url = f"https://h{server}.example/"
        delivery.targets[f"space{server}"] = CallbackTarget(url)
        delivery.post.answers[url] = None
        for stream in range(SENDS_PER_TARGET_LIMIT):
            delivery.tell(f"s{stream}", f"space{server}")
    delivery.loop.advance(1)
    assert delivery.callbacks.in_flight == delivery.post.most[""] == SENDS_LIMIT


def test_sender_that_breaks_is_a_failed_attempt(delivery: Delivery, caplog: pytest.LogCaptureFixture) -> None:
    delivery.post.answers[URL] = RuntimeError("a bug")
    delivery.tell()
    delivery.loop.advance(0.5)
    assert delivery.callbacks.failed == {Outcome.BROKEN: 1}
    del delivery.post.answers[URL]
    delivery.loop.advance(5)
    assert delivery.outbox.rows == {}
    assert "could not be sent" in caplog.text


def test_failing_server_is_told_of_once_a_minute_without_its_path(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    delivery.post.answers[URL] = Told(Outcome.LATE)
    for stream in range(5):
        delivery.tell(f"s{stream}")
    delivery.loop.advance(WARN_SECONDS - 2)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 1
    assert "space demo: the server https://hooks.example did not answer in time; it is tried again" in lines[0]
    del delivery.post.answers[URL]
    delivery.loop.advance(300)
    assert "callbacks of space demo are accepted again" in caplog.text
    assert "secret" not in caplog.text


def test_old_dead_letters_are_purged_every_hour(delivery: Delivery) -> None:
    delivery.tell()
    row = delivery.outbox.rows.popitem()[1]
    delivery.loop.run(delivery.outbox.give_up(row, 0, ""))
    delivery.outbox.rows[row.number] = row
    delivery.loop.run(delivery.outbox.give_up(row, EPOCH - RETENTION + 1800, ""))
    delivery.loop.advance(10)
    assert delivery.outbox.rows
    delivery.loop.advance(PURGE_SECONDS)
    assert delivery.outbox.rows == {}
    assert delivery.outbox.calls.count("purge") == 2


# -- the store -------------------------------------------------------------------------------------------------------


def test_accepted_event_is_not_sent_again_while_the_store_is_away(delivery: Delivery) -> None:
    number = delivery.outbox.add("s1", EPOCH).number
    delivery.callbacks.wake()
    while not delivery.post.under_way:
        delivery.loop.advance(0.0005)
    delivery.outbox.down = StoreUnavailable("away")
    delivery.loop.advance(30)
    assert delivery.post.numbers() == [number]
    assert number in delivery.outbox.rows
    delivery.outbox.down = None
    delivery.loop.advance(5)
    assert delivery.post.numbers() == [number]
    assert delivery.outbox.rows == {}


def test_store_that_was_away_is_asked_again(delivery: Delivery) -> None:
    delivery.outbox.down = StoreUnavailable("away")
    delivery.tell()
    delivery.loop.advance(10)
    delivery.outbox.down = ValueError("a bug")
    delivery.loop.advance(10)
    delivery.outbox.down = None
    delivery.loop.advance(2)
    assert delivery.outbox.rows == {}


def test_idle_service_writes_nothing(delivery: Delivery) -> None:
    delivery.loop.advance(60)
    assert set(delivery.outbox.calls) == {"spaces"}


# -- several processes -----------------------------------------------------------------------------------------------


def test_another_process_leads_when_the_first_has_died_and_not_before(delivery: Delivery) -> None:
    delivery.tell("a")
    delivery.loop.advance(1)
    second = delivery.process("boot-2")
    running = delivery.loop.create_task(second.run())
    delivery.loop.advance(1)
    assert delivery.callbacks.leads
    delivery.stop()  # as a kill -9 does: without a word
    died = delivery.loop.now
    number = delivery.tell("b")
    delivery.loop.advance(LEASE_SECONDS - 4)
    assert number not in delivery.post.numbers()
    delivery.loop.advance(4 + 2 * POLL_SECONDS)
    assert delivery.post.times(number)[0] - died <= LEASE_SECONDS + 2 * POLL_SECONDS
    assert second.leads
    running.cancel()


def test_two_processes_never_tell_of_one_stream_at_once(delivery: Delivery) -> None:
    second = delivery.process("boot-2")
    running = delivery.loop.create_task(second.run())
    for stream in range(50):
        for _ in range(3):
            delivery.tell(f"s{stream}")
    delivery.loop.advance(30)
    assert sorted(delivery.post.numbers()) == sorted(set(delivery.post.numbers()))
    assert delivery.callbacks.leads is not second.leads
    running.cancel()


@pytest.mark.parametrize(("late_seconds", "begun"), [(7.9, 1), (8.1, 0)])
def test_no_attempt_is_begun_that_might_outlast_the_lease(delivery: Delivery, late_seconds: float, begun: int) -> None:
    assert LEASE_SECONDS - SEND_SECONDS - SKEW_SECONDS == 8
    ask = delivery.outbox.due

    async def late(now: int, room: Mapping[str, int]) -> list[Callback]:
        await asyncio.sleep(late_seconds)
        return await ask(now, room)

    delivery.outbox.due = late  # type: ignore[method-assign]
    delivery.tell()
    delivery.loop.advance(late_seconds + 0.05)
    assert len(delivery.post.sent) == begun


def test_process_that_lost_its_lease_begins_nothing(delivery: Delivery) -> None:
    delivery.tell("a")
    delivery.loop.advance(5)
    delivery.outbox.leader, delivery.outbox.lease_until = "boot-9", EPOCH + 10**6
    number = delivery.tell("b")
    delivery.loop.advance(30)
    assert number not in delivery.post.numbers()
    assert not delivery.callbacks.leads


# -- the end ---------------------------------------------------------------------------------------------------------


def test_last_events_are_told_at_the_end_and_another_may_lead_at_once(delivery: Delivery) -> None:
    delivery.loop.advance(10)
    delivery.stop()
    numbers = [delivery.outbox.add(stream, EPOCH).number for stream in ("a", "a", "b")]
    closing = delivery.loop.create_task(delivery.callbacks.close())
    delivery.loop.advance(0.1)
    assert closing.done()
    assert sorted(delivery.post.numbers()) == numbers
    assert delivery.outbox.lease_until == 0


def test_end_waits_for_no_server_that_hangs(delivery: Delivery) -> None:
    delivery.post.answers[URL] = None
    delivery.tell()
    delivery.stop()
    closing = delivery.loop.create_task(delivery.callbacks.close())
    delivery.loop.advance(FAREWELL_SECONDS + 0.1)
    assert closing.done()
    assert delivery.callbacks.in_flight == 0
    assert delivery.outbox.rows, "it is still to be told"


def test_end_waits_for_no_store_that_is_away(delivery: Delivery) -> None:
    delivery.tell()
    delivery.loop.advance(1)
    delivery.outbox.down = StoreUnavailable("away")
    delivery.stop()
    closing = delivery.loop.create_task(delivery.callbacks.close())
    delivery.loop.advance(0.1)
    assert closing.done()
    assert closing.exception() is None
