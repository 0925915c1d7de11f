"""HEVC's decoder configuration: its parameter sets.

Rule: everything a hostile publisher can write in them is bounded.
"""

from typing import Final

from openkls.codec.errors import ProtocolError

MAX_UNITS: Final = 64  # ISO 23008-2: 16 VPS and 16 SPS can be told apart; more than one of each is rare

_ARRAYS_OFFSET: Final = 22
_PARAMETER_SETS: Final = (32, 33, 34)  # VPS, SPS, PPS: ISO 23008-2, table 7-1


def parse_hevc_units(body: bytes) -> tuple[int, list[bytes]]:
    """Take the body of an HEVC sequence header apart (ISO 14496-15, 8.3.3.1), without a look into its parameter sets.

    Returns the size of NAL lengths and the VPS, SPS and PPS, in this order, at least one SPS among them. Raises
    ProtocolError.
    """
    if len(body) <= _ARRAYS_OFFSET or body[0] > 1:  # 0: written before the standard was final
        raise ProtocolError("not an HEVC decoder configuration: it is shorter than 23 bytes or not of version 1")
    units: list[bytes] = []
    cursor = _ARRAYS_OFFSET + 1
    for _ in range(body[_ARRAYS_OFFSET]):
        count = int.from_bytes(body[cursor + 1 : cursor + 3], "big")
        cursor += 3
        for _ in range(count):
            start = cursor + 2
            cursor = start + int.from_bytes(body[cursor:start], "big")
            if cursor > len(body) or cursor < start + 2:
                raise ProtocolError("an HEVC decoder configuration that ends in the middle of a parameter set")
            units.append(bytes(body[start:cursor]))
            if len(units) > MAX_UNITS:
                raise ProtocolError(f"an HEVC decoder configuration of more than {MAX_UNITS} units", "MAX_UNITS")
    sets = [unit for kind in _PARAMETER_SETS for unit in units if unit[0] >> 1 & 63 == kind]
    if not any(unit[0] >> 1 & 63 == 33 for unit in sets):
        raise ProtocolError("an HEVC decoder configuration without a sequence parameter set")
    return (body[21] & 3) + 1, sets
