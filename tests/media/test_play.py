"""The play port as HTTP: connections that are kept, methods, CORS, and clients that do not read."""

import asyncio
import ipaddress
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.media import play
from openkls.media.play_paths import Asked, Kind, parse_path
from openkls.model import matches
from support_hls import Player, opened, publisher_of, push, the_packager
from support_media import House, Wire, seen

HLS = b"GET /live/s1/live.m3u8 HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def is_open(player: Player) -> bool:
    """Whether the connection still answers."""
    return (await player.get("/", method="OPTIONS")).status == 204


# -- connections


async def test_playlists_and_segments_share_a_connection(house: House) -> None:
    player = await opened(house)
    for _ in range(3):
        listing = await player.listing()
        for uri in listing.uris:
            await player.segment(uri)
    web = house.flv._web
    assert web is not None
    assert len(web.connections) == 1
    assert house.doors.cap._counts == {"127.0.0.1": 2}


async def test_requests_sent_at_once_are_answered_in_order(house: House) -> None:
    player = await opened(house)
    (uri,) = (await player.listing()).uris
    for path in (player.url, player.path(uri), player.url, player.path(uri)):
        await player.ask(path)
    kinds = [(await player.reply()).headers["content-type"] for _ in range(4)]
    assert kinds == ["application/vnd.apple.mpegurl", "video/mp2t"] * 2


@pytest.mark.parametrize(
    ("version", "asked", "answered"),
    [
        ("1.1", None, "keep-alive"),
        ("1.1", "keep-alive", "keep-alive"),
        ("1.1", "close", "close"),
        ("1.0", None, "close"),
        ("1.0", "keep-alive", "keep-alive"),
        ("1.0", "close", "close"),
    ],
)
async def test_connection_is_kept_as_http_says(house: House, version: str, asked: str | None, answered: str) -> None:
    player = await opened(house)
    reply = await player.get(player.url, version=version, **({"Connection": asked} if asked else {}))
    assert reply.status == 200
    assert reply.headers["connection"] == answered
    if answered == "close":
        assert await player.wire.ended() == b""
    else:
        assert await is_open(player)


async def test_connection_closes_after_so_many_requests(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "REQUESTS_LIMIT", 5)
    player = await Player.dial(house)
    told = [(await player.get("/", method="OPTIONS")).headers["connection"] for _ in range(5)]
    assert told == ["keep-alive"] * 4 + ["close"]
    assert await player.wire.ended() == b""


@pytest.mark.parametrize("more", [b"", b"GET /live/s1.m3", HLS[:-2]], ids=["silent", "line", "headers"])
async def test_connection_whose_next_head_does_not_come_is_closed_and_no_sooner(
    house: House, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(play, "IDLE_SECONDS", 0.3)
    await house.flv.close()
    house.hls._stopping = False
    house.flv_address = await house.flv.open(house.flv_address)
    player = await Player.dial(house)
    begun = time.monotonic()
    assert await is_open(player)
    await player.wire.send(more)
    assert await player.wire.ended() == b""
    assert time.monotonic() - begun >= 0.3
    await seen(lambda: not house.flv._web.connections)  # type: ignore[union-attr]


async def test_kept_connection_outlives_the_deadline_of_its_first_head(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "HEAD_SECONDS", 0.1)
    player = await Player.dial(house)
    assert await is_open(player)
    begun = time.monotonic()
    await seen(lambda: time.monotonic() > begun + 0.3)
    assert await is_open(player)
    assert not house.doors.faults


async def test_class_11_an_address_has_as_many_kept_connections_as_it_may(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openkls.media.doors._is_loopback", lambda address: False)
    house.doors.cap.limit = 2
    kept = [await Player.dial(house) for _ in range(2)]
    assert [await is_open(player) for player in kept] == [True, True]
    third = await Player.dial(house)
    await third.ask("/", method="OPTIONS")
    assert await third.wire.ended() == b""
    assert house.doors.cap.refused == 1


# -- methods


@pytest.mark.parametrize("path", ["*", "/", "/live/s1.flv", "/live/s1.m3u8", "/live/s1/live.m3u8?session=x"])
async def test_preflight_of_a_browser_is_answered(house: House, path: str) -> None:
    player = await Player.dial(house)
    reply = await player.get(path, method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET")
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert reply.headers["access-control-allow-headers"] == "*"
    assert "content-length" not in reply.headers


async def test_head_of_a_segment_tells_its_length_and_sends_nothing(house: House) -> None:
    player = await opened(house)
    (uri,) = (await player.listing()).uris
    whole = await player.get(player.path(uri))
    looked = await player.get(player.path(uri), method="HEAD")
    told = {name: value for name, value in looked.headers.items() if name != "date"}
    assert told == {name: value for name, value in whole.headers.items() if name != "date"}
    assert int(told["content-length"]) == len(whole.body) > 0
    assert await is_open(player)


async def test_head_of_a_master_answers_like_get(house: House) -> None:
    player = await opened(house)
    looked, whole = await player.get("/live/s1.m3u8", method="HEAD"), await player.get("/live/s1.m3u8")
    assert looked.headers["content-length"] == whole.headers["content-length"]
    assert not len(house.sessions)


async def test_body_of_a_request_closes_its_connection(house: House) -> None:
    player = await opened(house)
    await player.ask(player.url, Content_Length="100000")
    assert (await player.reply()).status == 200
    await player.wire.ended()


# -- clients that do not read


async def big_segment(house: House, size_bytes: int) -> tuple[Player, str]:
    publisher = await house.published()
    player = await Player.dial(house)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: house.hls._packagers)
    await push(publisher, 1, body_bytes=size_bytes)
    await player.reply()
    await player.open()
    (uri,) = (await player.listing()).uris
    return player, player.path(uri)


async def test_class_12_client_that_never_reads_has_one_segment_waiting_and_is_dropped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    player, path = await big_segment(house, 8 * 1024 * 1024)
    monkeypatch.setattr(play, "ANSWER_SECONDS", 0.5)
    player.wire.writer.transport.pause_reading()
    for _ in range(20):
        await player.ask(path)
    (handler,) = house.flv._web.connections  # type: ignore[union-attr]
    most = 0
    async with asyncio.timeout(10):
        while house.flv._web.connections:  # type: ignore[union-attr]
            if handler.transport is not None:
                most = max(most, handler.transport.get_write_buffer_size())
            await asyncio.sleep(0.01)
    assert 0 < most < 9 * 1024 * 1024
    assert house.doors.faults == {"ANSWER_SECONDS": 1}
    assert not the_packager(house).readers


async def test_slow_client_that_reads_gets_its_segment_whole(house: House) -> None:
    player, path = await big_segment(house, 8 * 1024 * 1024)
    await player.ask(path, Connection="close")
    await seen(lambda: the_packager(house).readers)
    reply = await player.reply()
    assert len(reply.body) == int(reply.headers["content-length"]) > 8 * 1024 * 1024
    assert await player.wire.ended() == b""
    await seen(lambda: not the_packager(house).readers)


@pytest.mark.parametrize("after", ["head", "part"])
async def test_client_that_leaves_in_the_middle_of_a_segment_leaves_nothing(
    house: House, caplog: pytest.LogCaptureFixture, after: str
) -> None:
    player, path = await big_segment(house, 8 * 1024 * 1024)
    await player.ask(path)
    await seen(lambda: the_packager(house).readers)
    if after == "part":
        await player.wire.reader.readexactly(1024 * 1024)
    await player.wire.reset()
    await seen(lambda: not house.flv._web.connections)  # type: ignore[union-attr]
    await seen(lambda: not the_packager(house).readers)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_stop_ends_a_client_that_does_not_read(house: House) -> None:
    player, path = await big_segment(house, 8 * 1024 * 1024)
    player.wire.writer.transport.pause_reading()
    await player.ask(path)
    await seen(lambda: the_packager(house).readers)
    begun = time.monotonic()
    await house.close()
    assert time.monotonic() - begun < 3.0
    assert house.empty()


# -- behind a proxy


async def test_sessions_behind_a_trusted_proxy_are_capped_by_the_viewers_address(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.sessions.per_address = 1
    house.flv._trusted_proxies = (ipaddress.ip_network("127.0.0.1"),)
    player = await opened(house)
    statuses = []
    for forwarded in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "203.0.113.9, 192.0.2.2"):
        player = Player((await Player.dial(house)).wire, "127.0.0.1")
        await player.open()
        statuses.append((await player.get(player.url, X_Forwarded_For=forwarded)).status)
    assert statuses == [200, 429, 200, 429]
    player = Player((await Player.dial(house)).wire, "127.0.0.1")
    for _ in range(3):  # the proxy's own, without a viewer's address
        await player.open()
        assert (await player.get(player.url)).status == 200


async def test_header_of_a_client_that_is_no_trusted_proxy_is_not_believed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openkls.media.doors._is_loopback", lambda address: False)
    house.sessions.per_address = 1
    player = await opened(house)
    await player.get(player.url, X_Forwarded_For="192.0.2.1")
    await player.open()
    assert (await player.get(player.url, X_Forwarded_For="192.0.2.2")).status == 429


# -- faults


async def test_our_own_bug_in_hls_is_logged_and_answers_500(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    player = await opened(house)
    monkeypatch.setattr(type(house.hls), "segment", None)
    (uri,) = (await player.listing()).uris
    reply = await player.get(player.path(uri))
    assert (reply.status, reply.headers["connection"]) == (500, "close")
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None


async def test_garbage_behind_a_request_on_a_kept_connection_is_refused(house: House) -> None:
    player = await opened(house)
    await player.ask(player.url)
    await player.reply()
    await player.wire.send(b"\x00\xff garbage\r\n\r\n")
    assert (await player.reply()).status == 400
    assert house.doors.faults == {"http": 1}
    await player.wire.ended()


async def test_publisher_is_untouched_by_its_hls_viewers(house: House) -> None:
    player = await opened(house)
    await player.wire.reset()
    peer = publisher_of(player)
    await push(peer, 1, first=1)
    await seen(lambda: len(the_packager(house)._shelf) == 2)
    assert isinstance(peer, Wire)


# -- paths


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/live/s1.flv", Asked(Kind.FLV, "live", "s1")),
        ("/live/s1.m3u8", Asked(Kind.MASTER, "live", "s1", folder="s1/")),
        ("/live/a%3Ab.m3u8", Asked(Kind.MASTER, "live", "a:b", folder="a%3Ab/")),
        ("/live/s1/index.m3u8", Asked(Kind.MASTER, "live", "s1")),
        ("/live/s1/live.m3u8", Asked(Kind.MEDIA, "live", "s1")),
        ("/live/s1/ab-7.ts", Asked(Kind.SEGMENT, "live", "s1", token="ab", sequence=7)),
        ("/live/s1/other.m3u8", None),
        ("/live/s1", None),
        ("/live/s1/", None),
        ("/live/.flv", None),
        ("/live//index.m3u8", None),
        ("live/s1.flv", None),
        ("/a/live/s1/index.m3u8", None),
        ("/live/s%201.flv", None),
        ("/live/%ff.flv", None),
        ("http://host/live/s1.flv", None),
        ("", None),
    ],
)
def test_paths_of_the_play_port(path: str, asked: Asked | None) -> None:
    assert parse_path(path) == asked


@given(
    st.text()
    | st.lists(st.sampled_from(["/", "live", "s1", ".m3u8", ".flv", ".ts", "-", "%", "%2e", "9"])).map("".join)
)
def test_any_path_is_one_of_ours_with_wellformed_names_or_none(path: str) -> None:
    asked = parse_path(path)
    assert asked is None or (matches("App", asked.app) and matches("Stream", asked.stream) and asked.sequence >= 0)
