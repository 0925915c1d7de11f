"""The names of codecs in a CODECS attribute (RFC 6381, RFC 8216 section 4.3.4.2).

Rule: from a decoder configuration to its name; one that says too little has none (None), and nothing raises.
"""

from typing import Final

from openkls.codec.aac import parse_aac_config
from openkls.codec.errors import ProtocolError

MP3_NAME: Final = "mp4a.40.34"
"""MPEG-1 and -2 layer 3 by its MPEG-4 object type, the form that browsers and Apple's players know."""

_HEVC_SPACES: Final = ("", "A", "B", "C")


def avc_name(config: bytes) -> str | None:
    """Of an AVCDecoderConfigurationRecord: profile, constraints and level, such as ``avc1.64001f``."""
    return f"avc1.{config[1:4].hex()}" if len(config) >= 4 and config[0] == 1 else None


def hevc_name(config: bytes) -> str | None:
    """Of an HEVCDecoderConfigurationRecord (ISO 14496-15, annex E.3), such as ``hvc1.1.6.L93.b0``."""
    if len(config) < 13 or config[0] != 1:
        return None
    space, tier, profile = config[1] >> 6, config[1] >> 5 & 1, config[1] & 0x1F
    # The compatibility flags are written from the last to the first bit.
    compatibility = int(f"{int.from_bytes(config[2:6], 'big'):032b}"[::-1], 2)
    constraints = config[6:12].rstrip(b"\0")
    name = f"hvc1.{_HEVC_SPACES[space]}{profile}.{compatibility:x}.{'LH'[tier]}{config[12]}"
    return ".".join((name, *(f"{byte:x}" for byte in constraints)))


def aac_name(config: bytes) -> str | None:
    """Of an AudioSpecificConfig: ``mp4a.40.2`` for AAC-LC, ``.5`` for HE-AAC, ``.29`` for its second version."""
    try:
        aac = parse_aac_config(config)
    except ProtocolError:
        return None
    object_type = 29 if aac.ps else 5 if aac.sbr else aac.object_type
    return f"mp4a.40.{object_type}"
