"""A small MPEG-TS demuxer that shares no code with the muxer and tolerates nothing.

Rule: whatever ISO/IEC 13818-1 forbids fails an assertion here; the tests compare what is left.
"""

import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Pes(NamedTuple):
    """One PES packet. Times in ticks of 90 kHz, ``dts`` as ``pts`` where only that is written."""

    pid: int
    pts: int
    dts: int
    body: bytes
    random_access: bool
    clock: int | None


@dataclass
class Program:
    """What a piece of transport stream holds."""

    tracks: dict[int, int] = field(default_factory=dict)
    """The stream type of each PID, by the last map."""
    clock_pid: int = 0
    versions: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    """The PID of each packet."""
    units: list[Pes] = field(default_factory=list)

    def of(self, *stream_types: int) -> list[Pes]:
        """The PES packets of the tracks of these types, in order."""
        return [pes for pes in self.units if self.tracks[pes.pid] in stream_types]

    @property
    def video(self) -> list[Pes]:
        return self.of(0x1B, 0x24)

    @property
    def audio(self) -> list[Pes]:
        return self.of(0x03, 0x04, 0x0F)


def demux(stream: bytes, counters: dict[int, int] | None = None) -> Program:
    """Read a whole stream. ``counters``: the continuity counters after what came before; updated."""
    assert len(stream) % 188 == 0
    counters = {} if counters is None else counters
    program = Program()
    map_pid = -1
    open_units: dict[int, tuple[bool, int | None, bytearray]] = {}

    def close(pid: int) -> None:
        if pid in open_units:
            random_access, clock, data = open_units.pop(pid)
            program.units.append(_pes(pid, bytes(data), random_access, clock))

    for at in range(0, len(stream), 188):
        packet = stream[at : at + 188]
        assert packet[0] == 0x47
        assert not packet[1] & 0x80, "transport_error_indicator"
        assert not packet[3] & 0xC0, "scrambled"
        starts = bool(packet[1] & 0x40)
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        program.order.append(pid)
        assert packet[3] & 0x10, "every packet of ours has a payload"
        counter = packet[3] & 15
        assert pid not in counters or counter == (counters[pid] + 1) % 16, f"continuity of PID {pid:#x}"
        counters[pid] = counter
        cursor, random_access, clock = 4, False, None
        if packet[3] & 0x20:
            random_access, clock = _field(packet)
            cursor = 5 + packet[4]
            assert cursor < 188
        body = packet[cursor:]
        if pid == 0:
            assert starts
            number, _, (_, map_pid) = _section(
                body, 0, lambda data: (data[:2], int.from_bytes(data[2:4], "big") & 0x1FFF)
            )
            assert number == 1
        elif pid == map_pid:
            assert starts
            _, version, (program.clock_pid, program.tracks) = _section(body, 2, _map)
            program.versions.append(version)
        else:
            assert pid in program.tracks, f"a packet of PID {pid:#x} that no map names"
            if starts:
                close(pid)
                open_units[pid] = (random_access, clock, bytearray())
            else:
                assert clock is None
            open_units[pid][2].extend(body)
    for pid in list(open_units):
        close(pid)
    return program


def _field(packet: bytes) -> tuple[bool, int | None]:
    size = packet[4]
    if size == 0:
        return False, None
    flags = packet[5]
    assert flags & ~0x50 == 0
    cursor, clock = 6, None
    if flags & 0x10:
        number = int.from_bytes(packet[6:12], "big")
        assert number >> 9 & 0x3F == 0x3F
        assert number & 0x1FF == 0
        clock = number >> 15
        cursor = 12
    assert set(packet[cursor : 5 + size]) <= {0xFF}
    return bool(flags & 0x40), clock


def _section(body, table_id, parse):
    assert body[0] == 0
    assert body[1] == table_id
    assert body[2] & 0xF0 == 0xB0
    end = 4 + (int.from_bytes(body[2:4], "big") & 0xFFF)
    section = body[1:end]
    assert set(body[end:]) <= {0xFF}
    # annex A's CRC is that of zlib with all bits mirrored and without the last inversion
    mirrored = zlib.crc32(section[:-4].translate(REVERSED)) ^ 0xFFFFFFFF
    assert int(f"{mirrored:032b}"[::-1], 2) == int.from_bytes(section[-4:], "big")
    assert section[5] & 0xC1 == 0xC1
    assert section[6:8] == b"\0\0"
    return int.from_bytes(section[3:5], "big"), section[5] >> 1 & 31, parse(section[8:-4])


def _map(data: bytes) -> tuple[int, dict[int, int]]:
    clock_pid = int.from_bytes(data[:2], "big") & 0x1FFF
    assert data[2:4] == b"\xf0\0"
    tracks = {}
    cursor = 4
    while cursor < len(data):
        pid = int.from_bytes(data[cursor + 1 : cursor + 3], "big") & 0x1FFF
        tracks[pid] = data[cursor]
        cursor += 5 + (int.from_bytes(data[cursor + 3 : cursor + 5], "big") & 0xFFF)
    assert cursor == len(data)
    assert clock_pid in tracks or not tracks
    return clock_pid, tracks


def _pes(pid: int, data: bytes, random_access: bool, clock: int | None) -> Pes:
    assert data[:3] == b"\0\0\x01"
    assert data[3] in ((0xE0,) if pid == 0x100 else (0xC0,))
    length = int.from_bytes(data[4:6], "big")
    assert length == len(data) - 6 or (length == 0 and data[3] == 0xE0)
    assert data[6] == 0x84
    stamps = data[7] >> 6
    assert data[7] & 0x3F == 0
    assert stamps in (2, 3)
    assert data[8] == 5 * (stamps - 1)
    pts = dts = _stamp(data[9:14], stamps)
    if stamps == 3:
        dts = _stamp(data[14:19], 1)
        assert dts != pts
    return Pes(pid, pts, dts, data[9 + data[8] :], random_access, clock)


def _stamp(data: bytes, prefix: int) -> int:
    assert data[0] >> 4 == prefix
    assert data[0] & 1 == data[2] & 1 == data[4] & 1 == 1
    return (data[0] >> 1 & 7) << 30 | (data[1] << 8 | data[2]) >> 1 << 15 | (data[3] << 8 | data[4]) >> 1


def nal_units(body: bytes) -> list[bytes]:
    """The NAL units of a byte stream whose start codes all have four bytes."""
    assert body.startswith(b"\0\0\0\x01")
    return body.split(b"\0\0\0\x01")[1:]


def adts_frames(body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers and frames of an ADTS stream."""
    frames = []
    while body:
        assert body[0] == 0xFF
        assert body[1] == 0xF1
        size = (body[3] & 3) << 11 | body[4] << 3 | body[5] >> 5
        assert 7 < size <= len(body)
        frames.append((body[:7], body[7:size]))
        body = body[size:]
    return frames
