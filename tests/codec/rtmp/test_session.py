"""The server's machine: each client's order of commands, each answer, each limit, any state with any event."""

from random import Random

import pytest

from openkls.codec import ProtocolError, amf0
from openkls.codec.rtmp import (
    ACK_WINDOW_BYTES,
    HELD_BYTES_MAX,
    OUT_CHUNK_SIZE,
    ChunkReader,
    Connected,
    MediaReceived,
    Message,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ServerSession,
    State,
)
from openkls.codec.rtmp import message as m
from openkls.codec.rtmp.answers import FOUR_CCS
from support_codec import feedings
from support_rtmp import (
    CONNECT,
    CONTROLS,
    FFMPEG,
    GREETING,
    GSTREAMER,
    MEDIA,
    OBS,
    ZEROS,
    asked,
    command,
    connected,
    greeted,
    playing,
    publishing,
    wire,
)

METADATA = amf0.encode("onMetaData", {"width": 320})
URL = "rtmp://push.demo.local/live"


def said(session: ServerSession) -> list[Message]:
    """What the session says after its connect answer, as messages."""
    reader = ChunkReader()
    reader.chunk_size = OUT_CHUNK_SIZE
    return reader.feed(session.data_to_send())


def commands(messages: list[Message]) -> list[m.Command]:
    return [m.parse_command(message.type_id, message.payload) for message in messages if message.type_id == m.COMMAND]


def statuses(session: ServerSession) -> list[tuple[str, str, str]]:
    """Level, code and description of each onStatus said."""
    found = [command.arguments[0] for command in commands(said(session)) if command.name == "onStatus"]
    return [(info["level"], info["code"], info["description"]) for info in found]


# conversations

PUBLISHERS = {"OBS": OBS, "ffmpeg": FFMPEG, "GStreamer": GSTREAMER}


@pytest.mark.parametrize("data", PUBLISHERS.values(), ids=PUBLISHERS)
def test_publisher_is_understood_however_split(data: bytes, rng: Random) -> None:
    expected = [
        Connected("live", "", URL, "FMLE/3.0"),
        PublishRequested("live", "", URL, "s", "k=1"),
    ]
    for pieces in feedings(GREETING + data, rng):
        session = ServerSession(ZEROS)
        events = [event for piece in pieces for event in session.receive(piece)]
        assert events == expected
        assert session.state is State.PUBLISH_ASKED
        assert session.received_bytes == len(GREETING + data)


def test_connect_is_answered_with_windows_chunk_size_and_success() -> None:
    session = greeted()
    session.receive(command(*CONNECT))
    messages = ChunkReader().feed(session.data_to_send())
    assert [(message.type_id, message.payload) for message in messages[:2]] == [
        (m.WINDOW_ACK_SIZE, m.build_number(ACK_WINDOW_BYTES)),
        (m.SET_PEER_BANDWIDTH, m.build_peer_bandwidth(ACK_WINDOW_BYTES)),
    ]
    (result,) = commands(messages)
    assert (result.name, result.transaction_id) == ("_result", 1.0)
    assert result.arguments[0]["code"] == "NetConnection.Connect.Success"
    assert result.arguments[0]["objectEncoding"] == 0.0
    assert "fourCcList" not in result.arguments[0]


@pytest.mark.parametrize("asking", [{"fourCcList": ["hvc1"]}, {"videoFourCcInfoMap": {"*": 4}}])
def test_connect_with_four_ccs_is_told_ours(asking: dict[str, object]) -> None:
    session = greeted()
    session.receive(command("connect", 1, {"app": "live", **asking}))
    (result,) = commands(ChunkReader().feed(session.data_to_send()))
    assert result.arguments[0]["fourCcList"] == list(FOUR_CCS)


def test_connect_in_amf3_dress_is_understood() -> None:
    session = greeted()
    events = session.receive(wire(m.COMMAND_AMF3, b"\x00" + amf0.encode("connect", 1, {"app": "live"})))
    assert events == [Connected("live", "", "", "")]


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("live", ("live", "")),
        ("live/", ("live", "")),
        ("live?vhost=a.b&x=1?2", ("live", "vhost=a.b&x=1?2")),
        ("live/?vhost=a", ("live", "vhost=a")),
        ("li%76e", ("li%76e", "")),
        ("", ("", "")),
    ],
)
def test_app_is_cut_at_its_query_and_not_decoded(app: str, expected: tuple[str, str]) -> None:
    (event,) = greeted().receive(command("connect", 1, {"app": app, "tcUrl": 5, "flashVer": None}))
    assert event == Connected(*expected, "", "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("s", ("s", "")), ("s?k=v?w", ("s", "k=v?w")), ("", ("", "")), ("%2e%2e/s", ("%2e%2e/s", ""))],
)
@pytest.mark.parametrize(("verb", "event"), [("publish", PublishRequested), ("play", PlayRequested)])
def test_stream_is_cut_at_its_query_and_not_decoded(
    verb: str, event: type[PublishRequested | PlayRequested], name: str, expected: tuple[str, str]
) -> None:
    assert connected().receive(command(verb, 5, None, name)) == [event("live", "", URL, *expected)]


def test_small_talk_gets_results_when_it_asks_for_them() -> None:
    session = connected()
    for transaction_id, name in enumerate(("releaseStream", "FCPublish", "FCSubscribe", "_checkbw"), start=2):
        session.receive(command(name, transaction_id, None, "s") + command(name, 0, None, "s"))
    session.receive(command("getStreamLength", 7, None, "s") + command("createStream", 8, None))
    results = [(result.name, result.transaction_id, result.arguments) for result in commands(said(session))]
    assert results == [("_result", float(at), [amf0.UNDEFINED]) for at in range(2, 6)] + [
        ("_result", 7.0, [0.0]),
        ("_result", 8.0, [1.0]),
    ]


def test_unknown_commands_and_message_types_are_ignored() -> None:
    session = connected()
    data = command("onTheMoon", 9, None) + wire(19, b"?") + wire(0, b"?") + command("pause", 0, None, True, 1)
    assert session.receive(data + command("deleteStream", 0, None, 1)) == []
    assert session.data_to_send() == b""
    assert session.state is State.READY


# publish


def test_accepted_publish_is_told_so() -> None:
    session = asked()
    assert session.accept_publish() == []
    assert session.state is State.PUBLISHING
    begin, status = said(session)
    assert m.parse_user_control(begin.payload) == (m.STREAM_BEGIN, 1)
    assert status.stream_id == 1
    assert m.parse_command(m.COMMAND, status.payload).arguments[0]["code"] == "NetStream.Publish.Start"


def test_accepted_publish_after_fcpublish_gets_onfcpublish_first() -> None:
    session = connected()
    session.receive(command("FCPublish", 3, None, "s") + command("publish", 5, None, "s"))
    session.data_to_send()
    session.accept_publish()
    assert [found.name for found in commands(said(session))] == ["onFCPublish", "onStatus"]


@pytest.mark.parametrize("data", PUBLISHERS.values(), ids=PUBLISHERS)
def test_nothing_says_publish_start_before_it_is_accepted(data: bytes) -> None:
    session = ServerSession(ZEROS)
    session.receive(GREETING + data)
    assert b"Publish.Start" not in session.data_to_send()


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (422, "Already exist stream!", "NetStream.Publish.BadName"),
        (423, "Forbidden by blacklist!", "NetStream.Publish.Rejected"),
        (428, "Bad params!", "NetStream.Publish.Rejected"),
    ],
)
def test_refused_publish_is_told_why_and_closed(code: int, text: str, expected: str) -> None:
    session = asked()
    session.refuse_publish(code, text)
    assert session.state is State.CLOSED
    assert statuses(session) == [("error", expected, f"{code} {text}")]


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (423, "Forbidden by blacklist!", ("error", "NetStream.Publish.Rejected")),
        (200, "Success operation!", ("status", "NetStream.Unpublish.Success")),
    ],
)
def test_cut_publish_is_told_why_and_closed(code: int, text: str, expected: tuple[str, str]) -> None:
    session = publishing()
    session.end_publish(code, text)
    assert session.state is State.CLOSED
    assert statuses(session) == [(*expected, f"{code} {text}")]


def test_media_of_a_publisher_is_passed_on_in_order() -> None:
    session = publishing()
    data = b"".join(
        (
            wire(m.AUDIO, b"early", 1, csid=4, timestamp=1),
            wire(m.DATA, amf0.encode("@setDataFrame") + METADATA, 1, timestamp=0),
            wire(m.DATA_AMF3, b"\x00" + METADATA, 1, timestamp=2),
            wire(m.VIDEO, b"\x17\x00", 1, csid=6, timestamp=0xFFFFFFFF),
        )
    )
    assert session.receive(data) == [
        MediaReceived(m.AUDIO, 1, b"early"),
        MediaReceived(m.DATA, 0, METADATA),
        MediaReceived(m.DATA, 2, METADATA),
        MediaReceived(m.VIDEO, 0xFFFFFFFF, b"\x17\x00"),
    ]


def test_media_in_an_aggregate_is_passed_on() -> None:
    tag = bytes([m.AUDIO, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0]) + b"a" + bytes(4)
    assert publishing().receive(wire(m.AGGREGATE, tag, 1, timestamp=50)) == [MediaReceived(m.AUDIO, 50, b"a")]


def test_empty_media_is_dropped() -> None:
    session = publishing()
    assert session.receive(wire(m.AUDIO, b"", 1) + wire(m.VIDEO, b"", 1) + wire(m.DATA, b"", 1)) == []


@pytest.mark.parametrize("make", [connected, playing], ids=["READY", "PLAYING"])
def test_media_of_one_who_does_not_publish_is_dropped(make: type[ServerSession]) -> None:
    session = make()
    data = wire(m.AUDIO, b"a", 1) + wire(m.VIDEO, b"v", 1) + wire(m.DATA, METADATA, 1) + wire(m.AGGREGATE, b"?", 1)
    assert session.receive(data) == []


@pytest.mark.parametrize("verb", ["FCUnpublish", "deleteStream", "closeStream"])
@pytest.mark.parametrize("argument", ["s", 1, None, {}])
def test_publisher_ends_in_order_once(verb: str, argument: object) -> None:
    session = publishing()
    data = command(verb, 6, None, argument) + wire(m.AUDIO, b"late", 1) + command("deleteStream", 7, None, 1)
    assert session.receive(data) == [PublishEnded()]
    assert session.state is State.ENDED
    assert session.receive(data) == []


@pytest.mark.parametrize(
    ("verb", "status"), [("publish", "NetStream.Publish.BadName"), ("play", "NetStream.Play.Failed")]
)
@pytest.mark.parametrize("make", [publishing, playing], ids=["PUBLISHING", "PLAYING"])
def test_second_stream_of_a_connection_is_refused_and_the_first_goes_on(
    make: type[ServerSession], verb: str, status: str
) -> None:
    session = make()
    before = session.state
    assert session.receive(command(verb, 9, None, "other", stream_id=1)) == []
    assert [(level, code) for level, code, _ in statuses(session)] == [("error", status)]
    assert session.state is before


# play


def test_accepted_play_is_told_so_in_the_order_players_want() -> None:
    session = asked("play")
    assert session.accept_play() == []
    begin, reset, start, access = said(session)
    assert m.parse_user_control(begin.payload) == (m.STREAM_BEGIN, 1)
    codes = [found.arguments[0]["code"] for found in commands([reset, start])]
    assert codes == ["NetStream.Play.Reset", "NetStream.Play.Start"]
    assert (access.type_id, amf0.decode_all(access.payload)) == (m.DATA, ["|RtmpSampleAccess", True, True])
    assert {reset.stream_id, start.stream_id, access.stream_id} == {1}


def test_refused_play_is_told_why_and_closed() -> None:
    session = asked("play")
    session.refuse_play("NetStream.Play.StreamNotFound", "no such stream")
    assert session.state is State.CLOSED
    assert statuses(session) == [("error", "NetStream.Play.StreamNotFound", "no such stream")]


def test_ended_play_is_told_so_and_closed() -> None:
    session = playing()
    session.end_play()
    assert session.state is State.CLOSED
    eof, status = said(session)
    assert m.parse_user_control(eof.payload) == (m.STREAM_EOF, 1)
    (found,) = commands([status])
    assert (found.arguments[0]["level"], found.arguments[0]["code"]) == ("status", "NetStream.Play.UnpublishNotify")


@pytest.mark.parametrize("verb", ["deleteStream", "closeStream"])
def test_player_ends_in_order(verb: str) -> None:
    session = playing()
    assert session.receive(command(verb, 6, None, 1)) == [PlayEnded()]
    assert session.state is State.ENDED


# holding back


def test_what_comes_with_and_after_a_publish_waits_for_the_answer(rng: Random) -> None:
    for pieces in feedings(command("publish", 5, None, "s") + MEDIA * 3 + command("FCUnpublish", 6, None), rng):
        session = connected()
        events = [event for piece in pieces for event in session.receive(piece)]
        assert events == [PublishRequested("live", "", URL, "s", "")]
        assert session.state is State.PUBLISH_ASKED
        assert session.accept_publish() == [MediaReceived(m.VIDEO, 7, b"\x17")] * 3 + [PublishEnded()]
        assert session.state is State.ENDED


def test_what_comes_with_and_after_a_play_waits_for_the_answer(rng: Random) -> None:
    buffer_length = wire(m.USER_CONTROL, m.build_buffer_length(1, 100), csid=2)
    for pieces in feedings(command("play", 5, None, "s", -2) + buffer_length, rng):
        session = connected()
        assert len([event for piece in pieces for event in session.receive(piece)]) == 1
        assert session.accept_play() == []
        assert session.receive(command("deleteStream", 0, None, 1)) == [PlayEnded()]


def test_what_waited_may_be_a_protocol_error() -> None:
    session = asked()
    session.receive(b"\xff")
    with pytest.raises(ProtocolError):
        session.accept_publish()
    assert session.state is State.CLOSED


def test_held_bytes_at_the_limit_and_above() -> None:
    session = asked()
    session.receive(bytes(HELD_BYTES_MAX))
    assert session.state is State.PUBLISH_ASKED
    with pytest.raises(ProtocolError) as caught:
        session.receive(b"\x00")
    assert caught.value.limit == "HELD_BYTES_MAX"
    assert session.state is State.CLOSED


def test_what_waited_is_forgotten_with_a_refusal() -> None:
    session = asked()
    session.receive(MEDIA)
    session.refuse_publish(423, "Forbidden by blacklist!")
    assert session.receive(MEDIA) == []


# control


def test_ping_is_answered_with_its_timestamp() -> None:
    session = connected()
    session.receive(wire(m.USER_CONTROL, m.build_user_control(m.PING_REQUEST, 0xDEADBEEF), csid=2))
    (answer,) = said(session)
    assert m.parse_user_control(answer.payload) == (m.PING_RESPONSE, 0xDEADBEEF)


@pytest.mark.parametrize("make", [connected, asked, publishing, playing])
def test_ping_asks_for_a_sign_of_life(make: type[ServerSession]) -> None:
    session = make()
    session.ping(2**32 + 5)
    (question,) = said(session)
    assert m.parse_user_control(question.payload) == (m.PING_REQUEST, 5)


def test_received_bytes_are_acknowledged_each_half_window() -> None:
    session = publishing()
    session.receive(wire(m.SET_CHUNK_SIZE, m.build_number(0xFFFFFF), csid=2))
    step = wire(m.AUDIO, bytes(100_000), 1, chunk_size=0xFFFFFF)
    acknowledged = []
    for _ in range(30):
        session.receive(step)
        acknowledged += [(m.parse_number(message.payload), session.received_bytes) for message in said(session)]
    assert len(acknowledged) == 2
    assert all(told == received for told, received in acknowledged)


def test_window_told_by_the_peer_is_kept_to() -> None:
    session = publishing()
    session.receive(wire(m.WINDOW_ACK_SIZE, m.build_number(0), csid=2))
    assert session.data_to_send() == b""
    session.receive(wire(m.WINDOW_ACK_SIZE, m.build_number(1), csid=2))
    assert [message.type_id for message in said(session)] == [m.ACKNOWLEDGEMENT]


def test_acknowledgement_and_peer_bandwidth_are_read_and_change_nothing() -> None:
    session = publishing()
    data = wire(m.ACKNOWLEDGEMENT, m.build_number(5), csid=2)
    data += wire(m.SET_PEER_BANDWIDTH, m.build_peer_bandwidth(5), csid=2)
    data += wire(m.USER_CONTROL, m.build_user_control(m.PING_RESPONSE, 5), csid=2)
    assert session.receive(data) == []
    assert session.data_to_send() == b""


@pytest.mark.parametrize("length", range(4))
@pytest.mark.parametrize("type_id", CONTROLS)
def test_class_06_control_message_shorter_than_its_fields_is_refused(type_id: int, length: int) -> None:
    session = publishing()
    with pytest.raises(ProtocolError):
        session.receive(wire(type_id, bytes(length), csid=2))
    assert session.state is State.CLOSED
