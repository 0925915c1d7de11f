"""Bytes a second over a sliding window, beside a counter that keeps every addition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain.window import WINDOW_MIN_SECONDS, WINDOW_TICKS, ByteRate, window_seconds

TICK_MS = 250


def test_steady_bytes_read_as_their_rate() -> None:
    rate = ByteRate(100.0)
    for step in range(4 * 60):
        rate.add(100.0 + step * 0.25, 1000)
    assert rate.bps(100.0 + 60) == pytest.approx(32_000, rel=0.03)
    assert rate.total_bytes == 240_000


def test_rate_is_exact_where_the_reading_meets_a_tick() -> None:
    rate = ByteRate(0.0)
    for step in range(4 * 60):
        rate.add(step * 0.25, 1000)
    # Of the window's 40 ticks the 39 whole ones hold 1000 bytes each, and the current one is 0 s old.
    assert rate.bps(60.0) == 39_000 * 8 / 9.75 == 32_000


def test_young_rate_is_measured_over_one_second_at_least() -> None:
    rate = ByteRate(50.0)
    rate.add(50.0, 500)
    assert rate.bps(50.0) == rate.bps(50.5) == rate.bps(51.0) == 500 * 8 / WINDOW_MIN_SECONDS
    assert rate.bps(52.0) == 500 * 8 / 2


def test_silence_decays_to_zero_within_the_window() -> None:
    rate = ByteRate(0.0)
    for step in range(400):
        rate.add(step * 0.05, 100)
    readings = [rate.bps(20.0 + quarter / 4) for quarter in range(41)]
    assert readings == sorted(readings, reverse=True)
    assert readings[-1] == 0.0
    assert rate.bps(1e6) == 0.0


def test_reading_by_a_clock_that_stands_a_little_before_loses_nothing() -> None:
    rate = ByteRate(0.0)
    for step in range(80):
        rate.add(step * 0.25, 1000)
    assert rate.bps(19.74) == pytest.approx(rate.bps(19.75), rel=0.01)


def test_window_is_the_age_then_ten_seconds() -> None:
    assert window_seconds(100.0, 100.0) == 1.0
    assert window_seconds(105.1, 100.0) == pytest.approx(5.1)
    assert window_seconds(200.0, 100.0) == 9.75
    assert window_seconds(200.249, 100.0) == pytest.approx(9.999)


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 100_000)), max_size=60),
    st.integers(0, 12_000),
)
def test_rate_is_that_of_every_addition_of_the_window(
    start_ms: int, additions: list[tuple[int, int]], pause_ms: int
) -> None:
    rate = ByteRate(start_ms / 1000)
    kept: list[tuple[int, int]] = []
    now_ms = start_ms
    for gap_ms, count_bytes in additions:
        now_ms += gap_ms
        rate.add(now_ms / 1000, count_bytes)
        kept.append((now_ms, count_bytes))
    now_ms += pause_ms
    opening_ms = (now_ms // TICK_MS - WINDOW_TICKS + 1) * TICK_MS
    length_ms = max(1000, now_ms - max(opening_ms, start_ms))
    counted = sum(count_bytes for at_ms, count_bytes in kept if at_ms >= opening_ms)
    assert rate.bps(now_ms / 1000) == pytest.approx(counted * 8000 / length_ms)
    assert rate.total_bytes == sum(count_bytes for _, count_bytes in kept)
    # The window is between 9.75 and 10 s: so is what it holds.
    if now_ms - start_ms >= 10_000:
        least = sum(count_bytes for at_ms, count_bytes in kept if at_ms > now_ms - 9_750)
        most = sum(count_bytes for at_ms, count_bytes in kept if at_ms >= now_ms - 10_000)
        assert least * 8 / 10 <= rate.bps(now_ms / 1000) * 1.000001
        assert rate.bps(now_ms / 1000) <= most * 8 / 9.75 * 1.000001
