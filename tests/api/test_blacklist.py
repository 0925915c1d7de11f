"""ForbidStream, ResumeStream, GetBlacklist, CheckBlacklist over HTTP."""

from typing import Any

import pytest

from openkls.domain.blacklist import FORBID_DEFAULT_SECONDS
from openkls.domain.session import BreakCode
from support_api import NOW, Encoder, Reply, Site

APP = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
KEY = {**APP, "Stream": "s1"}


@pytest.fixture
def site(stored_site: Site) -> Site:
    """Everything here holds over every store."""
    return stored_site


async def forbid(site: Site, **changes: Any) -> int:
    return (await site.call("ForbidStream", **(KEY | changes))).data["RetCode"]


async def listed(site: Site, **changes: Any) -> list[dict[str, Any]]:
    return (await site.call("GetBlacklist", **(APP | changes))).data["Recs"]


async def is_forbidden(site: Site, **changes: Any) -> int:
    return (await site.call("CheckBlacklist", **(KEY | changes))).data["CheckResult"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, NOW + FORBID_DEFAULT_SECONDS),
        ({"ForbidTillUnixTime": 0}, NOW + FORBID_DEFAULT_SECONDS),
        ({"ForbidTillUnixTime": -1}, -1),
        ({"ForbidTillUnixTime": "-1"}, -1),
        ({"ForbidTillUnixTime": NOW + 1}, NOW + 1),
        ({"ForbidTillUnixTime": NOW + FORBID_DEFAULT_SECONDS}, NOW + FORBID_DEFAULT_SECONDS),
        ({"ForbidTillUnixTime": NOW + FORBID_DEFAULT_SECONDS + 1}, NOW + FORBID_DEFAULT_SECONDS),
    ],
)
async def test_ban_is_listed_until_its_time(site: Site, asked: dict[str, Any], shown: int) -> None:
    assert await forbid(site, **asked) == 0
    assert await listed(site) == [{"Stream": "s1", "ForbidTillUnixTime": shown, "ForbidUnixTime": NOW}]


@pytest.mark.parametrize("till", [2, NOW - 1, NOW, -2])
async def test_time_that_is_past_is_4001(site: Site, till: int) -> None:
    assert await forbid(site, ForbidTillUnixTime=till) == 4001


@pytest.mark.parametrize("till", ["soon", 1.5, True, [], {}])
async def test_time_that_is_no_integer_is_4999(site: Site, till: object) -> None:
    assert await forbid(site, ForbidTillUnixTime=till) == 4999


async def test_forbid_cuts_the_live_stream(site: Site) -> None:
    encoder = Encoder()
    session = site.publish("s1", encoder=encoder)
    assert await forbid(site) == 0
    assert encoder.kicked_with == [BreakCode.FORBIDDEN]
    assert session.ended


async def test_forbid_by_an_alias_of_the_door_cuts_the_stream_of_the_door(site: Site) -> None:
    encoder = Encoder()
    site.publish("s1", encoder=encoder)
    assert await forbid(site, Pubdomain="LOCALHOST") == 0
    assert encoder.kicked_with == [BreakCode.FORBIDDEN]
    assert await is_forbidden(site) == await is_forbidden(site, Pubdomain="127.0.0.1") == 1


async def test_cut_only_leaves_no_ban(site: Site) -> None:
    encoder = Encoder()
    site.publish("s1", encoder=encoder)
    assert await forbid(site, ForbidTillUnixTime=1) == 0
    assert encoder.kicked_with == [BreakCode.FORBIDDEN]
    assert await is_forbidden(site) == 0
    assert await site.bans.since(0) == []


async def test_forbidding_later_again_refreshes_both_times(site: Site) -> None:
    await forbid(site, ForbidTillUnixTime=NOW + 10)
    site.now += 1
    assert await forbid(site, ForbidTillUnixTime=NOW + 20) == 0
    assert await listed(site) == [{"Stream": "s1", "ForbidTillUnixTime": NOW + 20, "ForbidUnixTime": NOW + 1}]


async def test_ban_ends_at_its_very_second(site: Site) -> None:
    await forbid(site, ForbidTillUnixTime=NOW + 10)
    site.now = NOW + 9.9
    assert await is_forbidden(site) == 1
    site.now = NOW + 10
    assert await is_forbidden(site) == 0
    assert await listed(site) == []
    assert (await site.call("ResumeStream", **KEY)).data["RetCode"] == 8201


async def test_resume_ends_a_ban_early(site: Site) -> None:
    await forbid(site)
    assert (await site.call("ResumeStream", **KEY)).data["RetCode"] == 0
    assert await is_forbidden(site) == 0


async def test_blacklist_is_listed_newest_first_and_per_door_and_app(site: Site) -> None:
    for number in range(3):
        await forbid(site, Stream=f"s{number}")
        site.now += 1
    await forbid(site, App="vod")
    await forbid(site, UniqueName="other", Pubdomain="push.other.local")
    reply: Reply = await site.call("GetBlacklist", **APP)
    assert [row["Stream"] for row in reply.data["Recs"]] == ["s2", "s1", "s0"]
    assert reply.data["Total"] == 3


async def test_names_are_echoed_as_asked_for_and_not_as_recorded(site: Site) -> None:
    reply = await site.call("GetBlacklist", **(APP | {"Pubdomain": "localhost"}))
    assert (reply.data["UniqueName"], reply.data["App"], reply.data["Pubdomain"]) == ("demo", "live", "localhost")


@pytest.mark.parametrize(
    "stream",
    [
        "..",
        ".",
        "../etc/passwd",
        "/etc/passwd",
        "a%2e%2e",
        "a\0b",
        "..\\..\\x",
        "a\\b",
        "s1/",
        "%00",
        "a b",
        "a\nb",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_class_13_names_that_could_be_paths_are_refused(site: Site, stream: str, method: str) -> None:
    reply = await site.call("CheckBlacklist", method, **(KEY | {"Stream": stream}))
    assert reply.data["RetCode"] == (1004 if stream else 1000)


@pytest.mark.parametrize("stream", ["s1", "..s", "s..", "a.b", "A_b-c.d~e@f:g", "流一", "é", "x" * 256])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_well_formed_names_are_accepted_in_query_and_body(site: Site, stream: str, method: str) -> None:
    assert (await site.call("ForbidStream", method, **(KEY | {"Stream": stream}))).data["RetCode"] == 0
    assert await is_forbidden(site, Stream=stream) == 1
