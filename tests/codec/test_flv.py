"""codec.flv: the container, the classification of media messages, the declared metadata."""

import io
import math
from random import Random

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, flv
from openkls.codec.flv import AudioTag, Declared, FlvReader, Kind, Tag, VideoTag
from support_codec import feedings

TAGS = [
    Tag(flv.SCRIPT, 0, b"\x02\x00\x0aonMetaData\x05"),
    Tag(flv.VIDEO, 0, b"\x17\x00\x00\x00\x00avcC"),
    Tag(flv.AUDIO, 0xFFFFFF, b"\xaf\x01aac"),
    Tag(flv.VIDEO, 0x1000000, b"\x27\x01\x00\x00\x00frame"),
    Tag(flv.AUDIO, 0xFFFFFFFF, b""),
]
STREAM = flv.build_header(audio=True, video=True) + b"".join(flv.build_tag(*tag) for tag in TAGS)
BAD_VIDEO = VideoTag("", False, Kind.OTHER, 0, 0)
BAD_AUDIO = AudioTag("", Kind.OTHER, 0, 0)

# -- the container


def test_header_is_thirteen_bytes_with_the_flags_of_what_follows():
    assert flv.build_header(audio=True, video=True) == bytes.fromhex("464c5601050000000900000000")
    assert flv.build_header(audio=True, video=False)[4] == 4
    assert flv.build_header(audio=False, video=True)[4] == 1


def test_tag_carries_the_high_byte_of_the_timestamp_behind_the_low_ones():
    built = flv.build_tag(flv.VIDEO, 0x12345678, b"abc")
    assert built == bytes.fromhex("09 000003 345678 12 000000 616263 0000000e")


def test_timestamp_is_taken_modulo_32_bits():
    assert flv.build_tag(8, 0x100000001, b"x") == flv.build_tag(8, 1, b"x")
    assert flv.build_tag(8, -1, b"x") == flv.build_tag(8, 0xFFFFFFFF, b"x")


def test_tag_of_24_bits_is_built_and_one_byte_more_refused():
    assert len(flv.build_tag(9, 0, bytes(0xFFFFFF))) == 0xFFFFFF + 15
    with pytest.raises(ValueError, match="16777215"):
        flv.build_tag(9, 0, bytes(0x1000000))


def test_reader_gives_the_same_tags_however_the_bytes_arrive():
    for pieces in feedings(STREAM, Random(1)):
        reader = FlvReader()
        assert [tag for piece in pieces for tag in reader.feed(piece)] == TAGS
        assert (reader.has_audio, reader.has_video) == (True, True)


def test_reader_keeps_trailing_bytes_for_the_next_tag():
    for trailing in (b"\x09", STREAM[13:20]):
        for pieces in feedings(STREAM + trailing, Random(2)):
            reader = FlvReader()
            assert [tag for piece in pieces for tag in reader.feed(piece)] == TAGS
    reader = FlvReader()
    reader.feed(STREAM + STREAM[13:20])
    assert reader.feed(STREAM[20:]) == TAGS


@given(
    st.lists(
        st.builds(Tag, st.sampled_from((8, 9, 18)), st.integers(0, 2**32 - 1), st.binary(max_size=300)), max_size=8
    ),
    st.integers(0, 2**32),
)
def test_what_is_built_is_read(tags, seed):
    stream = flv.build_header(True, False) + b"".join(flv.build_tag(*tag) for tag in tags)
    for pieces in feedings(stream, Random(seed)):
        reader = FlvReader()
        assert [tag for piece in pieces for tag in reader.feed(piece)] == tags
    assert reader.has_audio
    assert not reader.has_video


def test_ffmpegs_demuxer_reads_what_is_built():
    clip = make_clip("flv", "h264", 8)
    packets = [(p.stream.type, p.dts, bytes(p)) for p in av.open(io.BytesIO(clip)).demux() if p.dts is not None]
    tags = FlvReader().feed(clip)
    rebuilt = flv.build_header(False, True) + b"".join(flv.build_tag(*tag) for tag in tags)
    again = [(p.stream.type, p.dts, bytes(p)) for p in av.open(io.BytesIO(rebuilt)).demux() if p.dts is not None]
    assert len(packets) == 8
    assert again == packets


def test_reader_skips_a_longer_file_header():
    stream = b"FLV\x01\x05" + (14).to_bytes(4, "big") + b"extra" + bytes(4) + flv.build_tag(*TAGS[0])
    for pieces in feedings(stream, Random(3)):
        reader = FlvReader()
        assert [tag for piece in pieces for tag in reader.feed(piece)] == TAGS[:1]


@pytest.mark.parametrize("offset", [flv.MAX_HEADER_BYTES, 9])
def test_file_header_within_the_limit_is_read(offset):
    stream = b"FLV\x01\x05" + offset.to_bytes(4, "big") + bytes(offset - 9 + 4) + flv.build_tag(*TAGS[0])
    assert FlvReader().feed(stream) == TAGS[:1]


@pytest.mark.parametrize("offset", [flv.MAX_HEADER_BYTES + 1, 8, 0, 0xFFFFFFFF])
def test_file_header_beyond_the_limit_is_refused(offset):
    with pytest.raises(ProtocolError) as caught:
        FlvReader().feed(b"FLV\x01\x05" + offset.to_bytes(4, "big"))
    assert caught.value.limit == "MAX_HEADER_BYTES"


@pytest.mark.parametrize("begin", [b"FLV\x02\x05\0\0\0\x09", b"RIFF\0\0\0\0\0", b"\0\0\0\x18ftypi"])
def test_anything_but_flv_1_is_refused(begin):
    with pytest.raises(ProtocolError, match="not an FLV stream"):
        FlvReader().feed(begin)


def test_encrypted_tag_is_refused():
    with pytest.raises(ProtocolError, match="encrypted"):
        FlvReader().feed(flv.build_header(True, True) + flv.build_tag(0x20 | 9, 0, b"x"))


def test_tag_at_the_size_limit_is_read_and_one_byte_more_refused_before_its_body():
    tag = Tag(9, 0, bytes(flv.MAX_TAG_BYTES))
    assert FlvReader().feed(flv.build_header(True, True) + flv.build_tag(*tag)) == [tag]
    too_long = flv.build_header(True, True) + b"\x09" + (flv.MAX_TAG_BYTES + 1).to_bytes(3, "big") + bytes(7)
    with pytest.raises(ProtocolError) as caught:
        FlvReader().feed(too_long)
    assert caught.value.limit == "MAX_TAG_BYTES"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_tags_or_a_protocol_error(data):
    for begin in (b"", flv.build_header(True, True)):
        try:
            tags = FlvReader().feed(begin + data)
        except ProtocolError:
            continue
        assert all(len(tag.payload) <= len(data) for tag in tags)


def make_clip(container: str, codec: str, frames: int) -> bytes:
    """A clip of `frames` grey pictures of 64x48 at 25 per second."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame(64, 48, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        for _ in range(frames):
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return out.getvalue()


# -- video


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("17 00 000000 01", VideoTag("h264", False, Kind.SEQUENCE_HEADER, 0, 5)),
        ("17 01 000000 65", VideoTag("h264", True, Kind.CODED, 0, 5)),
        ("27 01 000050 41", VideoTag("h264", False, Kind.CODED, 80, 5)),
        ("27 01 ffffb0 41", VideoTag("h264", False, Kind.CODED, -80, 5)),
        ("37 01 000000 41", VideoTag("h264", False, Kind.CODED, 0, 5)),
        ("17 02 000000", VideoTag("h264", False, Kind.END, 0, 5)),
        ("17 02", VideoTag("h264", False, Kind.END, 0, 5)),
        ("1c 00 000000 01", VideoTag("hevc", False, Kind.SEQUENCE_HEADER, 0, 5)),
        ("1c 01 000021 26", VideoTag("hevc", True, Kind.CODED, 33, 5)),
        ("12 00", VideoTag("h263", True, Kind.CODED, 0, 1)),
        ("22 84", VideoTag("h263", False, Kind.CODED, 0, 1)),
        ("13 00", VideoTag("flashsv", True, Kind.CODED, 0, 1)),
        ("24 01", VideoTag("vp6", False, Kind.CODED, 0, 1)),
        ("15 01", VideoTag("vp6a", True, Kind.CODED, 0, 1)),
        ("16 01", VideoTag("flashsv2", True, Kind.CODED, 0, 1)),
    ],
)
def test_legacy_video_is_named_and_classified(payload, expected):
    assert flv.parse_video(bytes.fromhex(payload)) == expected


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "17",
        "17 00",
        "17 00 000000",
        "17 01 0000",
        "17 01 000000",
        "17 03 000000 00",
        "57 00",
        "07 01 000000 01",
        "10 00 00",
        "1f 00 00",
        "80",
        "90",
        "90 61766331",
        "90 617663",
        "91 61766331 0000",
        "91 61766331 000000",
    ],
)
def test_class_10_broken_video_is_other_and_never_raises(payload):
    assert flv.parse_video(bytes.fromhex(payload)) == BAD_VIDEO


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"\x90hvc1h", VideoTag("hevc", False, Kind.SEQUENCE_HEADER, 0, 5)),
        (b"\x91hvc1\x00\x00\x50f", VideoTag("hevc", True, Kind.CODED, 80, 8)),
        (b"\xa1avc1\xff\xff\xfff", VideoTag("h264", False, Kind.CODED, -1, 8)),
        (b"\xa1vvc1\x00\x00\x01f", VideoTag("vvc", False, Kind.CODED, 1, 8)),
        (b"\x91av01f", VideoTag("av1", True, Kind.CODED, 0, 5)),
        (b"\x91vp09f", VideoTag("vp9", True, Kind.CODED, 0, 5)),
        (b"\xa1vp08f", VideoTag("vp8", False, Kind.CODED, 0, 5)),
        (b"\x92av01", VideoTag("av1", False, Kind.END, 0, 5)),
        (b"\xa3hvc1f", VideoTag("hevc", False, Kind.CODED, 0, 5)),
        (b"\x94av01", VideoTag("av1", False, Kind.METADATA, 0, 5)),
        (b"\xd4av01\x02", VideoTag("av1", False, Kind.METADATA, 0, 5)),
        (b"\x95av01t", VideoTag("av1", False, Kind.SEQUENCE_HEADER, 0, 5)),
        (b"\x91\x00\x00\x00\x00f", VideoTag("unknown", True, Kind.CODED, 0, 5)),
        # ModEx: one modifier of 3 bytes, then CodedFramesX
        (b"\x97\x02\x00\x00\x07\x03hvc1f", VideoTag("hevc", True, Kind.CODED, 0, 10)),
        # ModEx whose size needs 16 bits: 300 bytes
        (b"\x97\xff\x01\x2b" + bytes(300) + b"\x03hvc1f", VideoTag("hevc", True, Kind.CODED, 0, 309)),
        # Multitrack: one track with the id 2, CodedFrames
        (b"\x96\x01avc1\x02\x00\x00\x28f", VideoTag("h264", True, Kind.CODED, 40, 10, 2)),
        # many tracks of one codec: the first is classified
        (b"\x96\x10av01\x00\x00\x00\x01a\x01\x00\x00\x01b", VideoTag("av1", False, Kind.SEQUENCE_HEADER, 0, 10)),
        # many tracks of many codecs
        (b"\xa6\x23hvc1\x01\x00\x00\x01f", VideoTag("hevc", False, Kind.CODED, 0, 10, 1)),
        # ModEx around Multitrack
        (b"\x97\x00\x00\x06\x03av01\x07f", VideoTag("av1", True, Kind.CODED, 0, 10, 7)),
    ],
)
def test_enhanced_video_is_named_and_classified(payload, expected):
    assert flv.parse_video(payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"\xd0av01x",  # a command frame has no picture
        b"\x98av01x",  # packet types 8 to 15 do not exist
        b"\x97",
        b"\x97\x00",
        b"\x97\xff\x01",
        b"\x97\x00\x00\x08av01x",
        b"\x97\x00\x00\x03av0",
        b"\x96",
        b"\x96\x01av01",
        b"\x96\x01av01\x00",
        b"\x96\x31av01\x00x",  # a fourth multitrack layout does not exist
        b"\x96\x06av01\x00x",  # no multitrack in multitrack
        b"\x96\x07av01\x00x",
    ],
)
def test_broken_enhanced_video_is_other(payload):
    assert flv.parse_video(payload) == BAD_VIDEO


def test_mod_ex_chain_is_followed_to_its_limit_and_no_further():
    def chained(count):
        return b"\x97" + b"\x00\x00\x07" * (count - 1) + b"\x00\x00\x03av01f"

    assert flv.parse_video(chained(flv.MAX_MOD_EX)).codec == "av1"
    assert flv.parse_video(chained(flv.MAX_MOD_EX + 1)) == BAD_VIDEO


def test_real_h264_clip_is_classified_frame_by_frame():
    tags = [tag for tag in FlvReader().feed(make_clip("flv", "h264", 8)) if tag.type_id == flv.VIDEO]
    parsed = [flv.parse_video(tag.payload) for tag in tags]
    assert {tag.codec for tag in parsed} == {"h264"}
    assert [tag.kind for tag in parsed] == [Kind.SEQUENCE_HEADER, *[Kind.CODED] * 8, Kind.END]
    assert [tag.keyframe for tag in parsed[1:9]] == [True, *[False] * 7]


# -- audio


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("af 00 1210", AudioTag("aac", Kind.SEQUENCE_HEADER, 0, 2)),
        ("af 01 21", AudioTag("aac", Kind.CODED, 0, 2)),
        ("2f fffb90", AudioTag("mp3", Kind.CODED, 44100, 1)),
        ("2f fffb94", AudioTag("mp3", Kind.CODED, 48000, 1)),
        ("2b fff394", AudioTag("mp3", Kind.CODED, 24000, 1)),
        ("2b ffe390", AudioTag("mp3", Kind.CODED, 11025, 1)),
        ("2f 0000", AudioTag("mp3", Kind.CODED, 44100, 1)),  # no MP3 frame: the header's bits
        ("2b ff0000", AudioTag("mp3", Kind.CODED, 22050, 1)),
        ("2b ffeb90", AudioTag("mp3", Kind.CODED, 22050, 1)),  # a reserved version
        ("e2 00", AudioTag("mp3", Kind.CODED, 8000, 1)),
        ("02 00", AudioTag("pcm", Kind.CODED, 5512, 1)),
        ("36 00", AudioTag("pcm", Kind.CODED, 11025, 1)),
        ("1e 00", AudioTag("adpcm", Kind.CODED, 44100, 1)),
        ("42 00", AudioTag("nellymoser", Kind.CODED, 16000, 1)),
        ("52 00", AudioTag("nellymoser", Kind.CODED, 8000, 1)),
        ("6a 00", AudioTag("nellymoser", Kind.CODED, 22050, 1)),
        ("72 00", AudioTag("g711a", Kind.CODED, 8000, 1)),
        ("82 00", AudioTag("g711u", Kind.CODED, 8000, 1)),
        ("b2 00", AudioTag("speex", Kind.CODED, 16000, 1)),
        ("d2 00", AudioTag("opus", Kind.CODED, 48000, 1)),
    ],
)
def test_legacy_audio_is_named_with_its_sample_rate(payload, expected):
    assert flv.parse_audio(bytes.fromhex(payload)) == expected


@pytest.mark.parametrize("payload", ["", "af", "af 00", "af 01", "af 02 00", "c2 00", "f2 00", "90", "90 4f707573"])
def test_class_10_broken_audio_is_other_and_never_raises(payload):
    assert flv.parse_audio(bytes.fromhex(payload)) == BAD_AUDIO


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"\x90mp4a\x12\x10", AudioTag("aac", Kind.SEQUENCE_HEADER, 0, 5)),
        (b"\x91mp4a!", AudioTag("aac", Kind.CODED, 0, 5)),
        (b"\x90OpusOpusHead", AudioTag("opus", Kind.SEQUENCE_HEADER, 48000, 5)),
        (b"\x91fLaCf", AudioTag("flac", Kind.CODED, 0, 5)),
        (b"\x91ac-3f", AudioTag("ac3", Kind.CODED, 0, 5)),
        (b"\x91ec-3f", AudioTag("eac3", Kind.CODED, 0, 5)),
        (b"\x91.mp3\xff\xfb\x94", AudioTag("mp3", Kind.CODED, 48000, 5)),
        (b"\x92mp4a", AudioTag("aac", Kind.END, 0, 5)),
        (b"\x94Opus\x01", AudioTag("opus", Kind.METADATA, 48000, 5)),
        (b"\x93Opusx", AudioTag("opus", Kind.OTHER, 48000, 5)),
        (b"\x91xxxxf", AudioTag("unknown", Kind.CODED, 0, 5)),
        (b"\x95\x01mp4a\x03f", AudioTag("aac", Kind.CODED, 0, 7, 3)),
        (b"\x97\x02\x00\x00\x00\x01mp4af", AudioTag("aac", Kind.CODED, 0, 10)),
    ],
)
def test_enhanced_audio_is_named_and_classified(payload, expected):
    assert flv.parse_audio(payload) == expected


@pytest.mark.parametrize("payload", [b"\x96mp4ax", b"\x95\x05mp4a\x00x", b"\x95\x01mp4a", b"\x97\x00"])
def test_broken_enhanced_audio_is_other(payload):
    assert flv.parse_audio(payload) == BAD_AUDIO


@given(st.binary(max_size=40), st.sampled_from([b"", b"\x96", b"\x97", b"\x17\x01", b"\x95", b"\xaf"]))
def test_arbitrary_media_payloads_are_classified_without_raising(data, begin):
    payload = begin + data
    for tag in (flv.parse_video(payload), flv.parse_audio(payload)):
        assert tag.kind is Kind.OTHER or tag.codec
        assert tag.body_offset < len(payload) or tag.kind not in (Kind.SEQUENCE_HEADER, Kind.CODED)


# -- metadata

DECLARED = {
    "width": 1280.0,
    "height": 720.0,
    "framerate": 29.97,
    "videodatarate": 2500.0,
    "audiodatarate": 128,
    "audiosamplerate": 44100.0,
    "encoder": "obs-output module",
    "stereo": True,
}
FIELDS = ("width", "height", "framerate", "videodatarate", "audiodatarate", "audiosamplerate")
LIMITS = (
    flv.MAX_DECLARED_SIDE,
    flv.MAX_DECLARED_SIDE,
    flv.MAX_DECLARED_FRAME_RATE,
    flv.MAX_DECLARED_KBPS,
    flv.MAX_DECLARED_KBPS,
    flv.MAX_DECLARED_SAMPLE_RATE,
)


@pytest.mark.parametrize("begin", [["@setDataFrame"], []])
def test_metadata_is_read_with_and_without_set_data_frame(begin):
    assert flv.read_metadata([*begin, "onMetaData", DECLARED]) == Declared(1280, 720, 29.97, 2500.0, 128.0, 44100)


def test_frame_rate_may_be_called_fps():
    assert flv.read_metadata(["onMetaData", {"fps": 25}]).frame_rate == 25.0


@pytest.mark.parametrize(
    "values",
    [[], ["onMetaData"], ["@setDataFrame"], ["@setDataFrame", "onMetaData"], ["onTextData", DECLARED]]
    + [["onMetaData", value] for value in (None, 1.0, "x", [DECLARED], True)]
    + [[None, DECLARED], [{}, {}]],
)
def test_class_8_data_messages_of_another_shape_declare_nothing(values):
    assert flv.read_metadata(values) == Declared()


@pytest.mark.parametrize(
    "value", [None, "1280", True, [], {}, math.nan, math.inf, -math.inf, -1.0, 0.0, -0.0, 1e300, 10**400, b"1"]
)
def test_class_8_incredible_values_are_zero(value):
    assert flv.read_metadata(["onMetaData", dict.fromkeys(FIELDS, value)]) == Declared()


def test_declared_values_at_their_limits_are_kept_and_beyond_are_zero():
    at = flv.read_metadata(["onMetaData", dict(zip(FIELDS, LIMITS, strict=True))])
    assert at == Declared(*LIMITS)
    beyond = flv.read_metadata(["onMetaData", dict(zip(FIELDS, [n + 1 for n in LIMITS], strict=True))])
    assert beyond == Declared()


ANY_SHAPE = st.recursive(
    st.none() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.lists(ANY_SHAPE, max_size=3), ANY_SHAPE)
def test_metadata_of_any_shape_never_raises(values, value):
    for message in (values, ["onMetaData", value], ["onMetaData", {"width": value}]):
        assert isinstance(flv.read_metadata(message), Declared)
