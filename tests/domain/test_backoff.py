"""Refused authentications are answered later and later; nothing of it is unbounded (security class 21)."""

import pytest

from openkls.domain import backoff
from openkls.domain.backoff import FREE_PER_MINUTE, HELD_LIMIT, KEY_CHARACTERS_LIMIT, PAIRS_LIMIT, Backoff

DELAYS = [0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def refuse(
    counters: Backoff, times: int, now: float = 1000.0, key: str = "AKTEST", address: str = "192.0.2.7"
) -> list[float]:
    return [counters.refuse(key, address, now) for _ in range(times)]


def test_security_21_five_refusals_a_minute_are_free_and_then_delays_double_to_two_seconds() -> None:
    counters = Backoff()
    assert FREE_PER_MINUTE == 5
    assert refuse(counters, len(DELAYS)) == pytest.approx(DELAYS)
    assert counters.refused == len(DELAYS)


def test_security_21_delay_is_never_longer_than_two_seconds() -> None:
    assert max(refuse(Backoff(), 10_000)) == 2.0


@pytest.mark.parametrize(("key", "address"), [("AKOTHER", "192.0.2.7"), ("AKTEST", "192.0.2.8")])
def test_security_21_other_keys_and_other_addresses_are_not_delayed(key: str, address: str) -> None:
    counters = Backoff()
    refuse(counters, 100)
    assert refuse(counters, 1, key=key, address=address) == [0.0]


def test_refusal_every_twelve_seconds_is_free_for_ever() -> None:
    counters = Backoff()
    assert not any(counters.refuse("AKTEST", "192.0.2.7", 12.0 * number) for number in range(1000))


def test_refusal_every_eleven_seconds_is_not() -> None:
    counters = Backoff()
    assert any(counters.refuse("AKTEST", "192.0.2.7", 11.0 * number) for number in range(1000))


def test_what_was_refused_leaks_away() -> None:
    counters = Backoff()
    refuse(counters, 1000)
    # From a level of 11, 5 a minute: below 5 with the new one after 7 * 12 s.
    assert refuse(counters, 1, now=1083.9)[0] > 0
    counters = Backoff()
    refuse(counters, 1000)
    assert refuse(counters, 1, now=1084.0) == [0.0]


def test_clock_that_stands_still_or_begins_at_zero_is_no_matter() -> None:
    assert refuse(Backoff(), 6, now=0.0) == pytest.approx(DELAYS[:6])


def test_security_21_pairs_remembered_are_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "PAIRS_LIMIT", 3)
    counters = Backoff()
    for key in ("a", "b", "c"):
        refuse(counters, 6, key=key)
    assert len(counters) == 3
    refuse(counters, 1, key="a")  # it is the newest now
    refuse(counters, 1, key="d")
    assert len(counters) == 3
    assert refuse(counters, 1, key="a")[0] > 0
    assert refuse(counters, 1, key="b") == [0.0], "it was the oldest, and is forgotten"


def test_security_21_a_hundred_thousand_keys_cost_the_limit() -> None:
    counters = Backoff()
    for number in range(100_000):
        counters.refuse(f"AK{number}", "192.0.2.7", 0.0)
    assert len(counters) == PAIRS_LIMIT == 10_000


def test_security_21_long_keys_are_remembered_by_their_beginning() -> None:
    counters = Backoff()
    longest = "A" * KEY_CHARACTERS_LIMIT
    assert refuse(counters, 5, key=longest) == [0.0] * 5
    assert refuse(counters, 1, key=longest + "B" * 8000)[0] > 0
    assert refuse(counters, 1, key=longest[:-1] + "C") == [0.0]
    assert all(len(key) <= KEY_CHARACTERS_LIMIT for key, _ in counters._levels)


def test_security_21_answers_held_back_at_a_time_are_bounded() -> None:
    counters = Backoff()
    assert HELD_LIMIT == 1000
    assert all(counters.hold() for _ in range(HELD_LIMIT))
    assert not counters.hold()
    assert (counters.held, counters.overflowed) == (HELD_LIMIT, 1)
    counters.let_go()
    assert counters.hold()
    assert counters.held == HELD_LIMIT
