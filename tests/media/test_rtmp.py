"""RTMP connections on real sockets, on both event loops: how publishes and plays begin, and every way they end."""

import asyncio
import contextlib
import gc
import logging
import socket
import time
from collections.abc import Callable

import pytest

from openkls.codec import flv, pushauth
from openkls.codec.rtmp import Ended, Mode, PlayStarted, PublishStarted, Refused, ServerSession
from openkls.codec.rtmp import message as m
from openkls.domain import registry
from openkls.domain.origin import AddressCap
from openkls.domain.session import BreakCode, Reason, Session
from openkls.media import rtmp, rtmp_listener
from openkls.media.hub import Hub, Viewer
from support_media import (
    DEADLINE_SECONDS,
    VIDEO_HEADER,
    House,
    Peer,
    Wire,
    frame,
    key,
    key_frame,
    seen,
    sound,
)
from support_rtmp import GREETING, command
from support_rtmp import wire as build_wire

PUBLISH = ("publish", 5.0, None, "s1", "live")
PLAY = ("play", 5.0, None, "s1", -2000.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of tenths of seconds; to be asked for before the house."""
    monkeypatch.setattr(rtmp, "HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr(rtmp, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(rtmp_listener, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(registry, "SILENT_SECONDS", 0.1)


CONNECT = ("connect", 1.0, {"app": "live", "tcUrl": "rtmp://127.0.0.1/live", "flashVer": "FMLE/3.0"})


async def greeted(house: House) -> Wire:
    """A raw connection behind its handshake and connect."""
    wire = await Wire.dial(house.rtmp_address)
    await wire.send(GREETING + command(*CONNECT))
    await wire.read_until(b"NetConnection.Connect.Success")
    return wire


async def asked(house: House) -> Wire:
    """A raw connection whose publish of s1 is being admitted: history does not answer until its gate is set."""
    house.history.gate = asyncio.Event()
    wire = await greeted(house)
    await wire.send(command(*PUBLISH, stream_id=1))
    await seen(lambda: len(house.registry))
    return wire


async def refused(house: House, stream: str, app: str = "live", host: str = "127.0.0.1") -> Refused:
    """What a publish that is refused is told; it was never told anything else."""
    peer = await Peer.open(house.rtmp_address, Mode.PUBLISH, house.url(stream, app, host))
    events = await peer.over()
    assert [type(event) for event in events] == [Refused]
    answer = events[0]
    assert isinstance(answer, Refused)
    return answer


# -- publishes: accepted


async def test_publish_is_live_at_publish_start_and_one_closed_row_after_unpublish(house: House) -> None:
    peer = await house.published()
    session = house.session()
    assert session is not None
    assert session.started
    await seen(lambda: house.history.live)
    peer.session.finish()
    await peer.flush()
    await seen(lambda: not len(house.registry))
    await peer.close()
    row = await house.row()
    assert (row.code, row.reason, row.accepted) == (BreakCode.SUCCESS, Reason.UNPUBLISH, True)
    assert not house.history.live
    await seen(house.empty)


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
async def test_publisher_that_leaves_without_a_word_ends_with_200(house: House, leave: Callable[..., object]) -> None:
    peer = await house.published()
    await peer.start_stream()
    await leave(peer)  # type: ignore[misc]
    row = await house.row()
    assert (row.code, row.reason, row.accepted) == (BreakCode.SUCCESS, Reason.CLOSED, True)
    await seen(house.empty)


async def test_publisher_that_unpublished_may_go_on_sending_until_it_closes(house: House) -> None:
    # GStreamer's rtmp2sink 1.22 reports an error when it is closed upon.
    wire = await greeted(house)
    await wire.send(command(*PUBLISH, stream_id=1))
    await wire.read_until(b"NetStream.Publish.Start")
    await wire.send(command("FCUnpublish", 6.0, None, "s1"))
    await seen(lambda: not len(house.registry))
    await wire.send(command("deleteStream", 7.0, None, 1.0))
    wire.writer.write(command("closeStream", 8.0, None))
    await wire.writer.drain()
    assert not wire.reader.at_eof()
    await wire.close()
    await house.row()
    await seen(house.empty)


async def test_connection_that_unpublished_and_does_not_close_is_closed(
    monkeypatch: pytest.MonkeyPatch, impatient: None, house: House
) -> None:
    monkeypatch.setattr(rtmp, "LINGER_SECONDS", 0.1)
    peer = await house.published()
    peer.session.finish()
    await peer.flush()
    await peer.ended()
    assert not house.doors.faults
    await seen(house.empty)


async def test_bytes_sent_with_the_publish_are_read_after_the_answer(house: House) -> None:
    wire = await greeted(house)
    media = b"".join(
        command_bytes
        for command_bytes in (
            command(*PUBLISH, stream_id=1),
            b"".join([_video(VIDEO_HEADER), _video(key_frame())]),
        )
    )
    await wire.send(media)
    await wire.read_until(b"NetStream.Publish.Start")
    session = house.session()
    assert session is not None
    await seen(lambda: session.quality.from_headers.width == 640)


def _video(payload: bytes, timestamp: int = 0) -> bytes:
    return build_wire(m.VIDEO, payload, 1, 6, timestamp)


# -- publishes: refused, before any Publish.Start


@pytest.mark.parametrize(
    ("stream", "app", "host", "code"),
    [
        ("s1", "nowhere", "127.0.0.1", BreakCode.BAD_PARAMS),
        ("bad name", "live", "127.0.0.1", BreakCode.BAD_PARAMS),
        ("s1", "live", "md5.demo.local", BreakCode.BAD_PARAMS),
        ("s1?t=1000000000&k=4f88e741140240e2", "live", "md5.demo.local", BreakCode.EXPIRED),
        ("s1?t=4000000000&k=4f88e741140240e2", "live", "md5.demo.local", BreakCode.SIGNATURE),
        ("banned", "live", "127.0.0.1", BreakCode.FORBIDDEN),
        ("busy", "live", "127.0.0.1", BreakCode.ALREADY_EXISTS),
        ("busy", "live", "push.demo.local", BreakCode.ALREADY_EXISTS),
    ],
)
async def test_refused_publish_is_told_its_break_code_and_leaves_one_error_row(
    house: House, stream: str, app: str, host: str, code: BreakCode
) -> None:
    await house.forbids.forbid(key("banned"))
    await house.published("busy")
    answer = await refused(house, stream, app, host)
    assert answer.description.startswith(f"{int(code)} ")
    assert answer.code == ("NetStream.Publish.BadName" if code == 422 else "NetStream.Publish.Rejected")
    await seen(lambda: not len(house.journal) and house.rows())
    (row,) = house.rows()
    assert (row.code, row.reason, row.accepted) == (code, Reason.REFUSED, False)
    assert row.fin_time == row.facts.pub_time


async def test_publish_to_an_unknown_domain_is_counted_and_leaves_no_row(house: House) -> None:
    answer = await refused(house, "s1", host="nobody.example")
    assert answer.description.startswith("428 ")
    assert house.admission.knocks.unknown_domain == 1
    assert not len(house.journal)
    assert not house.rows()


async def test_publish_with_md5_that_verifies_is_accepted(house: House) -> None:
    till = int(time.time()) + 60
    await house.published(f"s1?{pushauth.sign_md5('123456', 's1', till)}", host="md5.demo.local")
    assert house.session() is not None


async def test_refused_publisher_that_goes_on_sending_can_still_read_why(house: House) -> None:
    # Media pipelined behind the publish would turn a plain close into a reset that may overtake the answer.
    await house.forbids.forbid(key())
    wire = await greeted(house)
    await wire.send(command(*PUBLISH, stream_id=1))
    for _ in range(20):
        await wire.send(_video(key_frame(bytes(2000))))
    said = b""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while piece := await wire.reader.read(65536):  # a reset raises
            said += piece
    assert b"423 Forbidden by blacklist!" in said
    await wire.close()
    await seen(house.empty)


async def test_second_publish_on_one_connection_is_refused_and_the_first_goes_on(house: House) -> None:
    wire = await greeted(house)
    await wire.send(command(*PUBLISH, stream_id=1))
    await wire.read_until(b"NetStream.Publish.Start")
    await wire.send(command("publish", 6.0, None, "s2", "live", stream_id=1))
    await wire.read_until(b"NetStream.Publish.BadName")
    assert house.session("s1") is not None
    assert house.session("s2") is None


async def test_faults_of_peers_are_logged_by_the_second_and_the_rest_as_a_number(
    monkeypatch: pytest.MonkeyPatch, impatient: None, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rtmp_listener, "FAULT_LINES_PER_SECOND", 2)
    monkeypatch.setattr(rtmp_listener, "SWEEP_SECONDS", 3600.0)
    caplog.set_level(logging.INFO, "openkls.media.rtmp")
    for _ in range(5):
        wire = await Wire.dial(house.rtmp_address)
        await wire.send(b"GET / HTTP/1.1\r\n\r\n")
        await wire.ended()
    house.rtmp._sweep()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" ")[2] for line in lines[:2]] == [
        "broke the protocol: RTMP: version 71 asked for; only 3, plain RTMP, is spoken here"
    ] * 2
    assert lines[2:] == ["3 further peers broke the protocol"]
    assert house.doors.faults == {"malformed": 5}


# -- publishes: cut, displaced, silent


async def test_forbid_tells_the_publisher_423_and_ends_its_viewers(house: House) -> None:
    peer = await house.published()
    await peer.start_stream()
    viewer = await house.playing()
    await viewer.heard(4)
    await house.forbids.forbid(key())
    assert house.session() is None
    assert (await peer.over())[-1] == Refused("error", "NetStream.Publish.Rejected", "423 Forbidden by blacklist!")
    assert isinstance((await viewer.over())[-1], Ended)
    row = await house.row()
    assert (row.code, row.reason, row.accepted) == (BreakCode.FORBIDDEN, Reason.FORBIDDEN, True)
    await peer.close()
    await seen(house.empty)


async def test_cut_discards_what_waits_for_the_merge_tick(house: House) -> None:
    peer = await house.published(app="merged")
    await peer.start_stream()
    viewer = await house.playing(app="merged")
    await viewer.heard(4)
    await peer.media(flv.VIDEO, 40, frame())
    hub = house.hubs.find(key(app="merged").name)
    assert hub is not None
    await seen(lambda: hub._pending)
    await house.forbids.forbid(key(app="merged"))
    await viewer.over()
    assert len(viewer.heard_media) == 4


async def test_kick_during_a_viewers_burst_ends_it_without_waiting_for_it_to_read(house: House) -> None:
    peer = await house.published()
    await peer.media(flv.VIDEO, 0, VIDEO_HEADER)
    await peer.media(flv.VIDEO, 0, key_frame(bytes(7 * 1024 * 1024)))
    hub = house.hubs.find(key().name)
    assert hub is not None
    await seen(lambda: hub._cache._gop)
    viewer = await Peer.open(house.rtmp_address, Mode.PLAY, house.url("s1"))
    await viewer.until(PlayStarted)
    await seen(house.viewers.online)
    await house.forbids.forbid(key())
    assert house.viewers.online() == 0
    await peer.close()
    await seen(lambda: not len(house.rtmp.connections), 0.9)  # not after a farewell: it is cut off


async def test_half_open_publisher_yields_its_name_and_ends_with_200(impatient: None, house: House) -> None:
    first = await house.published()
    viewer = await house.playing()
    assert (await refused(house, "s1")).description.startswith("422 ")
    former = house.session()
    assert former is not None
    await seen(lambda: former.publisher.silent_seconds() >= registry.SILENT_SECONDS)
    second = await house.published()
    assert house.session() not in (None, former)
    assert isinstance((await viewer.over())[-1], Ended)
    assert isinstance((await first.over())[-1], Ended)
    await first.close()
    await seen(lambda: len(house.rows("s1")) == 2)
    displaced = next(row for row in house.rows("s1") if row.accepted)
    assert (displaced.code, displaced.reason) == (BreakCode.SUCCESS, Reason.TAKEN_OVER)
    # The late goodbye of the first does not touch the second, whose own stream plays.
    await second.start_stream()
    assert len(await (await house.playing()).heard(4)) == 4


async def test_publisher_that_falls_silent_ends_with_200_idle(impatient: None, house: House) -> None:
    peer = await house.published()
    await peer.over()
    row = await house.row()
    assert (row.code, row.reason) == (BreakCode.SUCCESS, Reason.IDLE)
    await peer.close()
    await seen(house.empty)


async def test_protocol_error_after_the_start_ends_with_200_protocol_error(house: House) -> None:
    peer = await house.published()
    await peer.send(b"\xff" * 64)
    await peer.ended()
    row = await house.row()
    assert (row.code, row.reason, row.accepted) == (BreakCode.SUCCESS, Reason.PROTOCOL_ERROR, True)
    assert sum(house.doors.faults.values()) == 1
    await seen(house.empty)


async def test_protocol_error_behind_the_publish_ends_the_session_it_began(house: House) -> None:
    wire = await greeted(house)
    await wire.send(command(*PUBLISH, stream_id=1) + command(7.0))
    await wire.ended()
    row = await house.row()
    assert (row.reason, row.accepted) == (Reason.PROTOCOL_ERROR, True)
    await seen(house.empty)


# -- admission


def _open_gate(house: House) -> None:
    assert house.history.gate is not None
    house.history.gate.set()


async def test_peer_that_left_during_its_admission_leaves_one_closed_row(house: House) -> None:
    wire = await asked(house)
    await wire.reset()
    _open_gate(house)
    row = await house.row()
    assert (row.code, row.reason) == (BreakCode.SUCCESS, Reason.CLOSED)
    await seen(house.empty)


async def test_forbid_during_an_admission_refuses_it_with_423_and_an_error_row(house: House) -> None:
    wire = await asked(house)
    await house.forbids.forbid(key())
    assert house.session() is None
    _open_gate(house)
    said = await wire.ended()
    assert b"423 Forbidden by blacklist!" in said
    assert b"Publish.Start" not in said
    row = await house.row()
    assert (row.code, row.accepted) == (BreakCode.FORBIDDEN, False)
    await wire.close()
    await seen(house.empty)


async def test_late_store_does_not_keep_a_publisher_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openkls.control.admit.OPEN_DEADLINE_SECONDS", 0.05)
    house.history.gate = asyncio.Event()
    await house.published()
    assert house.admission.knocks.late_opens == 1
    house.history.gate.set()
    await seen(lambda: house.history.live)


@pytest.mark.parametrize("banned", [False, True])
async def test_stop_during_an_admission_leaves_one_row_and_nothing_else(house: House, banned: bool) -> None:
    wire = await asked(house)
    if banned:
        await house.forbids.forbid(key())
    asyncio.get_running_loop().call_later(0.05, _open_gate, house)
    await house.close()
    (row,) = house.rows()
    assert row.code == (BreakCode.FORBIDDEN if banned else BreakCode.SUCCESS)
    assert row.reason == (Reason.FORBIDDEN if banned else Reason.SHUTDOWN)
    assert house.empty()
    await wire.ended()


async def test_refusal_after_the_stop_of_a_peer_that_does_not_read_is_no_error(house: House) -> None:
    wire = await asked(house)
    (connection,) = house.rtmp.connections
    connection._transport.write(bytes(20 * 1024 * 1024))  # the stop can't flush this
    await house.forbids.forbid(key())
    connection.stop()
    _open_gate(house)
    await house.row()
    await seen(lambda: not house.rtmp.admissions)
    await wire.reset()
    await seen(house.empty)


async def test_admission_that_fails_closes_the_connection_and_is_logged(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(house.directory, "publish_door", None)
    wire = await greeted(house)
    await wire.send(command(*PUBLISH, stream_id=1))
    assert b"Publish" not in await wire.ended()
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    await seen(house.empty)


async def test_stop_does_not_wait_for_a_peer_that_does_not_read(house: House) -> None:
    wire = await greeted(house)
    (connection,) = house.rtmp.connections
    connection._transport.write(bytes(20 * 1024 * 1024))
    begun = time.monotonic()
    await house.close()
    assert time.monotonic() - begun < 2 * rtmp.FAREWELL_SECONDS
    assert house.empty()
    await wire.ended()


async def test_stop_ends_publishes_with_200_shutdown_and_says_goodbye(house: House) -> None:
    peer = await house.published()
    viewer = await house.playing()
    await house.close()
    (row,) = house.rows()
    assert (row.code, row.reason) == (BreakCode.SUCCESS, Reason.SHUTDOWN)
    assert (await peer.over())[-1] == Ended("NetStream.Unpublish.Success", "200 Success operation!")
    assert isinstance((await viewer.over())[-1], Ended)
    assert house.empty()


async def test_connection_made_while_the_listener_closes_is_refused(house: House) -> None:
    await house.rtmp.close()
    accepted = rtmp.RtmpConnection(house.doors, house.rtmp)
    server, client = await _pair(accepted)
    server.close()
    await client.ended()
    assert house.empty()


async def _pair(protocol: asyncio.Protocol) -> tuple[asyncio.Server, Wire]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    return server, Wire(*await asyncio.open_connection(host, port))


# -- plays


async def test_player_starts_with_the_headers_and_the_gop_and_goes_on(house: House) -> None:
    peer = await house.published()
    await peer.start_stream()
    await peer.media(flv.VIDEO, 40, frame())
    viewer = await house.playing()
    await viewer.heard(5)
    await peer.media(flv.AUDIO, 50, sound())
    await peer.media(flv.VIDEO, 80, frame())
    heard = await viewer.heard(7)
    assert [(part.type_id, part.timestamp) for part in heard] == [
        (18, 0), (9, 0), (8, 0), (9, 0), (9, 40), (8, 50), (9, 80),
    ]  # fmt: skip
    assert house.viewers.online() == 1
    await viewer.close()
    await seen(lambda: not house.viewers.online())


@pytest.mark.parametrize(("asked_for", "kind"), [("audio", flv.AUDIO), ("video", flv.VIDEO)])
async def test_player_that_asks_for_one_kind_gets_the_headers_and_frames_of_that_kind_alone(
    house: House, asked_for: str, kind: int
) -> None:
    publisher = await house.published()
    await publisher.start_stream()
    player = await house.playing(f"s1?type={asked_for}")
    await publisher.media(flv.VIDEO, 40, frame())
    await publisher.media(flv.AUDIO, 40, sound())
    heard = await player.heard(3 if kind == flv.AUDIO else 4)
    assert heard[0].type_id == flv.SCRIPT
    assert {message.type_id for message in heard[1:]} == {kind}
    assert heard[-1].timestamp == 40


async def test_viewers_are_told_when_their_publisher_unpublishes(house: House) -> None:
    peer = await house.published()
    await peer.start_stream()
    viewer = await house.playing()
    await viewer.heard(4)
    await peer.media(flv.VIDEO, 40, frame())
    peer.session.finish()
    await peer.flush()
    assert isinstance((await viewer.over())[-1], Ended)
    assert len(viewer.heard_media) == 5  # what was pending is not lost


async def test_player_that_says_goodbye_is_uncounted(house: House) -> None:
    await house.published()
    viewer = await house.playing()
    viewer.session.finish()
    await viewer.flush()
    await seen(lambda: not house.viewers.online())
    await viewer.close()
    await seen(lambda: len(house.rtmp.connections) == 1)


@pytest.mark.parametrize("url_host", ["127.0.0.1", "play.guarded.local", "nobody.example"])
async def test_play_of_an_unknown_stream_is_told_stream_not_found(house: House, url_host: str) -> None:
    viewer = await Peer.open(house.rtmp_address, Mode.PLAY, house.url("nothing", host=url_host))
    (answer,) = await viewer.over()
    assert isinstance(answer, Refused)
    assert answer.code == "NetStream.Play.StreamNotFound"
    await viewer.close()
    await seen(house.empty)


async def test_play_auth_md5_lets_in_whom_it_should(house: House) -> None:
    await house.published(host="push.guarded.local")
    till = int(time.time()) + 60
    good = f"s1?{pushauth.sign_md5('123456', 's1', till)}"
    await house.playing(good, host="md5.guarded.local")
    await house.playing("s1", host="play.guarded.local")
    for bad in ("s1", good[:-1] + ("0" if good[-1] != "0" else "1"), good.replace("t=", "t=1")):
        viewer = await Peer.open(house.rtmp_address, Mode.PLAY, house.url(bad, host="md5.guarded.local"))
        (answer,) = await viewer.over()
        assert isinstance(answer, Refused)
        assert answer.description.startswith("403 ")
        await viewer.close()
    assert house.viewers.online() == 2


async def test_garbage_behind_a_play_ends_the_player_alone(house: House) -> None:
    peer = await house.published()
    wire = await greeted(house)
    await wire.send(command(*PLAY, stream_id=1) + command(7.0))
    await wire.ended()
    await seen(lambda: len(house.rtmp.connections) == 1)
    assert not house.viewers.online()
    assert sum(house.doors.faults.values()) == 1
    await peer.media(flv.VIDEO, 0, key_frame())
    assert house.session() is not None


async def test_play_and_goodbye_in_one_read_leave_no_viewer(house: House) -> None:
    await house.published()
    wire = await greeted(house)
    await wire.send(command(*PLAY, stream_id=1) + command("deleteStream", 6.0, None, 1.0))
    await wire.read_until(b"NetStream.Play.Start")
    await seen(lambda: not house.viewers.online())
    await wire.close()
    await seen(lambda: len(house.rtmp.connections) == 1)


async def test_publisher_and_player_get_the_scripted_answers_obs_waits_for(house: House) -> None:
    """OBS 30: connect with its fields, releaseStream, FCPublish, createStream, publish, metadata, headers."""
    wire = await Wire.dial(house.rtmp_address)
    await wire.send(GREETING)
    await wire.reader.readexactly(1 + 2 * 1536)
    connect = {
        "app": "live", "type": "nonprivate", "flashVer": "FMLE/3.0 (compatible; FMSc/1.0)",
        "swfUrl": f"rtmp://127.0.0.1:{house.rtmp_address.port}/live",
        "tcUrl": f"rtmp://127.0.0.1:{house.rtmp_address.port}/live",
        "fourCcList": ["av01", "hvc1"],
    }  # fmt: skip
    await wire.send(command("connect", 1.0, connect))
    await wire.read_until(b"fourCcList")
    for name, transaction in (("releaseStream", 2.0), ("FCPublish", 3.0)):
        await wire.send(command(name, transaction, None, "obs"))
    await wire.send(command("createStream", 4.0, None))
    await wire.send(command("publish", 5.0, None, "obs", "live", stream_id=1))
    said = await wire.read_until(b"NetStream.Publish.Start")
    if b"onFCPublish" in said:
        await wire.read_until(b"NetStream.Publish.Start")
    assert house.session("obs") is not None


# -- security


async def test_class_11_handshake_dripping_a_byte_at_a_time_is_cut(impatient: None, house: House) -> None:
    wire = await Wire.dial(house.rtmp_address)
    dripping = asyncio.create_task(_drip(wire, GREETING))
    await wire.ended()
    dripping.cancel()
    assert house.doors.faults == {"HANDSHAKE_SECONDS": 1}
    await seen(house.empty)


async def _drip(wire: Wire, data: bytes) -> None:
    for byte in data:
        await wire.send(bytes([byte]))
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        GREETING[:1],
        GREETING,
        GREETING + command(*CONNECT),
        GREETING + command(*CONNECT) * 1 + command("createStream", 2.0, None),
    ],
)
async def test_class_11_connection_that_does_not_come_to_the_point_is_cut(
    impatient: None, house: House, said: bytes
) -> None:
    wire = await Wire.dial(house.rtmp_address)
    await wire.send(said)
    await wire.ended()
    assert house.doors.faults == {"HANDSHAKE_SECONDS": 1}
    await seen(house.empty)


async def test_class_11_publisher_and_player_outlive_the_deadline_of_the_handshake(
    monkeypatch: pytest.MonkeyPatch, impatient: None, house: House
) -> None:
    monkeypatch.setattr(rtmp, "IDLE_SECONDS", 30.0)
    await house.published()
    await house.playing()
    opened = asyncio.get_running_loop().time()
    await seen(lambda: asyncio.get_running_loop().time() > opened + 0.5)
    assert len(house.rtmp.connections) == 2


async def test_class_11_an_address_has_as_many_connections_as_it_may_and_not_one_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AddressCap, "is_exempt", lambda cap, address: False)
    house.doors.cap.limit = 2
    first, second = await greeted(house), await greeted(house)
    third = await Wire.dial(house.rtmp_address)
    assert await third.ended() == b""
    assert house.doors.cap.refused == 1
    await first.close()
    await seen(lambda: len(house.rtmp.connections) == 1)
    await greeted(house)
    await second.close()


async def test_class_12_peer_that_asks_and_never_reads_is_cut_off(house: House) -> None:
    wire = await greeted(house)
    await wire.send(command(*PUBLISH, stream_id=1))
    await wire.read_until(b"NetStream.Publish.Start")
    (connection,) = house.rtmp.connections
    most = 0
    flood = command("createStream", 9.0, None) * 500
    wire.writer.transport.pause_reading()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(house.rtmp.connections):
            await wire.send(flood)
            most = max(most, connection._transport.get_write_buffer_size())
            await asyncio.sleep(0)
    assert most <= 3 * rtmp.ANSWERS_LIMIT_BYTES
    assert house.doors.faults == {"ANSWERS_LIMIT_BYTES": 1}
    row = await house.row()
    assert row.reason is Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "name",
    ["..", ".", "../../etc/passwd", "/etc/passwd", "%2e%2e", "a%2fb", "s1\x00", "s1\\..", "a/b", "s1 ", "", "s" * 257],
)
async def test_class_13_names_that_are_paths_are_refused_over_rtmp(house: House, name: str) -> None:
    wire = await greeted(house)
    await wire.send(command("publish", 5.0, None, name, "live", stream_id=1))
    said = await wire.ended()
    assert b"NetStream.Publish.Rejected" in said
    assert b"Publish.Start" not in said
    assert not len(house.registry)
    wire = await greeted(house)
    await wire.send(command("play", 5.0, None, name, stream_id=1))
    assert b"NetStream.Play.StreamNotFound" in await wire.ended()


async def test_class_13_names_that_begin_alike_are_different_streams(house: House) -> None:
    await house.published("s1")
    for twin in ("s", "s1.", "s1_500", "S1"):
        await refused_play(house, twin)
    await house.published("s")
    await house.playing("s")


async def refused_play(house: House, stream: str) -> None:
    viewer = await Peer.open(house.rtmp_address, Mode.PLAY, house.url(stream))
    assert isinstance((await viewer.over())[0], Refused)


async def test_class_17_storm_of_publish_kick_ban_and_republish_leaves_one_closed_row_a_session(house: House) -> None:
    names = ("s1", "s2")
    accepted = 0
    over = asyncio.Event()

    async def push(name: str) -> None:
        nonlocal accepted
        while not over.is_set():
            peer = await Peer.open(house.rtmp_address, Mode.PUBLISH, house.url(name))
            try:
                await peer.until(PublishStarted, Refused)
            except AssertionError:
                continue
            if isinstance(peer.events[0], PublishStarted):
                accepted += 1
                with contextlib.suppress(RuntimeError):  # cut meanwhile
                    await peer.start_stream()
            if accepted % 3 == 0:
                await peer.reset()
            else:
                await peer.ended() if accepted % 3 == 1 and not over.is_set() else await peer.close()

    async def watch(name: str) -> None:
        while not over.is_set():
            viewer = await Peer.open(house.rtmp_address, Mode.PLAY, house.url(name))
            await viewer.over()
            await viewer.close()

    async def forbid(name: str) -> None:
        while not over.is_set():
            house.forbids.cut(key(name))
            await asyncio.sleep(0.002)
            try:
                await house.forbids.forbid(key(name))
            except Exception:  # noqa: BLE001 - 3802, the same second
                pass
            else:
                assert house.session(name) is None
                await house.forbids.resume(key(name))
            await asyncio.sleep(0.003)

    tasks = [asyncio.create_task(job(name)) for name in names for job in (push, push, push, watch, forbid)]
    begin = time.monotonic()
    # Long enough to mean something, however slow the machine is.
    while time.monotonic() < begin + 2.0 or accepted <= 20:
        assert time.monotonic() < begin + 60.0, f"{accepted} publishes were accepted in a minute"
        live = [session.key.name for session in house.registry.sessions()]
        assert len(live) == len(set(live))
        for session in house.registry.sessions():
            assert not house.blacklist.forbids(session.key, time.time())
        await asyncio.sleep(0.01)
    over.set()
    for name in names:
        house.forbids.cut(key(name))
    stopping = asyncio.gather(*tasks)
    while not stopping.done():
        for name in names:
            house.forbids.cut(key(name))
        await asyncio.sleep(0.01)
    await stopping
    for wire in Wire.opened:
        await wire.reset()
    await seen(house.empty)
    await seen(lambda: not len(house.journal))
    assert len([row for row in house.rows() if row.accepted]) >= accepted
    assert not house.history.live
    assert house.history.calls.count("close") == len(house.rows())


async def test_nothing_small_is_held_back_on_a_players_or_publishers_connection(house: House) -> None:
    await house.published()
    await house.playing()
    viewer = await Wire.dial(house.flv_address)
    await viewer.send(b"GET /live/s1.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await viewer.read_until(b"FLV")
    transports = [c._transport for c in house.rtmp.connections] + [c._transport for c in house.flv.connections]
    assert len(transports) == 3
    for transport in transports:
        socket_ = transport.get_extra_info("socket")
        assert socket_.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_class_18_two_thousand_names_leave_nothing_behind(house: House) -> None:
    kinds = (rtmp.RtmpConnection, ServerSession, Session, Hub, Viewer)
    gc.collect()
    # Other tests of this process may have left some, in a traceback for one.
    others = {id(each) for each in gc.get_objects() if isinstance(each, kinds)}

    async def one(number: int) -> None:
        peer = await house.published(f"s{number}")
        viewer = await house.playing(f"s{number}")
        await viewer.close()
        await peer.close()

    for start in range(0, 2000, 100):
        await asyncio.gather(*(one(number) for number in range(start, start + 100)))
    await seen(house.empty)
    await seen(lambda: not len(house.journal))
    assert not house.history.live
    assert len(house.rows()) == 2000
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, kinds) and id(each) not in others]
    assert [type(each).__name__ for each in left] == []
    assert len(house.admission.quota._counts) == 0


async def test_class_18_refusals_by_name_are_bounded_in_rows_and_memory(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openkls.domain.refusals.ROWS_PER_MINUTE", 3)
    monkeypatch.setattr("openkls.domain.refusals.PAIRS_LIMIT", 4)
    for _ in range(5):
        await refused(house, "bad name")
    for number in range(8):
        await refused(house, f"bad {number}")
    await seen(lambda: not len(house.journal))
    assert len(house.rows()) <= 2 * (3 + 3)  # a minute may have turned
    assert len(house.admission.quota._counts) <= 4
    assert house.admission.knocks.refused == 13
