"""Wires: what a play URL asks for, and the bytes viewers of one kind get."""

import pytest

from openkls.codec import amf0, flv
from openkls.codec.rtmp import MediaReceived
from openkls.domain.viewers import PullProtocol
from openkls.media import wires
from openkls.media.wires import FLV_WIRE, RTMP_WIRE, Wire, wire_for

BOTH = [PullProtocol.RTMP, PullProtocol.HTTP_FLV]
DECLARED = {
    "duration": 0.0,
    "width": 640.0,
    "height": 360.0,
    "framerate": 25.0,
    "videocodecid": 7.0,
    "videodatarate": 1000.0,
    "audiocodecid": 10.0,
    "stereo": True,
    "hasVideo": True,
    "encoder": "x",
}


def read(wire: Wire, *messages: MediaReceived) -> list[flv.Tag]:
    assert wire.protocol is PullProtocol.HTTP_FLV
    return flv.FlvReader().feed(flv.build_header(True, True) + wire.join(messages))


def metadata(*values: object) -> MediaReceived:
    return MediaReceived(flv.SCRIPT, 0, amf0.encode(*values))


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("query", "left_out"),
    [
        ("", None),
        ("t=1&k=2", None),
        ("type=audio", flv.VIDEO),
        ("t=1&k=2&type=audio", flv.VIDEO),
        ("type=video&t=1", flv.AUDIO),
        ("type=", None),
        ("type=AUDIO", None),
        ("type=subtitles", None),
        ("type=video&type=audio", flv.AUDIO),
        ("mytype=audio", None),
        ("%74ype=audio&type=video", flv.VIDEO),
        ("type=%61udio", flv.VIDEO),
        ("type=audio" + "&a=1" * (wires.QUERY_FIELDS_LIMIT - 1), flv.VIDEO),
        ("type=audio" + "&a=1" * wires.QUERY_FIELDS_LIMIT, None),
    ],
)
def test_type_of_a_play_url_says_what_is_left_out_and_an_unknown_one_nothing(
    protocol: PullProtocol, query: str, left_out: int | None
) -> None:
    wire = wire_for(protocol, query)
    assert (wire.protocol, wire.leaves_out) == (protocol, left_out)
    assert wire_for(protocol, query) is wire
    assert (wire in (RTMP_WIRE, FLV_WIRE)) is (left_out is None)


def test_one_kind_is_left_out_and_data_is_not() -> None:
    messages = [MediaReceived(kind, number, b"\x01") for number, kind in enumerate((8, 9, 18, 8, 9))]
    for query, seen in (("", [0, 1, 2, 3, 4]), ("type=audio", [0, 2, 3]), ("type=video", [1, 2, 4])):
        wire = wire_for(PullProtocol.HTTP_FLV, query)
        assert [tag.timestamp for tag in read(wire, *messages)] == seen


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("type=audio", {"duration", "audiocodecid", "stereo", "encoder"}),
        (
            "type=video",
            {"duration", "width", "height", "framerate", "videocodecid", "videodatarate", "hasVideo", "encoder"},
        ),
        ("", set(DECLARED)),
    ],
)
def test_metadata_announces_no_track_that_is_left_out(query: str, kept: set[str]) -> None:
    message = metadata("onMetaData", amf0.EcmaArray(DECLARED), 7.0)
    (tag,) = read(wire_for(PullProtocol.HTTP_FLV, query), message)
    assert amf0.decode_all(tag.payload) == [
        "onMetaData",
        {key: value for key, value in DECLARED.items() if key in kept},
        7.0,
    ]


@pytest.mark.parametrize(
    "message",
    [
        metadata("onCuePoint", {"video": 1.0}),
        metadata("onMetaData"),
        metadata("onMetaData", 5.0),
        metadata("onMetaData", [1.0]),
        MediaReceived(flv.SCRIPT, 0, b"\x02\x00\x0aonMetaData\x08\x00"),
    ],
)
def test_data_that_is_no_metadata_or_is_broken_is_passed_on_as_it_is(message: MediaReceived) -> None:
    (tag,) = read(wire_for(PullProtocol.HTTP_FLV, "type=audio"), message)
    assert tag.payload == message.payload


def test_metadata_is_narrowed_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    message = metadata("onMetaData", {"width": 1.0})
    wire = wire_for(PullProtocol.HTTP_FLV, "type=audio")
    for limit_bytes, narrowed in ((len(message.payload), True), (len(message.payload) - 1, False)):
        monkeypatch.setattr(wires, "HEADER_LIMIT_BYTES", limit_bytes)
        (tag,) = read(wire, message)
        assert (b"width" not in tag.payload) is narrowed
