"""codec.aac: AudioSpecificConfigs of a real encoder, of HE-AAC by hand, and hostile ones."""

import contextlib

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, aac
from openkls.codec.aac import AacConfig, parse_aac_config

INDEX = {
    rate: index
    for index, rate in enumerate(
        (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
    )
}


def field(number: int, width: int) -> str:
    return format(number, f"0{width}b")


def rate(hertz: int) -> str:
    return field(INDEX[hertz], 4) if hertz in INDEX else "1111" + field(hertz, 24)


def packed(*parts: str) -> bytes:
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def plain(object_type: int, hertz: int, layout: int, rest: str = "000") -> str:
    return field(object_type, 5) + rate(hertz) + field(layout, 4) + rest


def escaped(object_type: int, hertz: int, layout: int) -> str:
    return field(object_type, 5) + "1111" + field(hertz, 24) + field(layout, 4) + "000"


def with_extension(hertz: int, more: str = "") -> str:
    return field(0x2B7, 11) + field(5, 5) + "1" + rate(hertz) + more


def program(front: str, side: str = "", back: str = "", lfe: int = 0, mixdown: str = "000", more: str = "") -> str:
    """A program config element behind the 16 bits of plain(..., 0, "000"); each letter is a single or a pair."""
    counts = field(len(front), 4) + field(len(side), 4) + field(len(back), 4) + field(lfe, 2)
    elements = "".join(("1" if kind == "p" else "0") + "0000" for kind in front + side + back)
    text = field(0, 10) + counts + field(1, 3) + field(1, 4) + mixdown + elements + "0000" * lfe + "0000" + "00000"
    return text + "0" * (-len(text) % 8) + field(len(more) // 8, 8) + more


# -- a real encoder


@pytest.mark.parametrize(
    ("hertz", "layout", "channels"),
    [
        (44100, "stereo", 2),
        (48000, "stereo", 2),
        (48000, "mono", 1),
        (22050, "mono", 1),
        (8000, "mono", 1),
        (96000, "stereo", 2),
        (48000, "5.1", 6),
        (44100, "quad", 4),
    ],
)
def test_configuration_of_a_real_encoder_says_what_was_asked_for(hertz, layout, channels):
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = hertz, layout, "fltp"
    encoder.open()
    assert parse_aac_config(bytes(encoder.extradata)) == AacConfig(2, hertz, channels, False, False)


# -- HE-AAC, and ffmpeg's decoder as the judge: frames of a core, under a configuration that promises more

CONFIGS = {
    "lc": (packed(plain(2, 44100, 2)), 44100, "stereo", AacConfig(2, 44100, 2, False, False)),
    "lc-5.1": (packed(plain(2, 48000, 6)), 48000, "5.1", AacConfig(2, 48000, 6, False, False)),
    "he-first": (
        packed(field(5, 5), rate(22050), field(2, 4), rate(44100), "00010000"),
        22050,
        "stereo",
        AacConfig(2, 44100, 2, True, False),
    ),
    "he-first-mono": (
        packed(field(5, 5), rate(24000), field(1, 4), rate(48000), "00010000"),
        24000,
        "mono",
        AacConfig(2, 48000, 1, True, False),
    ),
    "he2-first": (
        packed(field(29, 5), rate(22050), field(1, 4), rate(44100), "00010000"),
        22050,
        "mono",
        AacConfig(2, 44100, 2, True, True),
    ),
    "he-behind": (
        packed(plain(2, 22050, 2), with_extension(44100)),
        22050,
        "stereo",
        AacConfig(2, 44100, 2, True, False),
    ),
    "he2-behind": (
        packed(plain(2, 22050, 1), with_extension(44100, field(0x548, 11) + "1")),
        22050,
        "mono",
        AacConfig(2, 44100, 2, True, True),
    ),
}


def silent_packet(hertz: int, layout: str) -> av.Packet:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = hertz, layout, "fltp"
    frame = av.AudioFrame("fltp", layout, 1024)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate = hertz
    return [*encoder.encode(frame), *encoder.encode()][0]


@pytest.mark.parametrize(("body", "core_rate", "layout", "expected"), CONFIGS.values(), ids=CONFIGS)
def test_rate_and_channels_are_those_ffmpeg_decodes_to(body, core_rate, layout, expected):
    assert parse_aac_config(body) == expected
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = body
    frame = [*decoder.decode(silent_packet(core_rate, layout)), *decoder.decode(None)][0]
    # for a mono core under SBR ffmpeg presumes parametric stereo that only the frames could signal
    presumed = 2 if expected.sbr and expected.channels == 1 else expected.channels
    assert (frame.sample_rate, frame.layout.nb_channels) == (expected.sample_rate, presumed)


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        # an extension that is none: too short, another marker, another type, SBR absent, PS absent or cut
        (plain(2, 44100, 2) + "1010110111", (44100, 2, False, False)),
        (plain(2, 44100, 2) + field(0x2B8, 11) + field(5, 5) + "1" + rate(48000), (44100, 2, False, False)),
        (plain(2, 44100, 2) + field(0x2B7, 11) + field(22, 5) + "1" + rate(48000), (44100, 2, False, False)),
        (plain(2, 44100, 2) + field(0x2B7, 11) + field(5, 5) + "0" + rate(48000), (44100, 2, False, False)),
        (plain(2, 22050, 1) + with_extension(44100, field(0x549, 11) + "1"), (44100, 1, True, False)),
        (plain(2, 22050, 1) + with_extension(44100, field(0x548, 11) + "0"), (44100, 1, True, False)),
        (plain(2, 22050, 1) + with_extension(44100), (44100, 1, True, False)),
        (plain(2, 22050, 6) + with_extension(44100, field(0x548, 11) + "1"), (44100, 6, True, True)),
        # the escape
        (escaped(2, 37800, 2), (37800, 2, False, False)),
        # core coder, extension flags by object type
        (plain(2, 44100, 2, "01" + "0" * 14 + "0"), (44100, 2, False, False)),
        (plain(2, 44100, 2, "0010"), (44100, 2, False, False)),
        (plain(6, 44100, 2, "000000"), (44100, 2, False, False)),
        (plain(22, 44100, 2, "001" + "0" * 17), (44100, 2, False, False)),
        (plain(23, 44100, 2, "001" + "0000"), (44100, 2, False, False)),
        (plain(20, 44100, 2, "001" + "000" + "0000"), (44100, 2, False, False)),
        # error protected: what follows is no SBR extension
        (plain(17, 44100, 2) + with_extension(48000), (44100, 2, False, False)),
        # without a GASpecificConfig (ELD by its escaped type)
        ("11111" + field(39 - 32, 6) + rate(48000) + field(2, 4), (48000, 2, False, False)),
        # HE-AAC over BSAC has a field of its own
        (
            field(5, 5) + rate(22050) + field(2, 4) + rate(44100) + field(22, 5) + "0000" + "000",
            (44100, 2, True, False),
        ),
        # program config elements
        (plain(2, 48000, 0) + program("p"), (48000, 2, False, False)),
        (plain(2, 48000, 0) + program("sp", "p", "ps", 1), (48000, 9, False, False)),
        (
            plain(2, 48000, 0) + program("s", mixdown="1" + "0000" + "1" + "0000" + "1" + "000"),
            (48000, 1, False, False),
        ),
        (plain(2, 48000, 0) + program("s", more="01" * 20), (48000, 1, False, False)),
        (plain(2, 24000, 0) + program("s") + with_extension(48000), (48000, 1, True, False)),
    ],
)
def test_rate_and_channels_are_read_through_every_branch(bits, expected):
    config = parse_aac_config(packed(bits))
    assert (config.sample_rate, config.channels, config.sbr, config.ps) == expected


def test_escaped_sample_rate_at_the_limit_is_read_and_beyond_refused():
    limit = aac.MAX_SAMPLE_RATE
    assert parse_aac_config(packed(plain(2, limit, 2))).sample_rate == limit
    for hertz in (limit + 1, 0, 2**24 - 1):
        with pytest.raises(ProtocolError, match="credible"):
            parse_aac_config(packed(plain(2, hertz, 2)))


def test_configuration_at_the_size_limit_is_read_and_one_byte_more_refused():
    body = packed(plain(2, 44100, 2)).ljust(aac.MAX_CONFIG_BYTES, b"\0")
    assert parse_aac_config(body).sample_rate == 44100
    with pytest.raises(ProtocolError) as caught:
        parse_aac_config(body + b"\0")
    assert caught.value.limit == "MAX_CONFIG_BYTES"


@pytest.mark.parametrize("layout", [8, 9, 10, 15])
def test_reserved_channel_configuration_is_a_protocol_error(layout):
    with pytest.raises(ProtocolError, match="reserved channel"):
        parse_aac_config(packed(plain(2, 44100, layout)))


@pytest.mark.parametrize("index", [13, 14])
def test_reserved_sample_rate_index_is_a_protocol_error(index):
    with pytest.raises(ProtocolError, match="reserved sample rate"):
        parse_aac_config(packed(field(2, 5), field(index, 4), field(2, 4), "000"))


def test_class_10_configuration_cut_anywhere_is_a_protocol_error():
    body = packed(plain(2, 44100, 0) + program("sp"))
    for end in range(len(body)):
        with pytest.raises(ProtocolError):
            parse_aac_config(body[:end])


@pytest.mark.parametrize(
    "bits",
    [
        plain(0, 44100, 2),
        field(5, 5) + rate(22050) + field(2, 4) + rate(44100) + "00000",
        plain(2, 44100, 0) + program(""),
        "11111" + field(7, 6) + rate(48000) + field(0, 4),
    ],
)
def test_class_10_configuration_without_type_or_channels_is_a_protocol_error(bits):
    with pytest.raises(ProtocolError, match="without"):
        parse_aac_config(packed(bits))


@given(st.binary(max_size=40))
def test_arbitrary_bytes_give_a_configuration_or_a_protocol_error(data):
    for body in (data, b"\x12" + data, b"\x2b" + data, b"\x11\x80" + data):
        try:
            config = parse_aac_config(body)
        except ProtocolError:
            continue
        assert 0 < config.sample_rate <= aac.MAX_SAMPLE_RATE
        assert 0 < config.channels <= 96


# -- ADTS -------------------------------------------------------------------------------------------------------


def test_adts_header_is_that_of_the_standard() -> None:
    adts = aac.parse_adts(bytes.fromhex("1210"))  # AAC-LC, 44100 Hz, stereo
    assert adts.sample_rate == 44_100
    assert adts.header(364).hex() == "fff150802e7ffc"


def test_adts_of_he_aac_says_the_core() -> None:
    adts = aac.parse_adts(bytes.fromhex("2b920800"))  # SBR by hierarchy: 22050 Hz, doubled
    assert adts.sample_rate == 22_050
    assert adts.header(1)[2] >> 6 == 1  # AAC-LC


@pytest.mark.parametrize("frame_bytes", [1, aac.MAX_ADTS_FRAME_BYTES])
def test_adts_says_the_length_with_its_header(frame_bytes: int) -> None:
    header = aac.parse_adts(bytes.fromhex("1210")).header(frame_bytes)
    assert (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5 == frame_bytes + 7


def test_adts_cannot_say_a_longer_frame() -> None:
    assert aac.MAX_ADTS_FRAME_BYTES + aac.ADTS_HEADER_BYTES == (1 << 13) - 1


@pytest.mark.parametrize(
    "body",
    [
        b"\x2a\x10",  # object type 5 that breaks off
        bytes.fromhex("f8e85000"),  # object type 39
        bytes.fromhex("1200"),  # channels by a program config element
        bytes.fromhex("1258"),  # channel configuration 11
        bytes.fromhex("178056e410"),  # an escaped sample rate of 44489 Hz
        bytes.fromhex("1214"),  # 960 samples a frame
    ],
)
def test_what_adts_cannot_say_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        aac.parse_adts(body)


@given(st.binary(max_size=12))
def test_any_bytes_give_adts_or_a_protocol_error(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        header = aac.parse_adts(body).header(aac.MAX_ADTS_FRAME_BYTES)
        assert header[:2] == b"\xff\xf1"
        assert len(header) == aac.ADTS_HEADER_BYTES
