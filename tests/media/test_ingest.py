"""What a message is and what it says of quality: on what the real ffmpeg makes, and on what no encoder should."""

import pytest

from openkls.codec import amf0, flv
from openkls.codec.rtmp import MediaReceived
from openkls.domain.quality import Quality, Reading
from openkls.media import ingest
from openkls.media.ingest import Ingest, Role
from support_media import (
    AUDIO_HEADER,
    AVC_CONFIG,
    METADATA,
    PICTURE,
    TONE,
    VIDEO_HEADER,
    X264,
    clip,
    frame,
    key_frame,
    sound,
)

AAC = ("-c:a", "aac", "-b:a", "64k")


def taken(*messages: tuple[int, bytes]) -> tuple[list[Role], Ingest, Quality]:
    """Roles of messages of type and payload, 40 ms apart."""
    quality = Quality()
    subject = Ingest(quality)
    roles = [
        subject.take(MediaReceived(type_id, at * 40, body), at / 25) for at, (type_id, body) in enumerate(messages)
    ]
    return roles, subject, quality


def read(tags: list[flv.Tag]) -> tuple[Reading, list[Role]]:
    """The quality of a clip that arrives in real time, read at its end."""
    quality = Quality()
    subject = Ingest(quality)
    roles = []
    for tag in tags:
        quality.received(tag.timestamp / 1000, len(tag.payload) + 12)
        roles.append(subject.take(MediaReceived(*tag), tag.timestamp / 1000))
    assert subject.broken_headers == 0
    return quality.read(max(tag.timestamp for tag in tags) / 1000), roles


# -- real clips


def test_h264_and_aac_with_b_frames_are_measured_in_every_field() -> None:
    tags = clip(*PICTURE, *TONE, *X264, "-bf", "2", "-b:v", "600k", *AAC)
    reading, roles = read(tags)
    assert (reading.vcodec, reading.acodec) == ("h264", "aac")
    assert (reading.width, reading.height, reading.sample_rate) == (640, 360, 44100)
    assert reading.frame_rate == 25
    assert abs(reading.curfps - 25) <= 1
    assert reading.flr <= 4
    frames = [tag for tag in tags if tag.type_id == flv.VIDEO and tag.payload[1] == 1]
    span_seconds = (frames[-1].timestamp - frames[0].timestamp) / 1000
    made_bps = sum(len(tag.payload) - 5 for tag in frames[1:]) * 8 / span_seconds
    assert reading.video_bps == pytest.approx(made_bps, rel=0.001)
    assert reading.audio_bps == pytest.approx(64_000, rel=0.15)
    assert reading.real_bps == pytest.approx(reading.video_bps + reading.audio_bps, rel=0.15)
    counts = {role: roles.count(role) for role in Role}
    assert counts[Role.METADATA] == counts[Role.VIDEO_HEADER] == counts[Role.AUDIO_HEADER] == 1
    assert counts[Role.KEY_FRAME] == 2
    assert counts[Role.KEY_FRAME] + counts[Role.FRAME] == 50


def test_audio_only_has_no_video_fields() -> None:
    reading, roles = read(clip(*TONE, *AAC))
    assert (reading.vcodec, reading.width, reading.height, reading.frame_rate, reading.curfps) == ("", 0, 0, 0, 0)
    assert (reading.acodec, reading.sample_rate) == ("aac", 44100)
    assert set(roles) <= {Role.METADATA, Role.AUDIO_HEADER, Role.AUDIO, Role.OTHER}


def test_video_only_has_no_audio_fields() -> None:
    reading, _ = read(clip(*PICTURE, *X264))
    assert (reading.acodec, reading.sample_rate, reading.audio_bps) == ("", 0, 0)
    assert reading.vcodec == "h264"


def test_mp3_tells_its_sample_rate() -> None:
    reading, _ = read(clip(*TONE, "-c:a", "libmp3lame"))
    assert (reading.acodec, reading.sample_rate) == ("mp3", 44100)


@pytest.mark.parametrize(
    ("codec", "arguments"),
    [
        ("hevc", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25")),
        ("av1", ("-c:v", "libsvtav1", "-preset", "12", "-g", "25", "-svtav1-params", "lp=1")),
    ],
)
def test_enhanced_rtmp_video_is_carried_named_and_sized_by_its_metadata(codec: str, arguments: tuple[str, ...]) -> None:
    reading, roles = read(clip(*PICTURE, *arguments, seconds=1.2))
    assert reading.vcodec == codec
    assert (reading.width, reading.height, reading.frame_rate) == (640, 360, 25)
    assert abs(reading.curfps - 25) <= 1
    assert roles.count(Role.VIDEO_HEADER) == 1
    assert roles.count(Role.KEY_FRAME) >= 1


# -- class 10


@pytest.mark.parametrize(
    "config",
    [b"", b"\x01", AVC_CONFIG[:12], b"\x01\x64\x00\x1e\xff\xe0\x00", b"\x01\x64\x00\x1e\xff\xe1\x00\x00\x01\x00\x00"],
    ids=["nothing", "a byte", "cut short", "no SPS", "empty SPS"],
)
def test_class_10_broken_avc_configuration_ends_nothing_and_keeps_what_was_known(config: bytes) -> None:
    header = b"\x17\x00\x00\x00\x00" + config
    roles, subject, quality = taken((9, VIDEO_HEADER), (9, header), (9, key_frame()))
    assert roles[2] is Role.KEY_FRAME
    assert subject.broken_headers == (1 if config else 0)
    assert quality.from_headers.width == 640
    assert quality.vcodec == "h264"


def test_class_10_broken_aac_configuration_ends_nothing() -> None:
    roles, subject, quality = taken((8, b"\xaf\x00\xff"), (8, sound()))
    assert roles == [Role.AUDIO_HEADER, Role.AUDIO]
    assert subject.broken_headers == 1
    assert (quality.acodec, quality.read(1.0).sample_rate) == ("aac", 0)


def test_class_10_nal_of_no_bytes_and_media_before_any_header_are_frames() -> None:
    roles, subject, quality = taken((9, frame(b"\x00\x00\x00\x00")), (9, key_frame(b"\x00\x00\x00\x00")), (8, sound()))
    assert roles == [Role.FRAME, Role.KEY_FRAME, Role.AUDIO]
    assert subject.broken_headers == 0
    assert (quality.vcodec, quality.acodec) == ("h264", "aac")


@pytest.mark.parametrize("payload", [b"\x17", b"\x17\x01", b"\x00", b"\xff" * 9, b"\xaf", b"\x9f\x01"])
def test_class_10_payloads_that_make_no_sense_are_carried_and_count_as_nothing(payload: bytes) -> None:
    roles, _, quality = taken((9, payload), (8, payload))
    assert set(roles) <= {Role.OTHER, Role.AUDIO}
    assert quality.vcodec == ""


@pytest.mark.parametrize(
    "value",
    [None, "640", True, -1.0, float("nan"), float("inf"), 1e300, [], {"a": 1.0}, amf0.UNDEFINED],
)
def test_class_10_metadata_of_wrong_types_declares_nothing(value: amf0.AmfValue) -> None:
    names = ("width", "height", "framerate", "audiosamplerate", "videodatarate")
    metadata = amf0.encode("onMetaData", amf0.EcmaArray(dict.fromkeys(names, value)))
    roles, subject, quality = taken((18, metadata), (9, key_frame()), (8, sound()))
    assert roles[0] is Role.METADATA
    assert subject.broken_headers == 0
    reading = quality.read(1.0)
    assert (reading.width, reading.height, reading.sample_rate) == (0, 0, 0)


@pytest.mark.parametrize("rest", [b"", amf0.encode(7.0), amf0.encode("text"), amf0.encode(None)])
def test_class_10_metadata_that_is_no_object_is_carried(rest: bytes) -> None:
    roles, _, quality = taken((18, amf0.encode("onMetaData") + rest))
    assert roles == [Role.METADATA]
    assert quality.from_metadata.width == 0


def test_class_10_broken_metadata_and_other_data_are_carried_but_not_kept() -> None:
    roles, subject, _ = taken((18, METADATA[:-2]), (18, amf0.encode("onTextData", {"text": "x"})), (18, b"\x02\x00"))
    assert roles == [Role.OTHER] * 3
    assert subject.broken_headers == 1  # text is not even decoded


def test_metadata_is_believed_for_the_frame_rate_and_headers_for_the_size() -> None:
    metadata = amf0.encode("onMetaData", amf0.EcmaArray({"width": 1.0, "height": 1.0, "framerate": 30.0}))
    _, _, quality = taken((18, metadata), (9, VIDEO_HEADER), (9, key_frame()))
    reading = quality.read(1.0)
    assert (reading.width, reading.height, reading.frame_rate) == (640, 360, 30)


def test_header_of_another_codec_takes_back_what_the_former_said() -> None:
    hevc = b"\x90hvc1" + bytes(30)
    _, _, quality = taken((9, VIDEO_HEADER), (9, hevc), (8, AUDIO_HEADER), (8, b"\x90Opus" + bytes(19)))
    reading = quality.read(1.0)
    assert (reading.vcodec, reading.width, reading.height, reading.frame_rate) == ("hevc", 0, 0, 0)
    assert (reading.acodec, reading.sample_rate) == ("opus", 0)


def test_further_tracks_are_carried_and_neither_measured_nor_a_place_to_start() -> None:
    # Enhanced RTMP v2, Multitrack, OneTrack: packet type 6, then type and FourCC, then the track's number.
    header = b"\x96\x00avc1\x01" + AVC_CONFIG
    key = b"\x96\x01avc1\x01\x00\x00\x00" + b"\x00\x00\x00\x01\x65"
    audio = b"\x95\x01mp4a\x01\x21\x10"
    roles, _, quality = taken((9, VIDEO_HEADER), (9, header), (9, key), (8, audio))
    assert roles == [Role.VIDEO_HEADER, Role.OTHER, Role.OTHER, Role.OTHER]
    assert quality.acodec == ""
    first = b"\x96\x01avc1\x00\x00\x00\x00" + b"\x00\x00\x00\x01\x65"
    assert taken((9, first))[0] == [Role.KEY_FRAME]


def test_header_of_exactly_the_limit_is_kept_and_one_more_byte_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "HEADER_LIMIT_BYTES", len(VIDEO_HEADER) + 10)
    fits, over = VIDEO_HEADER + bytes(10), VIDEO_HEADER + bytes(11)
    roles, subject, _ = taken((9, fits), (9, over), (8, AUDIO_HEADER + bytes(100)), (18, METADATA + bytes(100)))
    assert roles == [Role.VIDEO_HEADER, Role.OTHER, Role.OTHER, Role.OTHER]
    assert subject.broken_headers == 3


def test_size_and_frame_rate_of_hevc_are_read_from_its_parameter_sets() -> None:
    x265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
    tags = clip(*PICTURE, *x265, seconds=1.0)
    reading, roles = read([tag for tag in tags if tag.type_id == flv.VIDEO])  # without the metadata that says it too
    assert (reading.vcodec, reading.width, reading.height, reading.frame_rate) == ("hevc", 640, 360, 25)
    assert roles[0] is Role.VIDEO_HEADER


def test_broken_hevc_header_is_counted_and_carried() -> None:
    roles, subject, _ = taken((flv.VIDEO, b"\x90hvc1broken"))
    assert roles == [Role.VIDEO_HEADER]
    assert subject.broken_headers == 1
