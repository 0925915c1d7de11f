"""Fuzz target: the FLV reader, the classification of messages and their metadata."""

from random import Random

from openkls.codec import ProtocolError, amf0, flv


def seeds() -> list[bytes]:
    """Well-formed streams to start from."""
    header = flv.build_header(audio=True, video=True)
    metadata = amf0.encode("onMetaData", {"width": 1280.0, "height": 720.0, "framerate": 25.0})
    video = [
        b"\x17\x00\x00\x00\x00avcC",
        b"\x27\x01\x00\x00\x50frame",
        b"\x90hvc1hvcC",
        b"\x97\x02\x00\x00\x07\x06\x11av01\x00\x00\x00\x01f",
        b"\x96\x21avc1\x02\x00\x00\x28\x00\x00\x01f",
    ]
    audio = [b"\xaf\x00\x12\x10", b"\xaf\x01frame", b"\x2f\xff\xfb\x94", b"\x90mp4a\x12\x10", b"\x95\x01Opus\x01f"]
    tags = [(flv.SCRIPT, metadata), *((flv.VIDEO, body) for body in video), *((flv.AUDIO, body) for body in audio)]
    built = [flv.build_tag(type_id, number * 40, body) for number, (type_id, body) in enumerate(tags)]
    return [header + b"".join(built), *(header + tag for tag in built)]


def fuzz_one(data: bytes) -> None:
    """Any bytes give the same tags however they are cut, or a ProtocolError; classification never raises."""
    whole = _read([data])
    cut = Random(len(data)).randint(0, len(data))
    assert _read([data[:cut], data[cut:]]) == whole
    for payload in [data, *(tag.payload for tag in whole or ())]:
        for tag in (flv.parse_video(payload), flv.parse_audio(payload)):
            assert tag.kind is flv.Kind.OTHER or tag.codec
            assert tag.body_offset < len(payload) or tag.kind not in (flv.Kind.SEQUENCE_HEADER, flv.Kind.CODED)
        try:
            values = amf0.decode_all(payload)
        except ProtocolError:
            continue
        assert 0 <= flv.read_metadata(values).width <= flv.MAX_DECLARED_SIDE


def _read(pieces: list[bytes]) -> list[flv.Tag] | None:
    reader = flv.FlvReader()
    tags = []
    try:
        for piece in pieces:
            tags += reader.feed(piece)
    except ProtocolError:
        return None
    return tags
