"""RTMP bytes for tests: a chunk writer that can do everything peers do, and sessions brought to a state.

Rule: written from the specification and independent of the code under test, except where it says so.
"""

from random import Random

from openkls.codec import amf0
from openkls.codec.rtmp import HANDSHAKE_RANDOM_BYTES, Message, ServerSession
from openkls.codec.rtmp import message as m

ZEROS = bytes(HANDSHAKE_RANDOM_BYTES)
GREETING = b"\x03" + bytes(1536) + bytes(1536)  # C0, C1, C2
CONNECT = ("connect", 1.0, {"app": "live", "tcUrl": "rtmp://push.demo.local/live", "flashVer": "FMLE/3.0"})


def basic_header(chunk_type: int, csid: int, long: bool = False) -> bytes:
    """`long` writes the three-byte form where the two-byte one would do."""
    if csid < 64:
        return bytes([chunk_type << 6 | csid])
    if csid < 320 and not long:
        return bytes([chunk_type << 6, csid - 64])
    return bytes([chunk_type << 6 | 1, (csid - 64) % 256, (csid - 64) // 256])


def header(chunk_type: int, csid: int, time: int = 0, length: int = 0, type_id: int = 0, stream_id: int = 0) -> bytes:
    """A whole chunk header; `time` is the timestamp for type 0, else the delta."""
    out = basic_header(chunk_type, csid)
    if chunk_type < 3:
        out += min(time, 0xFFFFFF).to_bytes(3, "big")
    if chunk_type < 2:
        out += length.to_bytes(3, "big") + bytes([type_id])
    if chunk_type == 0:
        out += stream_id.to_bytes(4, "little")
    if chunk_type < 3 and time >= 0xFFFFFF:
        out += time.to_bytes(4, "big")
    return out


def chunks(message: Message, csid: int = 3, chunk_size: int = 128, repeat_extended: bool = True) -> list[bytes]:
    """The message's chunks, a type 0 header first."""
    return _split(
        header(0, csid, message.timestamp, len(message.payload), message.type_id, message.stream_id),
        message.payload,
        csid,
        chunk_size,
        message.timestamp,
        repeat_extended,
    )


def wire(
    type_id: int, payload: bytes, stream_id: int = 0, csid: int = 3, timestamp: int = 0, chunk_size: int = 128
) -> bytes:
    """One message as bytes."""
    return b"".join(chunks(Message(type_id, timestamp, stream_id, payload), csid, chunk_size))


def command(name: object, *values: object, stream_id: int = 0) -> bytes:
    """One AMF0 command as bytes."""
    return wire(m.COMMAND, amf0.encode(name, *values), stream_id)


def _split(head: bytes, payload: bytes, csid: int, chunk_size: int, field: int, repeat_extended: bool) -> list[bytes]:
    tail = basic_header(3, csid)
    if field >= 0xFFFFFF and repeat_extended:
        tail += field.to_bytes(4, "big")
    pieces = [payload[at : at + chunk_size] for at in range(0, len(payload), chunk_size)] or [b""]
    return [(tail if index else head) + piece for index, piece in enumerate(pieces)]


class TerseWriter:
    """Writes messages as real peers do: any header type that is legal for the next message."""

    def __init__(self, rng: Random, chunk_size: int = 128, repeat_extended: bool = True) -> None:
        self.rng = rng
        self.chunk_size = chunk_size
        self.repeat_extended = repeat_extended
        self._last: dict[int, tuple[Message, int]] = {}  # the last message and its time field

    def write(self, message: Message, csid: int) -> list[bytes]:
        chunk_type, field = self.rng.choice(self._legal(message, csid))
        self._last[csid] = (message, field)
        head = header(chunk_type, csid, field, len(message.payload), message.type_id, message.stream_id)
        if chunk_type == 3 and field >= 0xFFFFFF and self.repeat_extended:
            head += field.to_bytes(4, "big")
        return _split(head, message.payload, csid, self.chunk_size, field, self.repeat_extended)

    def _legal(self, message: Message, csid: int) -> list[tuple[int, int]]:
        legal = [(0, message.timestamp)]
        if csid in self._last:
            last, field = self._last[csid]
            delta = (message.timestamp - last.timestamp) % 2**32
            if message.stream_id == last.stream_id:
                legal.append((1, delta))
                if (message.type_id, len(message.payload)) == (last.type_id, len(last.payload)):
                    legal.append((2, delta))
                    if delta == field:
                        legal.append((3, delta))
        return legal


def greeted() -> ServerSession:
    """A server session in CONNECTING."""
    session = ServerSession(ZEROS)
    session.receive(GREETING)
    session.data_to_send()
    return session


def connected() -> ServerSession:
    """A server session in READY."""
    session = greeted()
    session.receive(command(*CONNECT))
    session.data_to_send()
    return session


def asked(name: str = "publish", stream: str = "s") -> ServerSession:
    """A server session in PUBLISH_ASKED or PLAY_ASKED."""
    session = connected()
    session.receive(command(name, 5, None, stream, "live", stream_id=1))
    session.data_to_send()
    return session


def publishing() -> ServerSession:
    """A server session in PUBLISHING."""
    session = asked()
    session.accept_publish()
    session.data_to_send()
    return session


def playing() -> ServerSession:
    """A server session in PLAYING."""
    session = asked("play")
    session.accept_play()
    session.data_to_send()
    return session


# What encoders say from connect to publish, in their order.
OBS = b"".join(
    (
        wire(m.SET_CHUNK_SIZE, m.build_number(4096), csid=2),
        wire(m.COMMAND, amf0.encode(*CONNECT), chunk_size=4096),
        command("releaseStream", 2, None, "s?k=1"),
        command("FCPublish", 3, None, "s?k=1"),
        command("createStream", 4, None),
        command("publish", 5, None, "s?k=1", "live", stream_id=1),
    )
)
FFMPEG = b"".join(
    (
        command(*CONNECT),
        command("releaseStream", 2, None, "s?k=1"),
        command("FCPublish", 3, None, "s?k=1"),
        command("createStream", 4, None),
        command("_checkbw", 5, None),
        command("publish", 6, None, "s?k=1", "live", stream_id=1),
    )
)
GSTREAMER = b"".join(
    (
        command(*CONNECT),
        command("releaseStream", 0, None, "s?k=1"),
        command("FCPublish", 0, None, "s?k=1"),
        command("createStream", 2, None),
        command("publish", 0, None, "s?k=1", "live", stream_id=1),
    )
)
MEDIA = wire(m.VIDEO, b"\x17", 1, csid=6, timestamp=7)

CONTROLS = (
    m.SET_CHUNK_SIZE,
    m.ABORT,
    m.ACKNOWLEDGEMENT,
    m.USER_CONTROL,
    m.WINDOW_ACK_SIZE,
    m.SET_PEER_BANDWIDTH,
)
