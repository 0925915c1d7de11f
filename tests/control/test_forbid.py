"""ForbidStream and ResumeStream, rule by rule (contract, 6)."""

import asyncio

import pytest

from openkls.control.forbid import TILL_CUT_ONLY, TILL_DEFAULT, TILL_PERMANENT
from openkls.domain import blacklist as blacklist_module
from openkls.domain.blacklist import FORBID_DEFAULT_SECONDS
from openkls.domain.errors import BusinessError
from openkls.domain.keys import StreamKey
from openkls.domain.session import BreakCode, Reason, Session
from support_control import EPOCH, Still, ask
from support_domain import FakePublisher, ban, key

LONGEST = EPOCH + FORBID_DEFAULT_SECONDS


def live(still: Still, publisher: FakePublisher | None = None, stream: str = "s1") -> Session:
    outcome = still.loop.run(still.house.admission.admit(ask(stream), publisher or FakePublisher()))
    assert isinstance(outcome, Session)
    return outcome


def forbid(still: Still, till: int = TILL_DEFAULT, of: StreamKey | None = None) -> None:
    still.loop.run(still.house.forbids.forbid(of or key(), till))


def ret_code(still: Still, till: int = TILL_DEFAULT, of: StreamKey | None = None) -> int:
    with pytest.raises(BusinessError) as caught:
        forbid(still, till, of)
    return caught.value.ret_code


@pytest.mark.parametrize(
    ("till", "ends", "shown"),
    [
        (TILL_DEFAULT, LONGEST, LONGEST),
        (TILL_PERMANENT, LONGEST, -1),
        (EPOCH + 1, EPOCH + 1, EPOCH + 1),
        (LONGEST, LONGEST, LONGEST),
        (LONGEST + 1, LONGEST, LONGEST),
        (2**62, LONGEST, LONGEST),
    ],
)
def test_ban_is_durable_known_and_cuts(still: Still, till: int, ends: int, shown: int) -> None:
    publisher = FakePublisher()
    session = live(still, publisher)
    forbid(still, till)
    row = still.bans.bans[key()]
    assert (row.forbid_time, row.till, row.shown_till, row.resumed) == (EPOCH, ends, shown, False)
    assert still.house.blacklist.find(key(), EPOCH) == row
    assert still.house.blacklist.forbids(key(), ends - 1)
    assert not still.house.blacklist.forbids(key(), ends)
    assert publisher.kicks == [BreakCode.FORBIDDEN]
    assert not still.house.registry.holds(session)
    (history,) = still.history.rows.values()
    assert (history.code, history.reason, history.accepted) == (BreakCode.FORBIDDEN, Reason.FORBIDDEN, True)


def test_one_cuts_now_without_a_row_and_the_encoder_may_come_back(still: Still) -> None:
    publisher = FakePublisher()
    live(still, publisher)
    forbid(still, TILL_CUT_ONLY)
    assert publisher.kicks == [BreakCode.FORBIDDEN]
    assert not still.bans.bans
    live(still)
    forbid(still, TILL_CUT_ONLY)


def test_one_for_an_offline_stream_is_8502(still: Still) -> None:
    assert ret_code(still, TILL_CUT_ONLY) == 8502
    live(still)
    other_door = key(pubdomain="md5.demo.local")
    assert ret_code(still, TILL_CUT_ONLY, other_door) == 8502


@pytest.mark.parametrize("till", [2, EPOCH - 1, EPOCH, -2, -(2**62)])
def test_time_that_is_not_in_the_future_is_4001_and_changes_nothing(still: Still, till: int) -> None:
    publisher = FakePublisher()
    live(still, publisher)
    assert ret_code(still, till) == 4001
    assert not still.bans.calls
    assert not publisher.kicks


def test_offline_stream_can_be_forbidden(still: Still) -> None:
    forbid(still)
    outcome = still.loop.run(still.house.admission.admit(ask(), FakePublisher()))
    assert getattr(outcome, "code", None) is BreakCode.FORBIDDEN


def test_same_second_again_is_3802_and_a_second_later_refreshes(still: Still) -> None:
    forbid(still, EPOCH + 100)
    still.loop.advance(0.9)
    assert ret_code(still, EPOCH + 200) == 3802
    assert still.bans.bans[key()].till == EPOCH + 100
    still.loop.advance(0.1)
    forbid(still, EPOCH + 200)
    row = still.house.blacklist.find(key(), EPOCH + 1)
    assert row is not None
    assert (row.forbid_time, row.till) == (EPOCH + 1, EPOCH + 200)


def test_resumed_within_the_same_second_can_be_forbidden_again(still: Still) -> None:
    forbid(still)
    still.loop.run(still.house.forbids.resume(key()))
    forbid(still)
    assert still.house.blacklist.forbids(key(), EPOCH)


def test_cut_that_fails_is_8501_and_the_ban_holds_and_the_session_is_over(still: Still) -> None:
    session = live(still, FakePublisher(broken=OSError("gone")))
    assert ret_code(still) == 8501
    assert still.house.blacklist.forbids(key(), EPOCH)
    assert session.ended
    assert len(still.history.rows) == 1
    assert not still.house.registry.holds(session)


def test_store_that_fails_is_8200_and_nothing_is_cut(still: Still) -> None:
    publisher = FakePublisher()
    live(still, publisher)
    still.line.healthy = False
    forbidding = still.loop.create_task(still.house.forbids.forbid(key()))
    resuming = still.loop.create_task(still.house.forbids.resume(key()))
    still.loop.settle()
    still.line.fail(0)
    still.line.fail(1)
    still.loop.settle()
    for task in (forbidding, resuming):
        error = task.exception()
        assert isinstance(error, BusinessError)
        assert error.ret_code == 8200
    assert not publisher.kicks
    assert not still.house.blacklist.forbids(key(), EPOCH)


def test_full_space_is_8200_but_a_ban_it_holds_is_refreshed(still: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blacklist_module, "SPACE_BANS_LIMIT", 2)
    forbid(still, EPOCH + 10)
    forbid(still, EPOCH + 100, key("s2"))
    assert ret_code(still, of=key("s3")) == 8200
    assert key("s3") not in still.bans.bans
    still.loop.advance(1.0)
    forbid(still, EPOCH + 20)
    still.loop.advance(30.0)
    forbid(still, of=key("s3"))


def test_ban_that_is_over_before_the_store_has_said_so_still_cuts(still: Still) -> None:
    publisher = FakePublisher()
    live(still, publisher)
    still.line.healthy = False
    forbidding = still.loop.create_task(still.house.forbids.forbid(key(), EPOCH + 1))
    still.loop.advance(1.5)
    still.line.heal()
    still.loop.settle()
    forbidding.result()
    assert publisher.kicks == [BreakCode.FORBIDDEN], "ForbidStream said yes"
    still.line.healthy = True
    live(still)


def test_old_ban_leaves_alone_who_began_after_it(still: Still) -> None:
    still.loop.advance(10.0)
    publisher = FakePublisher()
    live(still, publisher)
    still.house.forbids.apply(ban(key(), till=EPOCH + 10))
    assert not publisher.kicks


def test_rows_in_the_wrong_order_leave_the_newest_and_cut_nobody(still: Still) -> None:
    publisher = FakePublisher()
    live(still, publisher)
    still.house.forbids.apply(ban(key(), version=2, till=EPOCH + 100, resumed=True))
    still.house.forbids.apply(ban(key(), version=1, till=EPOCH + 100))
    assert not publisher.kicks
    assert not still.house.blacklist.forbids(key(), EPOCH)


def test_ban_of_one_door_leaves_the_stream_of_another_alone(still: Still) -> None:
    publisher = FakePublisher()
    live(still, publisher)
    forbid(still, of=key(pubdomain="md5.demo.local"))
    assert not publisher.kicks


def test_resume_ends_a_ban_early(still: Still) -> None:
    forbid(still)
    still.loop.run(still.house.forbids.resume(key()))
    live(still)
    with pytest.raises(BusinessError) as caught:
        still.loop.run(still.house.forbids.resume(key()))
    assert caught.value.ret_code == 8201


def test_resume_of_what_is_not_or_no_longer_forbidden_is_8201(still: Still) -> None:
    for seconds in (0.0, 10.0):
        still.loop.advance(seconds)
        with pytest.raises(BusinessError) as caught:
            still.loop.run(still.house.forbids.resume(key()))
        assert caught.value.ret_code == 8201
        if not seconds:
            forbid(still, EPOCH + 5)


def test_request_cancelled_after_its_ban_was_written_is_healed_by_sync(still: Still) -> None:
    publisher = FakePublisher()
    live(still, publisher)
    still.line.healthy = False
    forbidding = still.loop.create_task(still.house.forbids.forbid(key()))
    still.loop.settle()
    still.line.deliver(0)
    still.loop.settle()
    forbidding.cancel()
    still.loop.settle()
    with pytest.raises(asyncio.CancelledError):
        forbidding.result()
    assert key() in still.bans.bans
    assert not publisher.kicks
    still.line.healthy = True
    still.loop.run(still.house.reconcile.sync())
    assert publisher.kicks == [BreakCode.FORBIDDEN]
    assert still.house.blacklist.forbids(key(), EPOCH)


def test_cut_of_nobody_is_none(still: Still) -> None:
    assert still.house.forbids.cut(key()) is None
