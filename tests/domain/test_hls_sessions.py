"""When somebody who fetches playlists is a viewer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain import hls_sessions
from openkls.domain.hls_sessions import HlsSessions, Outcome, Pass, SessionIds
from openkls.domain.keys import StreamName
from openkls.domain.viewers import PullProtocol, Viewers
from openkls.domain.window import ByteRate

NAME = StreamName("demo", "live", "s1")
OTHER = StreamName("demo", "live", "s2")
IDS = SessionIds(b"k" * 32)
ISSUED = 1_700_000_000
TARGET = 2.0


def shown(number: int = 0) -> Pass:
    return Pass(number.to_bytes(hls_sessions.NONCE_BYTES, "big"), ISSUED)


class Desk:
    """Sessions at a clock that is played."""

    def __init__(self, **limits: int) -> None:
        self.viewers = Viewers()
        self.sessions = HlsSessions(self.viewers, **limits)
        self.sent = ByteRate(0.0)
        self.now = 100.0
        self.unix_now = ISSUED + 1.0

    def ask(
        self, number: int = 0, name: StreamName = NAME, domain_id: str = "7", address: str | None = "192.0.2.1"
    ) -> Outcome:
        return self.sessions.request(
            name, domain_id, shown(number), address, self.sent, TARGET, self.now, self.unix_now
        )

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.unix_now += seconds
        self.sessions.sweep(self.now)

    def online(self, name: StreamName = NAME, domain_ids: frozenset[str] | None = None) -> int:
        return self.viewers.audience(name, PullProtocol.HLS, domain_ids, self.now).online

    def empty(self) -> bool:
        parts = self.sessions
        return not (len(parts) or parts._by_name or parts._addresses or self.viewers._groups)


# -- ids


def test_id_tells_its_nonce_and_when_it_was_issued() -> None:
    text = IDS.issue(NAME, "7", b"123456789012", ISSUED + 0.9)
    assert IDS.verify(text, NAME, "7") == Pass(b"123456789012", ISSUED)
    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("name", "domain_id"),
    [
        (OTHER, "7"),
        (NAME, "8"),
        (NAME, ""),
        (StreamName("demo2", "live", "s1"), "7"),
        (StreamName("demo", "l", "s1"), "7"),
    ],
)
def test_id_of_another_stream_space_or_play_domain_does_not_verify(name: StreamName, domain_id: str) -> None:
    text = IDS.issue(NAME, "7", bytes(12), ISSUED)
    assert IDS.verify(text, name, domain_id) is None


def test_id_under_another_key_does_not_verify() -> None:
    assert SessionIds(b"x" * 32).verify(IDS.issue(NAME, "7", bytes(12), ISSUED), NAME, "7") is None


def test_id_with_any_character_changed_does_not_verify() -> None:
    text = IDS.issue(NAME, "7", bytes(12), ISSUED)
    for place in range(len(text)):
        forged = text[:place] + ("B" if text[place] == "A" else "A") + text[place + 1 :]
        assert IDS.verify(forged, NAME, "7") is None


@pytest.mark.parametrize(
    "text", ["", "x", "A" * 43, "A" * 45, "A" * 44, "é" * 44, "=" * 44, "A" * 43 + "\n", "A" * 42 + "=="]
)
def test_text_that_is_no_id_does_not_verify(text: str) -> None:
    assert IDS.verify(text, NAME, "7") is None


@given(st.text(max_size=60) | st.text("AB-_0=", min_size=44, max_size=44))
def test_no_text_verifies_that_was_not_issued(text: str) -> None:
    assert IDS.verify(text, NAME, "7") is None


def test_names_with_lone_surrogates_are_bound_too() -> None:
    name = StreamName("demo", "live", "\udc80")
    text = IDS.issue(name, "7", bytes(12), ISSUED)
    assert IDS.verify(text, name, "7") is not None


# -- counting


def test_session_counts_from_its_second_request() -> None:
    desk = Desk()
    assert desk.ask() is Outcome.SERVED
    assert (desk.online(), len(desk.sessions)) == (0, 1)
    desk.ask()
    assert desk.online() == 1
    for _ in range(5):
        desk.ask()
    assert (desk.online(), len(desk.sessions)) == (1, 1)


def test_sessions_count_by_stream_and_play_domain() -> None:
    desk = Desk()
    for number, name, domain_id in ((0, NAME, "7"), (1, NAME, "7"), (2, NAME, "8"), (3, OTHER, "7")):
        desk.ask(number, name, domain_id)
        desk.ask(number, name, domain_id)
    assert (desk.online(), desk.online(domain_ids=frozenset("8")), desk.online(OTHER)) == (3, 1, 1)


def test_session_ends_three_target_durations_after_its_last_request() -> None:
    desk = Desk()
    desk.ask()
    desk.ask()
    for _ in range(20):
        desk.passes(3 * TARGET - 0.5)
        desk.ask()
        assert desk.online() == 1
    desk.passes(3 * TARGET - 0.01)
    assert desk.online() == 1
    desk.passes(1.01)  # a sweep a second: at most one late
    assert desk.online() == 0
    assert desk.empty()
    assert not desk.sessions._due


def test_session_that_is_asked_for_once_ends_without_having_counted() -> None:
    desk = Desk()
    desk.ask()
    desk.passes(3 * TARGET + 1)
    assert desk.empty()


def test_session_that_ended_begins_anew_with_its_id() -> None:
    desk = Desk()
    desk.ask()
    desk.ask()
    desk.passes(60)
    assert desk.ask() is Outcome.SERVED
    assert desk.online() == 0
    desk.ask()
    assert desk.online() == 1


def test_id_opens_for_so_long_and_not_a_second_longer() -> None:
    desk = Desk()
    desk.unix_now = ISSUED + hls_sessions.SESSION_RETURN_SECONDS
    assert desk.sessions.admits(NAME, shown(), desk.unix_now)
    assert not desk.sessions.admits(NAME, shown(), desk.unix_now + 1)
    assert desk.ask() is Outcome.SERVED
    desk.unix_now += 10 * hls_sessions.SESSION_RETURN_SECONDS
    assert desk.ask() is Outcome.SERVED  # a session that goes on is never cut by its id's age
    desk.passes(60)
    assert desk.ask() is Outcome.EXPIRED
    assert desk.empty()


def test_bytes_sent_show_in_the_rate_of_the_group() -> None:
    desk = Desk()
    desk.sent.add(desk.now, 1000)
    desk.ask()
    desk.ask()
    desk.sent.add(desk.now, 250)
    audience = desk.viewers.audience(NAME, PullProtocol.HLS, None, desk.now)
    assert audience.bps == pytest.approx(1000.0, rel=0.03)  # 1250 bytes in the window of 10 s


def test_drop_ends_the_sessions_of_one_stream_at_once() -> None:
    desk = Desk()
    for number, name in ((0, NAME), (1, NAME), (2, OTHER)):
        desk.ask(number, name)
        desk.ask(number, name)
    desk.sessions.drop(NAME)
    assert (desk.online(), desk.online(OTHER), len(desk.sessions)) == (0, 1, 1)
    desk.sessions.drop(NAME)
    desk.passes(60)
    assert desk.empty()


# -- limits


def test_an_address_has_as_many_sessions_as_it_may_and_not_one_more() -> None:
    desk = Desk(per_address=2)
    assert [desk.ask(number) for number in range(3)] == [Outcome.SERVED, Outcome.SERVED, Outcome.ADDRESS_FULL]
    assert desk.ask(0) is Outcome.SERVED
    assert desk.ask(3, address="192.0.2.2") is Outcome.SERVED
    assert desk.sessions.refused_by_address == 1
    desk.passes(60)
    assert desk.ask(2) is Outcome.SERVED


def test_a_proxy_that_is_not_capped_has_any_number() -> None:
    desk = Desk(per_address=2)
    assert {desk.ask(number, address=None) for number in range(10)} == {Outcome.SERVED}


def test_all_sessions_are_capped_too() -> None:
    desk = Desk(limit=3)
    outcomes = [desk.ask(number, address=None) for number in range(4)]
    assert outcomes == [Outcome.SERVED] * 3 + [Outcome.FULL]
    assert (desk.sessions.refused_full, len(desk.sessions)) == (1, 3)
