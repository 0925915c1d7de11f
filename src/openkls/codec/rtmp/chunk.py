"""RTMP's chunk layer (RTMP 1.0, 5.3): bytes to messages, and a message to bytes.

Rule: memory follows the bytes that came, never what the peer declares; `build_message` keeps no state, so
that all players of a stream get the very same bytes.

Theory of operation of the reader. A message that comes whole in one read and one chunk, as most do, is cut
out of the read: its bytes are copied once. Of any other the parts are gathered as they come, in mid chunk
too, so that what is left between two reads is at most a header that is not complete. Each chunk stream keeps
its last header, for the shorter headers refer to it, and the part of a message that has come. Chunk sizes
and aborts are obeyed here, at their place between chunks, and not passed on.

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


class _ChunkStream:
    """What a chunk stream's headers have said, and the part of a message that has come."""

    __slots__ = ("csid", "delta", "extended", "length", "partial", "stream_id", "timestamp", "type_id")

    def __init__(self, csid: int) -> None:
        self.csid = csid
        self.timestamp = 0  # of the message, absolute
        self.delta = 0  # added when a type 3 chunk begins the next message
        self.extended = b""  # the extended timestamp's four bytes, b"" when the header had none
        self.length = 0
        self.type_id = 0
        self.stream_id = 0
        self.partial: bytearray | None = None


class ChunkReader:
    """Turns a peer's bytes into messages. After a ProtocolError it is not to be used any further."""

    __slots__ = (
        "_credit_bytes",
        "_limits",
        "_open",
        "_open_bytes",
        "_partial_bytes",
        "_partial_messages",
        "_rest",
        "_streams",
        "chunk_size",
    )

    def __init__(self, limits: ChunkLimits = DEFAULT_LIMITS) -> None:
        self.chunk_size = CHUNK_SIZE_DEFAULT  # the peer's, in bytes
        self._limits = limits
        self._rest = b""
        self._credit_bytes = CREDIT_BYTES_START
        self._streams: dict[int, _ChunkStream] = {}
        self._open: _ChunkStream | None = None
        self._open_bytes = 0
        self._partial_messages = 0
        self._partial_bytes = 0

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes, return the messages they complete. Raises ProtocolError."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        messages: list[Message] = []
        cursor, end = 0, len(data)
        while cursor < end:
            stream = self._open
            if stream is None:
                behind = self._open_chunk(data, cursor)
                stream = self._open
                if stream is None:
                    self._rest = data[cursor:]
                    break
                cursor = behind
            expected = self._open_bytes
            behind = cursor + expected
            if behind > end:
                self._keep(stream, data[cursor:])
                self._open_bytes = behind - end
                break
            self._open = None
            if stream.partial is None and expected == stream.length:
                payload = data[cursor:behind]
            elif stream.partial is None and (payload := self._cut_chunks(stream, data, cursor)):
                behind = cursor + len(payload) + (len(payload) - 1) // self.chunk_size
            else:
                partial = self._keep(stream, data[cursor:behind])
                if len(partial) < stream.length:
                    cursor = behind
                    continue
                self._forget_partial(stream, len(partial))
                payload = bytes(partial)
            cursor = behind
            message = Message(stream.type_id, stream.timestamp, stream.stream_id, payload)
            if stream.type_id > ABORT or not self._obey(message):
                messages.append(message)
        return messages

    def _open_chunk(self, data: bytes, start: int) -> int:
        """Read a chunk's header: returns the offset behind it, with the chunk open; `start` when not all of the
        header has come."""
        chunk_type, csid = data[start] >> 6, data[start] & 0x3F
        cursor = start + 1
        if csid < CSID_MIN:  # 5.3.1.1: 0 and 1 announce the two- and three-byte forms
            cursor += 1 + csid
            if cursor > len(data):
                return start
            csid = 64 + data[start + 1] + (data[start + 2] << 8 if csid else 0)
        stream = self._streams.get(csid) or self._begin_stream(csid, chunk_type)
        cursor = _pull_header(data, cursor, chunk_type, stream)
        if not cursor:
            return start
        partial = stream.partial
        left = stream.length if partial is None else stream.length - len(partial)
        expected = left if left < self.chunk_size else self.chunk_size
        self._check_room(stream, expected)
        self._pay(cursor + expected - start, 1)
        self._open, self._open_bytes = stream, expected
        return cursor

    def _cut_chunks(self, stream: _ChunkStream, data: bytes, cursor: int) -> bytes:
        """The payload of a message whose chunks follow one another in `data`, cut out in one step; b"" when they do
        not, or not all of them have come. Of chunks of 128 bytes it takes a third of the time of one by one."""
        size, length = self.chunk_size, stream.length
        headers = (length - 1) // size
        behind = cursor + length + headers
        if (
            behind > len(data)
            or stream.extended
            or data[cursor + size : behind : size + 1] != _basic_header(3, stream.csid) * headers
            or self._partial_bytes + length > self._limits.partial_bytes
        ):
            return b""
        payload = bytearray(data[cursor:behind])
        del payload[size :: size + 1]
        self._pay(length - size + headers, headers)
        return bytes(payload)

    def _pay(self, size_bytes: int, chunks: int) -> None:
        """Credit a peer with its bytes, and charge it for its chunks."""
        self._credit_bytes += size_bytes - chunks * CHUNK_COST_BYTES
        if self._credit_bytes > CREDIT_BYTES_MAX:
            self._credit_bytes = CREDIT_BYTES_MAX
        elif self._credit_bytes < 0:
            raise ProtocolError("RTMP: too many chunks for their bytes", "CHUNK_COST_BYTES")

    def _begin_stream(self, csid: int, chunk_type: int) -> _ChunkStream:
        if chunk_type > 1:
            raise ProtocolError(f"RTMP: chunk stream {csid} begins with a type {chunk_type} header")
        if len(self._streams) >= self._limits.chunk_streams:
            raise ProtocolError(f"RTMP: more than {len(self._streams)} chunk streams", "CHUNK_STREAMS_MAX")
        stream = self._streams[csid] = _ChunkStream(csid)
        return stream

    def _check_room(self, stream: _ChunkStream, expected: int) -> None:
        """Refuse what would not fit before its bytes are waited for."""
        limits = self._limits
        if stream.length > limits.message_bytes:
            raise ProtocolError(f"RTMP: a message of {stream.length} bytes", "MESSAGE_BYTES_MAX")
        if self._partial_bytes + expected > limits.partial_bytes:
            raise ProtocolError("RTMP: too many bytes of incomplete messages", "PARTIAL_BYTES_MAX")
        if self._partial_messages >= limits.partial_messages and stream.partial is None and expected < stream.length:
            raise ProtocolError("RTMP: incomplete messages on too many chunk streams", "PARTIAL_MESSAGES_MAX")

    def _keep(self, stream: _ChunkStream, piece: bytes) -> bytearray:
        """Add to the part of a message that has come."""
        self._partial_bytes += len(piece)
        partial = stream.partial
        if partial is None:
            partial = stream.partial = bytearray(piece)
            self._partial_messages += 1
        else:
            partial += piece
        return partial

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


def _pull_header(data: bytes, cursor: int, chunk_type: int, stream: _ChunkStream) -> int:
    """Take in what a chunk's header says; returns the offset behind it, 0 (and nothing is taken) when not all of it
    has come."""
    if chunk_type == 3:
        if stream.extended:
            repeated = data[cursor : cursor + 4]
            if repeated == stream.extended:
                cursor += 4
            elif stream.extended.startswith(repeated):
                return 0  # it may yet turn out to be the repeated timestamp
        if stream.partial is None:
            stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
        return cursor

    if stream.partial is not None:
        raise ProtocolError("RTMP: a new header within a message")
    behind = cursor + _HEADER_BYTES[chunk_type]
    if behind > len(data):
        return 0
    extended = b""
    if chunk_type == 2:
        time = int.from_bytes(data[cursor:behind], "big")
    else:
        time_and_length, length, type_id = _TIME_LENGTH_TYPE.unpack_from(data, cursor)
        time = time_and_length >> 8
    if time == EXTENDED:
        extended = data[behind : behind + 4]
        behind += 4
        if behind > len(data):
            return 0
        time = int.from_bytes(extended, "big")
    if chunk_type < 2:
        stream.length, stream.type_id = (time_and_length & 0xFF) << 16 | length, type_id
    if chunk_type == 0:
        stream.timestamp = time
        # The one little-endian number (5.3.1.2.1).
        stream.stream_id = int.from_bytes(data[cursor + 7 : cursor + 11], "little")
    else:
        stream.timestamp = (stream.timestamp + time) & 0xFFFFFFFF
    stream.delta, stream.extended = time, extended
    return behind


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
