"""Fuzz target: the RTMP machines. The first byte chooses which: a server from its first byte, a server whose
peer is connected, a client that plays, or the chunk reader alone.
"""

from collections.abc import Callable
from itertools import pairwise
from random import Random

from openkls.codec import ProtocolError, amf0
from openkls.codec.rtmp import (
    HANDSHAKE_RANDOM_BYTES,
    ChunkReader,
    ClientSession,
    Mode,
    ServerSession,
    State,
    build_message,
    parse_rtmp_url,
)
from openkls.codec.rtmp import message as m

ZEROS = bytes(HANDSHAKE_RANDOM_BYTES)
GREETING = b"\x03" + bytes(2 * 1536)
URL = parse_rtmp_url("rtmp://h/live/s")


def _command(*values: amf0.AmfValue) -> bytes:
    return build_message(m.COMMAND, 0, 1, amf0.encode(*values), 3, 128)


CONNECT = _command("connect", 1, {"app": "live", "tcUrl": "rtmp://h/live"})
PUBLISH = _command("createStream", 2, None) + _command("publish", 3, None, "s", "live")
PLAY = _command("createStream", 2, None) + _command("play", 3, None, "s", -2)
MEDIA = b"".join(
    (
        build_message(m.DATA, 0, 1, amf0.encode("@setDataFrame", "onMetaData", amf0.EcmaArray(width=1)), 5, 128),
        build_message(m.VIDEO, 40, 1, b"\x17\x01\x00\x00\x00" + bytes(300), 6, 128),
        b"\x46\x00\x00\x28\x00\x00\x05\x09\x27\x01\x00\x00\x00\xc6\x27\x01\x00\x00\x00",
        build_message(m.AUDIO, 0x1000000, 1, b"\xaf\x01" + bytes(200), 4, 128),
        build_message(m.AGGREGATE, 50, 1, b"\x08\x00\x00\x01\x00\x00\x09\x00\x00\x00\x00a\x00\x00\x00\x0c", 4, 128),
    )
)
CONTROL = b"".join(
    build_message(type_id, 0, 0, payload, 2, 128)
    for type_id, payload in (
        (m.SET_CHUNK_SIZE, m.build_number(4096)),
        (m.ABORT, m.build_number(6)),
        (m.ACKNOWLEDGEMENT, m.build_number(5000)),
        (m.USER_CONTROL, m.build_user_control(m.PING_REQUEST, 7)),
        (m.USER_CONTROL, m.build_buffer_length(1, 3000)),
        (m.WINDOW_ACK_SIZE, m.build_number(2500)),
        (m.SET_PEER_BANDWIDTH, m.build_peer_bandwidth(2500)),
    )
)
ANSWERS = b"".join(
    (
        _command("_result", 1, {}, {"code": "NetConnection.Connect.Success"}),
        _command("_result", 4, None, 1),
        _command("onStatus", 0, None, {"level": "status", "code": "NetStream.Play.Start"}),
    )
)


def seeds() -> list[bytes]:
    """Whole conversations to start from."""
    return [
        b"\x00" + GREETING + CONNECT + PUBLISH + MEDIA,
        b"\x01" + PUBLISH + MEDIA + CONTROL + _command("deleteStream", 4, None, 1),
        b"\x01" + PLAY + CONTROL + _command("closeStream", 4, None),
        b"\x01" + CONTROL + PUBLISH + MEDIA + PUBLISH,
        b"\x02" + GREETING + ANSWERS + MEDIA + CONTROL,
        b"\x03" + MEDIA + CONTROL + MEDIA,
    ]


def fuzz_one(data: bytes) -> None:
    """Bytes that are read without a ProtocolError give the same events and state however they are cut."""
    converse = _CONVERSATIONS[data[0] % len(_CONVERSATIONS)] if data else _read_chunks
    whole = converse([data[1:]])
    rng = Random(len(data))
    cuts = sorted(rng.randint(1, max(len(data), 1)) for _ in range(3))
    edges = [1, *cuts, max(len(data), 1)]
    assert converse([data[a:b] for a, b in pairwise(edges)]) == whole


def _serve(session: ServerSession, pieces: list[bytes]) -> tuple[object, ...]:
    """Feed a session whose owner accepts everything, at once."""
    events = []
    for piece in pieces:
        try:
            events += session.receive(piece)
            if session.state is State.PUBLISH_ASKED:
                events += session.accept_publish()
            elif session.state is State.PLAY_ASKED:
                events += session.accept_play()
        except ProtocolError:
            assert session.state is State.CLOSED
            assert session.receive(piece) == []
            raise
        said = session.data_to_send()
        # One message asked for is answered with at most twenty times its bytes, the handshake apart.
        assert len(said) <= 4000 + 20 * len(piece)
    return events, session.state


def _serve_from_the_start(pieces: list[bytes]) -> tuple[object, ...]:
    return _serve(ServerSession(ZEROS), pieces)


def _serve_connected(pieces: list[bytes]) -> tuple[object, ...]:
    session = ServerSession(ZEROS)
    session.receive(GREETING + CONNECT)
    session.data_to_send()
    return _serve(session, pieces)


def _play(pieces: list[bytes]) -> tuple[object, ...]:
    session = ClientSession(Mode.PLAY, URL, ZEROS)
    events = [event for piece in pieces for event in session.receive(piece)]
    return events, session.state


def _read_chunks(pieces: list[bytes]) -> tuple[object, ...]:
    reader = ChunkReader()
    messages = [message for piece in pieces for message in reader.feed(piece)]
    return messages, reader.chunk_size


_CONVERSATIONS: list[Callable[[list[bytes]], tuple[object, ...]]] = [
    _serve_from_the_start,
    _serve_connected,
    _play,
    _read_chunks,
]
