"""Identifiers: of sessions, which sort by the time they were made, and of the request that is being answered.

Rule: never the same one twice, also across processes.
"""

import secrets
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The RequestId of the API request that this code runs for, "" where it runs for none. The API sets it, the log's lines
carry it (cli/logs): so a line says which request it belongs to however deep below the API it is written."""


def new_session_id(now: float) -> str:
    """A UUID version 7 as 32 hexadecimal digits (RFC 9562, 5.7); ``now`` in Unix seconds."""
    random_bits = secrets.randbits(74)
    value = (int(now * 1000) & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (random_bits >> 62) << 64
    value |= 0b10 << 62 | random_bits & (1 << 62) - 1
    return f"{value:032x}"
