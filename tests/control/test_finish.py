"""The one ending of a publish."""

from openkls.domain.session import BreakCode, HistoryRow, Reason, Session
from support_control import EPOCH, Still, ask
from support_domain import FakePublisher, session


def finish(
    still: Still, of: Session, code: BreakCode = BreakCode.SUCCESS, reason: Reason = Reason.CLOSED, now: float = EPOCH
) -> bool:
    return still.loop.call(lambda: still.house.endings.finish(of, code, reason, now))


def only_row(still: Still) -> HistoryRow:
    (row,) = still.history.rows.values()
    return row


def test_first_ending_writes_the_row_and_frees_the_name(still: Still) -> None:
    live = still.loop.run(still.house.admission.admit(ask(), FakePublisher()))
    assert isinstance(live, Session)
    assert finish(still, live, reason=Reason.UNPUBLISH, now=EPOCH + 9.9)
    assert not finish(still, live, BreakCode.FORBIDDEN, Reason.FORBIDDEN, EPOCH + 20)
    assert only_row(still) == HistoryRow(live.facts, EPOCH + 9, BreakCode.SUCCESS, Reason.UNPUBLISH)
    assert not still.history.live
    assert len(still.house.registry) == 0


def test_session_never_ends_before_it_began(still: Still) -> None:
    finish(still, session(pub_time=EPOCH), now=EPOCH - 100)
    assert only_row(still).fin_time == EPOCH


def test_security_17_late_ending_leaves_the_successor_alone(still: Still) -> None:
    first, second = session(publisher=FakePublisher(silent=60.0)), session()
    still.house.registry.claim(first, EPOCH)
    still.house.registry.claim(second, EPOCH)
    assert finish(still, first)
    assert still.house.registry.holds(second)


def test_refused_while_it_was_opened_is_an_error_row_of_no_length(still: Still) -> None:
    opening = session(started=False, pub_time=EPOCH)
    finish(still, opening, BreakCode.FORBIDDEN, Reason.FORBIDDEN, EPOCH + 50)
    row = only_row(still)
    assert (row.accepted, row.fin_time, row.code) == (False, EPOCH, BreakCode.FORBIDDEN)


def test_peer_that_left_while_it_was_opened_was_refused_by_nobody(still: Still) -> None:
    finish(still, session(started=False, pub_time=EPOCH), now=EPOCH + 50)
    row = only_row(still)
    assert (row.accepted, row.fin_time, row.code) == (True, EPOCH, BreakCode.SUCCESS)
