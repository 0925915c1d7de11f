"""FLV: the container of a file or an HTTP-FLV answer, and the headers of audio and video messages.

Rule: reading a container raises ProtocolError; classifying a message never raises. A publisher whose media is broken
harms only its own viewers, so a payload that makes no sense is `Kind.OTHER`: carried, never counted, never cached.

Theory of operation. RTMP's audio, video and data messages have the bodies of FLV tags, so that one classification
serves both. It runs for every message, and the first bytes decide everything: they are looked up in tables
built at import, and only composition times and the rare wrappers of enhanced RTMP (ModEx, Multitrack) are computed.
"""

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from openkls.codec.errors import ProtocolError

AUDIO: Final = 8
VIDEO: Final = 9
SCRIPT: Final = 18

MAX_TAG_BYTES: Final = 10 * 1024 * 1024  # the RTMP message limit: such a tag could not be published anyway
MAX_HEADER_BYTES: Final = 1024  # DataOffset is 9 in every version there is; a larger one is skipped up to here
MAX_MOD_EX: Final = 8  # chained modifiers of one message; each costs 3 bytes, so 10 MiB could hold millions

# What onMetaData may claim; beyond it the value is not credible, and the answers' integers stay below 2^31.
MAX_DECLARED_SIDE: Final = 16_384
MAX_DECLARED_FRAME_RATE: Final = 1_000
MAX_DECLARED_KBPS: Final = 1_000_000
MAX_DECLARED_SAMPLE_RATE: Final = 768_000

_FILE_HEADER_BYTES: Final = 9
_TAG_HEADER_BYTES: Final = 11
_BACK_POINTER_BYTES: Final = 4
_TAG_HEADER: Final = struct.Struct(">II3x")
_BACK_POINTER: Final = struct.Struct(">I")


class Tag(NamedTuple):
    """One FLV tag. ``timestamp`` is in milliseconds, 32 bits, unsigned."""

    type_id: int
    timestamp: int
    payload: bytes


class Kind(enum.Enum):
    """What an audio or video message carries."""

    SEQUENCE_HEADER = "sequence_header"
    CODED = "coded"
    END = "end"
    METADATA = "metadata"
    OTHER = "other"  # broken, empty or a command


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


class AudioTag(NamedTuple):
    """The header of an audio message; ``sample_rate`` is 0 where only the sequence header knows (AAC, FLAC...)."""

    codec: str
    kind: Kind
    sample_rate: int
    body_offset: int
    track: int = 0


@dataclass(frozen=True, slots=True)
class Declared:
    """What a publisher's onMetaData declares. 0 is absent, of the wrong type or not credible."""

    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    video_kbps: float = 0.0
    audio_kbps: float = 0.0
    sample_rate: int = 0


# -- the container ----------------------------------------------------------------------------------------------


def build_header(audio: bool, video: bool) -> bytes:
    """Return the 13 bytes an FLV stream begins with: the file header and the first, empty back pointer."""
    return b"FLV\x01" + bytes((audio << 2 | video, 0, 0, 0, _FILE_HEADER_BYTES, 0, 0, 0, 0))


def build_tag(type_id: int, timestamp: int, payload: bytes) -> bytes:
    """Return one tag and its back pointer. ``timestamp`` in ms is taken modulo 2^32.

    Raises ValueError for a payload of 16 MiB or more: no RTMP message is that long.
    """
    size = len(payload)
    if size > 0xFFFFFF:
        raise ValueError(f"an FLV tag holds at most 16777215 bytes, not {size}")
    # FLV 10.1, E.4.1: 24 low bits of the timestamp, then its 8 high bits, then a stream id of zero
    head = _TAG_HEADER.pack(type_id << 24 | size, (timestamp & 0xFFFFFF) << 8 | timestamp >> 24 & 0xFF)
    return head + payload + _BACK_POINTER.pack(size + _TAG_HEADER_BYTES)


class FlvReader:
    """Streaming reader: bytes in any portions in, whole tags out.

    Back pointers are not compared: writers that are cut and joined leave wrong ones, and nothing reads backwards.
    After a ProtocolError the reader is of no further use.
    """

    def __init__(self) -> None:
        self.has_audio = False
        self.has_video = False
        self._buffer = bytearray()
        self._skip_bytes = 0  # rest of the file header, then back pointers
        self._in_body = False

    def feed(self, data: bytes) -> list[Tag]:
        """Take the next bytes and return the tags they complete. Raises ProtocolError."""
        buffer = self._buffer
        buffer += data
        tags: list[Tag] = []
        cursor = 0
        end = len(buffer)
        if not self._in_body:
            if end < _FILE_HEADER_BYTES:
                return tags
            self._read_file_header()
            cursor = _FILE_HEADER_BYTES
        while end - cursor >= self._skip_bytes + _TAG_HEADER_BYTES:
            cursor += self._skip_bytes
            self._skip_bytes = 0
            first, second = _TAG_HEADER.unpack_from(buffer, cursor)
            size = first & 0xFFFFFF
            if first >> 24 & 0x20:
                raise ProtocolError("an encrypted FLV tag; only plain ones can be read")
            if size > MAX_TAG_BYTES:
                raise ProtocolError(f"an FLV tag of {size} bytes; at most {MAX_TAG_BYTES} are read", "MAX_TAG_BYTES")
            start = cursor + _TAG_HEADER_BYTES
            if end - start < size:
                break
            cursor = start + size
            timestamp = second >> 8 | (second & 0xFF) << 24
            tags.append(Tag(first >> 24 & 0x1F, timestamp, bytes(buffer[start:cursor])))
            self._skip_bytes = _BACK_POINTER_BYTES
        del buffer[:cursor]
        return tags

    def _read_file_header(self) -> None:
        buffer = self._buffer
        if buffer[:4] != b"FLV\x01":
            raise ProtocolError("not an FLV stream: it does not begin with 'FLV' and version 1")
        offset = int.from_bytes(buffer[5:9], "big")
        if not _FILE_HEADER_BYTES <= offset <= MAX_HEADER_BYTES:
            raise ProtocolError(
                f"an FLV header of {offset} bytes; {_FILE_HEADER_BYTES} to {MAX_HEADER_BYTES} are read",
                "MAX_HEADER_BYTES",
            )
        self.has_audio = bool(buffer[4] & 4)
        self.has_video = bool(buffer[4] & 1)
        self._skip_bytes = offset - _FILE_HEADER_BYTES + _BACK_POINTER_BYTES
        self._in_body = True


# -- video messages ---------------------------------------------------------------------------------------------

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
_MOD_EX: Final = 7
_NO_BODY_NEEDED: Final = frozenset((Kind.END, Kind.METADATA))


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
    header = _parse_ex_header(payload, _VIDEO_MULTITRACK)
    if header is None or (frame == _COMMAND_FRAME and header.packet != _METADATA):
        return _NO_VIDEO
    kind = _VIDEO_EX_KINDS.get(header.packet, Kind.OTHER)
    codec = _VIDEO_FOURCC.get(header.fourcc, "unknown")
    offset = header.body_offset
    composition = 0
    if header.packet == _CODED_FRAMES and header.fourcc in _WITH_COMPOSITION:
        composition = _signed_24(int.from_bytes(payload[offset : offset + 3], "big"))
        offset += 3
    if len(payload) <= offset and kind not in _NO_BODY_NEEDED:
        return _NO_VIDEO
    key = frame == _KEY_FRAME and kind is Kind.CODED
    return VideoTag(codec, key, kind, composition, offset, header.track)


def _signed_24(number: int) -> int:
    return number - 0x1000000 if number & 0x800000 else number


# -- the header enhanced audio and enhanced video share ---------------------------------------------------------


class _ExHeader(NamedTuple):
    packet: int
    fourcc: bytes
    body_offset: int
    track: int


_MANY_TRACKS_MANY_CODECS: Final = 2


def _parse_ex_header(payload: bytes, multitrack: int) -> _ExHeader | None:
    """Read up to the body of the message's (first) track; None when broken. ``multitrack``: its packet type."""
    packet = payload[0] & 0x0F
    if packet >= multitrack:
        try:
            return _parse_wrapped(payload, multitrack)
        except IndexError:
            return None
    fourcc = bytes(payload[1:5])
    return _ExHeader(packet, fourcc, 5, 0) if len(fourcc) == 4 else None


def _parse_wrapped(payload: bytes, multitrack: int) -> _ExHeader | None:
    """Enhanced RTMP v2, "ExVideoTagHeader" and "ExAudioTagHeader": ModEx, then Multitrack. IndexError if short."""
    packet = payload[0] & 0x0F
    cursor = 1
    for _ in range(MAX_MOD_EX):
        if packet != _MOD_EX:
            break
        size = payload[cursor] + 1
        cursor += 1
        if size == 256:
            size = (payload[cursor] << 8 | payload[cursor + 1]) + 1
            cursor += 2
        cursor += size  # the modifier itself: nothing here needs nanosecond offsets
        packet = payload[cursor] & 0x0F
        cursor += 1
    if packet != multitrack:
        fourcc = bytes(payload[cursor : cursor + 4])
        return _ExHeader(packet, fourcc, cursor + 4, 0) if packet < multitrack and len(fourcc) == 4 else None
    layout, packet = payload[cursor] >> 4, payload[cursor] & 0x0F
    if layout > _MANY_TRACKS_MANY_CODECS or packet >= multitrack:
        return None
    fourcc = bytes(payload[cursor + 1 : cursor + 5])
    track = payload[cursor + 5]
    return _ExHeader(packet, fourcc, cursor + (9 if layout else 6), track)  # with a 24-bit size unless OneTrack


# -- audio messages ---------------------------------------------------------------------------------------------

_NO_AUDIO: Final = AudioTag("", Kind.OTHER, 0, 0)
_EX_AUDIO: Final = 9
_AAC: Final = 10
_AUDIO_MULTITRACK: Final = 5

# FLV 10.1, E.4.2.1: SoundFormat -> name and, where the format fixes it, the sample rate; 13 is SRS's Opus
_LEGACY_AUDIO: Final = {
    0: ("pcm", 0),
    1: ("adpcm", 0),
    2: ("mp3", 0),
    3: ("pcm", 0),
    4: ("nellymoser", 16_000),
    5: ("nellymoser", 8_000),
    6: ("nellymoser", 0),
    7: ("g711a", 8_000),
    8: ("g711u", 8_000),
    11: ("speex", 16_000),
    13: ("opus", 48_000),
    14: ("mp3", 8_000),
}
_SOUND_RATES: Final = (5_512, 11_025, 22_050, 44_100)

_AUDIO_FOURCC: Final = {
    b"mp4a": ("aac", 0),
    b".mp3": ("mp3", 0),
    b"Opus": ("opus", 48_000),
    b"fLaC": ("flac", 0),
    b"ac-3": ("ac3", 0),
    b"ec-3": ("eac3", 0),
}
_AUDIO_EX_KINDS: Final = {
    0: Kind.SEQUENCE_HEADER,
    1: Kind.CODED,
    2: Kind.END,
    4: Kind.METADATA,  # MultichannelConfig
}

# ISO 11172-3, 2.4.2.3 and 13818-3: by version (2.5, reserved, 2, 1) and sampling_frequency
_MP3_RATES: Final = ((11_025, 12_000, 8_000, 0), (0, 0, 0, 0), (22_050, 24_000, 16_000, 0), (44_100, 48_000, 32_000, 0))


def _audio_table() -> list[AudioTag]:
    """Legacy headers by their first byte."""
    table = [_NO_AUDIO] * 256
    for first in range(256):
        known = _LEGACY_AUDIO.get(first >> 4)
        if known is not None:
            codec, rate = known
            table[first] = AudioTag(codec, Kind.CODED, rate or _SOUND_RATES[first >> 2 & 3], 1)
    return table


_AUDIO: Final = _audio_table()
_AAC_KINDS: Final = (AudioTag("aac", Kind.SEQUENCE_HEADER, 0, 2), AudioTag("aac", Kind.CODED, 0, 2))


def parse_audio(payload: bytes) -> AudioTag:
    """Classify an audio message by its header: legacy (FLV 10.1) or enhanced RTMP v2. Never raises."""
    size = len(payload)
    if size < 2:
        return _NO_AUDIO
    first = payload[0]
    form = first >> 4
    if form == _AAC:
        return _AAC_KINDS[payload[1]] if payload[1] < 2 and size > 2 else _NO_AUDIO
    if form == _EX_AUDIO:
        return _parse_ex_audio(payload)
    tag = _AUDIO[first]
    if tag.codec == "mp3":
        # the two rate bits cannot say 48000 or 32000; the MP3 frame can
        rate = _mp3_sample_rate(payload, 1)
        if rate and rate != tag.sample_rate:
            return AudioTag("mp3", Kind.CODED, rate, 1)
    return tag


def _parse_ex_audio(payload: bytes) -> AudioTag:
    header = _parse_ex_header(payload, _AUDIO_MULTITRACK)
    if header is None:
        return _NO_AUDIO
    kind = _AUDIO_EX_KINDS.get(header.packet, Kind.OTHER)
    codec, rate = _AUDIO_FOURCC.get(header.fourcc, ("unknown", 0))
    if len(payload) <= header.body_offset and kind not in _NO_BODY_NEEDED:
        return _NO_AUDIO
    if codec == "mp3":
        rate = _mp3_sample_rate(payload, header.body_offset)
    return AudioTag(codec, kind, rate, header.body_offset, header.track)


def _mp3_sample_rate(payload: bytes, offset: int) -> int:
    """Return the sample rate in Hz of the MPEG audio frame at the offset, or 0."""
    if len(payload) < offset + 3 or payload[offset] != 0xFF or payload[offset + 1] & 0xE0 != 0xE0:
        return 0
    return _MP3_RATES[payload[offset + 1] >> 3 & 3][payload[offset + 2] >> 2 & 3]


# -- metadata ---------------------------------------------------------------------------------------------------


def read_metadata(values: Sequence[Any]) -> Declared:
    """Read a decoded data message (``[["@setDataFrame",] "onMetaData", {...}]``). Never raises.

    Whatever has the wrong type, is not finite, not positive or beyond the credible is 0.
    """
    start = 1 if values and values[0] == "@setDataFrame" else 0
    if len(values) < start + 2 or values[start] != "onMetaData" or not isinstance(values[start + 1], dict):
        return Declared()
    said = values[start + 1]
    return Declared(
        width=int(_credible(said.get("width"), MAX_DECLARED_SIDE)),
        height=int(_credible(said.get("height"), MAX_DECLARED_SIDE)),
        frame_rate=_credible(said.get("framerate", said.get("fps")), MAX_DECLARED_FRAME_RATE),
        video_kbps=_credible(said.get("videodatarate"), MAX_DECLARED_KBPS),
        audio_kbps=_credible(said.get("audiodatarate"), MAX_DECLARED_KBPS),
        sample_rate=int(_credible(said.get("audiosamplerate"), MAX_DECLARED_SAMPLE_RATE)),
    )


def _credible(value: Any, limit: int) -> float:
    if type(value) not in (int, float) or not 0 < value <= limit:  # NaN compares false with everything
        return 0.0
    return float(value)
