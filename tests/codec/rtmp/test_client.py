"""The client's machine: against bytes of servers, and paired with ours."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, amf0
from openkls.codec.rtmp import (
    OUT_CHUNK_SIZE,
    PLAY_STREAM_ID,
    VIDEO_CSID,
    ChunkReader,
    ClientEvent,
    ClientSession,
    ClientState,
    Connected,
    Ended,
    MediaReceived,
    Mode,
    PlayEnded,
    PlayRequested,
    PlayStarted,
    PublishEnded,
    PublishRequested,
    PublishStarted,
    Refused,
    RtmpUrl,
    ServerEvent,
    ServerSession,
    State,
    build_message,
    parse_rtmp_url,
)
from openkls.codec.rtmp import message as m
from support_codec import feedings
from support_rtmp import ZEROS, command, wire

URL = RtmpUrl("127.0.0.1", 1935, "live", "s?k=1", "rtmp://127.0.0.1/live")
SERVER_GREETING = b"\x03" + bytes(2 * 1536)
METADATA = amf0.encode("onMetaData", {"width": 320})
STARTS = {
    Mode.PUBLISH: ("NetStream.Publish.Start", PublishStarted()),
    Mode.PLAY: ("NetStream.Play.Start", PlayStarted()),
}


def status(code: str, level: object = "status", description: object = "why") -> bytes:
    return command("onStatus", 0, None, {"level": level, "code": code, "description": description}, stream_id=1)


def client(mode: Mode = Mode.PUBLISH, chunk_size: int = 4096) -> ClientSession:
    return ClientSession(mode, URL, ZEROS, chunk_size)


def streaming(mode: Mode = Mode.PUBLISH) -> ClientSession:
    session = client(mode)
    session.receive(SERVER_GREETING + command("_result", 1, {}, {}) + command("_result", 4, None, 1))
    session.receive(status(STARTS[mode][0]))
    assert session.state is ClientState.STREAMING
    session.data_to_send()
    return session


def asked_commands(session: ClientSession) -> list[tuple[int, str, float, list[object]]]:
    """What the session has said since its opening, as (stream id, name, transaction, arguments)."""
    messages = ChunkReader().feed(session.data_to_send().removeprefix(session_opening()))
    found = [(message.stream_id, m.parse_command(20, message.payload)) for message in messages if message.type_id == 20]
    return [(stream_id, each.name, each.transaction_id, each.arguments) for stream_id, each in found]


def session_opening() -> bytes:
    return client().data_to_send() + bytes(1536)  # C0, C1 and C2: the server's block was all zeros


# URLs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtmp://h/live/s", RtmpUrl("h", 1935, "live", "s", "rtmp://h/live")),
        ("rtmp://h:1936/live/s?a=b&c", RtmpUrl("h", 1936, "live", "s?a=b&c", "rtmp://h:1936/live")),
        ("rtmp://h/app/inst/s", RtmpUrl("h", 1935, "app/inst", "s", "rtmp://h/app/inst")),
        ("rtmp://[::1]:19/live/s", RtmpUrl("::1", 19, "live", "s", "rtmp://[::1]:19/live")),
    ],
)
def test_url_is_cut_into_its_parts(url: str, expected: RtmpUrl) -> None:
    assert parse_rtmp_url(url) == expected


@pytest.mark.parametrize(
    "url", ["", "http://h/live/s", "rtmp:///live/s", "rtmp://h/live", "rtmp://h/live/", "rtmp://h"]
)
def test_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="rtmp://host"):
        parse_rtmp_url(url)


# what it asks


def test_publisher_asks_in_the_order_of_obs() -> None:
    session = client()
    session.receive(SERVER_GREETING + command("_result", 1, {}, {}) + command("_result", 4, None, 1))
    names = [(stream_id, name, arguments) for stream_id, name, _, arguments in asked_commands(session)]
    assert names == [
        (0, "connect", []),
        (0, "releaseStream", ["s?k=1"]),
        (0, "FCPublish", ["s?k=1"]),
        (0, "createStream", []),
        (1, "publish", ["s?k=1", "live"]),
    ]


def test_player_asks_for_the_stream_on_its_id() -> None:
    session = client(Mode.PLAY)
    session.receive(SERVER_GREETING + command("_result", 1, {}, {}) + command("_result", 4, None, 7))
    assert [(stream_id, name) for stream_id, name, _, _ in asked_commands(session)] == [
        (0, "connect"),
        (0, "createStream"),
        (7, "play"),
    ]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("repeat", [1, 2])
def test_start_is_told_once(mode: Mode, repeat: int, rng: Random) -> None:
    code, event = STARTS[mode]
    data = SERVER_GREETING + command("_result", 1, {}, {}) + command("_result", 4, None, 1) + status(code) * repeat
    for pieces in feedings(data, rng):
        session = client(mode)
        assert [found for piece in pieces for found in session.receive(piece)] == [event]
        assert session.received_bytes == len(data)


def test_answers_nobody_asked_for_are_ignored() -> None:
    session = client()
    answers = command("_result", 4, None, 1) + status("NetStream.Publish.Start") + command("_error", 2, None, {})
    assert session.receive(SERVER_GREETING + answers + command("onBWDone", 0, None)) == []
    assert session.state is ClientState.CONNECTING
    assert session.receive(status("NetStream.Unpublish.Success") + wire(m.VIDEO, b"v", 1)) == []


@pytest.mark.parametrize("arguments", [(), (None,), ("1",), (0,), (-1,), (2**32,), (float("nan"),)])
def test_class_08_stream_id_of_any_other_type_is_refused(arguments: tuple[object, ...]) -> None:
    session = client()
    session.receive(SERVER_GREETING + command("_result", 1, {}, {}))
    with pytest.raises(ProtocolError, match="without a stream id"):
        session.receive(command("_result", 4, None, *arguments))
    assert session.state is ClientState.CLOSED
    assert session.receive(b"\xff") == []


@pytest.mark.parametrize("transaction_id", [1, 4])
def test_error_to_what_it_needs_is_a_refusal(transaction_id: int) -> None:
    session = client()
    session.receive(SERVER_GREETING)
    info = {"level": "error", "code": "NetConnection.Connect.Rejected", "description": "no"}
    assert session.receive(command("_error", transaction_id, None, info)) == [
        Refused("error", "NetConnection.Connect.Rejected", "no")
    ]
    assert session.state is ClientState.CLOSED


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((), ("", "", "")), ((None,), ("", "", "")), (({"level": 1, "code": "C"},), ("", "C", ""))],
)
def test_error_without_texts_is_a_refusal_without_them(
    arguments: tuple[object, ...], expected: tuple[str, ...]
) -> None:
    session = client()
    session.receive(SERVER_GREETING)
    assert session.receive(command("_error", 1, None, *arguments)) == [Refused(*expected)]


def test_status_of_level_error_is_a_refusal_at_any_time() -> None:
    session = streaming()
    data = status("NetStream.Publish.Rejected", "error", "423 Forbidden by blacklist!")
    refused = Refused("error", "NetStream.Publish.Rejected", "423 Forbidden by blacklist!")
    assert session.receive(data + data) == [refused]
    assert session.state is ClientState.CLOSED


@pytest.mark.parametrize("code", ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete"])
def test_end_of_the_stream_is_told(code: str) -> None:
    session = streaming(Mode.PLAY)
    assert session.receive(status(code)) == [Ended(code, "why")]
    assert session.state is ClientState.CLOSED


def test_status_that_is_no_news_is_ignored() -> None:
    session = streaming(Mode.PLAY)
    assert session.receive(status("NetStream.Play.Reset")) == []
    assert session.state is ClientState.STREAMING


# media


def test_player_gets_media_and_parts_of_aggregates() -> None:
    session = streaming(Mode.PLAY)
    tag = bytes([m.AUDIO, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0]) + b"a" + bytes(4)
    data = wire(m.VIDEO, b"v", 1, timestamp=3) + wire(m.AGGREGATE, tag, 1, timestamp=4) + wire(m.DATA, METADATA, 1)
    assert session.receive(data) == [
        MediaReceived(m.VIDEO, 3, b"v"),
        MediaReceived(m.AUDIO, 4, b"a"),
        MediaReceived(m.DATA, 0, METADATA),
    ]


def test_media_sent_to_a_publisher_is_ignored() -> None:
    assert streaming(Mode.PUBLISH).receive(wire(m.VIDEO, b"v", 1)) == []


@pytest.mark.parametrize("mode", Mode)
def test_media_without_a_started_publish_is_our_bug(mode: Mode) -> None:
    session = client(mode)
    with pytest.raises(RuntimeError, match="HANDSHAKE"):
        session.send_media(m.VIDEO, 0, b"v")
    with pytest.raises(RuntimeError, match="PLAY"):
        streaming(Mode.PLAY).send_media(m.VIDEO, 0, b"v")


def test_finish_is_polite_and_idempotent() -> None:
    for mode, names in ((Mode.PUBLISH, ["FCUnpublish", "deleteStream"]), (Mode.PLAY, ["deleteStream"])):
        session = streaming(mode)
        session.finish()
        session.finish()
        assert session.state is ClientState.CLOSED
        reader = ChunkReader()
        reader.chunk_size = 4096
        said = [m.parse_command(20, message.payload).name for message in reader.feed(session.data_to_send())]
        assert said == names


def test_finish_before_the_start_says_nothing() -> None:
    session = client()
    session.data_to_send()
    session.finish()
    assert session.data_to_send() == b""


# control


def test_ping_is_answered_and_received_bytes_are_acknowledged() -> None:
    session = streaming(Mode.PLAY)
    session.receive(
        wire(m.USER_CONTROL, m.build_user_control(m.PING_REQUEST, 77), csid=2)
        + wire(m.USER_CONTROL, m.build_user_control(m.STREAM_EOF, 1), csid=2)
        + wire(m.WINDOW_ACK_SIZE, m.build_number(100), csid=2)
        + wire(m.ACKNOWLEDGEMENT, m.build_number(100), csid=2)
    )
    pong, acknowledgement = ChunkReader().feed(session.data_to_send())
    assert m.parse_user_control(pong.payload) == (m.PING_RESPONSE, 77)
    assert m.parse_number(acknowledgement.payload) == session.received_bytes


def test_server_of_another_version_is_refused() -> None:
    session = client()
    with pytest.raises(ProtocolError):
        session.receive(b"HTTP/1.1 400 Bad Request")
    assert session.state is ClientState.CLOSED


@given(st.booleans(), st.binary(max_size=200))
def test_arbitrary_bytes_give_events_or_a_protocol_error(is_player: bool, data: bytes) -> None:
    session = streaming(Mode.PLAY if is_player else Mode.PUBLISH)
    try:
        session.receive(data)
    except ProtocolError:
        assert session.state is ClientState.CLOSED


# paired with our server


class Pair:
    """A client and a server that read each other in random pieces until both are silent."""

    def __init__(self, mode: Mode, rng: Random, chunk_size: int = 4096) -> None:
        self.client = ClientSession(mode, URL, rng.randbytes(len(ZEROS)), chunk_size)
        self.server = ServerSession(rng.randbytes(len(ZEROS)))
        self.rng = rng
        self.client_events: list[ClientEvent] = []
        self.server_events: list[ServerEvent] = []

    def talk(self) -> None:
        while True:
            to_server, to_client = self.client.data_to_send(), self.server.data_to_send()
            if not to_server and not to_client:
                return
            for piece in self._pieces(to_server):
                self.server_events += self.server.receive(piece)
            for piece in self._pieces(to_client):
                self.client_events += self.client.receive(piece)

    def _pieces(self, data: bytes) -> list[bytes]:
        cut = self.rng.randint(0, len(data))
        return [data[:cut], data[cut:]]


ASKED = Connected("live", "", "rtmp://127.0.0.1/live", "FMLE/3.0 (compatible; OpenKLS)")


@pytest.mark.parametrize("chunk_size", [128, 4096, 65_536])
def test_pair_publishes_and_ends(chunk_size: int, rng: Random) -> None:
    pair = Pair(Mode.PUBLISH, rng, chunk_size)
    pair.talk()
    assert pair.server_events == [ASKED, PublishRequested("live", "", ASKED.tc_url, "s", "k=1")]
    pair.server_events = pair.server.accept_publish()
    pair.talk()
    assert pair.client_events == [PublishStarted()]
    frame = rng.randbytes(10_000)
    pair.client.send_media(m.DATA, 0, METADATA)
    pair.client.send_media(m.VIDEO, 0x1000000, frame)
    pair.client.send_media(m.AUDIO, 0x1000001, b"\xaf\x01a")
    pair.client.finish()
    pair.talk()
    assert pair.server_events == [
        MediaReceived(m.DATA, 0, METADATA),
        MediaReceived(m.VIDEO, 0x1000000, frame),
        MediaReceived(m.AUDIO, 0x1000001, b"\xaf\x01a"),
        PublishEnded(),
    ]


def test_pair_publish_is_refused(rng: Random) -> None:
    pair = Pair(Mode.PUBLISH, rng)
    pair.talk()
    pair.server.refuse_publish(426, "Signature does not match!")
    pair.talk()
    assert pair.client_events == [Refused("error", "NetStream.Publish.Rejected", "426 Signature does not match!")]
    assert pair.client.state is ClientState.CLOSED


@pytest.mark.parametrize(
    ("code", "event"),
    [
        (423, Refused("error", "NetStream.Publish.Rejected", "423 text")),
        (200, Ended("NetStream.Unpublish.Success", "200 text")),
    ],
)
def test_pair_publish_is_cut(code: int, event: ClientEvent, rng: Random) -> None:
    pair = Pair(Mode.PUBLISH, rng)
    pair.talk()
    pair.server.accept_publish()
    pair.talk()
    pair.server.end_publish(code, "text")
    pair.talk()
    assert pair.client_events == [PublishStarted(), event]


def test_pair_plays_shared_bytes_and_ends(rng: Random) -> None:
    pair = Pair(Mode.PLAY, rng)
    pair.talk()
    assert pair.server_events == [ASKED, PlayRequested("live", "", ASKED.tc_url, "s", "k=1")]
    pair.server.accept_play()
    pair.talk()
    frame = rng.randbytes(200_000)
    shared = build_message(m.VIDEO, 0xFFFFFF, PLAY_STREAM_ID, frame, VIDEO_CSID, OUT_CHUNK_SIZE)
    pair.client_events += pair.client.receive(shared)
    pair.server.end_play()
    pair.talk()
    assert [event for event in pair.client_events if event != MediaReceived(18, 0, pair_access())] == [
        PlayStarted(),
        MediaReceived(m.VIDEO, 0xFFFFFF, frame),
        Ended("NetStream.Play.UnpublishNotify", "s is no longer published."),
    ]


def pair_access() -> bytes:
    return amf0.encode("|RtmpSampleAccess", True, True)


def test_pair_player_leaves(rng: Random) -> None:
    pair = Pair(Mode.PLAY, rng)
    pair.talk()
    pair.server.accept_play()
    pair.talk()
    pair.client.finish()
    pair.talk()
    assert pair.server_events[-1] == PlayEnded()
    assert pair.server.state is State.ENDED


def test_pair_play_is_refused(rng: Random) -> None:
    pair = Pair(Mode.PLAY, rng)
    pair.talk()
    pair.server.refuse_play("NetStream.Play.StreamNotFound", "no such stream")
    pair.talk()
    assert pair.client_events == [Refused("error", "NetStream.Play.StreamNotFound", "no such stream")]
