"""Annex B: NAL units behind lengths become NAL units behind start codes; broken ones are left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError
from openkls.codec.annexb import H264, HEVC, MAX_NAL_UNITS, MAX_PARAMETER_SET_BYTES, VideoConfig, parse_video_config
from support_media import AVC_CONFIG
from support_ts import nal_units

AUD = b"\x09\xf0"
PREFIX = b"....."


def config(nal_length_size: int = 4, sets: bytes = b"\0\0\0\x01\x67sps\0\0\0\x01\x68pps") -> VideoConfig:
    return VideoConfig(H264, nal_length_size, sets)


def sized(nal_length_size: int, *units: bytes) -> bytes:
    return PREFIX + b"".join(len(unit).to_bytes(nal_length_size, "big") + unit for unit in units)


def read(payload: bytes, keyframe: bool = False, of: VideoConfig | None = None) -> tuple[list[bytes], bool]:
    pieces, whole = (of or config()).access_unit(payload, len(PREFIX), keyframe)
    return nal_units(b"".join(pieces)) if pieces else [], whole


def test_configuration_gives_its_parameter_sets() -> None:
    parsed = parse_video_config("h264", AVC_CONFIG)
    assert parsed.syntax is H264
    assert parsed.nal_length_size == 4
    assert nal_units(parsed.parameter_sets) == [AVC_CONFIG[8:34], AVC_CONFIG[37:41]]


@pytest.mark.parametrize("nal_length_size", [1, 2, 3, 4])
def test_units_come_out_of_lengths_of_every_size(nal_length_size: int) -> None:
    units = [b"\x41first", b"\x41" + b"x" * 200]
    assert read(sized(nal_length_size, *units), of=config(nal_length_size)) == ([AUD, *units], True)


units = st.binary(min_size=1, max_size=40).filter(lambda unit: b"\0\0" not in unit and unit[0] & 31 != 9)


@given(st.lists(units, min_size=1, max_size=10))
def test_units_come_back(units: list[bytes]) -> None:
    assert read(sized(4, *units)) == ([AUD, *units], True)


def test_key_frame_is_preceded_by_the_parameter_sets() -> None:
    assert read(sized(4, b"\x06sei", b"\x65idr"), keyframe=True)[0] == [
        AUD,
        b"\x67sps",
        b"\x68pps",
        b"\x06sei",
        b"\x65idr",
    ]


def test_key_frame_that_brings_its_own_sets_keeps_them() -> None:
    units = [b"\x67own", b"\x68own", b"\x65idr"]
    assert read(sized(4, *units), keyframe=True) == ([AUD, *units], True)


def test_delimiters_are_not_doubled() -> None:
    assert read(sized(4, AUD, b"\x41p")) == ([AUD, b"\x41p"], True)


def test_empty_units_are_left_out() -> None:
    assert read(sized(4, b"", b"\x41p", b"")) == ([AUD, b"\x41p"], True)


@pytest.mark.parametrize("cut", range(1, 8))
def test_what_breaks_off_costs_the_last_unit(cut: int) -> None:
    assert read(sized(4, b"\x41p", b"\x41lost")[:-cut]) == ([AUD, b"\x41p"], False)


@pytest.mark.parametrize(
    "payload", [PREFIX, sized(4, b""), sized(4, AUD), PREFIX + b"\0\0", PREFIX + b"\xff\xff\xff\xff\x41"]
)
def test_frame_of_nothing_gives_nothing(payload: bytes) -> None:
    assert read(payload, keyframe=True) == ([], False)


def test_units_are_bounded() -> None:
    at_limit = sized(4, *[b"\x41p"] * MAX_NAL_UNITS)
    beyond = sized(4, *[b"\x41p"] * (MAX_NAL_UNITS + 1))
    assert read(at_limit) == ([AUD, *[b"\x41p"] * MAX_NAL_UNITS], True)
    assert read(beyond) == ([AUD, *[b"\x41p"] * MAX_NAL_UNITS], False)


def test_hevc_has_types_of_its_own() -> None:
    hevc = VideoConfig(HEVC, 4, b"\0\0\0\x01\x40\x01vps")
    assert read(sized(4, b"\x46\x01\x10", b"\x26\x01idr"), True, hevc)[0] == [
        b"\x46\x01\x50",
        b"\x40\x01vps",
        b"\x26\x01idr",
    ]
    own = [b"\x42\x01sps", b"\x26\x01idr"]
    assert read(sized(4, *own), True, hevc)[0] == [b"\x46\x01\x50", *own]


def avc_config(pps_bytes: int) -> bytes:
    return b"\x01\x64\x00\x1e\xff\xe1\x00\x04\x67sps\x01" + pps_bytes.to_bytes(2, "big") + b"\x68" * pps_bytes


def test_parameter_sets_are_bounded() -> None:
    room = MAX_PARAMETER_SET_BYTES - 8 - 4
    assert len(parse_video_config("h264", avc_config(room)).parameter_sets) == MAX_PARAMETER_SET_BYTES
    with pytest.raises(ProtocolError) as refused:
        parse_video_config("h264", avc_config(room + 1))
    assert refused.value.limit == "MAX_PARAMETER_SET_BYTES"
