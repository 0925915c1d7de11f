"""codec.h264: decoder configurations of real encoders and of hostile ones."""

import io
import re

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, flv, h264
from openkls.codec.h264 import AvcConfig, Sps, parse_avc_config, parse_sps

NO_VUI = "0"


def golomb(number: int) -> str:
    code = format(number + 1, "b")
    return "0" * (len(code) - 1) + code


def signed(number: int) -> str:
    return golomb(2 * number - 1 if number > 0 else -2 * number)


def packed(text: str) -> bytes:
    text += "1" + "0" * (-(len(text) + 1) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def built_sps(
    *,
    profile: int = 66,
    chroma: str = "",
    order: str = golomb(0) + golomb(0),
    columns: int = 20,
    rows: int = 15,
    lines: str = "1",
    crop: tuple[int, int, int, int] | None = None,
    vui: str = NO_VUI,
) -> bytes:
    """An SPS by hand: 320x240 baseline unless told otherwise."""
    text = (
        golomb(0) + chroma + golomb(0) + order + golomb(1) + "0" + golomb(columns - 1) + golomb(rows - 1) + lines + "1"
    )
    text += "0" if crop is None else "1" + "".join(golomb(side) for side in crop)
    escaped = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", packed(text + vui))
    return bytes((0x67, profile, 0, 31)) + escaped


def built_config(*all_sps: bytes, pps: bytes = b"\x68\xce", sizes: int = 0xFF) -> bytes:
    body = bytes((1, 66, 0, 31, sizes, 0xE0 | len(all_sps)))
    body += b"".join(len(sps).to_bytes(2, "big") + sps for sps in all_sps)
    return body + b"\x01" + len(pps).to_bytes(2, "big") + pps


def timing(units: int, scale: int, before: str = "0000") -> str:
    return "1" + before + "1" + format(units, "032b") + format(scale, "032b") + "1"


# -- real encoders

CLIPS = [
    ("yuv420p", 320, 240, 25, {"profile": "baseline"}),
    ("yuv420p", 1920, 1080, 30, {"profile": "main"}),
    ("yuv420p", 854, 480, 24, {"profile": "high"}),
    ("yuv420p", 2, 2, 25, {}),
    ("yuv420p", 720, 576, 25, {"x264-params": "tff=1"}),
    ("yuv420p", 720, 484, 25, {"x264-params": "interlaced=1"}),
    ("yuv422p", 322, 242, 50, {"profile": "high422"}),
    ("yuv422p10le", 638, 362, 25, {}),
    ("yuv420p10le", 640, 362, 60, {"profile": "high10"}),
    ("yuv444p", 333, 241, 25, {"profile": "high444"}),
    ("yuv444p", 334, 246, 25, {"qp": "0"}),
    ("gray", 321, 243, 25, {}),
    ("yuv420p", 640, 360, 25, {"x264-params": "cqm=jvt"}),
    (
        "yuv420p",
        640,
        360,
        25,
        {"x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709:sar=40/33:overscan=show"},
    ),
    ("yuv420p", 640, 360, 25, {"x264-params": "chromaloc=2:sar=12/11:videoformat=pal"}),
    ("yuv420p", 3840, 2160, 25, {}),
]


def encoded(pix_fmt: str, width: int, height: int, rate: int, options: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="flv") as target:
        stream = target.add_stream("libx264", rate=rate, options={"preset": "ultrafast", **options})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        frame = av.VideoFrame(width, height, pix_fmt)
        for plane in frame.planes:  # uninitialised memory holds samples out of range, at which libx264 aborts
            plane.update(bytes(plane.buffer_size))
        target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return out.getvalue()


@pytest.mark.parametrize(("pix_fmt", "width", "height", "rate", "options"), CLIPS)
def test_configuration_of_a_real_encoder_says_what_ffmpeg_says(pix_fmt, width, height, rate, options):
    clip = encoded(pix_fmt, width, height, rate, options)
    first = next(tag for tag in flv.FlvReader().feed(clip) if tag.type_id == flv.VIDEO)
    header = flv.parse_video(first.payload)
    assert header.kind is flv.Kind.SEQUENCE_HEADER
    config = parse_avc_config(first.payload[header.body_offset :])
    with av.open(io.BytesIO(clip)) as source:
        theirs = source.streams.video[0]
        assert (config.width, config.height) == (theirs.width, theirs.height) == (width, height)
        assert config.frame_rate == pytest.approx(float(theirs.guessed_rate))
    assert config.frame_rate == rate
    assert config.nal_length_size == 4
    assert (len(config.sps), len(config.pps)) == (1, 1)
    assert config.sps[0][1] == config.profile
    assert config.sps[0][3] == config.level


# -- the record


def test_configuration_by_hand():
    sps = built_sps()
    assert parse_avc_config(built_config(sps)) == AvcConfig(66, 31, 320, 240, None, 4, (sps,), (b"\x68\xce",))


def test_first_of_several_parameter_sets_counts():
    config = parse_avc_config(built_config(built_sps(), built_sps(columns=40), sizes=0xFC))
    assert (config.width, len(config.sps), config.nal_length_size) == (320, 2, 1)


def test_what_follows_the_parameter_sets_is_not_read():
    body = built_config(built_sps())
    assert parse_avc_config(body + b"\xfd\xf8\xf8\x00") == parse_avc_config(body)


def test_configuration_without_a_pps_is_read():
    body = built_config(built_sps())[:-5] + b"\x00"
    assert parse_avc_config(body).pps == ()


def test_class_10_configuration_cut_anywhere_is_a_protocol_error():
    body = built_config(built_sps())
    for end in range(len(body)):
        with pytest.raises(ProtocolError):
            parse_avc_config(body[:end])


@pytest.mark.parametrize(
    "body",
    [
        b"\x00" + built_config(built_sps())[1:],
        built_config(built_sps(), sizes=0xFE),
        built_config(),
        built_config(b""),
        built_config(b"\x67"),
        built_config(b"\x68" + built_sps()[1:]),
        built_config(b"\xe7" + built_sps()[1:]),
        b"\x01" + bytes(40),
        b"\x01\xff\xff\xff\xff\xff" + b"\xff" * 40,
    ],
)
def test_class_10_broken_configuration_is_a_protocol_error(body):
    with pytest.raises(ProtocolError):
        parse_avc_config(body)


# -- the sequence parameter set


@pytest.mark.parametrize(
    ("fields", "width", "height"),
    [
        ({}, 320, 240),
        ({"crop": (0, 1, 0, 2)}, 318, 236),
        ({"lines": "00", "rows": 8, "crop": (0, 0, 0, 4)}, 320, 240),
        # high profiles by chroma format: monochrome, 4:2:0, 4:2:2, 4:4:4, 4:4:4 in separate planes
        ({"profile": 100, "chroma": golomb(0) + golomb(0) * 2 + "00", "crop": (1, 1, 1, 1)}, 318, 238),
        ({"profile": 100, "chroma": golomb(1) + golomb(0) * 2 + "00", "crop": (1, 1, 1, 1)}, 316, 236),
        ({"profile": 122, "chroma": golomb(2) + golomb(2) * 2 + "00", "crop": (1, 1, 1, 1)}, 316, 238),
        ({"profile": 244, "chroma": golomb(3) + "0" + golomb(6) * 2 + "10", "crop": (1, 1, 1, 1)}, 318, 238),
        ({"profile": 244, "chroma": golomb(3) + "1" + golomb(0) * 2 + "00", "crop": (1, 1, 1, 1)}, 318, 238),
        # scaling lists: all absent; one full, one ended by a scale of zero
        ({"profile": 100, "chroma": golomb(1) * 1 + golomb(0) * 2 + "01" + "0" * 8}, 320, 240),
        (
            {
                "profile": 100,
                "chroma": golomb(1) + golomb(0) * 2 + "01" + "1" + signed(1) * 16 + "1" + signed(-8) + "0" * 6,
            },
            320,
            240,
        ),
        (
            {"profile": 244, "chroma": golomb(3) + "0" + golomb(0) * 2 + "01" + "0" * 11 + "1" + signed(0) * 64},
            320,
            240,
        ),
        # picture order count types
        ({"order": golomb(1) + "1" + signed(-1) + signed(2) + golomb(2) + signed(5) + signed(-5)}, 320, 240),
        ({"order": golomb(2)}, 320, 240),
    ],
)
def test_size_is_read_through_every_branch(fields, width, height):
    sps = parse_sps(built_sps(**fields))
    assert (sps.width, sps.height, sps.profile, sps.level) == (width, height, fields.get("profile", 66), 31)


@pytest.mark.parametrize(
    ("vui", "frame_rate"),
    [
        (NO_VUI, None),
        ("100000", None),
        (timing(1, 50), 25.0),
        (timing(1001, 60000), 60000 / 2002),
        (timing(1, 50, "1" + format(1, "08b") + "000"), 25.0),
        (timing(1, 50, "1" + format(255, "08b") + "0" * 32 + "000"), 25.0),
        (timing(1, 50, "0" + "11" + "00"), 25.0),
        (timing(1, 50, "00" + "1" + "0000" + "0" + "0"), 25.0),
        (timing(1, 50, "00" + "1" + "0000" + "1" + "0" * 24 + "0"), 25.0),
        (timing(1, 50, "000" + "1" + golomb(5) * 2), 25.0),
        (timing(0, 50), None),
        (timing(1, 0), None),
        (timing(0, 0), None),
        (timing(1, 2 * h264.MAX_FRAME_RATE), float(h264.MAX_FRAME_RATE)),
        (timing(1, 2 * h264.MAX_FRAME_RATE + 1), None),
        (timing(2**32 - 1, 1), 1 / (2 * (2**32 - 1))),
        ("1", None),  # cut short: the size stays
        (timing(1, 50)[:40], None),
        (timing(1, 50, "000" + "1" + golomb(6) * 2), None),
    ],
)
def test_frame_rate_is_read_from_the_timing(vui, frame_rate):
    assert parse_sps(built_sps(vui=vui)) == Sps(66, 31, 320, 240, frame_rate)


def test_side_at_the_limit_is_read_and_one_macroblock_more_refused():
    limit = h264.MAX_SIDE_MACROBLOCKS
    sps = parse_sps(built_sps(columns=limit, rows=limit))
    assert (sps.width, sps.height) == (limit * 16, limit * 16)
    for fields in ({"columns": limit + 1}, {"rows": limit + 1}, {"columns": 2**31}):
        with pytest.raises(ProtocolError):
            parse_sps(built_sps(**fields))


def test_field_coded_height_is_bounded_as_a_frame():
    half = h264.MAX_SIDE_MACROBLOCKS // 2
    assert parse_sps(built_sps(lines="00", rows=half)).height == half * 32
    with pytest.raises(ProtocolError):
        parse_sps(built_sps(lines="00", rows=half + 1))


@pytest.mark.parametrize("crop", [(80, 80, 0, 0), (0, 0, 60, 60), (2**31, 2**31, 0, 0), (0, 0, 0, 2**32 - 2)])
def test_class_10_cropping_the_whole_picture_is_a_protocol_error(crop):
    assert parse_sps(built_sps(crop=(80, 79, 60, 59))).width == 2
    with pytest.raises(ProtocolError, match="crops"):
        parse_sps(built_sps(crop=crop))


@pytest.mark.parametrize(
    "fields",
    [
        {"profile": 100, "chroma": golomb(4) + golomb(0) * 2 + "00"},
        {"profile": 100, "chroma": golomb(1) + golomb(7) + golomb(0) + "00"},
        {"order": golomb(3)},
        {"order": golomb(0) + golomb(13)},
        {"order": golomb(1) + "1" + signed(0) * 2 + golomb(256) + signed(0) * 256},
        {"order": golomb(1) + "1" + signed(0) * 2 + golomb(255)},
    ],
)
def test_class_10_values_out_of_the_standards_bounds_are_protocol_errors(fields):
    with pytest.raises(ProtocolError):
        parse_sps(built_sps(**fields))


@given(st.binary(max_size=120), st.sampled_from([b"", b"\x67", b"\x67\x64\x00\x1f", b"\x67\x42\x00\x1f\xf0"]))
def test_arbitrary_bytes_give_a_size_or_a_protocol_error(data, begin):
    for parse in (lambda: parse_sps(begin + data), lambda: parse_avc_config(built_config(begin + data))):
        try:
            said = parse()
        except ProtocolError:
            continue
        assert 0 < said.width <= h264.MAX_SIDE_MACROBLOCKS * 16
        assert 0 < said.height <= h264.MAX_SIDE_MACROBLOCKS * 16
        assert said.frame_rate is None or 0 < said.frame_rate <= h264.MAX_FRAME_RATE


@given(st.binary(max_size=80))
def test_arbitrary_configurations_are_read_or_protocol_errors(data):
    for body in (data, b"\x01" + data):
        try:
            config = parse_avc_config(body)
        except ProtocolError:
            continue
        assert config.sps
