"""`coerce` and `matches`: what each parameter may be, at each bound and just beyond it.

Rule: one table, one row per bound; a row is an operation, the raw values beside the good ones, and what comes of it.
"""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.model import Rejection, coerce, load, matches

UNIX_TIME = 1753056000
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
PAGE_LIMIT = 5000
MARKER_MAX = 2**31 - 1
TIME_MAX = 9_999_999_999

FOUR = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s222"}
THREE = {name: FOUR[name] for name in ("UniqueName", "App", "Pubdomain")}
GOOD: dict[str, dict[str, object]] = {
    "ListRealtimeStreamsInfo": {"UniqueName": "demo", "App": "live"},
    "ListRealtimePubStreamsInfo": THREE,
    "ListHistoryPubStreamsInfo": THREE,
    "ListHistoryPubStreamsErrInfo": THREE,
    "ListStreamDurations": THREE | {"StartUnixTime": str(UNIX_TIME), "EndUnixTime": str(UNIX_TIME + 86400)},
    "ForbidStream": FOUR,
    "ResumeStream": FOUR,
    "GetBlacklist": THREE,
    "CheckBlacklist": FOUR,
}
PAGE = "ListRealtimePubStreamsInfo"
HISTORY = "ListHistoryPubStreamsInfo"
REALTIME = "ListRealtimeStreamsInfo"
DURATIONS = "ListStreamDurations"
FORBID = "ForbidStream"

ABSENT = object()


def code_of(operation: str, **changed: object) -> int | dict[str, str | int]:
    """The RetCode that the good request with these changes gets, or its values."""
    outcome = coerce(operation, GOOD[operation] | changed)
    return outcome.ret_code if isinstance(outcome, Rejection) else outcome


@pytest.mark.parametrize("operation", GOOD)
def test_good_request_gives_its_values(operation: str) -> None:
    values = coerce(operation, GOOD[operation])
    assert isinstance(values, dict)
    for name, given_value in GOOD[operation].items():
        assert str(values[name]) == given_value
    assert set(values) - set(GOOD[operation]) <= {"OrderTime", "Marker", "Limit", "PullProtocol"}


def test_defaults_are_put_in_and_absent_members_left_out() -> None:
    page = {"OrderTime": 0, "Marker": 0, "Limit": 1000}
    assert coerce(PAGE, THREE) == THREE | page
    assert coerce(HISTORY, THREE) == THREE | page
    assert coerce(REALTIME, GOOD[REALTIME]) == GOOD[REALTIME] | {"PullProtocol": "http+flv"}
    assert coerce(FORBID, FOUR) == FOUR


def test_zeros_and_blanks_of_the_old_sdk_are_absent() -> None:
    sent = THREE | {"Stream": "", "StartUnixTime": "0", "EndUnixTime": 0, "Limit": "1", "Marker": "0"}
    assert coerce(HISTORY, sent) == THREE | {"OrderTime": 0, "Marker": 0, "Limit": 1}


def test_unknown_names_are_ignored() -> None:
    extra = {"Service": "kls", "Region": "cn-beijing-6", "Accesskey": "x", "app": 5, "stream": ["x"], "": None}
    assert coerce("ResumeStream", FOUR | extra) == FOUR


def test_unknown_operation_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        coerce("RealtimePubStreamsInfo", THREE)


@pytest.mark.parametrize("operation", GOOD)
def test_each_mandatory_parameter_is_1000_when_absent_empty_or_null(operation: str) -> None:
    for name, member in load().operations[operation].input.members.items():
        for value in (None, "", ABSENT):
            raw = {key: given_value for key, given_value in GOOD[operation].items() if key != name}
            outcome = coerce(operation, raw if value is ABSENT else raw | {name: value})
            if member.required:
                assert outcome == Rejection(1000, name, f"{name} is mandatory; it is missing, empty or null")
            else:
                assert isinstance(outcome, dict)


@pytest.mark.parametrize("name", ["StartUnixTime", "EndUnixTime"])
@pytest.mark.parametrize("zero", [0, "0", "-0", "000"])
def test_zero_time_of_list_stream_durations_is_missing(name: str, zero: object) -> None:
    assert code_of(DURATIONS, **{name: zero}) == 1000


@pytest.mark.parametrize("written", ["uniquename", "UNIQUENAME", "uniqueName"])
@pytest.mark.parametrize("blank", [{}, {"UniqueName": ""}, {"UniqueName": None}])
def test_mandatory_name_in_another_case_is_4999(written: str, blank: dict[str, object]) -> None:
    raw = {"App": "live", "Pubdomain": "push.demo.local", "Stream": "s", written: "demo"} | blank
    outcome = coerce("CheckBlacklist", raw)
    assert outcome == Rejection(4999, "UniqueName", f"expected the name UniqueName, got '{written}'")


def test_missing_comes_before_faults_and_both_in_member_order() -> None:
    both_missing = coerce("CheckBlacklist", {"UniqueName": 5, "pubdomain": "x"})
    assert isinstance(both_missing, Rejection)
    assert (both_missing.ret_code, both_missing.parameter) == (1000, "App")
    both_malformed = coerce("CheckBlacklist", FOUR | {"Stream": "/", "App": "/"})
    assert isinstance(both_malformed, Rejection)
    assert (both_malformed.ret_code, both_malformed.parameter) == (1003, "App")


def test_name_of_the_right_case_wins_over_another_case() -> None:
    assert coerce("CheckBlacklist", FOUR | {"app": "other"}) == FOUR


NAME_BOUNDS = [
    ("UniqueName", "a", True),
    ("UniqueName", string.ascii_letters + "0123456789_-", True),
    ("UniqueName", "a" * 64, True),
    ("UniqueName", "a" * 65, False),
    ("UniqueName", "a.b", False),
    ("UniqueName", "démo", False),
    ("UniqueName", "demo\n", False),
    ("UniqueName", "demo ", False),
    *[
        row
        for name in ("App", "Stream")
        for row in (
            (name, "a", True),
            (name, "a" * 256, True),
            (name, "a" * 257, False),
            (name, "直" * 256, True),
            (name, "直" * 257, False),
            (name, "_-.~@:", True),
            (name, "直播٣é", True),
            (name, "...", True),
            (name, ".", False),
            (name, "..", False),
            (name, "..\n", False),
            (name, ".a", True),
            (name, "..a", True),
            (name, "a\n", False),
            (name, "\na", False),
            (name, "a\x00", False),
            (name, "a\x7f", False),
            (name, "a\u2028", False),
            (name, "\ud800", False),
            *((name, f"a{mark}b", False) for mark in "/?&#%\\ +'\"<>*,;=|"),
        )
    ],
    ("Pubdomain", "localhost", True),
    ("Pubdomain", "push.demo.local", True),
    ("Pubdomain", "a_b-c.d", True),
    ("Pubdomain", "127.0.0.1", True),
    ("Pubdomain", "::1", True),
    ("Pubdomain", "2001:db8::7", True),
    ("Pubdomain", "::ffff:192.0.2.7", True),
    ("Pubdomain", "0000:0000:0000:0000:0000:ffff:192.168.100.200", True),
    ("Pubdomain", "00000:0000:0000:0000:0000:ffff:192.168.100.200", False),
    ("Pubdomain", "[::1]", False),
    ("Pubdomain", "a:b", False),
    ("Pubdomain", "push.demo.local:1935", False),
    ("Pubdomain", "a" * 63, True),
    ("Pubdomain", "a" * 64, False),
    ("Pubdomain", ".".join(["a" * 63] * 3 + ["b" * 61]), True),
    ("Pubdomain", ".".join(["a" * 63] * 3 + ["b" * 62]), False),
    ("Pubdomain", "-a.b", False),
    ("Pubdomain", "a-.b", False),
    ("Pubdomain", "a..b", False),
    ("Pubdomain", ".a", False),
    ("Pubdomain", "a.", False),
    ("Pubdomain", "a/b", False),
    ("Pubdomain", "a b", False),
    ("Pubdomain", "push.demo.local\n", False),
    ("Pubdomain", "é.local", False),
    ("Pubdomain", "\u212a.local", False),  # the Kelvin sign, whose lower case is k
]
MALFORMED = {"UniqueName": 1002, "App": 1003, "Stream": 1004, "Pubdomain": 4000}


@pytest.mark.parametrize(("name", "value", "good"), NAME_BOUNDS)
def test_name_is_taken_or_has_its_code(name: str, value: str, good: bool) -> None:
    assert matches(name, value) is good
    assert code_of("CheckBlacklist", **{name: value}) == (FOUR | {name: value} if good else MALFORMED[name])


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("value", [5, 0, 5.5, True, False, [], ["a"], {}, {"a": 1}])
def test_name_of_another_type_is_4999(name: str, value: object) -> None:
    assert matches(name, value) is False
    assert code_of("CheckBlacklist", **{name: value}) == 4999


def test_matches_refuses_the_empty_name_and_shapes_without_pattern() -> None:
    assert not any(matches(name, "") for name in MALFORMED)
    with pytest.raises(KeyError):
        matches("Nothing", "a")
    with pytest.raises(TypeError):
        matches("Codec", "a")


def test_pubdomain_is_read_without_regard_to_case() -> None:
    assert code_of("GetBlacklist", Pubdomain="Push.DEMO.local") == THREE
    assert code_of("CheckBlacklist", App="Live") == FOUR | {"App": "Live"}


VALUE_BOUNDS = [
    (REALTIME, "PullProtocol", "http+flv", "http+flv"),
    (REALTIME, "PullProtocol", "http flv", "http+flv"),
    (REALTIME, "PullProtocol", "rtmp", "rtmp"),
    (REALTIME, "PullProtocol", "hls", "hls"),
    (REALTIME, "PullProtocol", None, "http+flv"),
    (REALTIME, "PullProtocol", "", "http+flv"),
    (REALTIME, "PullProtocol", "RTMP", 9014),
    (REALTIME, "PullProtocol", "flv", 9014),
    (REALTIME, "PullProtocol", 1, 9014),
    (REALTIME, "PullProtocol", ["rtmp"], 9014),
    (REALTIME, "Type", "push", "push"),
    (REALTIME, "Type", "pull", "pull"),
    (REALTIME, "Type", "", ABSENT),
    (REALTIME, "Type", "Push", 9015),
    (REALTIME, "Type", True, 9015),
    (REALTIME, "DomainIds", "1001", "1001"),
    (REALTIME, "DomainIds", "1001,1002", "1001,1002"),
    (REALTIME, "DomainIds", ",".join(["1"] * 100), ",".join(["1"] * 100)),
    (REALTIME, "DomainIds", ",".join(["1"] * 101), 4000),
    (REALTIME, "DomainIds", "a" * 64, "a" * 64),
    (REALTIME, "DomainIds", "a" * 65, 4000),
    (REALTIME, "DomainIds", "1001,", 4000),
    (REALTIME, "DomainIds", "1001, 1002", 4000),
    (REALTIME, "DomainIds", 1001, 4999),
    (REALTIME, "Stream", "", ABSENT),
    (REALTIME, "Stream", "a/b", 1004),
    (PAGE, "OrderTime", 0, 0),
    (PAGE, "OrderTime", "1", 1),
    (PAGE, "OrderTime", 2, 4999),
    (PAGE, "OrderTime", "-1", 4999),
    (PAGE, "OrderTime", None, 0),
    (PAGE, "Marker", 0, 0),
    (PAGE, "Marker", -1, 4999),
    (PAGE, "Marker", "-1", 4999),
    (PAGE, "Marker", MARKER_MAX, MARKER_MAX),
    (PAGE, "Marker", MARKER_MAX + 1, 4999),
    (PAGE, "Limit", 1, 1),
    (PAGE, "Limit", 0, 1000),
    (PAGE, "Limit", "-7", 1000),
    (PAGE, "Limit", PAGE_LIMIT, PAGE_LIMIT),
    (PAGE, "Limit", PAGE_LIMIT + 1, PAGE_LIMIT),
    (PAGE, "Limit", INT64_MAX, PAGE_LIMIT),
    (PAGE, "Limit", INT64_MAX + 1, 4999),
    (PAGE, "Limit", str(INT64_MAX), PAGE_LIMIT),
    (PAGE, "Limit", str(INT64_MAX + 1), 4999),
    (PAGE, "Limit", INT64_MIN, 1000),
    (PAGE, "Limit", INT64_MIN - 1, 4999),
    (PAGE, "Limit", str(INT64_MIN), 1000),
    (PAGE, "Limit", str(INT64_MIN - 1), 4999),
    (PAGE, "Limit", "0" * 19 + "5", 5),
    (PAGE, "Limit", "0" * 20 + "5", 4999),
    (PAGE, "Limit", "9" * 100_000, 4999),
    *[
        (PAGE, "Limit", value, 4999)
        for value in ("5.0", "+5", " 5", "5 ", "5\n", "1e3", "0x5", "1_0", "٥", "-", "--5", "a")
    ],
    *[(PAGE, "Limit", value, 4999) for value in (5.0, 5.5, float("nan"), float("inf"), True, False, [], [5], {})],
    (HISTORY, "StartUnixTime", 1, 1),
    (HISTORY, "StartUnixTime", TIME_MAX, TIME_MAX),
    (HISTORY, "StartUnixTime", TIME_MAX + 1, 4001),
    (HISTORY, "StartUnixTime", 0, ABSENT),
    (HISTORY, "StartUnixTime", -1, 4001),
    (HISTORY, "StartUnixTime", "x", 4999),
    (HISTORY, "StartUnixTime", 1.5, 4999),
    (HISTORY, "EndUnixTime", str(TIME_MAX), TIME_MAX),
    (HISTORY, "EndUnixTime", str(TIME_MAX + 1), 4001),
    (HISTORY, "EndUnixTime", "0", ABSENT),
    (HISTORY, "EndUnixTime", "-1", 4001),
    (HISTORY, "EndUnixTime", INT64_MAX + 1, 4001),
    (HISTORY, "EndUnixTime", "9" * 30, 4001),
    (DURATIONS, "EndUnixTime", TIME_MAX + 1, 4001),
    (FORBID, "ForbidTillUnixTime", 0, ABSENT),
    (FORBID, "ForbidTillUnixTime", 1, 1),
    (FORBID, "ForbidTillUnixTime", -1, -1),
    (FORBID, "ForbidTillUnixTime", "-1", -1),
    (FORBID, "ForbidTillUnixTime", -2, 4001),
    (FORBID, "ForbidTillUnixTime", INT64_MAX, INT64_MAX),
    (FORBID, "ForbidTillUnixTime", INT64_MAX + 1, 4001),
    (FORBID, "ForbidTillUnixTime", "tomorrow", 4999),
    (FORBID, "ForbidTillUnixTime", True, 4999),
]


@pytest.mark.parametrize(("operation", "name", "value", "expected"), VALUE_BOUNDS)
def test_value_is_taken_replaced_or_has_its_code(operation: str, name: str, value: object, expected: object) -> None:
    raw = GOOD[operation] | {name: value}
    outcome = coerce(operation, raw)
    if isinstance(outcome, Rejection):
        assert (outcome.ret_code, outcome.parameter) == (expected, name)
    elif expected is ABSENT:
        assert name not in outcome
    else:
        assert outcome[name] == expected
        assert type(outcome[name]) is type(expected)


def test_rejection_quotes_a_short_escaped_piece_of_what_was_sent() -> None:
    outcome = coerce("GetBlacklist", THREE | {"App": "\r\n\x1b" + "é" * 1000})
    assert outcome == Rejection(1003, "App", "expected a well-formed App, got '\\r\\n\\x1b" + "\\xe9" * 61 + "'")
    other = coerce("GetBlacklist", THREE | {"App": ["x" * 1000]})
    assert other == Rejection(4999, "App", "expected a string, got list")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted({name for operation in load().operations.values() for name in operation.input.members})


@given(
    operation=st.sampled_from(sorted(GOOD)),
    raw=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), JSON_VALUES, max_size=12),
    keep=st.booleans(),
)
def test_coerce_never_raises_and_gives_only_documented_values(operation: str, raw: dict[str, Any], keep: bool) -> None:
    model = load().operations[operation]
    outcome = coerce(operation, GOOD[operation] | raw if keep else raw)
    if isinstance(outcome, Rejection):
        assert outcome.ret_code in model.ret_codes
        assert outcome.parameter in model.input.members
        assert len(outcome.problem) < 1000
        assert outcome.problem.isprintable()
    else:
        assert outcome.keys() <= model.input.members.keys()
        assert {name for name, member in model.input.members.items() if member.required} <= outcome.keys()
        assert all(type(value) in (str, int) for value in outcome.values())


@given(st.text(max_size=300))
def test_matching_names_hold_nothing_that_a_url_or_log_could_stumble_over(name: str) -> None:
    if matches("Stream", name):
        assert 1 <= len(name) <= 256
        assert name not in (".", "..")
        assert all(mark.isalnum() or mark in "_-.~@:" for mark in name)
    else:
        assert not name.isalnum() or len(name) > 256
