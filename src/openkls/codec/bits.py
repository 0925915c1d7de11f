"""A reader of bit fields and Exp-Golomb numbers, as codec configurations are written in.

Rule: every read is bounded; reading past the end is a ProtocolError, never a zero.

The bits are kept as a text of zeros and ones: Python's fastest way to slice integers out of a short bit string and
to count leading zeros. Configurations are tens of bytes, so the eightfold size costs nothing.
"""

from typing import Final

from openkls.codec.errors import ProtocolError

MAX_BITS_BYTES: Final = 4_096  # the longest legal SPS (all scaling lists, full HRD) is below 2 KiB
MAX_GOLOMB_ZEROS: Final = 31  # ISO 14496-10, 7.4.1: no ue(v) exceeds 2^32 - 2


class BitReader:
    """Reads from the first bit of ``data`` on. Raises ProtocolError beyond ``MAX_BITS_BYTES`` of data."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BITS_BYTES:
            raise ProtocolError(
                f"a codec configuration of {len(data)} bytes; at most {MAX_BITS_BYTES} are read", "MAX_BITS_BYTES"
            )
        self._bits = format(int.from_bytes(data, "big"), f"0{len(data) * 8}b") if data else ""
        self._position = 0

    @property
    def remaining(self) -> int:
        """How many bits are left."""
        return len(self._bits) - self._position

    def skip(self, count: int) -> None:
        """Pass over ``count`` bits."""
        if count > self.remaining:
            raise ProtocolError("a codec configuration ends in the middle of a field")
        self._position += count

    def pull(self, count: int) -> int:
        """Return the next ``count`` (1 or more) bits as an unsigned number."""
        start = self._position
        self.skip(count)
        return int(self._bits[start : self._position], 2)

    def flag(self) -> bool:
        """Return the next bit."""
        return self.pull(1) == 1

    def ue(self, limit: int) -> int:
        """Return an unsigned Exp-Golomb number of at most ``limit`` (ISO 14496-10, 9.1)."""
        one = self._bits.find("1", self._position, self._position + MAX_GOLOMB_ZEROS + 1)
        if one < 0:
            raise ProtocolError("a codec configuration holds no Exp-Golomb number where one belongs")
        zeros = one - self._position
        self._position = one
        number = self.pull(zeros + 1) - 1
        if number > limit:
            raise ProtocolError(f"a codec configuration holds {number} where at most {limit} is allowed")
        return number

    def se(self) -> int:
        """Return a signed Exp-Golomb number (ISO 14496-10, 9.1.1)."""
        number = self.ue(0xFFFFFFFF)
        return (number + 1) // 2 if number & 1 else -(number // 2)


def unescape(nal: bytes) -> bytes:
    """Return a NAL unit's bytes without the emulation prevention bytes (00 00 03 -> 00 00)."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")
