"""HEVC's decoder configuration."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, annexb, flv, hevc
from support_media import PICTURE, clip

VPS, SPS, PPS, SEI = b"\x40\x01v", b"\x42\x01s", b"\x44\x01p", b"\x4e\x01x"


def hvcc(*arrays: list[bytes], version: int = 1) -> bytes:
    body = bytes((version, *[0] * 20, 0xFF, len(arrays)))
    for units in arrays:
        body += bytes((0x80 | (units[0][0] >> 1 if units else 0),)) + len(units).to_bytes(2, "big")
        body += b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    return body


@pytest.mark.parametrize("version", [0, 1])
def test_sets_come_in_their_order_and_nothing_else(version: int) -> None:
    body = hvcc([SEI], [PPS, PPS], [SPS], [VPS], version=version)
    assert hevc.parse_hevc_units(body) == (4, [VPS, SPS, PPS, PPS])


def test_real_configuration_is_read() -> None:
    x265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
    tags = [flv.parse_video(tag.payload) for tag in clip(*PICTURE, *x265, seconds=0.2) if tag.type_id == flv.VIDEO]
    payload = next(tag.payload for tag in clip(*PICTURE, *x265, seconds=0.2) if tag.type_id == flv.VIDEO)
    assert tags[0].codec == "hevc"
    size, units = hevc.parse_hevc_units(payload[tags[0].body_offset :])
    assert size == 4
    assert [unit[0] >> 1 for unit in units] == [32, 33, 34]


@pytest.mark.parametrize(
    "body", [b"", bytes(22), hvcc([SPS], version=2), hvcc([VPS], [PPS]), hvcc(), hvcc([SPS])[:-1], hvcc([SPS, b"\x42"])]
)
def test_broken_configuration_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        hevc.parse_hevc_units(body)


def test_units_are_bounded() -> None:
    assert len(hevc.parse_hevc_units(hvcc([SPS] * hevc.MAX_UNITS))[1]) == hevc.MAX_UNITS
    with pytest.raises(ProtocolError) as refused:
        hevc.parse_hevc_units(hvcc([SPS] * (hevc.MAX_UNITS + 1)))
    assert refused.value.limit == "MAX_UNITS"


@given(st.binary(max_size=200))
def test_any_bytes_give_sets_or_a_protocol_error(data: bytes) -> None:
    for body in (data, hvcc([SPS])[:23] + data):
        try:
            _, units = hevc.parse_hevc_units(body)
        except ProtocolError:
            continue
        assert all(len(unit) >= 2 for unit in units)


def test_parameter_sets_stand_in_a_byte_stream() -> None:
    config = annexb.parse_video_config("hevc", hvcc([VPS], [SPS], [PPS]))
    assert config.syntax is annexb.HEVC
    assert config.nal_length_size == 4
    assert config.parameter_sets == b"".join(b"\0\0\0\x01" + unit for unit in (VPS, SPS, PPS))


# -- the sequence parameter set -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "rate", "pixels", "more"),
    [
        ("640x360", 25.0, "yuv420p", ()),
        ("1918x1078", 30000 / 1001, "yuv422p", ("-bf", "4")),
        ("322x242", 50.0, "yuv444p", ("-vf", "setsar=27/11", "-color_primaries", "bt709")),
        ("640x480", 24.0, "yuv420p", ("-preset", "medium")),
    ],
)
def test_real_encoder_is_understood(size: str, rate: float, pixels: str, more: tuple[str, ...]) -> None:
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={'30000/1001' if rate % 1 else rate}")
    x265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:scaling-list=default")
    tags = clip(*picture, *x265, *more, "-pix_fmt", pixels, seconds=0.2)
    payload = next(tag.payload for tag in tags if tag.type_id == flv.VIDEO)
    sps = hevc.parse_hevc_sps(payload[flv.parse_video(payload).body_offset :])
    assert f"{sps.width}x{sps.height}" == size
    assert sps.frame_rate == pytest.approx(rate)


def ue(number: int) -> str:
    bits = format(number + 1, "b")
    return "0" * (len(bits) - 1) + bits


def se(number: int) -> str:
    return ue(2 * number - 1 if number > 0 else -2 * number)


PROFILE = "0" * 96
BLOCKS = ue(0) * 6
TIMING = "1" + "0" * 4 + "000" + "0" + "1" + format(1, "032b") + format(30, "032b")


def sps(
    *,
    layers: str = "000",
    layer_profiles: str = "",
    chroma: str = ue(1),
    size: str = ue(64) + ue(32),
    window: str = "0",
    orders: str = "0" + ue(0) * 3,
    scaling: str = "0",
    pcm: str = "0",
    sets: str = ue(0),
    long_term: str = "0",
    vui: str = TIMING,
) -> hevc.Sps:
    bits = "0000" + layers + "1" + PROFILE + layer_profiles + ue(0) + chroma + size + window + ue(0) + ue(0) + ue(4)
    bits += orders + BLOCKS + scaling + "00" + pcm + sets + long_term + "00" + vui + "1"
    bits += "0" * (-len(bits) % 8)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    escaped = raw.replace(b"\0\0", b"\0\0\x03")
    return hevc.parse_sps(b"\x42\x01" + escaped)


PLAIN = hevc.Sps(64, 32, 30.0)
EXPLICIT = ue(2) + ue(1) + ue(0) + "1" + ue(1) + "0" + ue(3) + "1"  # -1, -3 and 4
SMALL_LISTS, LISTS = ("".join("0" + ue(0) if n % 2 else "1" + se(-3) * size for n in range(6)) for size in (16, 64))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"layers": "010", "layer_profiles": "11" + "01" + "00" * 6 + "0" * 88 + "0" * 8 + "0" * 8},
        {"orders": "1" + ue(0) * 3},
        {"layers": "001", "layer_profiles": "00" + "00" * 7, "orders": "1" + ue(0) * 6},
        {"chroma": ue(3) + "0"},
        {"scaling": "10"},
        {
            "scaling": "11"
            + SMALL_LISTS
            + LISTS
            + ("1" + se(1) + se(2) * 64) * 6
            + ("1" + se(1) + se(2) * 64)
            + "0"
            + ue(0)
        },
        {"pcm": "1" + "0" * 8 + ue(0) + ue(0) + "0"},
        {"sets": ue(1) + EXPLICIT},
        # the second is the first moved by +1: -1 falls on the picture itself, and the shift is an entry of its own
        {"sets": ue(3) + EXPLICIT + "1" + "0" + ue(0) + "1" + "01" + "00" + "1" + "1" + "1" + ue(0) + "1" * 3},
        {"sets": ue(2) + EXPLICIT + "0" + ue(0) + ue(0)},
        {"long_term": "1" + ue(2) + "0" * 2 * 9},
        {
            "vui": "1"
            + "1"
            + "00000001"
            + "11"
            + "1"
            + "0000"
            + "1"
            + "0" * 24
            + "1"
            + ue(0) * 2
            + "000"
            + "1"
            + ue(0) * 4
            + TIMING[9:]
        },
        {"vui": "1" + "1" + "11111111" + "0" * 32 + "0" + "1" + "0000" + "0" + TIMING[4:]},
    ],
)
def test_every_part_before_the_timing_is_passed_over(parts: dict[str, str]) -> None:
    assert sps(**parts) == PLAIN


@pytest.mark.parametrize("vui", ["0", TIMING[:9] + "0", TIMING[:-32] + "0" * 32, TIMING[:-32] + "1" * 32, TIMING[:20]])
def test_frame_rate_is_unknown_without_usable_timing(vui: str) -> None:
    assert sps(vui=vui) == hevc.Sps(64, 32, None)


@pytest.mark.parametrize(
    ("chroma", "cropped"), [(ue(0), (61, 25)), (ue(1), (58, 18)), (ue(2), (58, 25)), (ue(3) + "0", (61, 25))]
)
def test_cropping_counts_in_units_of_the_chroma(chroma: str, cropped: tuple[int, int]) -> None:
    cut = sps(chroma=chroma, window="1" + ue(1) + ue(2) + ue(3) + ue(4))
    assert (cut.width, cut.height) == cropped


@pytest.mark.parametrize("parts", [{"size": ue(0) + ue(32)}, {"window": "1" + ue(0) * 2 + ue(8) * 2}])
def test_picture_of_nothing_is_refused(parts: dict[str, str]) -> None:
    with pytest.raises(ProtocolError):
        sps(**parts)


def test_reference_sets_are_bounded() -> None:
    full = ue(16) + ue(16) + (ue(0) + "1") * 32
    grows = "1" + "0" + ue(99) + "1" * 33
    assert sps(sets=ue(1) + full) == PLAIN
    assert sps(sets=ue(2) + full + grows).frame_rate is None


def test_size_is_bounded() -> None:
    assert sps(size=ue(hevc.MAX_SIDE) + ue(32)).width == hevc.MAX_SIDE
    with pytest.raises(ProtocolError):
        sps(size=ue(hevc.MAX_SIDE + 1) + ue(32))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_size_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parsed = hevc.parse_sps(b"\x42\x01" + data)
        assert 0 < parsed.width <= hevc.MAX_SIDE
        assert parsed.frame_rate is None or 0 < parsed.frame_rate <= hevc.MAX_FRAME_RATE
