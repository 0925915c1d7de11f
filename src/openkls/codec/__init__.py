"""Sans-IO codecs: bytes to values and back. Rule: nothing here reads a clock, a socket or a file."""

from openkls.codec.errors import ProtocolError

__all__ = ["ProtocolError"]
