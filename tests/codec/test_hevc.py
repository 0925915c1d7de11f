"""HEVC's decoder configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, flv, hevc
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
