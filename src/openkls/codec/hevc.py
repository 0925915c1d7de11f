"""HEVC's decoder configuration: its parameter sets, and what they say of a stream's size and frame rate.

Rule: never a picture is read; everything a hostile publisher can write in them is bounded.
"""

from dataclasses import dataclass
from typing import Final

from openkls.codec.bits import BitReader, unescape
from openkls.codec.errors import ProtocolError

MAX_UNITS: Final = 64  # ISO 23008-2: 16 VPS and 16 SPS can be told apart; more than one of each is rare
MAX_SIDE: Final = 16_888  # A.4.1: sqrt(8 x MaxLumaPs) at level 6.2
MAX_FRAME_RATE: Final = 1_000  # a frame rate beyond is a wrong time base, not a fast camera

_UNBOUNDED: Final = 0xFFFFFFFF
_EXTENDED_SAR: Final = 255
_SPS_TYPE: Final = 33
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
    if not any(unit[0] >> 1 & 63 == _SPS_TYPE for unit in sets):
        raise ProtocolError("an HEVC decoder configuration without a sequence parameter set")
    return (body[21] & 3) + 1, sets


@dataclass(frozen=True, slots=True)
class Sps:
    """What a sequence parameter set says. ``width``, ``height`` in pixels after cropping; ``frame_rate`` per second,
    None when the SPS gives no usable timing."""

    width: int
    height: int
    frame_rate: float | None


def parse_hevc_sps(body: bytes) -> Sps:
    """Parse the first sequence parameter set of a sequence header's body. Raises ProtocolError."""
    _, units = parse_hevc_units(body)
    return parse_sps(next(unit for unit in units if unit[0] >> 1 & 63 == _SPS_TYPE))


def parse_sps(nal: bytes) -> Sps:
    """Parse a sequence parameter set, its NAL header of two bytes included (ISO 23008-2, 7.3.2.2).

    What comes behind the size and is broken costs only the frame rate. Raises ProtocolError for anything else that
    breaks the syntax or its bounds.
    """
    bits = BitReader(unescape(nal[2:]))
    bits.skip(4)  # sps_video_parameter_set_id
    sub_layers = bits.pull(3)
    bits.skip(1)  # sps_temporal_id_nesting_flag
    _skip_profile(bits, sub_layers)
    bits.ue(15)  # sps_seq_parameter_set_id
    chroma_format = bits.ue(3)
    if chroma_format == 3:
        bits.skip(1)  # separate_colour_plane_flag
    width, height = bits.ue(MAX_SIDE), bits.ue(MAX_SIDE)
    if bits.flag():  # conformance_window_flag; table 6-1: SubWidthC and SubHeightC
        unit_x = 2 if chroma_format in (1, 2) else 1
        unit_y = 2 if chroma_format == 1 else 1
        width -= unit_x * (bits.ue(MAX_SIDE) + bits.ue(MAX_SIDE))
        height -= unit_y * (bits.ue(MAX_SIDE) + bits.ue(MAX_SIDE))
    if width <= 0 or height <= 0:
        raise ProtocolError("an HEVC sequence parameter set without a picture, or that crops it away")
    try:
        frame_rate = _pull_frame_rate(bits, sub_layers)
    except ProtocolError:
        frame_rate = None
    return Sps(width, height, frame_rate)


def _skip_profile(bits: BitReader, sub_layers: int) -> None:
    """7.3.3: profile_tier_level."""
    bits.skip(96)
    if not sub_layers:
        return
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    bits.skip(2 * (8 - sub_layers))
    for profile, level in present:
        bits.skip(88 * profile + 8 * level)


def _pull_frame_rate(bits: BitReader, sub_layers: int) -> float | None:
    bits.ue(8)  # bit_depth_luma_minus8
    bits.ue(8)  # bit_depth_chroma_minus8
    order_bits = bits.ue(12) + 4  # log2_max_pic_order_cnt_lsb_minus4
    for _ in range(sub_layers + 1 if bits.flag() else 1):
        for _ in range(3):
            bits.ue(_UNBOUNDED)
    for _ in range(6):  # sizes of blocks, depths of their trees
        bits.ue(_UNBOUNDED)
    if bits.flag() and bits.flag():  # scaling_list_enabled_flag, sps_scaling_list_data_present_flag
        _skip_scaling_lists(bits)
    bits.skip(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag():  # pcm_enabled_flag
        bits.skip(8)
        bits.ue(_UNBOUNDED)
        bits.ue(_UNBOUNDED)
        bits.skip(1)
    deltas: list[int] = []
    for index in range(bits.ue(64)):  # num_short_term_ref_pic_sets
        deltas = _pull_reference_set(bits, index, deltas)
    if bits.flag():  # long_term_ref_pics_present_flag
        for _ in range(bits.ue(32)):
            bits.skip(order_bits + 1)
    bits.skip(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    return _pull_vui_timing(bits) if bits.flag() else None


def _skip_scaling_lists(bits: BitReader) -> None:
    """7.3.4."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.flag():  # scaling_list_pred_mode_flag
                bits.ue(_UNBOUNDED)
                continue
            if size > 1:
                bits.se()
            for _ in range(min(64, 16 << 2 * size)):
                bits.se()


def _pull_reference_set(bits: BitReader, index: int, former: list[int]) -> list[int]:
    """Read a short-term reference picture set (7.3.7); returns its differences of picture order, negative ones first,
    each kind from the nearest on, because the next set may be told by them (7.4.8)."""
    if index and bits.flag():  # inter_ref_pic_set_prediction_flag
        negative = bits.flag()
        shift = bits.ue(0x7FFF) + 1
        shift = -shift if negative else shift
        found = []
        for delta in (*former, 0):
            kept = bits.flag() or bits.flag()  # used_by_curr_pic_flag, use_delta_flag
            if kept and delta + shift:
                found.append(delta + shift)
    else:
        negatives, positives = bits.ue(16), bits.ue(16)
        found = []
        for count, sign in ((negatives, -1), (positives, 1)):
            delta = 0
            for _ in range(count):
                delta += sign * (bits.ue(0x7FFF) + 1)
                bits.skip(1)  # used_by_curr_pic_flag
                found.append(delta)
    if len(found) > 2 * 16:
        raise ProtocolError("an HEVC reference picture set of more than 32 pictures")
    return sorted((d for d in found if d < 0), reverse=True) + sorted(d for d in found if d > 0)


def _pull_vui_timing(bits: BitReader) -> float | None:
    """Read the usability part as far as its timing (E.2.1)."""
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
    bits.skip(3)  # neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if bits.flag():  # default_display_window_flag
        for _ in range(4):
            bits.ue(MAX_SIDE)
    if not bits.flag():  # vui_timing_info_present_flag
        return None
    units_in_tick, time_scale = bits.pull(32), bits.pull(32)
    if not 0 < time_scale <= MAX_FRAME_RATE * units_in_tick:
        return None
    return time_scale / units_in_tick
