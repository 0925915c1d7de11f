"""The judges of the adversity tests can condemn: each is shown what it is there to find."""

import time

import pytest

from support_invariants import Ban, Publish, Row, ban_faults, history_faults, list_faults, name_faults

AT = 1_700_000_000.0
OVER = Publish("a", "one", AT, 4000, AT + 0.1, AT + 9)
LIVE = Publish("b", "two", AT, 4001, AT + 0.1)
REFUSED = Publish("a", "one", AT + 1, 4002, None, AT + 1.1, "422")
UNANSWERED = Publish("a", "one", AT + 2, 4003, None, AT + 2.1)
ROWS = (Row("1", "a", "one", 4000, int(AT), int(AT) + 9), Row("2", "b", "two", 4001, int(AT), None))
ERROR = Row("3", "a", "one", 4002, int(AT) + 1, int(AT) + 1, accepted=False)
ALL = (OVER, LIVE, REFUSED, UNANSWERED)


def test_history_that_is_right_is_found_right() -> None:
    assert not history_faults(ALL, [*ROWS, ERROR])
    # Whether an answer that never came was a yes is known to the server alone.
    assert not history_faults(ALL, [*ROWS, ERROR, Row("4", "a", "one", 4003, int(AT) + 2, int(AT) + 3)])


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([*ROWS, ROWS[0]], "there 2 times"),
        ([*ROWS, Row("9", "a", "one", 4000, int(AT), int(AT) + 4)], "has 2 rows"),
        ([*ROWS, Row("9", "a", "one", 4000, int(AT) + 1, int(AT) + 4)], "is nobody's"),
        ([*ROWS, Row("2", "b", "two", 4001, int(AT), int(AT) + 4)], "has 2 rows"),
        (ROWS[:1], "has 0 rows"),
        (ROWS[1:], "has 0 rows"),
        ([ROWS[0], Row("2", "b", "two", 4001, int(AT), int(AT) + 4)], "is live, its row says otherwise"),
        ([Row("1", "a", "one", 4000, int(AT), None), ROWS[1]], "is over, its row says otherwise"),
        ([*ROWS, Row("3", "a", "one", 4002, int(AT) + 1, int(AT) + 1)], "was not let in"),
        ([*ROWS, Row("4", "a", "one", 4003, int(AT) + 2, None)], "was not let in"),
        ([*ROWS, Row("5", "b", "one", 4000, int(AT), int(AT) + 1)], "is nobody's"),
        ([*ROWS, Row("5", "a", "one", 4000, int(AT) + 60, int(AT) + 61)], "is nobody's"),
        ([Row("1", "a", "one", 4000, int(AT), int(AT) - 1), ROWS[1]], "ends before it begins"),
    ],
)
def test_history_that_is_wrong_is_found_out(rows: list[Row], what: str) -> None:
    assert any(what in fault for fault in history_faults(ALL, rows))


def test_port_that_two_had_one_after_the_other_confuses_nobody() -> None:
    again = Publish("a", "one", AT + 4, 4002, AT + 4.1, AT + 6)
    assert not history_faults([*ALL, again], [*ROWS, ERROR, Row("5", "a", "one", 4002, int(AT) + 4, int(AT) + 6)])
    late = Row("5", "a", "one", 4000, int(AT) + 4, int(AT) + 6)
    assert any("is nobody's" in fault for fault in history_faults(ALL, [*ROWS, late]))


def test_two_of_a_name_are_found_out_unless_excused() -> None:
    rival = Publish("b", "one", AT + 4, 4004, AT + 4, AT + 8)
    assert not name_faults(ALL)
    assert name_faults([*ALL, rival])
    assert not name_faults([*ALL, rival], [(AT + 3, AT + 7)])
    assert name_faults([*ALL, rival], [(AT + 3, AT + 5)])
    assert name_faults([LIVE, Publish("a", "two", AT + 5, 4005, AT + 5)])
    assert not name_faults([OVER, Publish("b", "one", AT + 8, 4004, AT + 8)]), "its end is heard of a moment late"


def test_publish_of_a_forbidden_name_is_found_out() -> None:
    assert not ban_faults(ALL, [Ban("one", AT + 8), Ban("one", AT - 9, AT - 1), Ban("other", AT)])
    assert "was let in" in ban_faults(ALL, [Ban("one", AT - 9, AT + 20)])[0]
    assert "lived on" in ban_faults(ALL, [Ban("one", AT + 1)])[0]
    assert "lived on" in ban_faults(ALL, [Ban("two", time.time() - 60)])[0]
    asked = AT - 1, AT + 1
    assert "was let in" in ban_faults([Publish("a", "one", AT, 1, AT + 1, AT + 2)], [Ban("one", AT)])[0]
    assert not ban_faults([Publish("a", "one", AT, 1, AT + 1, AT + 2)], [Ban("one", AT)], [asked])
    assert "lived on" in ban_faults([Publish("a", "one", AT, 1, AT + 1, AT + 9)], [Ban("one", AT)], [asked])[0]
    assert not ban_faults([Publish("a", "one", AT, 1, AT + 1, AT + 2)], [Ban("one", AT + 0.5)]), "it was under way"
    assert not ban_faults(ALL, [Ban("one", AT + 1, AT + 4)]), "a ban may be over before it is known"


def test_list_that_lacks_or_doubles_or_invents_is_found_out() -> None:
    assert not list_faults("a", ALL, ["two"])
    for listed in ([], ["two", "two"], ["two", "one"]):
        assert list_faults("a", ALL, listed)
