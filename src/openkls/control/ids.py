"""Identifiers that sort by the time they were made. Rule: never the same one twice, also across processes."""

import secrets


def new_session_id(now: float) -> str:
    """A UUID version 7 as 32 hexadecimal digits (RFC 9562, 5.7); ``now`` in Unix seconds."""
    random_bits = secrets.randbits(74)
    value = (int(now * 1000) & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (random_bits >> 62) << 64
    value |= 0b10 << 62 | random_bits & (1 << 62) - 1
    return f"{value:032x}"
