"""Request rates: exact at the boundary, over any window, and bounded in memory."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain import rates
from openkls.domain.rates import SWEEP_LEAST, Rates, retry_after_seconds

LISTS = (50, 60)
FORBID = (200, 1)
CALLER = ("2000001", "ListRealtimeStreamsInfo", "")


def takes(limits: Rates, times: list[float], requests: int, per_seconds: float) -> list[float]:
    return [limits.take(CALLER, requests, per_seconds, now) for now in times]


@pytest.mark.parametrize(("requests", "per_seconds"), [LISTS, FORBID, (100, 1), (1, 1)])
def test_the_last_call_of_a_rate_is_accepted_and_the_next_refused(requests: int, per_seconds: int) -> None:
    limits = Rates()
    assert takes(limits, [1000.0] * requests, requests, per_seconds) == [0.0] * requests
    assert limits.refused == 0
    assert limits.take(CALLER, requests, per_seconds, 1000.0) == per_seconds
    assert limits.refused == 1


@pytest.mark.parametrize(
    ("after_seconds", "accepted"), [(59.0, False), (59.999, False), (60.0, True), (60.001, True), (3600.0, True)]
)
def test_place_is_free_when_its_call_is_a_whole_period_old(after_seconds: float, accepted: bool) -> None:
    limits = Rates()
    takes(limits, [1000.0] * 50, *LISTS)
    assert (limits.take(CALLER, *LISTS, 1000.0 + after_seconds) == 0) is accepted


def test_window_slides_and_does_not_jump_from_minute_to_minute() -> None:
    limits = Rates()
    assert takes(limits, [59.0] * 50, *LISTS) == [0.0] * 50
    # A fixed minute would let fifty more in at 60 s.
    assert limits.take(CALLER, *LISTS, 60.0) == pytest.approx(59.0)
    assert limits.take(CALLER, *LISTS, 118.9) == pytest.approx(0.1)
    assert takes(limits, [119.0] * 51, *LISTS) == [0.0] * 50 + [60.0]


def test_refused_call_does_not_count() -> None:
    limits = Rates()
    takes(limits, [0.0] * 50, *LISTS)
    assert all(takes(limits, [step / 10 for step in range(599)], *LISTS))
    assert limits.take(CALLER, *LISTS, 60.0) == 0, "whoever asks all the time gets the rate, not silence"
    assert len(limits) == 1


@pytest.mark.parametrize(
    "other",
    [
        ("2000002", "ListRealtimeStreamsInfo", ""),
        ("2000001", "ListStreamDurations", ""),
        ("2000001", "ListRealtimeStreamsInfo", "top"),
    ],
)
def test_accounts_actions_and_buckets_have_windows_of_their_own(other: tuple[str, ...]) -> None:
    limits = Rates()
    takes(limits, [0.0] * 51, *LISTS)
    assert limits.take(other, *LISTS, 0.0) == 0


def test_rates_that_are_not_enforced_refuse_and_remember_nothing() -> None:
    limits = Rates(enforced=False)
    assert not any(takes(limits, [0.0] * 1000, *LISTS))
    assert len(limits) == limits.refused == 0
    limits.enforced = True
    assert takes(limits, [0.0] * 51, *LISTS)[-1] == 60


@given(
    steps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60),
    requests=st.integers(1, 6),
    start=st.sampled_from([0.0, 0.1, 123456.789, 2.0**40]),
)
def test_no_window_ever_holds_more_and_no_call_is_refused_needlessly(
    steps: list[float], requests: int, start: float
) -> None:
    limits, period = Rates(), 60.0
    accepted: list[float] = []
    now = start
    for step in steps:
        now += step
        inside = [time for time in accepted if now - time < period]
        wait = limits.take(CALLER, requests, period, now)
        assert (wait == 0) == (len(inside) < requests)
        if not wait:
            accepted.append(now)
    for index, begin in enumerate(accepted):
        assert sum(time - begin < period for time in accepted[index:]) <= requests


@given(st.integers(1, 5), st.floats(0, 2.0**31, allow_nan=False), st.floats(0, 59.999, allow_nan=False))
def test_whoever_waits_as_retry_after_says_is_accepted(requests: int, first: float, after: float) -> None:
    limits = Rates()
    takes(limits, [first] * requests, requests, 60)
    wait = limits.take(CALLER, requests, 60, first + after)
    if wait:
        assert limits.take(CALLER, requests, 60, first + after + retry_after_seconds(wait)) == 0


@pytest.mark.parametrize(
    ("wait", "header"), [(60.0, 60), (59.001, 60), (59.0, 59), (1.001, 2), (1.0, 1), (0.2, 1), (1e-12, 1)]
)
def test_retry_after_is_whole_seconds_and_at_least_one(wait: float, header: int) -> None:
    assert retry_after_seconds(wait) == header


def test_wait_is_never_nothing_however_the_clock_rounds() -> None:
    limits = Rates()
    first = 0.1
    limits.take(CALLER, 1, 0.2, first)
    just_before = math.nextafter(first + 0.2, 0)
    while just_before - first >= 0.2:
        just_before = math.nextafter(just_before, 0)
    assert limits.take(CALLER, 1, 0.2, just_before) > 0


def test_idle_windows_are_swept_away_and_others_kept() -> None:
    limits = Rates()
    for number in range(SWEEP_LEAST):
        limits.take((str(number),), *LISTS, 0.0)
    assert len(limits) == SWEEP_LEAST
    for _ in range(50):
        limits.take(("busy",), *LISTS, 59.0)
    # That swept, and found all of them in use; the next sweep is when there are twice as many.
    assert len(limits) == SWEEP_LEAST + 1
    for number in range(SWEEP_LEAST):
        limits.take((f"late {number}",), *LISTS, 61.0)
    assert len(limits) == SWEEP_LEAST + 1
    assert limits.take(("busy",), *LISTS, 61.0) > 0, "a sweep forgets no call that counts"


def test_what_is_remembered_of_a_window_is_its_limit() -> None:
    limits = Rates()
    takes(limits, [float(second) for second in range(10_000)], *LISTS)
    ((accepted, _),) = limits._windows.values()
    assert len(accepted) == 50


def test_sweeps_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "SWEEP_LEAST", 8)
    limits = Rates()
    sizes: list[int] = []
    sweep = limits._sweep
    monkeypatch.setattr(limits, "_sweep", lambda now: (sizes.append(len(limits)), sweep(now)))
    limits._sweep_at = 8
    for number in range(1000):
        limits.take((str(number),), *LISTS, 0.0)
    assert sizes == [8 * 2**power for power in range(bisect_left([8 * 2**power for power in range(10)], 1000))]


def test_noted_calls_count_and_are_never_refused() -> None:
    limits = Rates()
    for _ in range(60):
        limits.note(CALLER, *LISTS, 10.0)
    assert limits.refused == 0
    assert limits.take(CALLER, *LISTS, 11.0) == 59.0
