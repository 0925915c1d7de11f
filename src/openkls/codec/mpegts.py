"""MPEG transport streams: one program of at most one video and one audio track, out of frames.

Rule: nothing here looks into a frame; what goes in comes out in packets of 188 bytes. Section numbers are those of
ISO/IEC 13818-1 (2015).

Theory of operation. A frame (or a group of audio frames) is one PES packet. It begins a transport packet, which may
hold the clock; then come packets that differ in their continuity counter only; the last one is stuffed. Most packets
are of the middle kind, and are never touched one by one: one call of ``struct`` slices them, one ``join`` puts the
headers, made at import, between them. Clocks run at 90 kHz in 33 bits (2.4.2.2): callers give integers of
any size, and the wrap is made here.
"""

import enum
import struct
from collections.abc import Iterable
from functools import cache
from typing import Final

PACKET_BYTES: Final = 188
TICKS_PER_MS: Final = 90
MAX_AUDIO_PES_BYTES: Final = 0xFFFF - 8  # 2.4.3.7: only a video PES may leave its length, 16 bits, unsaid

# What a frame is ahead of the program clock when its bytes arrive: above the longest group of audio frames and the
# usual skew between the tracks, below the second that 2.4.2.6 allows a frame to wait.
CLOCK_LEAD_TICKS: Final = 700 * TICKS_PER_MS

_BODY_BYTES: Final = 184
_CLOCK_MASK: Final = (1 << 33) - 1
_PMT_PID: Final = 0x1000
_VIDEO_PID: Final = 0x100
_AUDIO_PID: Final = 0x101
_PROGRAM: Final = 1
_BLOCK_PACKETS: Final = 64  # packets sliced by one call; the compiled formats of 1 to 64 take 100 KiB

# 2.4.3.4: adaptation_field_control
_WITH_FIELD: Final = 0x20
_WITH_BODY: Final = 0x10
_RANDOM_ACCESS: Final = 0x40
_WITH_CLOCK: Final = 0x10


class StreamType(enum.IntEnum):
    """Table 2-34."""

    MPEG1_AUDIO = 0x03
    MPEG2_AUDIO = 0x04  # the half sample rates
    AAC = 0x0F
    H264 = 0x1B
    HEVC = 0x24


# 2.6.8: players ask for the registration of HEVC
_DESCRIPTORS: Final = {StreamType.HEVC: b"\x05\x04HEVC"}


def _stuffing(gap: int) -> bytes:
    """An adaptation field that says nothing, ``gap`` bytes long (2.4.3.5)."""
    return bytes((gap - 1, 0))[:gap] + b"\xff" * (gap - 2) if gap else b""


_STUFFING: Final = [_stuffing(gap) for gap in range(_BODY_BYTES)]


@cache
def _slicer(packets: int) -> struct.Struct:
    return struct.Struct(f"{_BODY_BYTES}s" * packets)


class _Pid:
    """The packets of one PID, and its continuity counter (2.4.3.3)."""

    __slots__ = ("_counter", "_middle", "_pid")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._counter = 0
        head = bytes((0x47, pid >> 8, pid & 0xFF))
        self._middle = [head + bytes((_WITH_BODY | n & 15,)) for n in range(16 + _BLOCK_PACKETS)]

    def packets(self, field: bytes, data: bytes) -> bytes:
        """Packets that hold ``data``. ``field``: flags and clock of the first one's adaptation field, or nothing."""
        size = len(data)
        if field:
            room = _BODY_BYTES - 1 - len(field)
            gap = max(room - size, 0)
            field = bytes((len(field) + gap,)) + field + b"\xff" * gap
        else:
            room = _BODY_BYTES
            field = _STUFFING[max(room - size, 0)]
        counter = self._counter
        control = _WITH_FIELD | _WITH_BODY if field else _WITH_BODY
        pieces = [bytes((0x47, 0x40 | self._pid >> 8, self._pid & 0xFF, control | counter)), field, data[:room]]
        counter += 1
        full = (size - room) // _BODY_BYTES if size > room else 0
        while full:
            count = min(full, _BLOCK_PACKETS)
            counter &= 15
            block = [b""] * (2 * count)  # filled by slices: half the time of any way that pairs the two
            block[::2] = self._middle[counter : counter + count]
            block[1::2] = _slicer(count).unpack_from(data, room)
            pieces += block
            counter += count
            room += count * _BODY_BYTES
            full -= count
        if size > room:
            control = _WITH_FIELD | _WITH_BODY | counter & 15
            pieces += (
                bytes((0x47, self._pid >> 8, self._pid & 0xFF, control)),
                _STUFFING[_BODY_BYTES - size + room],
                data[room:],
            )
            counter += 1
        self._counter = counter & 15
        return b"".join(pieces)

    def section(self, section: bytes) -> bytes:
        """One packet that holds a table's section (2.4.4): pointer field, section, and 0xFF to the end."""
        head = bytes((0x47, 0x40 | self._pid >> 8, self._pid & 0xFF, _WITH_BODY | self._counter, 0))
        self._counter = self._counter + 1 & 15
        return (head + section).ljust(PACKET_BYTES, b"\xff")


class TsWriter:
    """Writes one program. Its continuity counters run on through every segment cut out of what it returns."""

    def __init__(self) -> None:
        self._pat = _Pid(0)
        self._pmt = _Pid(_PMT_PID)
        self._video = _Pid(_VIDEO_PID)
        self._audio = _Pid(_AUDIO_PID)
        self._version = 0
        self._map = b""

    def tables(self, video: StreamType | None, audio: StreamType | None, clock_in_video: bool) -> bytes:
        """The two packets a segment begins with: which tracks there are, and which of them holds the clock."""
        tracks = [(kind, pid) for kind, pid in ((video, _VIDEO_PID), (audio, _AUDIO_PID)) if kind is not None]
        body = struct.pack(">HH", 0xE000 | (_VIDEO_PID if clock_in_video else _AUDIO_PID), 0xF000)
        for kind, pid in tracks:
            descriptors = _DESCRIPTORS.get(kind, b"")
            body += struct.pack(">BHH", kind, 0xE000 | pid, 0xF000 | len(descriptors)) + descriptors
        if body != self._map:
            if self._map:
                self._version = self._version + 1 & 31
            self._map = body
        programs = struct.pack(">HH", _PROGRAM, 0xE000 | _PMT_PID)
        return self._pat.section(_build_section(0, 1, 0, programs)) + self._pmt.section(
            _build_section(2, _PROGRAM, self._version, body)
        )

    def video(self, dts: int, pts: int, pieces: Iterable[bytes], random_access: bool) -> bytes:
        """The packets of one access unit, given in pieces. ``dts`` and ``pts`` in ticks of 90 kHz.

        The clock is in each of them: a frame every 100 ms is all that 2.7.2 asks for.
        """
        field = _build_clock(dts, random_access)
        # 2.4.3.6: stream id, length unsaid, data_alignment_indicator, PTS and perhaps DTS
        if pts == dts:
            head = b"\x00\x00\x01\xe0\x00\x00\x84\x80\x05" + _build_stamp(2, pts).to_bytes(5, "big")
        else:
            stamps = _build_stamp(3, pts) << 40 | _build_stamp(1, dts)
            head = b"\x00\x00\x01\xe0\x00\x00\x84\xc0\x0a" + stamps.to_bytes(10, "big")
        return self._video.packets(field, b"".join((head, *pieces)))

    def audio(self, pts: int, pieces: Iterable[bytes], with_clock: bool) -> bytes:
        """The packets of one or several audio frames of at most MAX_AUDIO_PES_BYTES; ``pts``, in ticks of 90 kHz, is
        that of the first. Raises ValueError for more."""
        body = b"".join(pieces)
        if len(body) > MAX_AUDIO_PES_BYTES:
            raise ValueError(f"an audio PES packet of {len(body)} bytes; at most {MAX_AUDIO_PES_BYTES}")
        head = (0x1C0 << 80 | len(body) + 8 << 64 | 0x848005 << 40 | _build_stamp(2, pts)).to_bytes(14, "big")
        return self._audio.packets(_build_clock(pts, True) if with_clock else b"", head + body)


def _build_stamp(prefix: int, ticks: int) -> int:
    """The 40 bits of a PTS or DTS (2.4.3.7)."""
    return (
        prefix << 36
        | (ticks & 0x1_C000_0000) << 3
        | (ticks & 0x3FFF_8000) << 2
        | (ticks & 0x7FFF) << 1
        | 0x1_0001_0001  # marker bits
    )


def _build_clock(dts: int, random_access: bool) -> bytes:
    """Flags and program_clock_reference of an adaptation field (2.4.3.4, 2.4.3.5); its extension, in 27 MHz, is 0."""
    base = dts - CLOCK_LEAD_TICKS & _CLOCK_MASK
    flags = _WITH_CLOCK | _RANDOM_ACCESS if random_access else _WITH_CLOCK
    return (flags << 48 | base << 15 | 0x7E00).to_bytes(7, "big")


def _build_section(table_id: int, number: int, version: int, body: bytes) -> bytes:
    """A program association (2.4.4.3) or program map (2.4.4.8) section, in force, the only one of its table."""
    head = struct.pack(">BHHBBB", table_id, 0xB000 | len(body) + 9, number, 0xC1 | version << 1, 0, 0)
    return head + body + crc32(head + body).to_bytes(4, "big")


def crc32(data: bytes) -> int:
    """The CRC of sections (annex A): polynomial 0x04C11DB7, most significant bit first, from all ones."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = register << 1 ^ (0x104C11DB7 if register & 0x80000000 else 0)
    return register
