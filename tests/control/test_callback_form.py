"""The form of callbacks, where the store's tests do not show it."""

import json
from dataclasses import replace

from openkls import model
from openkls.control.callback_form import start_ms, tell_end, tell_start
from openkls.control.ids import new_session_id
from openkls.domain.session import BreakCode, HistoryRow, Reason
from support_domain import facts


def test_start_is_told_to_the_millisecond_of_the_claim() -> None:
    now = 1_790_000_000.789
    claimed = replace(facts(), session_id=new_session_id(now), pub_time=int(now))
    assert start_ms(claimed) == 1_790_000_000_789
    assert tell_start(claimed, None).members["PubStartUnixTime"] == 1_790_000_000_789


def test_start_of_an_id_that_is_none_of_ours_is_its_second() -> None:
    assert start_ms(replace(facts(), session_id="of another kind", pub_time=1000)) == 1_000_000
    assert start_ms(replace(facts(), session_id="f" * 32, pub_time=1000)) == 1_000_000


def test_end_is_never_before_its_start() -> None:
    now = 1_790_000_000.789
    claimed = replace(facts(), session_id=new_session_id(now), pub_time=int(now))
    for end_ms in (0, 5, int(now * 1000)):
        row = HistoryRow(claimed, int(now), BreakCode.SUCCESS, Reason.CLOSED, end_ms=end_ms)
        assert tell_end(row, None).members["PubEndUnixTime"] == 1_790_000_000_789


def test_every_break_code_has_its_text() -> None:
    for code in BreakCode:
        row = HistoryRow(facts(), 2000, code, Reason.CLOSED)
        assert tell_end(row, None).members["StatusMessage"] == model.load().break_codes[code].text


def test_parameters_are_text_of_an_object_also_where_there_are_none() -> None:
    assert tell_start(facts(), None).members["PubParam"] == "{}"
    said = tell_start(facts(), '{"a": "\\u6d41"}').members["PubParam"]
    assert isinstance(said, str)
    assert json.loads(said) == {"a": "流"}
