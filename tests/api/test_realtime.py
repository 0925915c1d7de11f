"""ListRealtimeStreamsInfo and ListRealtimePubStreamsInfo: who is in, in which units, in which sums."""

from typing import Any

import pytest

from openkls.api.actions import realtime
from openkls.api.services import Place
from openkls.domain.session import BreakCode, Reason, Session
from openkls.domain.viewers import PullProtocol
from support_api import ACCOUNTS, NOW, Site

STREAMS, PUBS = "ListRealtimeStreamsInfo", "ListRealtimePubStreamsInfo"
SPACE = {"UniqueName": "demo", "App": "live"}
DOOR = {**SPACE, "Pubdomain": "push.demo.local"}


def encode(site: Site, session: Session, seconds: int = 10) -> None:
    """25 fps of 5,000-byte frames and 50 audio frames a second of 160 bytes, for so long; then read at its end."""
    quality = session.quality
    quality.begin(site.ticks)
    quality.vcodec, quality.acodec = "h264", "aac"
    quality.from_headers.width, quality.from_headers.height = 1280, 720
    quality.from_headers.sample_rate = 44100
    quality.from_metadata.frame_rate = 25.0
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
    reply = await site.call(STREAMS, **(SPACE | parameters))
    assert reply.data["Count"] == len(reply.data["Streams"])
    return [row["Stream"] for row in reply.data["Streams"]]


async def test_quality_is_in_kbps(site: Site) -> None:
    session = site.publish("s1", pub_time=NOW - 10)
    site.watch("s1")
    encode(site, session)
    (row,) = (await site.call(STREAMS, **SPACE)).data["Streams"]
    assert row == {
        "Stream": "s1",
        "ClientIP": "192.0.2.7",
        "Node": "198.51.100.1",
        "PubTime": NOW - 10,
        "FrameRate": 25,
        "Curfps": 25,
        "FLR": 0,
        "Curbitrate": 1000.0,
        "BwInAudio": 64.0,
        "BwIn": 1064.0,
        "BwReal": 1090,  # 250 frames in the time of 249.5
        "BwDiff": -26.0,
        "Width": 1280,
        "Height": 720,
        "SampleRate": 44100,
        "Vcodec": "h264",
        "Acodec": "aac",
        "OnlineUser": 1,
        "Bw": 0,
        "Pulls": [{"Stream": "s1", "OnlineUser": 1, "Bw": 0}],
    }


async def test_quality_is_in_bytes_a_second_and_strings_in_the_other_list(site: Site) -> None:
    session = site.publish("s1", pub_time=NOW - 10)
    encode(site, session)
    site.now += 0.9
    (row,) = (await site.call(PUBS, **DOOR)).data["Result"]
    assert row == {
        "Stream": "s1",
        "Clientip": "192.0.2.7",
        "Pubtime": NOW - 10,
        "UpdateTime": NOW,
        "Width": "1280",
        "Height": "720",
        "FrameRate": "25",
        "Curfps": 25,
        "Curbitrate": 125000,
        "BwInAudio": "8000",
        "SampleRate": "44100",
        "BwReal": "136273",
        "BwIn": "133000",
    }


async def test_stalled_publisher_decays_to_nothing(site: Site) -> None:
    session = site.publish("s1")
    site.watch("s1")
    encode(site, session)
    site.ticks += 20
    (row,) = (await site.call(STREAMS, **SPACE)).data["Streams"]
    assert (row["Curfps"], row["FLR"], row["BwReal"], row["BwIn"]) == (0, 100, 0, 0)


async def test_type_absent_is_pushed_and_pulled_push_all_pushed_pull_all_pulled(site: Site) -> None:
    site.publish("watched", pub_time=NOW - 1)
    site.publish("lonely", pub_time=NOW - 2)
    site.watch("watched", viewers=3)
    assert await streams(site) == ["watched"]
    assert await streams(site, Type="push") == ["watched", "lonely"]
    assert await streams(site, Type="pull") == ["watched"]


async def test_push_has_no_viewers_in_it(site: Site) -> None:
    site.publish("s1")
    group = site.watch("s1", viewers=3)
    group.sent.add(site.ticks, 125_000)
    data = (await site.call(STREAMS, **SPACE, Type="push")).data
    assert (data["OnlineUser"], data["Bw"]) == (0, 0)
    assert not {"OnlineUser", "Bw", "Pulls"} & data["Streams"][0].keys()


async def test_pull_has_only_viewers_in_it(site: Site) -> None:
    site.publish("s1")
    site.watch("s1")
    (row,) = (await site.call(STREAMS, **SPACE, Type="pull")).data["Streams"]
    assert row.keys() == {"Stream", "OnlineUser", "Bw", "Pulls"}


async def test_sums_are_of_pulls_and_of_streams(site: Site) -> None:
    for number, name in enumerate(["a", "a_500", "a_1500", "b"]):
        site.publish(name, pub_time=NOW - number)
        group = site.watch(name, viewers=number + 1)
        group.sent.add(site.ticks, 1_250_000 * (number + 1))
    site.ticks += 5
    data = (await site.call(STREAMS, **SPACE)).data
    rows = {row["Stream"]: row for row in data["Streams"]}
    assert list(rows) == ["a", "b"]
    assert [pull["Stream"] for pull in rows["a"]["Pulls"]] == ["a", "a_1500", "a_500"]
    assert (rows["a"]["OnlineUser"], rows["b"]["OnlineUser"]) == (1 + 2 + 3, 4)
    for row in rows.values():
        assert row["Bw"] == sum(pull["Bw"] for pull in row["Pulls"])
    assert data["OnlineUser"] == 10
    assert data["Bw"] == sum(row["Bw"] for row in rows.values()) > 0
    assert data["Count"] == 2


async def test_bandwidth_of_viewers_may_pass_31_bits(site: Site) -> None:
    site.publish("s1")
    site.watch("s1").sent.add(site.ticks, 10**9)
    assert (await site.call(STREAMS, **SPACE)).data["Bw"] == 8 * 10**9


async def test_viewers_are_counted_by_protocol_http_flv_by_default(site: Site) -> None:
    site.publish("s1")
    for viewers, protocol in ((1, PullProtocol.HTTP_FLV), (2, PullProtocol.RTMP), (3, PullProtocol.HLS)):
        site.watch("s1", viewers, protocol)

    async def online(**parameters: Any) -> int:
        return (await site.call(STREAMS, **(SPACE | parameters))).data["OnlineUser"]

    assert [await online(), await online(PullProtocol="rtmp"), await online(PullProtocol="hls")] == [1, 2, 3]
    assert await online(PullProtocol="http+flv") == await online(PullProtocol="http flv") == 1


async def test_http_flv_unescaped_in_a_query_is_understood(site: Site) -> None:
    target = "/?Action=ListRealtimeStreamsInfo&Version=2017-01-01&UniqueName=demo&App=live&PullProtocol=http+flv"
    assert (await site.send(site.signed("GET", target))).data["RetCode"] == 0


async def test_domain_ids_choose_the_viewers(site: Site) -> None:
    site.publish("s1")
    for viewers, domain_id in ((1, "1001"), (2, "1002"), (4, "")):
        site.watch("s1", viewers, domain_id=domain_id)
    for ids, online in (("1001", 1), ("1002", 2), ("1001,1002", 3), ("", 7)):
        assert (await site.call(STREAMS, **SPACE, DomainIds=ids)).data["OnlineUser"] == online


async def test_stream_chooses_one_row_and_an_unknown_one_none(site: Site) -> None:
    for name in ("a", "b"):
        site.publish(name)
        site.watch(name)
    assert await streams(site, Stream="b") == ["b"]
    assert await streams(site, Stream="c") == []
    assert sorted(await streams(site, Stream="")) == ["a", "b"]


async def test_rows_are_capped_and_the_sums_are_of_the_rows_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert realtime.ROWS_LIMIT == 10_000
    monkeypatch.setattr(realtime, "ROWS_LIMIT", 3)
    for number in range(3):
        site.publish(f"s{number}")
        site.watch(f"s{number}")
    assert len(await streams(site)) == 3
    site.publish("s4")
    site.watch("s4")
    data = (await site.call(STREAMS, **SPACE)).data
    assert (data["Count"], data["OnlineUser"]) == (3, 3)


async def test_others_have_their_turn_while_a_long_list_is_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "SLICE_ROWS", 2)
    sessions = [site.publish(f"s{number}", pub_time=NOW - number) for number in range(5)]
    for session in sessions:
        site.watch(session.key.stream)
    turns = 0

    async def sleep(seconds: float) -> None:
        nonlocal turns
        turns += 1
        # Of two whose push ends meanwhile one has its row by then.
        site.endings.finish(sessions[0], BreakCode.SUCCESS, Reason.CLOSED, NOW)
        site.endings.finish(sessions[3], BreakCode.SUCCESS, Reason.CLOSED, NOW)

    monkeypatch.setattr(realtime.asyncio, "sleep", sleep)
    place = Place("2000001", ACCOUNTS[0].space[0], "")
    data = await realtime.list_realtime_streams(site.services, place, {**SPACE, "PullProtocol": "http+flv"})
    assert [row.Stream for row in data["Streams"]] == ["s0", "s1", "s2", "s4"]
    assert (turns, data["Count"], data["OnlineUser"]) == (2, 4, 4)


async def test_pushed_streams_are_paged_by_push_start_and_total_is_all_of_them(site: Site) -> None:
    for number in range(5):
        site.publish(f"s{number}", pub_time=NOW - 10 + number)

    async def page(**parameters: Any) -> tuple[list[str], int, int]:
        data = (await site.call(PUBS, **(DOOR | parameters))).data
        return [row["Stream"] for row in data["Result"]], data["Count"], data["Total"]

    assert await page() == (["s4", "s3", "s2", "s1", "s0"], 5, 5)
    assert await page(OrderTime=1, Limit=2) == (["s0", "s1"], 2, 5)
    assert await page(OrderTime=1, Limit=2, Marker=2) == (["s4"], 1, 5)
    assert await page(OrderTime=1, Limit=2, Marker=3) == ([], 0, 5)
    assert await page(Limit=0) == await page(Limit=-1) == await page()
    assert await page(Stream="s3") == (["s3"], 1, 1)


async def test_pushed_streams_are_of_the_door_asked_for_under_any_of_its_names(site: Site) -> None:
    site.publish("s1")
    site.publish("s2", unique_name="other", pubdomain="push.other.local")
    data = (await site.call(PUBS, **(DOOR | {"Pubdomain": "127.0.0.1"}))).data
    assert [row["Stream"] for row in data["Result"]] == ["s1"]
    assert data["Pubdomain"] == "127.0.0.1"


@pytest.mark.parametrize(("name", "value"), [("Marker", -1), ("OrderTime", 2), ("OrderTime", -1), ("Limit", "many")])
async def test_paging_out_of_its_bounds_is_4999(site: Site, name: str, value: object) -> None:
    assert (await site.call(PUBS, **DOOR, **{name: value})).data["RetCode"] == 4999
