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

from openkls.codec.errors import ProtocolError
from openkls.codec.rtmp.message import ABORT, SET_CHUNK_SIZE, Message, parse_number

CHUNK_SIZE_DEFAULT = 128  # RTMP 1.0, 5.4.1

CHUNK_SIZE_MIN = 128
"""The least chunk size taken, the specification's "should" (5.4.1) and SRS's floor since its issue 541. Each
chunk costs about a microsecond whatever it carries: one-byte chunks would buy a peer that for two bytes."""

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

_HEADER_BYTES = (11, 7, 3, 0)
_SPACES = 0x100000000

_U32 = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """What one connection's reader puts up with; tests lower them, a front may."""

    message_bytes: int = MESSAGE_BYTES_MAX
    partial_messages: int = PARTIAL_MESSAGES_MAX
    partial_bytes: int = PARTIAL_BYTES_MAX
    chunk_streams: int = CHUNK_STREAMS_MAX
    chunk_size_min: int = CHUNK_SIZE_MIN


DEFAULT_LIMITS = ChunkLimits()


@dataclass(slots=True)
class _Header:
    """What a chunk stream's headers have said, with everything that shorter headers leave out filled in."""

    timestamp: int  # of the message, absolute
    delta: int  # added when a type 3 chunk begins the next message
    extended: bytes  # the extended timestamp's four bytes, b"" when the header had none
    length: int
    type_id: int
    stream_id: int


class _ChunkStream:
    """The last header of one chunk stream and the part of a message that has come."""

    __slots__ = ("header", "partial")

    def __init__(self) -> None:
        self.header = _Header(0, 0, b"", 0, 0, 0)
        self.partial: bytearray | None = None


class ChunkReader:
    """Turns a peer's bytes into messages. After a ProtocolError it is not to be used any further."""

    __slots__ = ("_buffer", "_limits", "_partial_bytes", "_partial_messages", "_streams", "chunk_size")

    def __init__(self, limits: ChunkLimits = DEFAULT_LIMITS) -> None:
        self.chunk_size = CHUNK_SIZE_DEFAULT  # the peer's, in bytes
        self._limits = limits
        self._buffer = bytearray()
        self._streams: dict[int, _ChunkStream] = {}
        self._partial_messages = 0
        self._partial_bytes = 0

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes, return the messages they complete. Raises ProtocolError."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        cursor, end = 0, len(buffer)
        with memoryview(buffer) as view:
            while cursor < end:
                behind = self._eat_chunk(view, cursor, messages)
                if behind == cursor:
                    break
                cursor = behind
        del buffer[:cursor]
        return messages

    def _eat_chunk(self, view: memoryview, start: int, messages: list[Message]) -> int:
        """Return the offset behind the chunk at `start`, or `start` when not all of it has come."""
        cursor = start + 1
        chunk_type, csid = view[start] >> 6, view[start] & 0x3F
        if csid < CSID_MIN:  # 5.3.1.1: 0 and 1 are the two- and three-byte forms
            cursor += 1 + csid
            if cursor > len(view):
                return start
            csid = 64 + view[start + 1] + (view[start + 2] << 8 if csid else 0)
        stream = self._streams.get(csid) or self._begin_stream(csid, chunk_type)
        if chunk_type == 3:
            cursor = _skip_repeated_timestamp(view, cursor, stream.header.extended)
            header = stream.header
            if stream.partial is None:
                timestamp = (header.timestamp + header.delta) & 0xFFFFFFFF
                header = replace(header, timestamp=timestamp)
