"""The queue in front of history: order, retries, its bound, its end."""

import asyncio
from typing import Any

import pytest

from openkls.control import journal as module
from openkls.control.journal import BATCH_LIMIT, RETRY_FIRST_SECONDS, RETRY_LONGEST_SECONDS, WAITING_LIMIT, Journal
from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.session import BreakCode, HistoryRow, Reason, SessionFacts
from support_control import Still, VirtualLoop
from support_domain import facts, key


def row(number: int) -> HistoryRow:
    return HistoryRow(of(number), 2000, BreakCode.SUCCESS, Reason.CLOSED)


def of(number: int) -> SessionFacts:
    return facts(key(f"s{number}"), session_id=f"{number:032x}")


class Port:
    """A history port that notes what it was told. Rows of the numbers in ``down`` (None: all) fail, those in
    ``poison`` for good."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.tried: list[int] = []
        self.down: set[int] | None = set()
        self.poison: set[int] = set()
        self.hangs = False

    async def close(self, row: HistoryRow) -> None:
        await self.open(row.facts)

    async def open(self, facts: SessionFacts) -> None:
        number = int(facts.session_id, 16)
        self.tried.append(number)
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if number in self.poison:
            raise ValueError("a row that the store can't take")
        if self.down is None or number in self.down:
            raise StoreUnavailable("down")
        self.told.append(number)


class Fed:
    """A journal that is being fed to a port."""

    def __init__(self, still: Still, **more: Any) -> None:
        self.loop: VirtualLoop = still.loop
        self.port = Port()
        self.journal = Journal(self.port, **more)  # type: ignore[arg-type]
        self.feeding = self.loop.create_task(self.journal.run())

    def close(self, *numbers: int) -> None:
        self.loop.call(lambda: [self.journal.close(row(number)) for number in numbers])

    def stop(self) -> None:
        self.feeding.cancel()
        self.loop.settle()


@pytest.fixture
def fed(still: Still) -> Fed:
    return Fed(still)


def test_rows_go_in_the_order_they_came(fed: Fed) -> None:
    numbers = list(range(2 * BATCH_LIMIT + 1))
    fed.close(*numbers)
    assert fed.port.told == numbers
    assert len(fed.journal) == 0


def test_row_that_the_store_did_not_take_is_tried_again_with_a_growing_pause(fed: Fed) -> None:
    fed.port.down = None
    fed.close(1, 2)
    pauses, last, tried = [], fed.loop.now, 2
    for _ in range(2000):
        fed.loop.advance(0.05)
        if len(fed.port.tried) > tried:
            pauses.append(fed.loop.now - last)
            last, tried = fed.loop.now, len(fed.port.tried)
    assert pauses[:6] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2], abs=0.06)
    assert pauses[6:] == pytest.approx([RETRY_LONGEST_SECONDS] * len(pauses[6:]), abs=0.06)
    assert len(fed.journal) == 2
    fed.port.down = set()
    fed.loop.advance(RETRY_LONGEST_SECONDS)
    assert fed.port.told == [1, 2]
    fed.port.down = None
    fed.close(3)
    fed.port.down = set()
    fed.loop.advance(RETRY_FIRST_SECONDS)
    assert fed.port.told == [1, 2, 3], "after a success the pause is short again"


def test_rows_left_over_stay_in_front_of_newer_ones(fed: Fed) -> None:
    fed.port.down = {1, 3}
    fed.close(1, 2, 3)
    fed.close(4)
    assert fed.port.told == [2]
    fed.port.down = set()
    fed.loop.advance(RETRY_FIRST_SECONDS)
    assert fed.port.told == [2, 1, 3, 4]


def test_open_waits_until_the_row_is_durable(fed: Fed) -> None:
    assert fed.loop.run(fed.journal.open(of(1), 1.0))
    assert fed.port.told == [1]


def test_open_gives_up_waiting_at_its_deadline_and_the_row_goes_later(fed: Fed) -> None:
    fed.port.down = None
    opening = fed.loop.create_task(fed.journal.open(of(1), 1.0))
    fed.loop.advance(0.999)
    assert not opening.done()
    fed.loop.advance(0.001)
    assert opening.result() is False
    fed.port.down = set()
    fed.loop.advance(RETRY_LONGEST_SECONDS)
    assert fed.port.told == [1]


def test_open_that_is_cancelled_leaves_its_row_in_the_journal(fed: Fed) -> None:
    fed.port.down = {1}
    opening = fed.loop.create_task(fed.journal.open(of(1), 1.0))
    fed.loop.settle()
    opening.cancel()
    fed.loop.settle()
    fed.port.down = set()
    fed.loop.advance(RETRY_FIRST_SECONDS)
    assert fed.port.told == [1]


def test_rows_beyond_the_limit_are_dropped_and_counted(still: Still) -> None:
    fed = Fed(still, limit=3)
    fed.port.down = None
    fed.close(1, 2, 3)
    assert (len(fed.journal), fed.journal.dropped) == (3, 0)
    fed.close(4)
    assert (len(fed.journal), fed.journal.dropped) == (3, 1)
    assert fed.loop.run(fed.journal.open(of(5), 1.0)) is False, "and nobody waits for what was dropped"
    assert fed.journal.dropped == 2
    fed.port.down = set()
    fed.loop.advance(RETRY_LONGEST_SECONDS)
    assert fed.port.told == [1, 2, 3]
    fed.close(6)
    assert fed.port.told == [1, 2, 3, 6]


def test_rows_being_written_count_against_the_limit(still: Still) -> None:
    fed = Fed(still, limit=2)
    fed.port.hangs = True
    fed.close(1, 2)
    assert len(fed.journal) == 2
    fed.close(3)
    assert fed.journal.dropped == 1


def test_limits_are_named() -> None:
    assert (WAITING_LIMIT, BATCH_LIMIT) == (100_000, 256)


def test_poison_row_is_dropped_and_stops_nobody(fed: Fed, caplog: pytest.LogCaptureFixture) -> None:
    fed.port.poison = {2}
    fed.close(1, 2, 3)
    assert fed.port.told == [1, 3]
    assert len(fed.journal) == 0
    assert "could not be written and is lost" in caplog.text
    fed.close(4)
    assert fed.port.told == [1, 3, 4]


def test_open_of_a_poison_row_does_not_claim_to_be_durable(fed: Fed) -> None:
    fed.port.poison = {1}
    assert fed.loop.run(fed.journal.open(of(1), 1.0)) is False


def test_write_that_was_cut_off_is_tried_again(fed: Fed) -> None:
    fed.port.hangs = True
    fed.close(1, 2)
    fed.stop()
    assert len(fed.journal) == 2
    fed.port.hangs = False
    assert fed.loop.run(fed.journal.drain(1.0))
    assert fed.port.told == [1, 2]
    assert len(fed.journal) == 0


def test_drain_writes_what_waits_and_tries_again(fed: Fed) -> None:
    fed.stop()
    fed.port.down = {2}
    fed.close(1, 2, 3)
    draining = fed.loop.create_task(fed.journal.drain(1.0))
    fed.loop.settle()
    assert fed.port.told == [1, 3]
    fed.port.down = set()
    fed.loop.advance(RETRY_FIRST_SECONDS)
    assert draining.result() is True
    assert fed.port.told == [1, 3, 2]


@pytest.mark.parametrize("hangs", [False, True])
def test_drain_ends_at_its_deadline_and_says_what_is_lost(
    fed: Fed, caplog: pytest.LogCaptureFixture, hangs: bool
) -> None:
    fed.stop()
    fed.port.down, fed.port.hangs = None, hangs
    fed.close(1, 2)
    draining = fed.loop.create_task(fed.journal.drain(3.0))
    fed.loop.advance(3.0)
    assert draining.result() is False
    assert "2 rows of history could not be written" in caplog.text
    assert len(fed.journal) == 2


def test_store_that_is_late_is_a_store_that_did_not_say_so(still: Still) -> None:
    still.line.healthy = False
    still.loop.call(lambda: still.house.journal.close(row(1)))
    still.line.deliver(0)
    still.loop.settle()
    still.line.waiting[0].go.set_exception(StoreTimeout("late"))
    still.loop.settle()
    assert len(still.history.rows) == len(still.house.journal) == 1
    still.line.healthy = True
    still.loop.advance(RETRY_FIRST_SECONDS)
    assert (len(still.history.rows), len(still.house.journal)) == (1, 0)


def test_journal_sleeps_while_there_is_nothing_to_do(fed: Fed) -> None:
    fed.loop.advance(3600.0)
    assert not fed.port.tried
    assert module.RETRY_FIRST_SECONDS < RETRY_LONGEST_SECONDS
