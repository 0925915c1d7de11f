"""HTTP-FLV on real sockets, on both event loops: the hand-over from aiohttp, and everything clients do to it."""

import asyncio
import logging
import time

import pytest

from openkls.codec import flv, pushauth
from openkls.domain.origin import AddressCap
from openkls.media import http_flv, play
from support_media import (
    DEADLINE_SECONDS,
    VIDEO_HEADER,
    House,
    Wire,
    frame,
    key,
    key_frame,
    seen,
    sound,
)

GET = b"GET /live/s1.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def asked(house: House, request: bytes = GET) -> Wire:
    """A raw connection that has sent a request."""
    wire = await Wire.dial(house.flv_address)
    await wire.send(request)
    return wire


async def answer(house: House, request: bytes) -> bytes:
    """Everything said until the server closes."""
    wire = await asked(house, request)
    said = await wire.ended()
    await wire.close()
    return said


async def viewing(house: House, request: bytes = GET) -> Wire:
    """A viewer behind its head."""
    before = house.viewers.online()
    wire = await asked(house, request)
    head = await wire.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Transfer-Encoding" not in head
    assert b"\r\nConnection: close\r\n" in head
    await seen(lambda: house.viewers.online() > before)
    return wire


async def tags(wire: Wire, count: int) -> list[flv.Tag]:
    """At least so many tags."""
    reader, found = flv.FlvReader(), []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < count:
            found += reader.feed(await wire.reader.read(65536))
    return found


# -- answers


async def test_viewer_gets_the_headers_the_gop_and_what_follows(house: House) -> None:
    peer = await house.published()
    await peer.start_stream()
    await seen(lambda: house.hubs.find(key().name)._cache._gop)  # type: ignore[union-attr]
    wire = await viewing(house)
    await peer.media(flv.AUDIO, 20, sound())
    await peer.media(flv.VIDEO, 40, frame())
    found = await tags(wire, 6)
    assert [(tag.type_id, tag.timestamp) for tag in found] == [(18, 0), (9, 0), (8, 0), (9, 0), (8, 20), (9, 40)]
    assert found[-1].payload == frame()


@pytest.mark.parametrize(
    ("payloads", "flags"),
    [([(flv.AUDIO, sound())], 4), ([(flv.VIDEO, VIDEO_HEADER), (flv.VIDEO, key_frame())], 1), ([], 5)],
    ids=["audio", "video", "nothing yet"],
)
async def test_flv_header_announces_the_tracks_there_are(
    house: House, payloads: list[tuple[int, bytes]], flags: int
) -> None:
    peer = await house.published()
    for type_id, payload in payloads:
        await peer.media(type_id, 0, payload)
    hub = house.hubs.find(key().name)
    assert hub is not None
    await seen(lambda: hub.tracks == (bool(flags & 4), bool(flags & 1)))
    wire = await viewing(house)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert (await wire.reader.readexactly(13))[4] == flags


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /live/nothing.flv HTTP/1.1", b"404"),
        (b"GET / HTTP/1.1", b"404"),
        (b"GET /live/s1 HTTP/1.1", b"404"),
        (b"GET /live/s1.mp4 HTTP/1.1", b"404"),
        (b"GET //s1.flv HTTP/1.1", b"404"),
        (b"GET /live/.flv HTTP/1.1", b"404"),
        (b"HEAD /live/nothing.flv HTTP/1.1", b"404"),
        (b"POST /live/s1.flv HTTP/1.1", b"405"),
        (b"DELETE /live/s1.flv HTTP/1.1", b"405"),
    ],
)
async def test_other_requests_are_refused_and_the_connection_closed(
    house: House, request_line: bytes, status: bytes
) -> None:
    await house.published()
    said = await answer(house, request_line + b"\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in said
    await seen(lambda: not len(house.flv._web.connections))  # type: ignore[union-attr]


async def test_head_is_answered_like_get_without_a_viewer(house: House) -> None:
    await house.published()
    said = await answer(house, GET.replace(b"GET", b"HEAD"))
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Type: video/x-flv\r\n" in said
    assert said.endswith(b"\r\n\r\n")
    assert not house.viewers._groups


@pytest.mark.parametrize(
    ("type_", "flags", "kinds"),
    [("audio", 4, {flv.SCRIPT, flv.AUDIO}), ("video", 1, {flv.SCRIPT, flv.VIDEO})],
)
async def test_type_leaves_the_other_track_out(house: House, type_: str, flags: int, kinds: set[int]) -> None:
    peer = await house.published()
    await peer.start_stream()
    await seen(lambda: house.hubs.find(key().name)._cache._gop)  # type: ignore[union-attr]
    wire = await viewing(house, f"GET /live/s1.flv?type={type_} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await peer.media(flv.AUDIO, 20, sound())
    await peer.media(flv.VIDEO, 40, frame())
    async with asyncio.timeout(DEADLINE_SECONDS):
        head = await wire.reader.readexactly(13)
    assert head[4] == flags
    reader = flv.FlvReader()
    found = reader.feed(head)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(found) < 3:
            found += reader.feed(await wire.reader.read(65536))
    assert {tag.type_id for tag in found} == kinds


async def test_play_auth_md5_answers_403_unless_it_verifies(house: House) -> None:
    await house.published(host="push.guarded.local")
    till = int(time.time()) + 60
    good = pushauth.sign_md5("123456", "s1", till)
    for query in ("", "?" + good[:-2] + "zz", "?" + pushauth.sign_md5("123456", "s1", 1_000_000_000)):
        said = await answer(house, f"GET /live/s1.flv{query} HTTP/1.1\r\nHost: md5.guarded.local\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 403 ")
    wire = await viewing(house, f"GET /live/s1.flv?{good} HTTP/1.1\r\nHost: md5.guarded.local:81\r\n\r\n".encode())
    await wire.close()
    await seen(lambda: not house.viewers.online())


async def test_http_1_0_without_a_host_plays_by_address(house: House) -> None:
    await house.published()
    await viewing(house, b"GET /live/s1.flv HTTP/1.0\r\n\r\n")


async def test_keep_alive_is_not_kept(house: House) -> None:
    await house.published()
    await viewing(house, GET[:-2] + b"Connection: keep-alive\r\n\r\n")
    said = await answer(house, b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" + GET)
    assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("more", [GET, b"\x00\xff garbage\r\n\r\n", b"x" * 100_000], ids=["request", "garbage", "much"])
async def test_what_comes_behind_a_request_is_nobodys(house: House, more: bytes) -> None:
    peer = await house.published()
    wire = await viewing(house)
    await wire.send(more)
    await peer.start_stream()
    assert len(await tags(wire, 4)) == 4
    assert house.viewers.online() == 1


async def test_second_request_in_the_same_packet_is_not_answered(house: House) -> None:
    peer = await house.published()
    wire = await viewing(house, GET + GET)
    await peer.start_stream()
    assert len(await tags(wire, 4)) == 4
    assert house.viewers.online() == 1


async def test_request_with_a_body_plays_all_the_same(house: House) -> None:
    await house.published()
    wire = await viewing(house, GET[:-2] + b"Content-Length: 1000000\r\n\r\nabc")
    await wire.send(bytes(1000))
    await wire.close()
    await seen(lambda: not house.viewers.online())


# -- the hand-over


async def test_hand_over_leaves_no_task_and_nothing_in_aiohttp(house: House) -> None:
    await house.published()
    tasks = asyncio.all_tasks()
    wires = [await viewing(house) for _ in range(5)]
    web = house.flv._web
    assert web is not None
    await seen(lambda: asyncio.all_tasks() == tasks)
    await seen(lambda: not web.connections)
    assert len(house.flv.connections) == 5
    assert house.doors.cap._counts == {"127.0.0.1": 6}
    for wire in wires:
        await wire.close()
    await seen(lambda: not len(house.flv.connections))
    assert house.viewers.online() == 0
    assert house.doors.cap._counts == {"127.0.0.1": 1}


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset])
async def test_viewer_that_disconnects_is_uncounted(house: House, leave: object) -> None:
    await house.published()
    wire = await viewing(house)
    await (wire.close() if leave is Wire.close else wire.reset())
    await seen(lambda: not house.viewers.online())
    await seen(lambda: not len(house.flv.connections))


async def test_viewer_that_half_closes_does_not_stay_for_what_it_does_not_read(house: House) -> None:
    peer = await house.published()
    await peer.media(flv.VIDEO, 0, VIDEO_HEADER)
    await peer.media(flv.VIDEO, 0, key_frame(bytes(7 * 1024 * 1024)))
    await seen(lambda: house.hubs.find(key().name)._cache._gop)  # type: ignore[union-attr]
    wire = await asked(house)
    await seen(house.viewers.online)
    wire.writer.write_eof()
    await seen(lambda: not len(house.flv.connections))
    assert house.viewers.online() == 0


async def test_viewers_that_leave_while_they_are_admitted_leave_nothing_and_no_traceback(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.published()
    for _ in range(50):
        wire = await asked(house)
        await wire.reset()
    await seen(lambda: not len(house.flv.connections))
    await seen(lambda: not len(house.flv._web.connections))  # type: ignore[union-attr]
    await seen(lambda: not house.viewers.online())
    assert house.doors.cap._counts == {"127.0.0.1": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_hand_over_of_a_connection_that_is_gone_is_none(house: House) -> None:
    assert house.flv._web is not None
    handler = house.flv._web()
    handler.address = None  # type: ignore[attr-defined]
    assert handler.hand_over() is None  # type: ignore[attr-defined]


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_five_hundred_viewers_are_counted_served_and_forgotten(house: House) -> None:
    peer = await house.published()
    await peer.start_stream()
    wires = [await asked(house) for _ in range(500)]
    await seen(lambda: house.viewers.online() == 500)
    await peer.media(flv.VIDEO, 40, frame())
    for wire in wires:
        assert (await tags_after_head(wire))[-1].timestamp == 40
    for wire in wires:
        await wire.reset()
    await seen(lambda: not house.viewers.online())


async def tags_after_head(wire: Wire) -> list[flv.Tag]:
    await wire.read_until(b"\r\n\r\n")
    return await tags(wire, 5)


# -- the end of a stream


async def test_viewers_end_when_their_publisher_does(house: House) -> None:
    peer = await house.published()
    await peer.start_stream()
    wire = await viewing(house)
    await peer.media(flv.VIDEO, 40, frame())
    await tags(wire, 5)
    await peer.close()
    assert await wire.ended() == b""
    await seen(lambda: not len(house.flv.connections))


async def test_forbid_ends_a_viewer_that_does_not_read_at_once(house: House) -> None:
    peer = await house.published()
    await peer.media(flv.VIDEO, 0, VIDEO_HEADER)
    await peer.media(flv.VIDEO, 0, key_frame(bytes(7 * 1024 * 1024)))
    await seen(lambda: house.hubs.find(key().name)._cache._gop)  # type: ignore[union-attr]
    await asked(house)
    await seen(house.viewers.online)
    await house.forbids.forbid(key())
    assert house.viewers.online() == 0
    await seen(lambda: not len(house.flv.connections), 0.9)


async def test_class_12_viewer_that_never_reads_costs_no_more_than_its_limits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openkls.media.hub.BACKLOG_LIMIT_BYTES", 256 * 1024)
    monkeypatch.setattr("openkls.media.hub.LAG_LIMIT_SECONDS", 0.2)
    peer = await house.published()
    await peer.start_stream()
    wire = await viewing(house)
    wire.writer.transport.pause_reading()
    (viewer,) = house.flv.connections
    most, size_bytes, timestamp = 0, 64 * 1024, 0
    async with asyncio.timeout(DEADLINE_SECONDS):
        while house.viewers.online():
            timestamp += 40
            await peer.media(flv.VIDEO, timestamp, (key_frame if timestamp % 1000 == 0 else frame)(bytes(size_bytes)))
            await asyncio.sleep(0)
            most = max(most, viewer._transport.get_write_buffer_size())
    assert most <= 256 * 1024 + 8 * size_bytes  # the limit, and a flush
    hub = house.hubs.find(key().name)
    assert hub is not None
    assert (hub.lags.skipped, hub.lags.dropped) == (1, 1)
    await seen(lambda: not len(house.flv.connections))


async def test_close_ends_viewers_and_connections_that_have_asked_for_nothing(house: House) -> None:
    await house.published()
    viewer, silent = await viewing(house), await asked(house, b"GET /li")
    begun = time.monotonic()
    await house.close()
    assert time.monotonic() - begun < 3 * http_flv.FAREWELL_SECONDS
    await viewer.ended()
    await silent.ended()
    assert house.empty()


# -- security


@pytest.mark.parametrize("said", [b"", b"GET /live/s1.flv HT", GET[:-2] + b"X: y\r\n"])
async def test_class_11_head_that_does_not_come_is_cut_at_its_deadline(
    house: House, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(play, "HEAD_SECONDS", 0.1)
    wires = [await asked(house, said) for _ in range(20)]
    for wire in wires:
        await wire.ended()
    assert house.doors.faults == {"HEAD_SECONDS": 20}
    await seen(house.empty)


async def test_class_11_viewer_outlives_the_deadline_of_its_head(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "HEAD_SECONDS", 0.1)
    await house.published()
    await viewing(house)
    begun = time.monotonic()
    await seen(lambda: time.monotonic() > begun + 0.3)
    assert house.viewers.online() == 1
    assert not house.doors.faults


async def test_class_11_an_address_has_as_many_connections_as_it_may_over_all_ports(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AddressCap, "is_exempt", lambda cap, address: False)
    house.doors.cap.limit = 2
    await house.published()
    wire = await viewing(house)
    assert await answer(house, GET) == b""
    assert house.doors.cap.refused == 1
    await wire.close()
    await seen(lambda: house.doors.cap._counts == {"127.0.0.1": 1})
    await viewing(house)


@pytest.mark.parametrize(
    "name",
    ["..", "../s1", "/etc/passwd", "%2e%2e", "%2e%2e%2fs1", "s1%00", "s1%5c..", "live%2fs1", "s1%20", "S1", "s", "s1."],
)
async def test_class_13_names_that_are_paths_are_not_found_over_flv(house: House, name: str) -> None:
    await house.published()
    said = await answer(house, f"GET /live/{name}.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 404 ")
    assert said.endswith((b"stream>.m3u8.\n", b"is live.\n"))  # nothing is echoed


async def test_names_may_be_percent_encoded(house: House) -> None:
    await house.published("a~b:c@d")
    await viewing(house, b"GET /live/a%7Eb%3Ac%40d.flv HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        GET[:-2] + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + b"\x01" * 600,
        b"\x03" + bytes(1536),
        b"GET /live/s1.flv HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\xff\xfe\r\n\r\n",
        GET + b"\x00\x01 garbage\r\n\r\n",
    ],
    ids=["line", "header", "tls", "rtmp", "version", "bytes", "garbage behind"],
)
async def test_what_is_no_request_is_counted_and_answered_without_a_traceback(
    house: House, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    said = await answer(house, request_bytes)
    assert said[8:].startswith(b" 400 ")
    assert len(said) < 1000
    assert house.doors.faults == {"http": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    await seen(house.empty)


async def test_our_own_bug_is_logged_and_answers_500(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(type(house.directory), "seat", None)
    said = await answer(house, GET)
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b"TypeError" not in said
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
