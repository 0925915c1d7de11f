"""Sessions, keys, ports' values and errors: what they are equal to and what they say."""

import dataclasses

import pytest

from openkls.domain.errors import BusinessError, GatewayError, KlsError, StoreTimeout, StoreUnavailable
from openkls.domain.keys import StreamName
from openkls.domain.ports import AccessKey, PushAnswer, PushFacts, PushServer
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session
from support_domain import FakePublisher, facts, key, session


def test_name_is_the_key_without_the_door() -> None:
    assert key().name == key(pubdomain="push2.demo.local").name == StreamName("demo", "live", "s1")
    assert key() != key(pubdomain="push2.demo.local")


def test_two_sessions_of_the_same_facts_are_two() -> None:
    same = facts()
    first, second = Session(same, FakePublisher()), Session(same, FakePublisher())
    assert first != second
    assert first.key is same.key
    assert first.quality is not second.quality


def test_new_session_is_neither_started_nor_ended() -> None:
    fresh = Session(facts(), FakePublisher())
    assert (fresh.started, fresh.ended, fresh.evicted_with) == (False, False, None)


def test_facts_never_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        session().facts.pub_time = 5  # type: ignore[misc]


def test_break_codes_are_the_contracts() -> None:
    assert {code.name: int(code) for code in BreakCode} == {
        "SUCCESS": 200,
        "ALREADY_EXISTS": 422,
        "FORBIDDEN": 423,
        "EXPIRED": 425,
        "SIGNATURE": 426,
        "BAD_PARAMS": 428,
    }


def test_row_is_of_an_accepted_session_unless_said_otherwise() -> None:
    assert HistoryRow(facts(), 2000, BreakCode.SUCCESS, Reason.UNPUBLISH).accepted


def test_access_key_never_shows_its_secret() -> None:
    made = AccessKey("AKTEST", "top secret", "2000001", True, 1000, 1)
    assert repr(made) == str(made) == "AccessKey('AKTEST', account_id='2000001', enabled=True)"


def test_business_error_carries_its_code_and_keeps_the_cause_for_the_log() -> None:
    error = BusinessError(4001, "too old")
    assert isinstance(error, KlsError)
    assert (error.ret_code, error.cause, str(error)) == (4001, "too old", "RetCode 4001: too old")
    assert str(BusinessError(8201)) == "RetCode 8201"


def test_gateway_error_carries_its_shape_and_facts() -> None:
    error = GatewayError("InvalidAccesskey", "AKTEST")
    assert isinstance(error, KlsError)
    assert (error.shape, error.facts, str(error)) == ("InvalidAccesskey", ("AKTEST",), "InvalidAccesskey AKTEST")


def test_store_failures_are_not_the_callers_fault() -> None:
    assert issubclass(StoreTimeout, StoreUnavailable)
    assert not issubclass(StoreUnavailable, KlsError)


def test_what_is_asked_about_a_publish_shows_no_secret() -> None:
    server = PushServer("https://hooks.example/?token=secret", ("secret key",), private=True)
    asked = PushFacts("demo", "live", "push.demo.local", "s1", "token=secret", "192.0.2.7")
    assert repr(server) == "PushServer(private=True)"
    assert "secret" not in repr(asked)
    assert "s1" in repr(asked)


def test_only_one_answer_of_a_customers_server_accepts() -> None:
    assert [answer for answer in PushAnswer if answer == "accepted"] == [PushAnswer.ACCEPTED]
    assert len({str(answer) for answer in PushAnswer}) == len(PushAnswer) == 7


def test_session_is_read_fresh() -> None:
    fresh = session()
    assert fresh.read(0.0) == fresh.quality.read(0.0)
    assert fresh.read_time(17) == 17
