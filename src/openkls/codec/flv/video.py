"""The headers of video messages. Rule: classifying never raises; what makes no sense is `Kind.OTHER`."""

from typing import Final, NamedTuple

from openkls.codec.flv.enhanced import NO_BODY_NEEDED, Kind, parse_ex_header


class VideoTag(NamedTuple):
    """The header of a video message.

    ``codec`` is a name of the contract's section 7, ``""`` when the payload is broken and ``"unknown"`` for a FourCC
    nobody has published. ``keyframe`` is a coded frame at which decoding can start, so it is False for sequence
    headers. The codec's own bytes begin at ``body_offset``. ``track`` is 0 unless Multitrack names another.
    """

    codec: str
    keyframe: bool
    kind: Kind
    composition_ms: int
    body_offset: int
    track: int = 0


_NO_VIDEO: Final = VideoTag("", False, Kind.OTHER, 0, 0)
_KEY_FRAME: Final = 1
_COMMAND_FRAME: Final = 5  # "video info/command frame": one byte for the player, no picture

# FLV 10.1, E.4.3.1; 12 is the widespread Chinese assignment for HEVC, of an AVC packet's form
_LEGACY_VIDEO: Final = {2: "h263", 3: "flashsv", 4: "vp6", 5: "vp6a", 6: "flashsv2", 7: "h264", 12: "hevc"}
_WITH_PACKET_TYPE: Final = frozenset((7, 12))
_PACKET_KINDS: Final = {0: Kind.SEQUENCE_HEADER, 1: Kind.CODED, 2: Kind.END}
_AVC_HEADER_BYTES: Final = 5

# Enhanced RTMP v2, "Enhanced Video"; vvc1 is a later addition of ffmpeg's
_VIDEO_FOURCC: Final = {
    b"avc1": "h264",
    b"hvc1": "hevc",
    b"vvc1": "vvc",
    b"av01": "av1",
    b"vp08": "vp8",
    b"vp09": "vp9",
}
_WITH_COMPOSITION: Final = frozenset((b"avc1", b"hvc1", b"vvc1"))
_VIDEO_EX_KINDS: Final = {
    0: Kind.SEQUENCE_HEADER,
    1: Kind.CODED,
    2: Kind.END,
    3: Kind.CODED,  # CodedFramesX: composition time 0, left out
    4: Kind.METADATA,
    5: Kind.SEQUENCE_HEADER,  # MPEG2TSSequenceStart
}
_CODED_FRAMES: Final = 1
_METADATA: Final = 4
_VIDEO_MULTITRACK: Final = 6


def _video_table() -> dict[int, VideoTag]:
    """Legacy headers by their first byte (codecs without a packet type) or their first two."""
    table = {}
    for frame in range(1, 5):
        for codec_id, codec in _LEGACY_VIDEO.items():
            first = frame << 4 | codec_id
            if codec_id not in _WITH_PACKET_TYPE:
                tag = VideoTag(codec, frame == _KEY_FRAME, Kind.CODED, 0, 1)
                table.update({first << 8 | second: tag for second in range(256)})
                continue
            for packet, kind in _PACKET_KINDS.items():
                key = frame == _KEY_FRAME and kind is Kind.CODED
                table[first << 8 | packet] = VideoTag(codec, key, kind, 0, _AVC_HEADER_BYTES)
    return table


_VIDEO: Final = _video_table()


def parse_video(payload: bytes) -> VideoTag:
    """Classify a video message by its header: legacy (FLV 10.1) or enhanced RTMP v2. Never raises."""
    size = len(payload)
    if size < 2:
        return _NO_VIDEO
    first = payload[0]
    if first & 0x80:
        return _parse_ex_video(payload)
    known = _VIDEO.get(first << 8 | payload[1])
    if known is None:
        return _NO_VIDEO
    if size <= known.body_offset:  # nothing behind the header; an end of sequence needs nothing
        return known if known.kind is Kind.END else _NO_VIDEO
    if known.kind is Kind.CODED and known.body_offset == _AVC_HEADER_BYTES:
        composition = payload[2] << 16 | payload[3] << 8 | payload[4]
        if composition:
            return VideoTag(known.codec, known.keyframe, Kind.CODED, _signed_24(composition), _AVC_HEADER_BYTES)
    return known


def _parse_ex_video(payload: bytes) -> VideoTag:
    frame = payload[0] >> 4 & 7
    header = parse_ex_header(payload, _VIDEO_MULTITRACK)
    if header is None or (frame == _COMMAND_FRAME and header.packet != _METADATA):
        return _NO_VIDEO
    kind = _VIDEO_EX_KINDS.get(header.packet, Kind.OTHER)
    codec = _VIDEO_FOURCC.get(header.fourcc, "unknown")
    offset = header.body_offset
    composition = 0
    if header.packet == _CODED_FRAMES and header.fourcc in _WITH_COMPOSITION:
        composition = _signed_24(int.from_bytes(payload[offset : offset + 3], "big"))
        offset += 3
    if len(payload) <= offset and kind not in NO_BODY_NEEDED:
        return _NO_VIDEO
    key = frame == _KEY_FRAME and kind is Kind.CODED
    return VideoTag(codec, key, kind, composition, offset, header.track)


def _signed_24(number: int) -> int:
    return number - 0x1000000 if number & 0x800000 else number
