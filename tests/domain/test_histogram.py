"""Seconds are counted by bucket."""

from openkls.domain.histogram import SECONDS, Histogram


def test_a_value_on_a_bound_belongs_to_it_and_one_above_to_the_next() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.0, 0.1, 0.100001, 1.0, 1.1):
        histogram.note(seconds)
    assert histogram.counts == [2, 2, 1]
    assert histogram.cumulative() == [2, 4, 5]
    assert round(histogram.sum_seconds, 6) == 2.300001


def test_bounds_ascend_and_cover_every_deadline_of_the_store() -> None:
    assert list(SECONDS) == sorted(set(SECONDS))
    assert Histogram().cumulative() == [0] * (len(SECONDS) + 1)
