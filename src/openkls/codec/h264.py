"""H.264's decoder configuration, for what the answers say of a stream: size, profile and frame rate.

Rule: only parameter sets are read, never a picture. Everything a hostile publisher can write in them is bounded.
"""

from dataclasses import dataclass
from typing import Final

from openkls.codec.bits import BitReader, unescape
from openkls.codec.errors import ProtocolError

MAX_SIDE_MACROBLOCKS: Final = 1_055  # ISO 14496-10, A.3.1: sqrt(8 x MaxFS) at level 6.2; 16,880 pixels
MAX_FRAME_RATE: Final = 1_000  # a frame rate beyond is a wrong time base, not a fast camera

_SPS_TYPE: Final = 7
_UNBOUNDED: Final = 0xFFFFFFFF
# 7.3.2.1.1: profiles whose SPS says its chroma format
_CHROMA_PROFILES: Final = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_EXTENDED_SAR: Final = 255


@dataclass(frozen=True, slots=True)
class Sps:
    """What a sequence parameter set says. ``width``, ``height`` in pixels after cropping; ``frame_rate`` per second,
    None when the SPS gives no usable timing."""

    profile: int
    level: int
    width: int
    height: int
    frame_rate: float | None


@dataclass(frozen=True, slots=True)
class AvcConfig:
    """An AVCDecoderConfigurationRecord; the numbers are those of its first SPS.

    ``profile`` and ``level`` as in the standard (100 is High, 31 is level 3.1); ``nal_length_size`` in bytes;
    ``sps`` and ``pps`` are NAL units without length or start code.
    """

    profile: int
    level: int
    width: int
    height: int
    frame_rate: float | None
    nal_length_size: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]


def parse_avc_config(body: bytes) -> AvcConfig:
    """Parse the body of an H.264 sequence header (ISO 14496-15, 5.3.3.1). Raises ProtocolError."""
    nal_length_size, all_sps, all_pps = parse_avc_units(body)
    first = parse_sps(all_sps[0])
    return AvcConfig(
        first.profile,
        first.level,
        first.width,
        first.height,
        first.frame_rate,
        nal_length_size,
        tuple(all_sps),
        tuple(all_pps),
    )


def parse_avc_units(body: bytes) -> tuple[int, list[bytes], list[bytes]]:
    """Take the body of an H.264 sequence header apart, without a look into its parameter sets: the size of NAL lengths,
    at least one SPS, any number of PPS. Raises ProtocolError.

    What follows the picture parameter sets (the chroma fields of the High profiles) is not needed and not read.
    """
    if len(body) < 7 or body[0] != 1:
        raise ProtocolError("not an AVC decoder configuration: it is shorter than 7 bytes or not of version 1")
    nal_length_size = (body[4] & 3) + 1
    if nal_length_size == 3:
        raise ProtocolError("an AVC decoder configuration with NAL lengths of 3 bytes; 1, 2 and 4 are allowed")
    all_sps, cursor = _pull_units(body, 6, body[5] & 0x1F)
    if not all_sps:
        raise ProtocolError("an AVC decoder configuration without a sequence parameter set")
    if cursor >= len(body):
        raise ProtocolError("an AVC decoder configuration that ends before its picture parameter sets")
    all_pps, _ = _pull_units(body, cursor + 1, body[cursor])
    return nal_length_size, all_sps, all_pps


def _pull_units(body: bytes, cursor: int, count: int) -> tuple[list[bytes], int]:
    units = []
    for _ in range(count):
        start = cursor + 2
        cursor = start + int.from_bytes(body[cursor:start], "big")
        if start > len(body) or cursor > len(body):
            raise ProtocolError("an AVC decoder configuration that ends in the middle of a parameter set")
        units.append(bytes(body[start:cursor]))
    return units, cursor


def parse_sps(nal: bytes) -> Sps:
    """Parse a sequence parameter set, its NAL header byte included (ISO 14496-10, 7.3.2.1.1).

    A usability part (VUI) that is cut short costs only the frame rate: encoders that write it wrong exist, and the
    size is known by then. Raises ProtocolError for anything else that breaks the syntax or its bounds.
    """
    if len(nal) < 4 or nal[0] & 0x9F != _SPS_TYPE:
        raise ProtocolError("not an H.264 sequence parameter set")
    bits = BitReader(unescape(nal[1:]))
    profile = bits.pull(8)
    bits.skip(8)  # constraint flags
    level = bits.pull(8)
    bits.ue(31)  # seq_parameter_set_id
    chroma_format, separate_planes = 1, False
    if profile in _CHROMA_PROFILES:
        chroma_format, separate_planes = _pull_chroma(bits)
    bits.ue(12)  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.ue(_UNBOUNDED)  # max_num_ref_frames: 16 by the standard, more in the wild
    bits.skip(1)  # gaps_in_frame_num_value_allowed_flag
    columns = bits.ue(MAX_SIDE_MACROBLOCKS - 1) + 1
    rows = bits.ue(MAX_SIDE_MACROBLOCKS - 1) + 1
    frames_only = bits.flag()
    if not frames_only:
        rows *= 2
        bits.skip(1)  # mb_adaptive_frame_field_flag
        if rows > MAX_SIDE_MACROBLOCKS:
            raise ProtocolError(f"an H.264 picture of {rows} macroblock rows; at most {MAX_SIDE_MACROBLOCKS}")
    bits.skip(1)  # direct_8x8_inference_flag
    width, height = columns * 16, rows * 16
    if bits.flag():  # frame_cropping_flag
        # 7.4.2.1.1: table 6-1's SubWidthC and SubHeightC; a field line is two lines of the frame
        unit_x = 2 if chroma_format in (1, 2) and not separate_planes else 1
        unit_y = (2 if chroma_format == 1 and not separate_planes else 1) * (1 if frames_only else 2)
        width -= unit_x * (bits.ue(_UNBOUNDED) + bits.ue(_UNBOUNDED))
        height -= unit_y * (bits.ue(_UNBOUNDED) + bits.ue(_UNBOUNDED))
        if width <= 0 or height <= 0:
            raise ProtocolError("an H.264 sequence parameter set that crops its whole picture away")
    try:
        frame_rate = _pull_frame_rate(bits)
    except ProtocolError:
        frame_rate = None
    return Sps(profile, level, width, height, frame_rate)


def _pull_chroma(bits: BitReader) -> tuple[int, bool]:
    """Return chroma_format_idc and separate_colour_plane_flag, past depths and scaling lists."""
    chroma_format = bits.ue(3)
    separate_planes = chroma_format == 3 and bits.flag()
    bits.ue(6)  # bit_depth_luma_minus8
    bits.ue(6)  # bit_depth_chroma_minus8
    bits.skip(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():  # seq_scaling_matrix_present_flag
        for index in range(12 if chroma_format == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma_format, separate_planes


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    # 7.3.2.1.1.1: a scale of zero ends the list
    scale = 8
    for _ in range(size):
        scale = (scale + bits.se()) & 0xFF
        if scale == 0:
            return


def _skip_picture_order(bits: BitReader) -> None:
    order_type = bits.ue(2)
    if order_type == 0:
        bits.ue(12)  # log2_max_pic_order_cnt_lsb_minus4
    elif order_type == 1:
        bits.skip(1)  # delta_pic_order_always_zero_flag
        bits.se()  # offset_for_non_ref_pic
        bits.se()  # offset_for_top_to_bottom_field
        for _ in range(bits.ue(255)):
            bits.se()  # offset_for_ref_frame


def _pull_frame_rate(bits: BitReader) -> float | None:
    """Read the usability part as far as its timing (ISO 14496-10, E.1.1)."""
    if not bits.flag():  # vui_parameters_present_flag
        return None
    if bits.flag() and bits.pull(8) == _EXTENDED_SAR:
        bits.skip(32)
    if bits.flag():  # overscan_info_present_flag
        bits.skip(1)
    if bits.flag():  # video_signal_type_present_flag
        bits.skip(4)
        if bits.flag():  # colour_description_present_flag
            bits.skip(24)
    if bits.flag():  # chroma_loc_info_present_flag
        bits.ue(5)
        bits.ue(5)
    if not bits.flag():  # timing_info_present_flag
        return None
    units_in_tick, time_scale = bits.pull(32), bits.pull(32)
    # E.2.1: a tick is a field, two of them a frame
    if not 0 < time_scale <= 2 * MAX_FRAME_RATE * units_in_tick:
        return None
    return time_scale / (2 * units_in_tick)
