"""The container of a file or an HTTP-FLV answer. Rule: reading raises ProtocolError."""

import struct
from typing import Final, NamedTuple

from openkls.codec.errors import ProtocolError

AUDIO: Final = 8
VIDEO: Final = 9
SCRIPT: Final = 18

MAX_TAG_BYTES: Final = 10 * 1024 * 1024  # the RTMP message limit: such a tag could not be published anyway
MAX_HEADER_BYTES: Final = 1024  # DataOffset is 9 in every version there is; a larger one is skipped up to here

_FILE_HEADER_BYTES: Final = 9
_TAG_HEADER_BYTES: Final = 11
_BACK_POINTER_BYTES: Final = 4
_TAG_HEADER: Final = struct.Struct(">II3x")
_BACK_POINTER: Final = struct.Struct(">I")


class Tag(NamedTuple):
    """One FLV tag. ``timestamp`` is in milliseconds, 32 bits, unsigned."""

    type_id: int
    timestamp: int
    payload: bytes


def build_header(audio: bool, video: bool) -> bytes:
    """Return the 13 bytes an FLV stream begins with: the file header and the first, empty back pointer."""
    return b"FLV\x01" + bytes((audio << 2 | video, 0, 0, 0, _FILE_HEADER_BYTES, 0, 0, 0, 0))


def build_tag(type_id: int, timestamp: int, payload: bytes) -> bytes:
    """Return one tag and its back pointer. ``timestamp`` in ms is taken modulo 2^32.

    Raises ValueError for a payload of 16 MiB or more: no RTMP message is that long.
    """
    size = len(payload)
    if size > 0xFFFFFF:
        raise ValueError(f"an FLV tag holds at most 16777215 bytes, not {size}")
    # FLV 10.1, E.4.1: 24 low bits of the timestamp, then its 8 high bits, then a stream id of zero
    head = _TAG_HEADER.pack(type_id << 24 | size, (timestamp & 0xFFFFFF) << 8 | timestamp >> 24 & 0xFF)
    return head + payload + _BACK_POINTER.pack(size + _TAG_HEADER_BYTES)


class FlvReader:
    """Streaming reader: bytes in any portions in, whole tags out.

    Back pointers are not compared: writers that are cut and joined leave wrong ones, and nothing reads backwards.
    After a ProtocolError the reader is of no further use.
    """

    def __init__(self) -> None:
        self.has_audio = False
        self.has_video = False
        self._buffer = bytearray()
        self._skip_bytes = 0  # rest of the file header, then back pointers
        self._in_body = False

    def feed(self, data: bytes) -> list[Tag]:
        """Take the next bytes and return the tags they complete. Raises ProtocolError."""
        buffer = self._buffer
        buffer += data
        tags: list[Tag] = []
        cursor = 0
        end = len(buffer)
        if not self._in_body:
            if end < _FILE_HEADER_BYTES:
                return tags
            self._read_file_header()
            cursor = _FILE_HEADER_BYTES
        while end - cursor >= self._skip_bytes + _TAG_HEADER_BYTES:
            cursor += self._skip_bytes
            self._skip_bytes = 0
            first, second = _TAG_HEADER.unpack_from(buffer, cursor)
            size = first & 0xFFFFFF
            if first >> 24 & 0x20:
                raise ProtocolError("an encrypted FLV tag; only plain ones can be read")
            if size > MAX_TAG_BYTES:
                raise ProtocolError(f"an FLV tag of {size} bytes; at most {MAX_TAG_BYTES} are read", "MAX_TAG_BYTES")
            start = cursor + _TAG_HEADER_BYTES
            if end - start < size:
                break
            cursor = start + size
            timestamp = second >> 8 | (second & 0xFF) << 24
            tags.append(Tag(first >> 24 & 0x1F, timestamp, bytes(buffer[start:cursor])))
            self._skip_bytes = _BACK_POINTER_BYTES
        del buffer[:cursor]
        return tags

    def _read_file_header(self) -> None:
        buffer = self._buffer
        if buffer[:4] != b"FLV\x01":
            raise ProtocolError("not an FLV stream: it does not begin with 'FLV' and version 1")
        offset = int.from_bytes(buffer[5:9], "big")
        if not _FILE_HEADER_BYTES <= offset <= MAX_HEADER_BYTES:
            raise ProtocolError(
                f"an FLV header of {offset} bytes; {_FILE_HEADER_BYTES} to {MAX_HEADER_BYTES} are read",
                "MAX_HEADER_BYTES",
            )
        self.has_audio = bool(buffer[4] & 4)
        self.has_video = bool(buffer[4] & 1)
        self._skip_bytes = offset - _FILE_HEADER_BYTES + _BACK_POINTER_BYTES
        self._in_body = True
