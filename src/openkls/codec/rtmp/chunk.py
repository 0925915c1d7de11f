"""RTMP's chunk layer (RTMP 1.0, 5.3): bytes to messages, and a message to bytes.

Rule: memory follows the bytes that came, never what the peer declares; `build_message` keeps no state, so
that all players of a stream get the very same bytes.

Theory of operation of the reader. Bytes are appended to one buffer and eaten by a cursor, a whole chunk at
a time; what was eaten is deleted once per feed (an order of magnitude cheaper than deleting per chunk, and
the cheapest of the layouts measured). Each chunk stream keeps its last header, for the shorter headers
refer to it, and the part of a message that has come. Chunk sizes and aborts are obeyed here, at their place
between chunks, and not passed on.

Decisions where the specification leaves room, or clients leave the specification:
- A fresh chunk stream may begin with a type 1 header, stream id 0: librtmp sends its pings so (SRS #98).
  Types 2 and 3 need a header before them.
- Within a message only type 3 headers are legal. (A new header there is how lengths get changed in mid
  message: FFmpeg CVE-2016-10191.)
- Type 3 after an extended timestamp: the specification repeats the four bytes, some peers don't. They are
  eaten when they equal the ones of the header, else they are payload.
- A type 3 chunk that begins a message adds the last delta; after a type 0 header that is its timestamp
  (5.3.1.2.4), which is also how ffmpeg and librtmp read and write it.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from openkls.codec.errors import ProtocolError
from openkls.codec.rtmp.message import ABORT, SET_CHUNK_SIZE, Message, parse_number

CHUNK_SIZE_DEFAULT = 128  # RTMP 1.0, 5.4.1

CHUNK_SIZE_MIN = 128
"""The least chunk size taken, the specification's "should" (5.4.1) and SRS's floor since its issue 541."""

CHUNK_COST_BYTES = 8
"""What a chunk costs of the credit that a peer gets for each byte of its chunks. A chunk takes a microsecond or so
whatever it carries, and headers can be one byte long: without a price, messages of no or one byte would buy
that for a byte or two. The shortest real ones, Opus silence under a one-byte header, are 8 bytes."""

CREDIT_BYTES_START = 1024
CREDIT_BYTES_MAX = 64 * 1024  # saved up by ordinary chunks, for a burst of tiny ones

CHUNK_SIZE_MAX = 0xFFFFFF  # a larger one changes nothing: no message is longer (5.4.1)

MESSAGE_BYTES_MAX = 10 * 1024 * 1024
"""The longest message: far above any frame (a 4K intra frame is some 2 MiB), below the wire's 16 MiB."""

PARTIAL_MESSAGES_MAX = 32
"""Chunk streams in the middle of a message; nginx-rtmp's max_streams. Encoders use two or three."""

PARTIAL_BYTES_MAX = 16 * 1024 * 1024
"""All incomplete messages of a connection together: one message at its limit, and room for the others."""

CHUNK_STREAMS_MAX = 64
"""Chunk streams remembered (0.3 KB each) out of 65,600 possible; clients use under ten."""

EXTENDED = 0xFFFFFF  # in a 24-bit timestamp field: the value is in the extended field (5.3.1.3)
CSID_MIN = 2
CSID_MAX = 65_599
CONTROL_CSID = 2  # protocol control messages, with message stream 0 (5.4)

_HEADER_BYTES = (11, 7, 3)  # of types 0, 1 and 2 (5.3.1.2)

_U32 = struct.Struct(">I")
_TIME_LENGTH_TYPE = struct.Struct(">IHB")  # 24 bits of time and the length's high 8, its low 16, the type


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """What one connection's reader puts up with; tests lower them, a front may."""

    message_bytes: int = MESSAGE_BYTES_MAX
    partial_messages: int = PARTIAL_MESSAGES_MAX
    partial_bytes: int = PARTIAL_BYTES_MAX
    chunk_streams: int = CHUNK_STREAMS_MAX
    chunk_size_min: int = CHUNK_SIZE_MIN


DEFAULT_LIMITS = ChunkLimits()


class _Header(NamedTuple):
    """What a chunk stream's headers have said, with everything that shorter headers leave out filled in."""

    timestamp: int  # of the message, absolute
    delta: int  # added when a type 3 chunk begins the next message
    extended: bytes  # the extended timestamp's four bytes, b"" when the header had none
    length: int
    type_id: int
    stream_id: int


_NOTHING_SAID = _Header(0, 0, b"", 0, 0, 0)


class _ChunkStream:
    """The last header of one chunk stream and the part of a message that has come."""

    __slots__ = ("header", "partial")

    def __init__(self) -> None:
        self.header = _NOTHING_SAID
        self.partial: bytearray | None = None


class ChunkReader:
    """Turns a peer's bytes into messages. After a ProtocolError it is not to be used any further."""

    __slots__ = ("_buffer", "_credit_bytes", "_limits", "_partial_bytes", "_partial_messages", "_streams", "chunk_size")

    def __init__(self, limits: ChunkLimits = DEFAULT_LIMITS) -> None:
        self.chunk_size = CHUNK_SIZE_DEFAULT  # the peer's, in bytes
        self._limits = limits
        self._buffer = bytearray()
        self._credit_bytes = CREDIT_BYTES_START
        self._streams: dict[int, _ChunkStream] = {}
        self._partial_messages = 0
        self._partial_bytes = 0

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes, return the messages they complete. Raises ProtocolError."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        credit_bytes = self._credit_bytes
        cursor, end = 0, len(buffer)
        with memoryview(buffer) as view:
            while cursor < end:
                behind = self._eat_chunk(view, cursor, messages)
                if behind == cursor:
                    break
                credit_bytes = min(credit_bytes + behind - cursor - CHUNK_COST_BYTES, CREDIT_BYTES_MAX)
                cursor = behind
                if credit_bytes < 0:
                    raise ProtocolError("RTMP: too many chunks for their bytes", "CHUNK_COST_BYTES")
        del buffer[:cursor]
        self._credit_bytes = credit_bytes
        return messages

    def _eat_chunk(self, view: memoryview, start: int, messages: list[Message]) -> int:
        """Return the offset behind the chunk at `start`, or `start` when not all of it has come."""
        cursor = start + 1
        chunk_type, csid = view[start] >> 6, view[start] & 0x3F
        if csid < CSID_MIN:  # 5.3.1.1: 0 and 1 announce the two- and three-byte forms
            cursor += 1 + csid
            if cursor > len(view):
                return start
            csid = 64 + view[start + 1] + (view[start + 2] << 8 if csid else 0)
        stream = self._streams.get(csid) or self._begin_stream(csid, chunk_type)
        pulled = _pull_header(view, cursor, chunk_type, stream)
        if pulled is None:
            return start
        header, cursor = pulled
        received = 0 if stream.partial is None else len(stream.partial)
        expected = min(header.length - received, self.chunk_size)
        self._check_room(header, expected)
        end = cursor + expected
        if end > len(view):
            return start
        stream.header = header
        payload = self._take_payload(stream, view[cursor:end])
        if payload is not None:
            message = Message(header.type_id, header.timestamp, header.stream_id, payload)
            if header.type_id > ABORT or not self._obey(message):
                messages.append(message)
        return end

    def _begin_stream(self, csid: int, chunk_type: int) -> _ChunkStream:
        if chunk_type > 1:
            raise ProtocolError(f"RTMP: chunk stream {csid} begins with a type {chunk_type} header")
        if len(self._streams) >= self._limits.chunk_streams:
            raise ProtocolError(f"RTMP: more than {len(self._streams)} chunk streams", "CHUNK_STREAMS_MAX")
        stream = self._streams[csid] = _ChunkStream()
        return stream

    def _check_room(self, header: _Header, expected: int) -> None:
        """Refuse what would not fit before its bytes are waited for."""
        if header.length > self._limits.message_bytes:
            raise ProtocolError(f"RTMP: a message of {header.length} bytes", "MESSAGE_BYTES_MAX")
        if self._partial_bytes + expected > self._limits.partial_bytes:
            raise ProtocolError("RTMP: too many bytes of incomplete messages", "PARTIAL_BYTES_MAX")

    def _take_payload(self, stream: _ChunkStream, piece: memoryview) -> bytes | None:
        """Return the message's payload if `piece` completes it, else keep the piece."""
        partial = stream.partial
        if partial is None:
            if len(piece) == stream.header.length:
                return bytes(piece)
            if self._partial_messages >= self._limits.partial_messages:
                raise ProtocolError("RTMP: incomplete messages on too many chunk streams", "PARTIAL_MESSAGES_MAX")
            stream.partial = bytearray(piece)
            self._partial_messages += 1
            self._partial_bytes += len(piece)
            return None
        partial += piece
        if len(partial) < stream.header.length:
            self._partial_bytes += len(piece)
            return None
        self._partial_bytes += len(piece)
        self._forget_partial(stream, len(partial))
        return bytes(partial)

    def _forget_partial(self, stream: _ChunkStream, partial_bytes: int) -> None:
        stream.partial = None
        self._partial_messages -= 1
        self._partial_bytes -= partial_bytes

    def _obey(self, message: Message) -> bool:
        """Act on a chunk size or abort message (5.4.1, 5.4.2); False for any other."""
        if message.type_id == SET_CHUNK_SIZE:
            chunk_size = parse_number(message.payload)
            # The first bit has to be zero; what has it set was meant to be negative.
            if chunk_size < self._limits.chunk_size_min or chunk_size >> 31:
                raise ProtocolError(f"RTMP: a chunk size of {chunk_size} bytes", "CHUNK_SIZE_MIN")
            self.chunk_size = min(chunk_size, CHUNK_SIZE_MAX)
            return True
        if message.type_id == ABORT:
            stream = self._streams.get(parse_number(message.payload))
            if stream is not None and stream.partial is not None:
                self._forget_partial(stream, len(stream.partial))
            return True
        return False


def _pull_header(view: memoryview, cursor: int, chunk_type: int, stream: _ChunkStream) -> tuple[_Header, int] | None:
    """Return the header in force for the chunk and the offset behind it; None when not all of it has come."""
    last = stream.header
    if chunk_type == 3:
        if last.extended:
            repeated = view[cursor : cursor + 4]
            if repeated == last.extended:
                cursor += 4
            elif repeated == last.extended[: len(repeated)]:
                return None  # it may yet turn out to be the repeated timestamp
        if stream.partial is not None:
            return last, cursor
        timestamp = (last.timestamp + last.delta) & 0xFFFFFFFF
        return _Header(timestamp, *last[1:]), cursor

    if stream.partial is not None:
        raise ProtocolError("RTMP: a new header within a message")
    fields = view[cursor : cursor + _HEADER_BYTES[chunk_type]]
    cursor += _HEADER_BYTES[chunk_type]
    if cursor > len(view):
        return None
    time = int.from_bytes(fields[:3], "big")
    extended = b""
    if time == EXTENDED:
        extended = bytes(view[cursor : cursor + 4])
        cursor += 4
        if cursor > len(view):
            return None
        time = int.from_bytes(extended, "big")
    timestamp = time if chunk_type == 0 else (last.timestamp + time) & 0xFFFFFFFF
    length, type_id, stream_id = last.length, last.type_id, last.stream_id
    if chunk_type < 2:
        length, type_id = int.from_bytes(fields[3:6], "big"), fields[6]
    if chunk_type == 0:
        stream_id = int.from_bytes(fields[7:11], "little")  # the one little-endian number (5.3.1.2.1)
    return _Header(timestamp, time, extended, length, type_id, stream_id), cursor


def build_message(type_id: int, timestamp: int, stream_id: int, payload: bytes, csid: int, chunk_size: int) -> bytes:
    """Return a message as chunks: one type 0 header, then type 3.

    `timestamp` in milliseconds, taken modulo 2^32; `csid` 2 to 65,599; `chunk_size` the size last announced
    to the peer. Keeps and needs no state, so the bytes are good for every peer told the same chunk size.
    """
    timestamp &= 0xFFFFFFFF
    extended = _U32.pack(timestamp) if timestamp >= EXTENDED else b""
    length = len(payload)
    head = b"".join(
        (
            _basic_header(0, csid),
            _TIME_LENGTH_TYPE.pack(min(timestamp, EXTENDED) << 8 | length >> 16, length & 0xFFFF, type_id),
            stream_id.to_bytes(4, "little"),
            extended,
        )
    )
    if length <= chunk_size:
        return head + payload
    pieces = [payload[at : at + chunk_size] for at in range(0, length, chunk_size)]
    return head + (_basic_header(3, csid) + extended).join(pieces)


def _basic_header(chunk_type: int, csid: int) -> bytes:
    if csid < 64:
        return bytes((chunk_type << 6 | csid,))
    if csid < 320:
        return bytes((chunk_type << 6, csid - 64))
    return bytes((chunk_type << 6 | 1,)) + (csid - 64).to_bytes(2, "little")
