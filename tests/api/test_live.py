"""DescribeLiveStreams and DescribeSpaces: who is in, in which units, in which sums, and of whose spaces."""

import json
from typing import Any

import pytest

from openkls import config
from openkls.api.actions import live
from openkls.api.services import Place
from openkls.control.directory import Directory
from openkls.control.live import ROWS_LIMIT
from openkls.domain.keys import StreamName
from openkls.domain.session import BreakCode, Reason, Session
from openkls.domain.viewers import PullProtocol
from support_api import ACCOUNTS, NOW, Site

LIVE, SPACES = "DescribeLiveStreams", "DescribeSpaces"


def encode(site: Site, session: Session, seconds: int = 10) -> None:
    """25 fps of 5,000-byte frames and 50 audio frames a second of 160 bytes, for so long; then read at its end."""
    quality = session.quality
    quality.begin(site.ticks)
    quality.vcodec, quality.acodec = "h264", "aac"
    quality.from_headers.width, quality.from_headers.height = 1280, 720
    quality.from_headers.sample_rate = 44100
    quality.from_metadata.frame_rate = 30.0
    began = site.ticks
    for step in range(seconds * 50):
        now = began + step / 50
        if step % 2 == 0:
            quality.video_frame(now, step * 20, 5000)
            quality.received(now, 5100)
        quality.audio_frame(now, step * 20, 160)
        quality.received(now, 170)
    site.ticks = began + seconds - 0.001


async def streams(site: Site, **parameters: Any) -> list[str]:
    data = (await site.call(LIVE, **parameters)).data
    assert data["Count"] == len(data["Streams"])
    return [row["Stream"] for row in data["Streams"]]


async def test_row_tells_the_push_its_quality_and_its_viewers_by_protocol(site: Site) -> None:
    session = site.publish("s1", pub_time=NOW - 10)
    for protocol, viewers in ((PullProtocol.RTMP, 1), (PullProtocol.HTTP_FLV, 2), (PullProtocol.HLS, 4)):
        site.watch("s1", viewers, protocol).sent.add(site.ticks, 1_250_000)
    site.watch("s1", 8, PullProtocol.RTMP, domain_id="")
    encode(site, session)
    data = (await site.call(LIVE)).data
    (row,) = data["Streams"]
    assert row == {
        "UniqueName": "demo",
        "App": "live",
        "Pubdomain": "push.demo.local",
        "Stream": "s1",
        "SessionId": session.facts.session_id,
        "ClientIp": "192.0.2.7",
        "ClientPort": 50000,
        "Node": "198.51.100.1",
        "PubTime": NOW - 10,
        "FrameRate": 30,
        "Curfps": 25,
        "FLR": 16,
        "Curbitrate": 1000.0,
        "BwInAudio": 64.0,
        "BwIn": 1064.0,
        "BwReal": 1090.2,
        "BwDiff": -26.2,
        "Width": 1280,
        "Height": 720,
        "SampleRate": 44100,
        "Vcodec": "h264",
        "Acodec": "aac",
        "OnlineUser": 15,
        "OnlineRtmp": 9,
        "OnlineFlv": 2,
        "OnlineHls": 4,
        "Bw": row["Bw"],
    }
    assert row["Bw"] == pytest.approx(3_000_000, rel=0.05)
    sums = {name: data[name] for name in ("Count", "UpdateTime", "OnlineUser", "BwReal", "Bw")}
    assert sums == {"Count": 1, "UpdateTime": NOW, "OnlineUser": 15, "BwReal": 1090.2, "Bw": row["Bw"]}


async def test_list_is_of_all_spaces_of_the_account_and_of_no_other(site: Site) -> None:
    site.publish("mine", pub_time=NOW - 1)
    site.publish("also", pub_time=NOW - 2, unique_name="other", pubdomain="push.other.local", app="radio")
    site.publish("theirs", unique_name="theirs", pubdomain="push.theirs.local")
    site.publish("orphan", unique_name="gone", pubdomain="push.gone.local")
    assert await streams(site) == ["mine", "also"]
    assert await streams(site, access_key="AKTHEIRS") == ["theirs"]


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ({"UniqueName": "demo"}, ["s1", "s2", "s3"]),
        ({"UniqueName": "demo", "App": "live"}, ["s1", "s2"]),
        ({"UniqueName": "demo", "App": "live", "Stream": "s2"}, ["s2"]),
        ({"App": "live"}, ["s1", "s2", "s1"]),
        ({"Stream": "s1"}, ["s1", "s1"]),
        ({"UniqueName": "", "App": None, "Stream": ""}, ["s1", "s2", "s3", "s1"]),
        ({"UniqueName": "closed"}, []),
        ({"Stream": "nobody"}, []),
    ],
)
async def test_names_narrow_the_list(site: Site, asked: dict[str, Any], listed: list[str]) -> None:
    site.publish("s1", pub_time=NOW - 1)
    site.publish("s2", pub_time=NOW - 2)
    site.publish("s3", pub_time=NOW - 3, app="vod")
    site.publish("s1", pub_time=NOW - 4, unique_name="other", pubdomain="push.other.local")
    assert await streams(site, method="POST", **asked) == listed


async def test_newest_push_comes_first_then_names_in_order(site: Site) -> None:
    for stream, began in (("b", 5), ("a", 5), ("c", 1)):
        site.publish(stream, pub_time=NOW - began)
    assert await streams(site) == ["c", "a", "b"]


async def test_rendition_is_a_row_of_its_own(site: Site) -> None:
    site.publish("s222", pub_time=NOW - 1)
    site.publish("s222_500", pub_time=NOW - 2)
    site.watch("s222_500", 3)
    data = (await site.call(LIVE)).data
    assert [(row["Stream"], row["OnlineUser"]) for row in data["Streams"]] == [("s222", 0), ("s222_500", 3)]


async def test_stream_that_has_not_been_answered_yet_is_not_listed(site: Site) -> None:
    site.publish("s1").started = False
    assert await streams(site) == []


async def test_viewers_of_a_stream_of_the_same_name_elsewhere_do_not_count(site: Site) -> None:
    site.publish("s1")
    site.viewers.join(StreamName("other", "live", "s1"), PullProtocol.HLS, "", site.ticks)
    assert (await site.call(LIVE)).data["OnlineUser"] == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"UniqueName": "theirs"}, 6406),
        ({"UniqueName": "nowhere"}, 6406),
        ({"UniqueName": "no name"}, 1002),
        ({"UniqueName": "demo", "App": "radio"}, 1003),
        ({"App": "li/ve"}, 1003),
        ({"Stream": "a/b"}, 1004),
        ({"UniqueName": 5}, 4999),
    ],
)
async def test_name_that_is_wrong_or_not_the_accounts_is_refused(site: Site, asked: dict[str, Any], code: int) -> None:
    assert (await site.call(LIVE, method="POST", **asked)).data["RetCode"] == code


@pytest.mark.parametrize("action", [LIVE, SPACES])
async def test_account_that_is_gone_is_5000(site: Site, action: str) -> None:
    assert (await site.call(action, access_key="AKORPHAN")).data["RetCode"] == 5000


async def test_others_have_their_turn_while_a_long_list_is_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SLICE_ROWS", 2)
    sessions = [site.publish(f"s{number}", pub_time=NOW - number) for number in range(5)]
    turns = 0
    sleep = live.asyncio.sleep

    async def end_two(seconds: float) -> None:
        nonlocal turns
        turns += 1
        await sleep(0)
        if turns == 2:  # the first turn is that between two apps
            site.endings.finish(sessions[0], BreakCode.SUCCESS, Reason.CLOSED, NOW)
            site.endings.finish(sessions[3], BreakCode.SUCCESS, Reason.CLOSED, NOW)

    monkeypatch.setattr(live.asyncio, "sleep", end_two)
    data = await live.describe_live_streams(site.services, Place("2000001"), {})
    assert [row["Stream"] for row in json.loads(bytes(data["Streams"]))] == ["s0", "s1", "s2", "s4"]
    assert (turns, data["Count"]) == (3, 4)


async def test_streams_that_all_ended_meanwhile_leave_a_list_that_can_be_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SLICE_ROWS", 1)
    sessions = [site.publish(f"s{number}") for number in range(2)]
    found = site.services.live.found

    async def found_and_over(*asked: Any) -> Any:
        listed = await found(*asked)
        for session in sessions:
            session.ended = True
        return listed

    monkeypatch.setattr(site.services.live, "found", found_and_over)
    assert await streams(site) == []


@pytest.mark.parametrize(("pushed", "rows"), [(ROWS_LIMIT, ROWS_LIMIT), (ROWS_LIMIT + 1, ROWS_LIMIT)])
async def test_list_ends_at_its_limit_with_the_newest(site: Site, pushed: int, rows: int) -> None:
    for number in range(pushed):
        site.publish(f"s{number}", pub_time=NOW - number)
    data = await live.describe_live_streams(site.services, Place("2000001"), {})
    listed = [row["Stream"] for row in json.loads(bytes(data["Streams"]))]
    assert (data["Count"], len(listed), listed[0], listed[-1]) == (rows, rows, "s0", f"s{rows - 1}")


async def test_empty_list_is_an_empty_list(site: Site) -> None:
    assert (await site.call(LIVE)).data == {
        "Count": 0,
        "UpdateTime": NOW,
        "OnlineUser": 0,
        "BwReal": 0.0,
        "Bw": 0,
        "Streams": [],
        "RetCode": 0,
        "RetMsg": "success",
    }


# -- spaces ----------------------------------------------------------------------------------------------------------


async def test_spaces_are_told_with_their_domains_and_ports(site: Site) -> None:
    data = (await site.call(SPACES)).data
    assert {name: value for name, value in data.items() if name != "Spaces"} == {
        "AccountId": "2000001",
        "Region": "cn-beijing-6",
        "Node": "198.51.100.1",
        "RtmpPort": 1935,
        "PlayPort": 8081,
        "ByAddress": 1,
        "RetCode": 0,
        "RetMsg": "success",
    }
    assert [space["UniqueName"] for space in data["Spaces"]] == ["demo", "other", "closed", "test"]
    assert data["Spaces"][0] == {
        "UniqueName": "demo",
        "Apps": ["live", "vod"],
        "PublishDomains": [
            {"Name": "push.demo.local", "Auth": "none", "RecordedAs": "push.demo.local"},
            {"Name": "localhost", "Auth": "none", "RecordedAs": "push.demo.local"},
            {"Name": "127.0.0.1", "Auth": "none", "RecordedAs": "push.demo.local"},
        ],
        "PlayDomains": [
            {"Id": "1001", "Name": "play.demo.local", "Auth": "none"},
            {"Id": "1002", "Name": "play2.demo.local", "Auth": "none"},
        ],
        "Durations": 1,
        "Callback": 0,
    }
    assert (data["Spaces"][1]["Apps"], data["Spaces"][2]["Durations"]) == ([], 0)


async def test_spaces_are_told_without_any_key(site: Site) -> None:
    space = config.Space(
        "locked",
        publish_domain=(
            config.PublishDomain("p1.local", "md5", ("TOPSECRET1",)),
            config.PublishDomain("p2.local", "hmac", ("AKX:TOPSECRET2",)),
            config.PublishDomain("p3.local", "external", ("TOPSECRET3",), "http://user:TOPSECRET4@hook.local/"),
        ),
        play_domain=(config.PlayDomain("1", "v.local", "md5", ("TOPSECRET5",)),),
        callback_url="http://hook.local/TOPSECRET6",
    )
    accounts = (config.Account("2000001", ACCOUNTS[0].key, (space,)),)
    site.services.directory.replace(accounts, by_address=False)
    reply = await site.call(SPACES)
    assert b"TOPSECRET" not in reply.body
    (told,) = reply.data["Spaces"]
    assert [domain["Auth"] for domain in told["PublishDomains"]] == ["md5", "hmac", "external"]
    assert (told["PlayDomains"][0]["Auth"], told["Callback"], reply.data["ByAddress"]) == ("md5", 1, 0)


def test_spaces_of_an_account_are_in_the_configurations_order() -> None:
    directory = Directory(ACCOUNTS)
    assert [space.unique_name for space in directory.spaces("2000001")] == ["demo", "other", "closed", "test"]
    assert directory.spaces("nobody") == ()
    assert (directory.owner("theirs"), directory.owner("nowhere")) == ("2000002", None)
