"""The header that enhanced audio and enhanced video share (enhanced RTMP v2), and what a message may carry.

Rule: a header that makes no sense is None.
"""

import enum
from typing import Final, NamedTuple

MAX_MOD_EX: Final = 8  # chained modifiers of one message; each costs 3 bytes, so 10 MiB could hold millions
MOD_EX: Final = 7


class Kind(enum.Enum):
    """What an audio or video message carries."""

    SEQUENCE_HEADER = "sequence_header"
    CODED = "coded"
    END = "end"
    METADATA = "metadata"
    OTHER = "other"  # broken, empty or a command


NO_BODY_NEEDED: Final = frozenset((Kind.END, Kind.METADATA))


class ExHeader(NamedTuple):
    """What the wrappers say of the (first) track's body."""

    packet: int
    fourcc: bytes
    body_offset: int
    track: int


_MANY_TRACKS_MANY_CODECS: Final = 2


def parse_ex_header(payload: bytes, multitrack: int) -> ExHeader | None:
    """Read up to the body of the message's (first) track; None when broken. ``multitrack``: its packet type."""
    packet = payload[0] & 0x0F
    if packet >= multitrack:
        try:
            return _parse_wrapped(payload, multitrack)
        except IndexError:
            return None
    fourcc = bytes(payload[1:5])
    return ExHeader(packet, fourcc, 5, 0) if len(fourcc) == 4 else None


def _parse_wrapped(payload: bytes, multitrack: int) -> ExHeader | None:
    """Enhanced RTMP v2, "ExVideoTagHeader" and "ExAudioTagHeader": ModEx, then Multitrack. IndexError if short."""
    packet = payload[0] & 0x0F
    cursor = 1
    for _ in range(MAX_MOD_EX):
        if packet != MOD_EX:
            break
        size = payload[cursor] + 1
        cursor += 1
        if size == 256:
            size = (payload[cursor] << 8 | payload[cursor + 1]) + 1
            cursor += 2
        cursor += size  # the modifier itself: nothing here needs nanosecond offsets
        packet = payload[cursor] & 0x0F
        cursor += 1
    if packet != multitrack:
        fourcc = bytes(payload[cursor : cursor + 4])
        return ExHeader(packet, fourcc, cursor + 4, 0) if packet < multitrack and len(fourcc) == 4 else None
    layout, packet = payload[cursor] >> 4, payload[cursor] & 0x0F
    if layout > _MANY_TRACKS_MANY_CODECS or packet >= multitrack:
        return None
    fourcc = bytes(payload[cursor + 1 : cursor + 5])
    track = payload[cursor + 5]
    return ExHeader(packet, fourcc, cursor + (9 if layout else 6), track)  # with a 24-bit size unless OneTrack
