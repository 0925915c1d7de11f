"""H.264 and HEVC frames in the byte stream format that transport streams carry them in.

Rule: a frame that breaks off costs what is broken of it, never an exception; the work for one is bounded.

FLV's frames are NAL units behind their lengths (ISO 14496-15), with the parameter sets in the sequence header. In a
byte stream (ISO 14496-10 and 23008-2, annex B) they stand behind start codes; each frame begins with an access unit
delimiter, and a frame at which decoding can start holds the parameter sets itself.
"""

from dataclasses import dataclass
from typing import Final

from openkls.codec import h264, hevc
from openkls.codec.errors import ProtocolError
from openkls.codec.mpegts import StreamType

# Level 6.2 allows 600 slices a picture; messages and fill are a few more. Without a limit a message of 10 MiB could
# hold millions of empty ones.
MAX_NAL_UNITS: Final = 1024
# They are repeated before every key frame. One SPS is below 2 KiB, and encoders write two or three sets.
MAX_PARAMETER_SET_BYTES: Final = 8 * 1024

_START_CODE: Final = b"\x00\x00\x00\x01"
_PLAIN, _DELIMITER, _SEQUENCE_SET = range(3)


@dataclass(frozen=True, slots=True)
class Syntax:
    """How the NAL units of a codec are told apart. ``kinds``: by the first byte; ``delimiter``: with start code."""

    codec: str
    stream_type: StreamType
    delimiter: bytes
    kinds: bytes


# ISO 14496-10, table 7-1: 9 is a delimiter, 7 a sequence parameter set; primary_pic_type 7 allows every slice
H264: Final = Syntax(
    "h264",
    StreamType.H264,
    _START_CODE + b"\x09\xf0",
    bytes({9: _DELIMITER, 7: _SEQUENCE_SET}.get(byte & 31, _PLAIN) for byte in range(256)),
)
# ISO 23008-2, table 7-1: 35 and 33
HEVC: Final = Syntax(
    "hevc",
    StreamType.HEVC,
    _START_CODE + b"\x46\x01\x50",
    bytes({35: _DELIMITER, 33: _SEQUENCE_SET}.get(byte >> 1 & 63, _PLAIN) for byte in range(256)),
)


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """What is needed of a sequence header; equal ones are the same encoding. ``parameter_sets`` with start codes."""

    syntax: Syntax
    nal_length_size: int
    parameter_sets: bytes

    def access_unit(self, payload: bytes, offset: int, keyframe: bool) -> tuple[list[bytes], bool]:
        """The frame that begins at ``offset`` of ``payload``, in pieces; empty if there is nothing in it. Also
        whether it was whole: what follows a NAL unit that is longer than the frame, and all beyond MAX_NAL_UNITS, is
        left out."""
        pieces = [self.syntax.delimiter]
        kinds = self.syntax.kinds
        length_size = self.nal_length_size
        own_sets = False
        end = len(payload)
        units = 0
        while offset < end and units < MAX_NAL_UNITS:
            units += 1
            start = offset + length_size
            offset = start + int.from_bytes(payload[offset:start], "big")
            if offset > end:
                break
            if start == offset:
                continue
            kind = kinds[payload[start]]
            if kind == _DELIMITER:
                continue
            own_sets |= kind == _SEQUENCE_SET
            pieces += (_START_CODE, payload[start:offset])
        if len(pieces) == 1:
            return [], False
        if keyframe and not own_sets:
            pieces.insert(1, self.parameter_sets)
        return pieces, offset == end


def parse_video_config(codec: str, body: bytes) -> VideoConfig:
    """Parse the body of a sequence header. ``codec``: ``h264`` or ``hevc``. Raises ProtocolError."""
    if codec == "h264":
        syntax = H264
        nal_length_size, sps, pps = h264.parse_avc_units(body)
        units = sps + pps
    else:
        syntax = HEVC
        nal_length_size, units = hevc.parse_hevc_units(body)
    sets = b"".join(_START_CODE + unit for unit in units)
    if len(sets) > MAX_PARAMETER_SET_BYTES:
        raise ProtocolError(
            f"parameter sets of {len(sets)} bytes; at most {MAX_PARAMETER_SET_BYTES} are carried",
            "MAX_PARAMETER_SET_BYTES",
        )
    return VideoConfig(syntax, nal_length_size, sets)
