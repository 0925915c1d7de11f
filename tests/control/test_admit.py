"""Admission: who is let in, who is refused with which code, and what is written about it."""

import logging

import pytest

from openkls.codec.pushauth import sign_hmac, sign_md5
from openkls.control import admit as module
from openkls.control.admit import NAME_LIMIT, OPEN_DEADLINE_SECONDS, PublishAsk, Refused
from openkls.control.forbid import TILL_PERMANENT
from openkls.control.ids import new_session_id
from openkls.domain.refusals import ROWS_PER_MINUTE
from openkls.domain.registry import SILENT_SECONDS
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session
from support_control import EPOCH, Still, ask
from support_domain import FakePublisher, ban, key

EXPIRED, LATER = EPOCH - 1, EPOCH + 60


def admitted(still: Still, asked: PublishAsk | None = None, publisher: FakePublisher | None = None) -> Session:
    outcome = still.loop.run(still.house.admission.admit(asked or ask(), publisher or FakePublisher()))
    assert isinstance(outcome, Session), outcome
    return outcome


def refused(still: Still, asked: PublishAsk) -> Refused:
    outcome = still.loop.run(still.house.admission.admit(asked, FakePublisher()))
    assert isinstance(outcome, Refused)
    return outcome


def only_row(still: Still) -> HistoryRow:
    (row,) = still.history.rows.values()
    return row


def test_admitted_session_holds_its_name_and_is_recorded_before_the_answer(still: Still) -> None:
    session = admitted(still)
    assert session.started
    assert still.house.registry.holds(session)
    assert still.history.live == {session.facts.session_id: session.facts}
    facts = session.facts
    assert (facts.key, facts.client_ip, facts.client_port) == (key(), "192.0.2.7", 50000)
    assert (facts.node, facts.boot_id, facts.pub_time) == ("127.0.0.1", "boot-1", EPOCH)
    assert still.house.admission.knocks.admitted == 1


def test_publish_by_an_alias_is_the_same_stream(still: Still) -> None:
    assert admitted(still, ask(door="localhost")).key == key()
    assert refused(still, ask(door="push.demo.local")).code is BreakCode.ALREADY_EXISTS
    assert refused(still, ask(door="127.0.0.1")).code is BreakCode.ALREADY_EXISTS


def test_unknown_domain_is_counted_and_writes_no_row(still: Still) -> None:
    assert refused(still, ask(door="nobody.local")).code is BreakCode.BAD_PARAMS
    assert not still.history.rows
    assert (still.house.admission.knocks.unknown_domain, still.house.admission.knocks.refused) == (1, 1)


@pytest.mark.parametrize(
    "asked",
    [
        ask(app="vod"),
        ask(app=""),
        ask(app="a/b"),
        ask(stream=""),
        ask(stream="a/b"),
        ask(stream="a b"),
        ask(stream="\x00"),
        ask(stream="x" * (NAME_LIMIT + 1)),
        ask(stream=".."),
    ],
)
def test_malformed_or_foreign_names_are_428_with_one_error_row(still: Still, asked: PublishAsk) -> None:
    assert refused(still, asked).code is BreakCode.BAD_PARAMS
    row = only_row(still)
    assert (row.code, row.reason, row.accepted, row.fin_time) == (BreakCode.BAD_PARAMS, Reason.REFUSED, False, EPOCH)


def test_security_13_names_reach_an_error_row_cut_and_printable(still: Still) -> None:
    refused(still, ask(stream="a\x00\n\u202e\ud800b" + "x" * 1000))
    name = only_row(still).facts.key.stream
    assert name == "ab" + "x" * (NAME_LIMIT - 6)
    assert name.encode()


def test_longest_name_is_let_in(still: Still) -> None:
    assert admitted(still, ask(stream="x" * NAME_LIMIT)).key.stream == "x" * NAME_LIMIT


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (sign_md5("123456", "s1", LATER), None),
        (sign_md5("old", "s1", LATER), None),
        (sign_md5("wrong", "s1", LATER), BreakCode.SIGNATURE),
        (sign_md5("123456", "s2", LATER), BreakCode.SIGNATURE),
        (sign_md5("123456", "s1", EXPIRED), BreakCode.EXPIRED),
        (sign_md5("wrong", "s1", EXPIRED), BreakCode.EXPIRED),
        ("", BreakCode.BAD_PARAMS),
        ("t=abc&k=0123456789abcdef", BreakCode.BAD_PARAMS),
    ],
)
def test_md5_authentication(still: Still, query: str, code: BreakCode | None) -> None:
    asked = ask(door="md5.demo.local", query=query)
    if code is None:
        assert admitted(still, asked).key.pubdomain == "md5.demo.local"
    else:
        assert refused(still, asked).code is code
        assert only_row(still).code is code


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (sign_hmac("AK1", "TESTSECRET", LATER, {"nonce": "abc", "public": "0"}), None),
        (sign_hmac("AK1", "WRONG", LATER, {}), BreakCode.SIGNATURE),
        (sign_hmac("AK2", "TESTSECRET", LATER, {}), BreakCode.SIGNATURE),
        (sign_hmac("AK1", "WRONG", EXPIRED, {}), BreakCode.EXPIRED),
        ("signature=x&accesskey=AK1", BreakCode.BAD_PARAMS),
    ],
)
def test_hmac_authentication(still: Still, query: str, code: BreakCode | None) -> None:
    asked = ask(door="hmac.demo.local", query=query)
    if code is None:
        assert admitted(still, asked).started
    else:
        assert refused(still, asked).code is code


def test_refusals_come_in_the_contracts_order_428_425_426_423_422(still: Still) -> None:
    still.house.blacklist.apply(ban(key(pubdomain="md5.demo.local"), till=EPOCH + 1000))
    admitted(still)  # the name is taken as well
    door = "md5.demo.local"
    expired, wrong = sign_md5("wrong", "s1", EXPIRED), sign_md5("wrong", "s1", LATER)
    right = sign_md5("123456", "s1", LATER)
    asked = [
        ask(stream="s 1", door=door, query=expired),
        ask(door=door, query=expired),
        ask(door=door, query=wrong),
        ask(door=door, query=right),
    ]
    codes = [refused(still, each).code for each in asked]
    still.loop.advance(1001 - 1000)
    still.house.blacklist.apply(ban(key(pubdomain="md5.demo.local"), version=2, resumed=True))
    codes.append(refused(still, asked[-1]).code)
    assert [int(code) for code in codes] == [428, 425, 426, 423, 422]


def test_evicted_while_it_is_opened_is_423_with_an_error_row_only(still: Still) -> None:
    still.line.healthy = False
    publisher = FakePublisher()
    admission = still.loop.create_task(still.house.admission.admit(ask(), publisher))
    still.loop.settle()
    assert [turn.method for turn in still.line.waiting] == ["open"]
    forbidding = still.loop.create_task(still.house.forbids.forbid(key(), TILL_PERMANENT))
    still.loop.settle()
    still.line.deliver(1)  # the ban is written
    still.loop.settle()
    still.line.deliver(1)  # and said to be
    still.loop.settle()
    assert forbidding.done()
    assert publisher.kicks == [BreakCode.FORBIDDEN]
    assert not admission.done(), "it still waits for its row"
    still.line.heal()
    still.loop.settle()
    outcome = admission.result()
    assert isinstance(outcome, Refused)
    assert outcome.code is BreakCode.FORBIDDEN
    row = only_row(still)
    assert (row.accepted, row.code, row.fin_time) == (False, BreakCode.FORBIDDEN, row.facts.pub_time)
    assert not still.history.live
    assert len(still.house.registry) == 0


def test_late_store_does_not_stop_a_broadcaster_and_its_row_waits(still: Still) -> None:
    still.line.healthy = False
    admission = still.loop.create_task(still.house.admission.admit(ask(), FakePublisher()))
    still.loop.advance(OPEN_DEADLINE_SECONDS - 0.001)
    assert not admission.done()
    still.loop.advance(0.001)
    session = admission.result()
    assert isinstance(session, Session)
    assert session.started
    assert not still.history.live
    assert (len(still.house.journal), still.house.admission.knocks.late_opens) == (1, 1)
    still.line.heal()
    still.loop.settle()
    assert set(still.history.live) == {session.facts.session_id}


def test_store_that_is_down_does_not_stop_a_broadcaster(still: Still) -> None:
    still.line.healthy = False
    admission = still.loop.create_task(still.house.admission.admit(ask(), FakePublisher()))
    still.loop.settle()
    still.line.fail(0)
    still.loop.advance(OPEN_DEADLINE_SECONDS)
    assert isinstance(admission.result(), Session)
    assert len(still.house.journal) == 1


def test_silent_holder_yields_its_name_and_ends_with_200(still: Still) -> None:
    publisher = FakePublisher()
    first = admitted(still, publisher=publisher)
    publisher.silent = SILENT_SECONDS
    still.loop.advance(7.0)
    second = admitted(still, ask(port=50001))
    assert publisher.kicks == [BreakCode.SUCCESS]
    assert still.house.registry.holds(second)
    row = only_row(still)
    assert row.facts is first.facts
    assert (row.code, row.reason, row.accepted) == (BreakCode.SUCCESS, Reason.TAKEN_OVER, True)
    assert row.fin_time == EPOCH + 7


def test_silent_holder_yields_also_when_it_cannot_be_cut(still: Still) -> None:
    publisher = FakePublisher(silent=SILENT_SECONDS, broken=OSError("gone"))
    first = admitted(still, publisher=publisher)
    second = admitted(still, ask(port=50001))
    assert still.house.registry.holds(second)
    assert (first.ended, second.ended) == (True, False)
    assert set(still.history.live) == {second.facts.session_id}
    assert only_row(still).reason is Reason.TAKEN_OVER


def test_holder_that_is_being_opened_is_not_displaced(still: Still) -> None:
    still.line.healthy = False
    opening = still.loop.create_task(still.house.admission.admit(ask(), FakePublisher(silent=60.0)))
    still.loop.settle()
    assert refused(still, ask(port=50001)).code is BreakCode.ALREADY_EXISTS
    still.line.heal()
    still.loop.settle()
    assert isinstance(opening.result(), Session)


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_admission_cancelled_while_it_is_opened_gives_its_name_back(still: Still, seconds: float) -> None:
    still.line.healthy = False
    opening = still.loop.create_task(still.house.admission.admit(ask(), FakePublisher()))
    still.loop.advance(seconds)
    opening.cancel()
    still.loop.settle()
    assert opening.cancelled()
    assert len(still.house.registry) == 0
    still.line.heal()
    still.loop.settle()
    assert not still.history.live
    row = only_row(still)
    assert (row.code, row.reason, row.fin_time) == (BreakCode.SUCCESS, Reason.CLOSED, EPOCH)
    assert row.accepted, "nobody refused it: it belongs to no error history"
    still.line.healthy = True
    admitted(still, ask(port=50001))


def test_security_18_refusals_beyond_the_quota_write_nothing(still: Still, caplog: pytest.LogCaptureFixture) -> None:
    admitted(still)
    with caplog.at_level(logging.INFO, "openkls.control.admit"):
        for _ in range(ROWS_PER_MINUTE + 5):
            refused(still, ask(port=50001))
    lines = [record.getMessage() for record in caplog.records]
    assert sum("refused: 422" in line for line in lines) == ROWS_PER_MINUTE
    assert sum("only counted" in line for line in lines) == 1
    assert len(still.history.rows) == ROWS_PER_MINUTE
    assert still.house.admission.quota.suppressed == 5
    assert still.house.admission.knocks.refused == ROWS_PER_MINUTE + 5


def test_security_18_distinct_names_leave_nothing_in_memory(still: Still) -> None:
    for number in range(300):
        session = admitted(still, ask(f"s{number}"))
        still.loop.call(
            lambda session=session: still.house.endings.finish(session, BreakCode.SUCCESS, Reason.CLOSED, EPOCH)
        )
    assert len(still.house.registry) == 0
    assert not still.house.registry._by_app
    assert len(still.house.journal) == 0
    assert len(still.history.rows) == 300


def test_security_17_publishers_of_one_name_at_once_are_one_and_the_rest_422(still: Still) -> None:
    still.line.healthy = False
    doors = ["push.demo.local", "localhost", "127.0.0.1"] * 10
    tasks = [
        still.loop.create_task(still.house.admission.admit(ask(door=door, port=port), FakePublisher()))
        for port, door in enumerate(doors)
    ]
    still.loop.settle()
    still.line.heal()
    still.loop.settle()
    outcomes = [task.result() for task in tasks]
    assert sum(isinstance(outcome, Session) for outcome in outcomes) == 1
    codes = {outcome.code for outcome in outcomes if isinstance(outcome, Refused)}
    assert codes == {BreakCode.ALREADY_EXISTS}
    assert len(still.history.live) == 1
    assert len(still.history.rows) == len(doors) - 1


def test_quality_counts_from_the_answer(still: Still) -> None:
    still.line.healthy = False
    admission = still.loop.create_task(still.house.admission.admit(ask(), FakePublisher()))
    still.loop.advance(OPEN_DEADLINE_SECONDS)
    session = admission.result()
    assert isinstance(session, Session)
    session.quality.received(still.loop.now, 1000)
    assert session.quality.read(still.loop.now + 2.0).real_bps == 4000


def test_deadline_is_a_second() -> None:
    assert module.OPEN_DEADLINE_SECONDS == 1.0


def test_session_ids_are_version_7_and_sort_by_time() -> None:
    ids = [new_session_id(EPOCH + number / 1000) for number in range(50)]
    assert ids == sorted(ids)
    assert len(set(ids) | {new_session_id(EPOCH) for _ in range(1000)}) == 1050
    for each in ids:
        assert len(each) == 32
        assert each[12] == "7"
        assert each[16] in "89ab"
    assert int(ids[0][:12], 16) == EPOCH * 1000
