"""Events of callbacks: when one is tried again, and what of a publish URL is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain.callbacks import (
    PARAM_FIELDS_LIMIT,
    PARAM_LIMIT,
    CallbackTarget,
    Outcome,
    Told,
    read_pub_param,
    retry_delay_seconds,
)


def test_delay_doubles_from_one_second_to_five_minutes() -> None:
    assert [retry_delay_seconds(n, 0) for n in range(1, 11)] == [1, 2, 4, 8, 16, 32, 64, 128, 240, 240]
    assert retry_delay_seconds(1, 1) == 1.25
    assert retry_delay_seconds(10**9, 1) == 300


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_delay_is_never_below_a_second_nor_above_five_minutes(attempts: int, chance: float) -> None:
    assert 1 <= retry_delay_seconds(attempts, chance) <= 300


def test_parameters_of_both_queries_are_told_without_those_that_authenticate() -> None:
    text = read_pub_param("vhost=push.demo.local&a=1", "a=2&b=%E6%B5%81&c=&t=9&K=x&signature=y&token=z&Password=q")
    assert json.loads(text) == {"vhost": "push.demo.local", "a": "2", "b": "流", "c": "", "t": "9"}
    assert text.isascii()


@pytest.mark.parametrize("query", ["", "&&&", "=", "%zz", "novalue"])
def test_odd_queries_are_an_object_all_the_same(query: str) -> None:
    assert isinstance(json.loads(read_pub_param(query)), dict)


def test_too_many_parameters_are_none() -> None:
    most = "&".join(f"p{n}=1" for n in range(PARAM_FIELDS_LIMIT))
    assert len(json.loads(read_pub_param(most))) == PARAM_FIELDS_LIMIT
    assert read_pub_param(f"{most}&more=1") == "{}"


def test_text_is_bounded_and_what_still_fits_is_told() -> None:
    name_and_marks = len('{"a": ""}, ')
    fits = "x" * (PARAM_LIMIT - name_and_marks)
    assert json.loads(read_pub_param(f"a={fits}")) == {"a": fits}
    assert read_pub_param(f"a={fits}x") == "{}"
    assert json.loads(read_pub_param(f"a={fits}x&b=1")) == {"b": "1"}


@given(st.text(max_size=3000), st.text(max_size=3000))
def test_any_query_gives_a_bounded_object(one: str, other: str) -> None:
    text = read_pub_param(one, other)
    assert len(text) <= PARAM_LIMIT
    assert all(isinstance(value, str) for value in json.loads(text).values())


def test_outcome_says_the_status_where_there_was_one() -> None:
    assert str(Told(Outcome.REFUSED, 500)) == "answered 500"
    assert str(Told(Outcome.LATE)) == "did not answer in time"


def test_target_never_shows_its_url_or_keys() -> None:
    assert repr(CallbackTarget("https://x/?token=1", ("key",), True)) == "CallbackTarget(private=True)"
