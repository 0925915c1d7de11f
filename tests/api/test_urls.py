"""DescribeStreamUrls: each URL is one that the doors let in, and none tells a key."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from openkls import config
from openkls.codec import pushauth
from openkls.config import Account
from openkls.control.pushdoor import PublishAsk, examine
from openkls.domain.session import BreakCode
from support_api import ACCOUNTS, NOW, Site

ACTION = "DescribeStreamUrls"
SPACE = config.Space(
    "safe",
    apps=("live", "直播"),
    publish_domains=("push.safe.local", "localhost", "::1"),
    publish_domain=(
        config.PublishDomain("md5.safe.local", "md5", ("first key", "TOPSECRET-2")),
        config.PublishDomain("hmac.safe.local", "hmac", ("AK1:TOPSECRET+/=", "AK2:TOPSECRET-2")),
        config.PublishDomain("ext.safe.local", "external", ("TOPSECRET-3",), "http://hook.local/"),
    ),
    play_domain=(
        config.PlayDomain("1", "play.safe.local"),
        config.PlayDomain("2", "md5play.safe.local", "md5", ("play key", "TOPSECRET-5")),
    ),
)
ASKED = {"UniqueName": "safe", "App": "live", "Stream": "s1"}
STREAMS = ["s1", "a.b-c_d~e@f:g", "直播"]


@pytest.fixture
def safe(site: Site) -> Site:
    site.services.directory.replace((Account("2000001", ACCOUNTS[0].key, (SPACE, *ACCOUNTS[0].space)), *ACCOUNTS[1:]))
    return site


async def urls(site: Site, pubdomain: str = "push.safe.local", **asked: Any) -> dict[str, Any]:
    reply = await site.call(ACTION, **(ASKED | {"Pubdomain": pubdomain} | asked))
    assert b"TOPSECRET" not in reply.body
    assert b" key" not in reply.body
    assert reply.data["RetCode"] == 0
    data: dict[str, Any] = reply.data
    return data


def admitted(site: Site, server: str, stream_key: str, at: float) -> int:
    """The break code a push by these words ends with at the door, 200 for none."""
    address = urlsplit(server)
    stream, _, query = stream_key.partition("?")
    ask = PublishAsk(address.path.removeprefix("/"), "", server, stream, query, "192.0.2.7", 5)
    door = site.services.directory.publish_door(server, "", query)
    assert door is not None
    refused = examine(ask, door, at)
    return 200 if refused is None else int(refused.code)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("app", ["live", "直播"])
@pytest.mark.parametrize(
    ("pubdomain", "auth", "late"),
    [
        ("push.safe.local", "none", 200),
        ("md5.safe.local", "md5", 425),
        ("hmac.safe.local", "hmac", 425),
        ("localhost", "none", 200),
        ("::1", "none", 200),
    ],
)
async def test_push_url_is_let_in_until_it_expires(
    safe: Site, pubdomain: str, auth: str, late: int, app: str, stream: str
) -> None:
    data = await urls(safe, pubdomain, App=app, Stream=stream)
    push = data["Push"]
    assert push["Auth"] == auth
    assert push["Url"] == f"{push['Server']}/{push['StreamKey']}"
    assert data["ExpireUnixTime"] == NOW + 86_400
    assert admitted(safe, push["Server"], push["StreamKey"], data["ExpireUnixTime"]) == 200
    assert admitted(safe, push["Server"], push["StreamKey"], data["ExpireUnixTime"] + 1) == late


async def test_push_url_of_another_stream_is_refused(safe: Site) -> None:
    push = (await urls(safe, "md5.safe.local"))["Push"]
    assert admitted(safe, push["Server"], push["StreamKey"].replace("s1", "s2"), NOW) == BreakCode.SIGNATURE


@pytest.mark.parametrize(
    ("pubdomain", "server"),
    [
        ("push.safe.local", "rtmp://push.safe.local/live"),
        ("PUSH.safe.local", "rtmp://push.safe.local/live"),
        ("localhost", "rtmp://localhost/live"),
        ("::1", "rtmp://[::1]/live"),
    ],
)
async def test_pubdomain_is_in_the_url_as_given(safe: Site, pubdomain: str, server: str) -> None:
    assert (await urls(safe, pubdomain))["Push"]["Server"] == server


async def test_domain_that_asks_its_own_server_has_nothing_to_sign(safe: Site) -> None:
    push = (await urls(safe, "ext.safe.local"))["Push"]
    assert (push["StreamKey"], push["Auth"]) == ("s1", "external")


@pytest.mark.parametrize("stream", STREAMS)
async def test_play_urls_are_those_of_each_domain_and_protocol_and_let_in(safe: Site, stream: str) -> None:
    data = await urls(safe, Stream=stream)
    assert [(play["Domain"], play["Protocol"], play["Auth"]) for play in data["Plays"]] == [
        (domain, protocol, auth)
        for domain, auth in (("play.safe.local", "none"), ("md5play.safe.local", "md5"))
        for protocol in ("rtmp", "http+flv", "hls")
    ]
    for play, end in zip(data["Plays"], ["", ".flv", ".m3u8"] * 2, strict=True):
        address = urlsplit(play["Url"])
        assert (address.hostname, address.port) == (play["Domain"], None if play["Protocol"] == "rtmp" else 8081)
        assert unquote(address.path) == f"/live/{stream}{end}"
        if play["Protocol"] != "rtmp":
            assert play["Url"].isascii()
        if play["Auth"] == "md5":
            assert pushauth.check_md5(("play key",), stream, address.query, NOW + 86_400) == 200
            assert pushauth.check_md5(("play key",), stream, address.query, NOW + 86_401) == 425
        else:
            assert address.query == ""


async def test_space_whose_play_domains_ask_for_nothing_plays_by_address(site: Site) -> None:
    data = (await site.call(ACTION, UniqueName="demo", App="live", Pubdomain="localhost", Stream="s1")).data
    assert [play["Url"] for play in data["Plays"] if not play["Domain"]] == [
        "rtmp://{host}/live/s1",
        "http://{host}:8081/live/s1.flv",
        "http://{host}:8081/live/s1.m3u8",
    ]
    site.services.directory.replace(ACCOUNTS, by_address=False)
    data = (await site.call(ACTION, UniqueName="demo", App="live", Pubdomain="localhost", Stream="s1")).data
    assert all(play["Domain"] for play in data["Plays"])


@pytest.mark.parametrize(("expires", "code"), [(NOW, 4001), (NOW + 1, 0), (NOW - 1, 4001), (10**10, 4001)])
async def test_expiry_has_to_come(safe: Site, expires: int, code: int) -> None:
    asked = ASKED | {"Pubdomain": "md5.safe.local", "ExpireUnixTime": expires}
    data = (await safe.call(ACTION, **asked)).data
    assert data["RetCode"] == code
    if not code:
        assert f"t={expires}&" in data["Push"]["Url"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"UniqueName": "theirs"}, 6406),
        ({"App": "radio"}, 1003),
        ({"Pubdomain": "nobody.local"}, 4000),
        ({"Pubdomain": "push.demo.local"}, 4201),
        ({"Pubdomain": "push.theirs.local"}, 4201),
        ({"Stream": "a/b"}, 1004),
        ({"Stream": ""}, 1000),
        ({"Stream": "s1?t=1"}, 1004),
    ],
)
async def test_what_is_wrong_or_not_the_callers_is_refused(safe: Site, changes: dict[str, Any], code: int) -> None:
    reply = await safe.call(ACTION, **(ASKED | {"Pubdomain": "push.safe.local"} | changes))
    assert reply.data["RetCode"] == code


async def test_door_that_is_gone_when_the_action_begins_is_4000(safe: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(safe.services.directory), "door", lambda *_: None)
    assert (await safe.call(ACTION, **ASKED, Pubdomain="push.safe.local")).data["RetCode"] == 4000


async def test_ports_that_are_the_schemes_own_are_left_out_and_others_are_not(safe: Site) -> None:
    object.__setattr__(safe.services, "rtmp_port", 19350)
    object.__setattr__(safe.services, "play_port", 80)
    data = await urls(safe, "::1")
    assert data["Push"]["Server"] == "rtmp://[::1]:19350/live"
    assert [play["Url"] for play in data["Plays"][:2]] == [
        "rtmp://play.safe.local:19350/live/s1",
        "http://play.safe.local/live/s1.flv",
    ]
