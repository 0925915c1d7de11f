"""What a published message is, and what it says of the stream's quality.

Rule: broken media never raises and never ends the publisher; it is carried, and counted as nothing (security class 10).
Of several tracks (enhanced RTMP) only the first is measured and decides where a viewer can start; all are carried.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from openkls.codec import ProtocolError, aac, amf0, flv, h264, hevc
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.quality import Quality, Traits

# Headers are kept for late viewers beside the GOP. Parameter sets are below 1 KiB; metadata may hold the key frame
# index of a recording of hours. A longer one is carried as something of no use to those who come late.
HEADER_LIMIT_BYTES: Final = 256 * 1024

_VIDEO_CONFIGS: Final[dict[str, Callable[[bytes], h264.AvcConfig | hevc.Sps]]] = {
    "h264": h264.parse_avc_config,
    "hevc": hevc.parse_hevc_sps,
}
_METADATA_NAME: Final = amf0.encode("onMetaData")


class Role(IntEnum):
    """What a message is to those who join a stream late."""

    OTHER = 0
    METADATA = 1
    VIDEO_HEADER = 2
    AUDIO_HEADER = 3
    KEY_FRAME = 4
    FRAME = 5
    """A coded video frame that cannot be decoded without those before it."""
    AUDIO = 6


class Ingest:
    """Classifies the messages of one publish and feeds its quality."""

    __slots__ = ("_quality", "broken_headers")

    def __init__(self, quality: Quality) -> None:
        self._quality = quality
        self.broken_headers = 0

    def take(self, message: MediaReceived, now: float) -> Role:
        """Count a message that arrived at ``now`` (monotonic seconds) and say what it is."""
        if message.type_id == flv.VIDEO:
            return self._take_video(message, now)
        if message.type_id == flv.AUDIO:
            return self._take_audio(message, now)
        return self._take_data(message)

    def _take_video(self, message: MediaReceived, now: float) -> Role:
        tag = flv.parse_video(message.payload)
        if tag.track:
            return Role.OTHER
        if tag.kind is flv.Kind.CODED:
            self._quality.vcodec = tag.codec
            self._quality.video_frame(now, message.timestamp, len(message.payload) - tag.body_offset)
            return Role.KEY_FRAME if tag.keyframe else Role.FRAME
        if tag.kind is not flv.Kind.SEQUENCE_HEADER or not self._is_credible(message):
            return Role.OTHER
        headers = self._quality.from_headers
        if tag.codec != self._quality.vcodec:  # what the header of another codec said is over
            headers.width = headers.height = 0
            headers.frame_rate = 0.0
        self._quality.vcodec = tag.codec
        parse = _VIDEO_CONFIGS.get(tag.codec)
        if parse is not None:
            try:
                config = parse(message.payload[tag.body_offset :])
            except ProtocolError:
                self.broken_headers += 1
            else:
                headers.width, headers.height = config.width, config.height
                headers.frame_rate = config.frame_rate or 0.0
        return Role.VIDEO_HEADER

    def _take_audio(self, message: MediaReceived, now: float) -> Role:
        tag = flv.parse_audio(message.payload)
        if tag.track:
            return Role.OTHER
        if tag.kind is flv.Kind.CODED:
            self._quality.acodec = tag.codec
            if tag.sample_rate:
                self._quality.from_headers.sample_rate = tag.sample_rate
            self._quality.audio_frame(now, message.timestamp, len(message.payload) - tag.body_offset)
            return Role.AUDIO
        if tag.kind is not flv.Kind.SEQUENCE_HEADER or not self._is_credible(message):
            return Role.OTHER
        if tag.codec != self._quality.acodec:
            self._quality.from_headers.sample_rate = 0
        self._quality.acodec = tag.codec
        if tag.codec == "aac":
            try:
                config = aac.parse_aac_config(message.payload[tag.body_offset :])
            except ProtocolError:
                self.broken_headers += 1
            else:
                self._quality.from_headers.sample_rate = config.sample_rate
        return Role.AUDIO_HEADER

    def _take_data(self, message: MediaReceived) -> Role:
        if not message.payload.startswith(_METADATA_NAME) or not self._is_credible(message):
            return Role.OTHER
        try:
            values = amf0.decode_all(message.payload)
        except ProtocolError:
            self.broken_headers += 1
            return Role.OTHER
        declared = flv.read_metadata(values)
        self._quality.from_metadata = Traits(declared.width, declared.height, declared.frame_rate, declared.sample_rate)
        return Role.METADATA

    def _is_credible(self, header: MediaReceived) -> bool:
        if len(header.payload) <= HEADER_LIMIT_BYTES:
            return True
        self.broken_headers += 1
        return False
