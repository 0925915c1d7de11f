"""History, error history and durations: windows at their limits, paging, grouping, clipping."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from openkls.api.actions import history
from openkls.domain.errors import BusinessError
from openkls.domain.ports import Span
from openkls.domain.session import BreakCode
from support_api import NOW, Site

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = 86400
APP = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
INFO, ERR = "ListHistoryPubStreamsInfo", "ListHistoryPubStreamsErrInfo"


def unix(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


TODAY = unix("2026-11-23")
assert TODAY + 3600 == NOW


# -- windows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, (unix("2026-11-18"), NOW)),
        (NOW - DAY, None, (NOW - DAY, NOW)),
        (NOW, None, (NOW, NOW)),
        (NOW - 5 * DAY - 1, None, (NOW - 5 * DAY - 1, NOW - 1)),
        (NOW - 28 * DAY, None, (NOW - 28 * DAY, NOW - 23 * DAY)),
        (None, NOW - 3600, (unix("2026-11-18"), NOW - 3600)),
        (None, NOW - 3601, (unix("2026-11-17"), NOW - 3601)),
        (None, NOW - 28 * DAY, (unix("2026-10-21"), NOW - 28 * DAY)),
        (None, NOW + DAY, (unix("2026-11-19"), NOW + DAY)),
        (NOW - 5 * DAY, NOW, (NOW - 5 * DAY, NOW)),
        (NOW, NOW, (NOW, NOW)),
        (NOW + 1, NOW + DAY, (NOW + 1, NOW + DAY)),
    ],
)
def test_history_window_is_the_given_bounds_and_the_defaults(
    start: int | None, end: int | None, expected: tuple[int, int]
) -> None:
    assert history.history_window(start, end, NOW, SHANGHAI) == expected


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOW - 28 * DAY - 1, None),
        (None, NOW - 28 * DAY - 1),
        (NOW - 28 * DAY - 1, NOW - 27 * DAY),
        (NOW + 1, None),
        (NOW, NOW - 1),
        (NOW - 5 * DAY - 1, NOW),
    ],
)
def test_history_window_reversed_too_long_or_too_old_is_4001(start: int | None, end: int | None) -> None:
    with pytest.raises(BusinessError) as raised:
        history.history_window(start, end, NOW, SHANGHAI)
    assert raised.value.ret_code == 4001


def test_history_default_window_begins_at_midnight_also_across_a_change_of_the_clock() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    now = unix("2026-10-27T12:00:00", berlin)  # the clock went back on the 25th
    assert history.history_window(None, None, now, berlin) == (unix("2026-10-22", berlin), now)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (TODAY - 1, TODAY, (TODAY - DAY, TODAY)),
        (TODAY - DAY, TODAY + DAY - 1, (TODAY - DAY, TODAY)),
        (TODAY, TODAY + DAY, (TODAY, TODAY + DAY)),
        (TODAY - 60 * DAY, TODAY, (TODAY - 60 * DAY, TODAY)),
        (TODAY - 60 * DAY + 5, TODAY, (TODAY - 60 * DAY, TODAY)),
    ],
)
def test_durations_window_is_whole_days(start: int, end: int, expected: tuple[int, int]) -> None:
    assert history.durations_window(start, end, NOW, SHANGHAI) == expected


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (TODAY, TODAY),
        (TODAY, TODAY + DAY - 1),
        (TODAY, TODAY - 1),
        (TODAY - 60 * DAY - 1, TODAY),
        (1, TODAY),
    ],
)
def test_durations_window_of_one_day_reversed_or_too_old_is_4001(start: int, end: int) -> None:
    with pytest.raises(BusinessError) as raised:
        history.durations_window(start, end, NOW, SHANGHAI)
    assert raised.value.ret_code == 4001


def test_clip_cuts_to_the_window_and_lets_a_live_session_end_now() -> None:
    spans = [
        Span("a", 50, 150),
        Span("b", 100, 100),
        Span("c", 120, 130),
        Span("d", 180, None),
        Span("e", 190, 300),
    ]
    rows = history.clip(spans, 100, 200, now=185)
    assert [(row["Stream"], row["StartTime"], row["EndTime"], row["Duration"]) for row in rows] == [
        ("a", 100, 150, 50),
        ("b", 100, 100, 0),
        ("c", 120, 130, 10),
        ("d", 180, 185, 5),
        ("e", 190, 200, 10),
    ]


def test_clip_leaves_out_what_is_live_before_a_window_that_has_not_begun() -> None:
    assert history.clip([Span("a", 50, None)], 100, 200, now=99) == []


# -- history ------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(stored_site: Site) -> Site:
    """Everything here holds over every store."""
    return stored_site


async def details(site: Site, action: str, **changes: Any) -> list[tuple[str, int, int, str]]:
    reply = await site.call(action, **(APP | changes))
    return [
        (row["Stream"], detail["Pubtime"] - NOW, detail["StatusCode"], detail["StatusMessage"])
        for row in reply.data["Result"]
        for detail in row["Detail"]
    ]


async def test_history_has_ended_sessions_and_error_history_the_failed_ones(site: Site) -> None:
    await site.record("a", NOW - 100, NOW - 50)
    await site.record("b", NOW - 90, NOW - 40, BreakCode.FORBIDDEN)
    await site.record_refusal("c", NOW - 80, BreakCode.ALREADY_EXISTS)
    site.publish("d")
    assert await details(site, INFO) == [
        ("b", -90, 423, "Forbidden by blacklist!"),
        ("a", -100, 200, "Success operation!"),
    ]
    assert await details(site, ERR) == [
        ("c", -80, 422, "Already exist stream!"),
        ("b", -90, 423, "Forbidden by blacklist!"),
    ]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (BreakCode.ALREADY_EXISTS, "Already exist stream!"),
        (BreakCode.FORBIDDEN, "Forbidden by blacklist!"),
        (BreakCode.EXPIRED, "Url expired!"),
        (BreakCode.SIGNATURE, "Signature does not match!"),
        (BreakCode.BAD_PARAMS, "Bad params!"),
    ],
)
async def test_refusal_shows_its_code_and_text_and_ends_when_it_began(site: Site, code: BreakCode, text: str) -> None:
    await site.record_refusal("s", NOW - 7, code)
    reply = await site.call(ERR, **APP)
    assert reply.data["Result"] == [
        {
            "Stream": "s",
            "Detail": [
                {
                    "Clientip": "192.0.2.7",
                    "Pubtime": NOW - 7,
                    "Fintime": NOW - 7,
                    "StatusCode": int(code),
                    "StatusMessage": text,
                }
            ],
        }
    ]


async def test_page_groups_its_rows_by_stream_in_order_of_first_appearance(site: Site) -> None:
    for number, stream in enumerate(["a", "b", "a", "c", "b", "a"]):
        await site.record(stream, NOW - 100 + number, NOW)
    reply = await site.call(INFO, **APP, OrderTime=1, Limit=5)
    grouped = [
        (row["Stream"], [detail["Pubtime"] - NOW + 100 for detail in row["Detail"]]) for row in reply.data["Result"]
    ]
    assert grouped == [("a", [0, 2]), ("b", [1, 4]), ("c", [3])]
    assert (reply.data["Count"], reply.data["Total"], reply.data["Marker"], reply.data["OrderTime"]) == (5, 6, 0, 1)


async def test_pages_together_are_all_rows_in_either_order(site: Site) -> None:
    for number in range(7):
        await site.record(f"s{number}", NOW - 100 + number, NOW)
    for order, expected in ((0, [6, 5, 4, 3, 2, 1, 0]), (1, [0, 1, 2, 3, 4, 5, 6])):
        seen: list[str] = []
        for marker in range(4):
            reply = await site.call(INFO, **APP, OrderTime=order, Limit=3, Marker=marker)
            seen += [row["Stream"] for row in reply.data["Result"]]
            assert reply.data["Total"] == 7
        assert seen == [f"s{number}" for number in expected]


async def test_history_answers_the_window_it_used(site: Site) -> None:
    reply = await site.call(INFO, **APP)
    assert (reply.data["StartUnixTime"], reply.data["EndUnixTime"]) == (unix("2026-11-18"), NOW)


async def test_history_window_holds_both_its_bounds(site: Site) -> None:
    for offset in (-1, 0, 10, 11):
        await site.record(f"s{offset}", NOW - 100 + offset, NOW)
    rows = await details(site, INFO, StartUnixTime=NOW - 100, EndUnixTime=NOW - 90, OrderTime=1)
    assert [row[0] for row in rows] == ["s0", "s10"]


async def test_history_is_of_one_stream_app_and_door(site: Site) -> None:
    await site.record("a", NOW - 10, NOW)
    await site.record("b", NOW - 10, NOW)
    await site.record("a", NOW - 10, NOW, app="vod")
    await site.record("a", NOW - 10, NOW, unique_name="other", pubdomain="push.other.local")
    assert [row[0] for row in await details(site, INFO, Stream="a")] == ["a"]
    assert [row[0] for row in await details(site, INFO, Pubdomain="localhost", Stream="a")] == ["a"]
    assert await details(site, INFO, Stream="c") == []


# -- durations ----------------------------------------------------------------------------------------------------

DAYS = {"StartUnixTime": TODAY - DAY, "EndUnixTime": TODAY + DAY}


async def durations(site: Site, **changes: Any) -> list[tuple[str, int, int]]:
    reply = await site.call("ListStreamDurations", **(APP | DAYS | changes))
    assert reply.data["Count"] == len(reply.data["Result"])
    assert all(row["Duration"] == row["EndTime"] - row["StartTime"] for row in reply.data["Result"])
    return [(row["Stream"], row["StartTime"], row["EndTime"]) for row in reply.data["Result"]]


async def test_durations_are_ascending_clipped_and_with_live_ones_up_to_now(site: Site) -> None:
    await site.history.begin_boot("boot", "node", NOW - 60)
    await site.history.open(site.facts("live", NOW - 60))
    await site.record("b", TODAY - 100, TODAY + 100, BreakCode.FORBIDDEN)
    await site.record("a", TODAY - 2 * DAY, TODAY - DAY + 10)
    await site.record("past", TODAY - 2 * DAY, TODAY - DAY)
    await site.record_refusal("refused", TODAY - 50, BreakCode.EXPIRED)
    assert await durations(site) == [
        ("a", TODAY - DAY, TODAY - DAY + 10),
        ("b", TODAY - 100, TODAY + 100),
        ("live", NOW - 60, NOW),
    ]
    assert await durations(site, Stream="b") == [("b", TODAY - 100, TODAY + 100)]


async def test_durations_of_no_time_at_all_are_1000(site: Site) -> None:
    reply = await site.call("ListStreamDurations", **(APP | DAYS | {"StartUnixTime": 0}))
    assert reply.data["RetCode"] == 1000


async def test_durations_beyond_the_row_limit_are_4001_and_the_log_says_what_to_do(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert history.DURATIONS_ROWS_LIMIT == 100_000
    monkeypatch.setattr(history, "DURATIONS_ROWS_LIMIT", 3)
    for number in range(3):
        await site.record(f"s{number}", NOW - 100 + number, NOW)
    assert len(await durations(site)) == 3
    await site.record("s4", NOW - 1, NOW)
    reply = await site.call("ListStreamDurations", **(APP | DAYS))
    assert reply.data["RetCode"] == 4001
    assert "narrow the window" in caplog.text
