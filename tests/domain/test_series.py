"""Series: what is kept, for how long, in how much memory, and what a clock that jumps does to it."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain.series import (
    BACK_STEPS,
    COARSE_LIMIT_BYTES,
    COARSE_ROWS,
    FINE_LIMIT_BYTES,
    FINE_ROWS,
    FINE_SECONDS,
    GROWTH_ROWS,
    KEEP_SECONDS,
    MEMORY_LIMIT_BYTES,
    SERIES_BYTES,
    STREAM_LAYOUT,
    STREAMS_LIMIT,
    TOTAL_LAYOUT,
    TOTALS_LIMIT,
    Budget,
    Layout,
    Metrics,
    Ring,
    Series,
    SeriesBook,
    StreamPoint,
    TotalPoint,
)

STEP = 175_305_600  # of 10 s, at the begin of a minute
LAYOUT = Layout("HI", sums=frozenset((1,)))
KEEP_STEPS = KEEP_SECONDS // FINE_SECONDS


def ring(most: int = 2 * GROWTH_ROWS, limit_bytes: int = 10**6) -> tuple[Ring, Budget]:
    budget = Budget(limit_bytes)
    return Ring(LAYOUT, most, budget), budget


def fill(made: Ring, steps: range) -> None:
    for step in steps:
        made.put(step, LAYOUT.pack((step % 1000, step % 7)))


def steps_of(made: Ring) -> list[int]:
    found = made.read(0, 2 * STEP)
    assert all(row == (step % 1000, step % 7) for step, row in found)
    return [step for step, _ in found]


def series(fine: Budget | None = None, coarse: Budget | None = None) -> Series:
    return Series(LAYOUT, fine or Budget(10**6), coarse or Budget(10**6))


# -- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ((0, 0), (0, 0)),
        ((65_534, 2**32 - 1), (65_534, 2**32 - 1)),
        # The largest number of the first column says that there was no reading.
        ((65_535, 2**32), (65_534, 2**32 - 1)),
        ((10**12, 10**12), (65_534, 2**32 - 1)),
    ],
)
def test_row_clips_values_to_what_their_places_hold(values: tuple[int, ...], kept: tuple[int, ...]) -> None:
    assert LAYOUT.unpack(bytearray(LAYOUT.pack(values)), 0) == kept


def test_absent_row_is_no_reading() -> None:
    assert LAYOUT.unpack(bytearray(LAYOUT.absent), 0) is None


def test_joined_rows_are_the_mean_rounded_half_up_or_the_sum() -> None:
    assert LAYOUT.join([(1, 1), (2, 1)]) == (2, 2)
    assert LAYOUT.join([(1, 1), (1, 1), (2, 1)]) == (1, 3)


def test_layouts_hold_the_points_that_are_made_of_them() -> None:
    for layout, point in ((STREAM_LAYOUT, StreamPoint), (TOTAL_LAYOUT, TotalPoint)):
        values = tuple(range(1, len(point.__slots__) + 1))
        assert layout.unpack(bytearray(layout.pack(values)), 0) == values
    assert TOTAL_LAYOUT.join([(1, 1, 1, 1, 2), (1, 1, 1, 1, 3)]) == (1, 1, 1, 1, 5)


@pytest.mark.parametrize(("rate", "fps", "flr"), [(30, 25, 16), (30, 30, 0), (30, 60, 0), (0, 0, 0), (30, 0, 100)])
def test_frames_lost_are_those_of_the_declared_rate(rate: int, fps: int, flr: int) -> None:
    assert StreamPoint(rate, fps, 0, 0, 0, 0, 0).flr == flr


# -- rings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, GROWTH_ROWS, GROWTH_ROWS + 1, 2 * GROWTH_ROWS])
def test_ring_grows_with_its_age(count: int) -> None:
    made, budget = ring()
    fill(made, range(STEP, STEP + count))
    assert steps_of(made) == list(range(STEP, STEP + count))
    grown = -(-count // GROWTH_ROWS) * GROWTH_ROWS * LAYOUT.size_bytes
    assert made.size_bytes == budget.used_bytes == grown


@pytest.mark.parametrize("more", [1, 7, 500])
def test_full_ring_keeps_the_newest(more: int) -> None:
    made, budget = ring()
    fill(made, range(STEP, STEP + 2 * GROWTH_ROWS + more))
    assert steps_of(made) == list(range(STEP + more, STEP + 2 * GROWTH_ROWS + more))
    assert budget.refused == 0


def test_ring_whose_size_is_no_multiple_of_a_growth_has_exactly_its_size() -> None:
    made, budget = ring(most=GROWTH_ROWS + 5)
    fill(made, range(STEP, STEP + 200))
    assert len(steps_of(made)) == GROWTH_ROWS + 5
    assert budget.used_bytes == (GROWTH_ROWS + 5) * LAYOUT.size_bytes


def test_ring_that_may_not_grow_keeps_the_newest_that_fit_and_grows_later() -> None:
    made, budget = ring(limit_bytes=GROWTH_ROWS * LAYOUT.size_bytes)
    fill(made, range(STEP, STEP + GROWTH_ROWS + 10))
    assert steps_of(made) == list(range(STEP + 10, STEP + GROWTH_ROWS + 10))
    assert budget.refused == 10
    budget.limit_bytes *= 2
    fill(made, range(STEP + GROWTH_ROWS + 10, STEP + GROWTH_ROWS + 20))
    assert steps_of(made) == list(range(STEP + 10, STEP + GROWTH_ROWS + 20))


def test_ring_without_any_memory_keeps_nothing() -> None:
    made, _ = ring(limit_bytes=GROWTH_ROWS * LAYOUT.size_bytes - 1)
    fill(made, range(STEP, STEP + 3))
    assert steps_of(made) == []


def test_steps_without_a_reading_are_left_out() -> None:
    made, _ = ring()
    fill(made, range(STEP, STEP + 3))
    fill(made, range(STEP + 10, STEP + 12))
    assert steps_of(made) == [STEP, STEP + 1, STEP + 2, STEP + 10, STEP + 11]
    assert [step for step, _ in made.read(STEP + 2, STEP + 10)] == [STEP + 2, STEP + 10]
    assert made.read(STEP + 12, STEP + 99) == made.read(0, STEP - 1) == made.read(STEP + 2, STEP + 1) == []


@pytest.mark.parametrize(("gap", "kept"), [(2 * GROWTH_ROWS - 1, 2), (2 * GROWTH_ROWS, 1)])
def test_gap_as_long_as_the_ring_begins_it_anew(gap: int, kept: int) -> None:
    made, _ = ring()
    fill(made, range(STEP, STEP + 1))
    fill(made, range(STEP + gap, STEP + gap + 1))
    assert len(steps_of(made)) == kept


def test_second_reading_of_a_step_is_left_out() -> None:
    made, _ = ring()
    made.put(STEP, LAYOUT.pack((1, 1)))
    made.put(STEP, LAYOUT.pack((2, 2)))
    assert made.read(STEP, STEP) == [(STEP, (1, 1))]


@pytest.mark.parametrize(("back", "kept"), [(BACK_STEPS, [STEP + 9]), (BACK_STEPS + 1, [STEP + 9 - BACK_STEPS])])
def test_clock_set_back_is_waited_for_or_begins_the_ring_anew(back: int, kept: list[int]) -> None:
    made, _ = ring()
    fill(made, range(STEP + 9, STEP + 10))
    fill(made, range(STEP + 10 - back, STEP + 11 - back))
    assert steps_of(made) == kept


@given(
    st.integers(1, 200),
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=150),
)
def test_ring_is_a_queue_of_the_last_steps(most: int, moves: list[tuple[int, bool]]) -> None:
    made, budget = ring(most, limit_bytes=10**6)
    expected: deque[int] = deque()
    step = STEP
    for gap, dry in moves:
        step += gap + bool(expected)
        budget.limit_bytes = budget.used_bytes if dry and expected else 10**6
        fill(made, range(step, step + 1))
        expected.append(step)
        room = made.size_bytes // LAYOUT.size_bytes
        assert room <= most
        while expected and expected[0] <= step - room:
            expected.popleft()
        found = steps_of(made)
        # What a ring could not keep when it was short of memory is gone for good.
        assert found == list(expected)[len(expected) - len(found) :]
        assert found[-1] == step
        expected = deque(found)


def test_freed_ring_gives_its_memory_back() -> None:
    made, budget = ring()
    fill(made, range(STEP, STEP + 5))
    made.free()
    assert (budget.used_bytes, made.read(STEP, STEP + 5)) == (0, [])


# -- series ----------------------------------------------------------------------------------------------------------


def test_minute_that_is_over_is_joined_of_its_steps() -> None:
    made = series()
    for step in range(7):
        made.put(STEP + step, (step, 1))
    begin = STEP * 10
    assert made.coarse(0, begin + 600, begin + 69) == [(begin, (3, 6))]
    assert made.fine(begin + 1, begin + 30) == [(begin + 10, (1, 1)), (begin + 20, (2, 1)), (begin + 30, (3, 1))]


def test_minute_that_now_is_in_is_not_over() -> None:
    made = series()
    made.put(STEP, (4, 1))
    assert made.coarse(0, STEP * 20, STEP * 10 + 59) == []
    assert made.coarse(0, STEP * 20, STEP * 10 + 60) == [(STEP * 10, (4, 1))]
    assert made.coarse(0, STEP * 20, STEP * 10 + 90) == [(STEP * 10, (4, 1))]


def test_minutes_without_a_reading_are_left_out() -> None:
    made = series()
    for step in (0, 1, 30):
        made.put(STEP + step, (4, 1))
    begin = STEP * 10
    assert made.coarse(begin, begin + 300, begin + 400) == [(begin, (4, 2)), (begin + 300, (4, 1))]
    assert made.coarse(begin + 1, begin + 299, begin + 400) == []


def test_series_keeps_an_hour_of_steps_and_a_day_of_minutes() -> None:
    fine, coarse = Budget(10**6), Budget(10**6)
    made = series(fine, coarse)
    steps = 26 * 360
    for step in range(steps):
        made.put(STEP + step, (1, 1))
    end = (STEP + steps) * 10
    told = made.fine(0, end)
    assert (len(told), told[0][0], told[-1][0]) == (FINE_ROWS, end - 3600, end - 10)
    minutes = made.coarse(0, end, end)
    assert (len(minutes), minutes[0][0], minutes[-1][0]) == (COARSE_ROWS, end - 86400, end - 60)
    assert made.size_bytes == (FINE_ROWS + COARSE_ROWS) * LAYOUT.size_bytes == fine.used_bytes + coarse.used_bytes


def test_clock_set_back_leaves_no_minute_twice() -> None:
    made = series()
    for step in (0, 6, 3, 8, 12, 18):
        made.put(STEP + step, (1, 1))
    minutes = [at for at, _ in made.coarse(0, STEP * 20, STEP * 20)]
    assert minutes == sorted(set(minutes))


def test_series_without_memory_has_no_minutes() -> None:
    made = series(Budget(0), Budget(10**6))
    made.put(STEP, (1, 1))
    made.put(STEP + 6, (1, 1))
    assert made.coarse(0, STEP * 20, STEP * 20) == made.fine(0, STEP * 20) == []


# -- books -----------------------------------------------------------------------------------------------------------


def book(limit: int, fine: Budget | None = None) -> SeriesBook[str]:
    return SeriesBook(LAYOUT, limit, fine or Budget(10**6), Budget(10**6))


@pytest.mark.parametrize(("names", "left_out"), [("ab", 0), ("abc", 1)])
def test_what_finds_no_place_is_left_out_and_counted(names: str, left_out: int) -> None:
    made = book(2)
    for name in names:
        made.put(name, STEP, (1, 1))
    made.end_step(STEP)
    assert (len(made), made.left_out) == (2, left_out)
    assert made.find("a") is not None
    assert made.find("c") is None


def test_no_memory_is_no_place() -> None:
    made = book(9, Budget(SERIES_BYTES - 1))
    made.put("a", STEP, (1, 1))
    made.end_step(STEP)
    assert (len(made), made.left_out) == (0, 1)


def test_the_longest_silent_makes_room_for_who_was_turned_away() -> None:
    made = book(3)
    for name in "abc":
        made.put(name, STEP, (1, 1))
    made.put("a", STEP + 1, (1, 1))
    made.put("b", STEP + 1, (1, 1))
    made.end_step(STEP + 1)
    for name in "ade":
        made.put(name, STEP + 2, (1, 1))
    made.end_step(STEP + 2)
    assert made.left_out == 2
    assert [name for name in "abcde" if made.find(name)] == ["a"]
    for name in "ade":
        made.put(name, STEP + 3, (1, 1))
    made.end_step(STEP + 3)
    assert (made.left_out, [name for name in "abcde" if made.find(name)]) == (0, ["a", "d", "e"])


def test_what_is_live_makes_no_room() -> None:
    made = book(1)
    for step in (STEP, STEP + 1):
        made.put("a", step, (1, 1))
        made.put("b", step, (1, 1))
        made.end_step(step)
    assert (made.find("b"), made.left_out) == (None, 1)


@pytest.mark.parametrize(("later", "kept"), [(KEEP_STEPS - 1, True), (KEEP_STEPS, False)])
def test_what_ended_is_freed_after_an_hour(later: int, kept: bool) -> None:
    fine = Budget(10**6)
    made = book(9, fine)
    made.put("a", STEP, (1, 1))
    made.end_step(STEP + later)
    assert (made.find("a") is not None) == kept
    assert (fine.used_bytes > 0) == kept


def test_there_is_always_room_for_the_hour_of_as_many_as_may_be_live() -> None:
    streams = STREAMS_LIMIT * (SERIES_BYTES + FINE_ROWS * STREAM_LAYOUT.size_bytes)
    totals = TOTALS_LIMIT * (SERIES_BYTES + FINE_ROWS * TOTAL_LAYOUT.size_bytes)
    assert streams + totals <= FINE_LIMIT_BYTES
    assert FINE_LIMIT_BYTES + COARSE_LIMIT_BYTES == MEMORY_LIMIT_BYTES == 256 * 1024 * 1024


def test_metrics_count_what_they_use_and_free_both_kinds() -> None:
    made = Metrics()
    made.streams.put(("demo", "live", "s1"), STEP, (30, 30, 1, 1, 1, 1, 1))
    made.totals.put(("2000001",), STEP, (1, 1, 1, 1, 1))
    assert made.used_bytes == 2 * SERIES_BYTES + GROWTH_ROWS * (STREAM_LAYOUT.size_bytes + TOTAL_LAYOUT.size_bytes)
    made.end_step(STEP + KEEP_STEPS)
    assert (made.used_bytes, len(made.streams), len(made.totals)) == (0, 0, 0)
