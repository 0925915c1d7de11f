"""FLV: the container of a file or an HTTP-FLV answer, and the headers of audio and video messages.

Rule: reading a container raises ProtocolError; classifying a message never raises. A publisher whose media is broken
harms only its own viewers, so a payload that makes no sense is `Kind.OTHER`: carried, never counted, never cached.

Theory of operation. RTMP's audio, video and data messages have the bodies of FLV tags, so that one classification
serves both. It runs for every message, and the first bytes decide everything: they are looked up in tables
built at import, and only composition times and the rare wrappers of enhanced RTMP (ModEx, Multitrack) are computed.
"""

from openkls.codec.flv.audio import AudioTag, parse_audio
from openkls.codec.flv.container import (
    AUDIO,
    MAX_HEADER_BYTES,
    MAX_TAG_BYTES,
    SCRIPT,
    VIDEO,
    FlvReader,
    Tag,
    build_header,
    build_tag,
)
from openkls.codec.flv.enhanced import MAX_MOD_EX, Kind
from openkls.codec.flv.metadata import (
    MAX_DECLARED_FRAME_RATE,
    MAX_DECLARED_KBPS,
    MAX_DECLARED_SAMPLE_RATE,
    MAX_DECLARED_SIDE,
    Declared,
    read_metadata,
)
from openkls.codec.flv.video import VideoTag, parse_video

__all__ = [
    "AUDIO",
    "MAX_DECLARED_FRAME_RATE",
    "MAX_DECLARED_KBPS",
    "MAX_DECLARED_SAMPLE_RATE",
    "MAX_DECLARED_SIDE",
    "MAX_HEADER_BYTES",
    "MAX_MOD_EX",
    "MAX_TAG_BYTES",
    "SCRIPT",
    "VIDEO",
    "AudioTag",
    "Declared",
    "FlvReader",
    "Kind",
    "Tag",
    "VideoTag",
    "build_header",
    "build_tag",
    "parse_audio",
    "parse_video",
    "read_metadata",
]
