"""RTMP messages: their type ids, and the payloads of control, command, data and aggregate messages.

Rule: pure functions between payloads and values; a payload shorter than its fields is a ProtocolError.
"""

import struct
from typing import NamedTuple

from openkls.codec import amf0
from openkls.codec.errors import ProtocolError

# RTMP 1.0, 5.4 and 7.1
SET_CHUNK_SIZE = 1
ABORT = 2
ACKNOWLEDGEMENT = 3
USER_CONTROL = 4
WINDOW_ACK_SIZE = 5
SET_PEER_BANDWIDTH = 6
AUDIO = 8
VIDEO = 9
DATA_AMF3 = 15
COMMAND_AMF3 = 17
DATA = 18
COMMAND = 20
AGGREGATE = 22

# RTMP 1.0, 7.1.7: user control events
STREAM_BEGIN = 0
STREAM_EOF = 1
SET_BUFFER_LENGTH = 3
PING_REQUEST = 6
PING_RESPONSE = 7

LIMIT_DYNAMIC = 2  # RTMP 1.0, 5.4.5

COMMAND_BYTES_MAX = 64 * 1024
"""The largest command read. A connect with every optional URL is below 4 KiB; media never comes as a command."""

AGGREGATE_PARTS_MAX = 1024
"""Messages in one aggregate. Flash Media Server packs some tens."""

_SET_DATA_FRAME = b"\x02\x00\x0d@setDataFrame"
_CLEAR_DATA_FRAME = b"\x02\x00\x0f@clearDataFrame"

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_PEER_BANDWIDTH = struct.Struct(">IB")
_USER_EVENT = struct.Struct(">HI")
_BUFFER_LENGTH = struct.Struct(">HII")
_PART_HEADER = struct.Struct(">II3s")  # type and size, timestamp low 24 and high 8, stream id
_BACK_POINTER_BYTES = 4


class Message(NamedTuple):
    """One whole message. `timestamp` is absolute, in milliseconds, modulo 2^32."""

    type_id: int
    timestamp: int
    stream_id: int
    payload: bytes


class UserControl(NamedTuple):
    """A user control message: its event and the event's first number (a stream id, or a ping's timestamp)."""

    event: int
    value: int


class Command(NamedTuple):
    """A command message (RTMP 1.0, 7.1.1). `subject` is the command object, mostly a dict or None."""

    name: str
    transaction_id: float
    subject: amf0.AmfValue
    arguments: list[amf0.AmfValue]


# -- protocol control (RTMP 1.0, 5.4) and user control (7.1.7)


def parse_number(payload: bytes) -> int:
    """Return the one 32-bit number of a chunk size, abort, acknowledgement or window message."""
    if len(payload) < 4:
        raise ProtocolError(f"RTMP: a control message of {len(payload)} bytes; at least 4 expected")
    return int(_U32.unpack_from(payload)[0])


def build_number(value: int) -> bytes:
    """Return the payload of a chunk size, abort, acknowledgement or window message."""
    return _U32.pack(value)


def parse_peer_bandwidth(payload: bytes) -> tuple[int, int]:
    """Return the window in bytes and the limit type."""
    if len(payload) < _PEER_BANDWIDTH.size:
        raise ProtocolError(f"RTMP: a peer bandwidth of {len(payload)} bytes; 5 expected")
    window_bytes, limit_type = _PEER_BANDWIDTH.unpack_from(payload)
    return window_bytes, limit_type


def build_peer_bandwidth(window_bytes: int, limit_type: int = LIMIT_DYNAMIC) -> bytes:
    """Return the payload of a peer bandwidth message."""
    return _PEER_BANDWIDTH.pack(window_bytes, limit_type)


def parse_user_control(payload: bytes) -> UserControl:
    """Return the event. An unknown event's number is 0: extensions are to be ignored, not refused."""
    if len(payload) < 2:
        raise ProtocolError(f"RTMP: a user control message of {len(payload)} bytes; at least 2 expected")
    event = _U16.unpack_from(payload)[0]
    if event > PING_RESPONSE:
        return UserControl(event, 0)
    needed = _BUFFER_LENGTH.size if event == SET_BUFFER_LENGTH else _USER_EVENT.size
    if len(payload) < needed:
        raise ProtocolError(f"RTMP: user control event {event} of {len(payload)} bytes; {needed} expected")
    return UserControl(*_USER_EVENT.unpack_from(payload))


def build_user_control(event: int, value: int) -> bytes:
    """Return the payload of a user control message with one number."""
    return _USER_EVENT.pack(event, value)


def build_buffer_length(stream_id: int, buffer_ms: int) -> bytes:
    """Return the payload of a player's SetBufferLength."""
    return _BUFFER_LENGTH.pack(SET_BUFFER_LENGTH, stream_id, buffer_ms)


# -- commands and data


def parse_command(type_id: int, payload: bytes) -> Command:
    """Return the command of a COMMAND or COMMAND_AMF3 message. Raises ProtocolError.

    A missing command object reads as None. The arguments' types are the caller's to check.
    """
    if len(payload) > COMMAND_BYTES_MAX:
        raise ProtocolError(f"RTMP: a command of {len(payload)} bytes", "COMMAND_BYTES_MAX")
    # RTMP 1.0 leaves the AMF3 forms open; clients that send them put a 0 byte before plain AMF0 values.
    values = amf0.decode_all(payload[1:] if type_id == COMMAND_AMF3 else payload)
    values += [None] * (3 - len(values))
    name, transaction_id, subject, *arguments = values
    if not isinstance(name, str):
        raise ProtocolError(f"RTMP: a command's name is a {type(name).__name__}, not a string")
    if not isinstance(transaction_id, float):
        raise ProtocolError("RTMP: a command's transaction id is not a number")
    return Command(name, transaction_id, subject, arguments)


def build_command(name: str, transaction_id: float, subject: amf0.AmfValue, *arguments: amf0.AmfValue) -> bytes:
    """Return the payload of a COMMAND message."""
    return amf0.encode(name, transaction_id, subject, *arguments)


def normalise_data(type_id: int, payload: bytes) -> bytes:
    """Return a DATA or DATA_AMF3 message as players want it: AMF0 that begins with the name.

    `@setDataFrame`, which is an order to the server, is taken off. b"" when there is nothing to pass on:
    no string in front, or `@clearDataFrame`. Nothing behind the name is checked.
    """
    if type_id == DATA_AMF3:
        payload = payload[1:]
    payload = payload.removeprefix(_SET_DATA_FRAME)
    if payload[:1] != b"\x02" or payload.startswith(_CLEAR_DATA_FRAME):
        return b""
    return payload


def split_aggregate(aggregate: Message) -> list[Message]:
    """Return the messages of an AGGREGATE, their timestamps moved to the aggregate's. Raises ProtocolError.

    RTMP 1.0, 7.1.6: FLV tags with back pointers; the difference between the aggregate's timestamp and the
    first part's is added to all. Parts are audio, video or data, never aggregates again.
    """
    payload = aggregate.payload
    parts: list[Message] = []
    offset, shift_ms = 0, 0
    while offset < len(payload):
        if len(parts) == AGGREGATE_PARTS_MAX:
            raise ProtocolError("RTMP: too many messages in an aggregate", "AGGREGATE_PARTS_MAX")
        start = offset + _PART_HEADER.size
        if start > len(payload):
            raise ProtocolError("RTMP: an aggregate ends within a part's header")
        type_and_size, time_fields, _ = _PART_HEADER.unpack_from(payload, offset)
        end = start + (type_and_size & 0xFFFFFF)
        offset = end + _BACK_POINTER_BYTES
        if offset > len(payload):
            raise ProtocolError("RTMP: an aggregate ends within a part")
        if type_and_size >> 24 not in (AUDIO, VIDEO, DATA):
            raise ProtocolError(f"RTMP: a message of type {type_and_size >> 24} in an aggregate")
        timestamp = (time_fields >> 8) | (time_fields & 0xFF) << 24
        if not parts:
            shift_ms = aggregate.timestamp - timestamp
        timestamp = (timestamp + shift_ms) & 0xFFFFFFFF
        parts.append(Message(type_and_size >> 24, timestamp, aggregate.stream_id, payload[start:end]))
    return parts
