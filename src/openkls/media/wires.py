"""How a stream is written to each kind of viewer: its protocol, and whether it wants sound, pictures or both.

Rule: a wire keeps no state, so that what it builds is good for every viewer that came by it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from openkls.codec import ProtocolError, amf0, flv
from openkls.codec.rtmp.answers import AUDIO_CSID, DATA_CSID, OUT_CHUNK_SIZE, PLAY_STREAM_ID, VIDEO_CSID
from openkls.codec.rtmp.chunk import build_message
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.viewers import PullProtocol
from openkls.media.ingest import HEADER_LIMIT_BYTES

# A play URL names a type in one of its first few parameters.
QUERY_FIELDS_LIMIT: Final = 64

_CSIDS: Final = {flv.AUDIO: AUDIO_CSID, flv.VIDEO: VIDEO_CSID, flv.SCRIPT: DATA_CSID}
_METADATA_NAME: Final = "onMetaData"
_PICTURE_KEYS: Final = frozenset(("width", "height", "framerate"))
_SOUND_KEYS: Final = frozenset(("stereo",))


@dataclass(frozen=True, slots=True, eq=False)
class Wire:
    """One kind of viewer. ``leaves_out`` is the type of message it is not sent (``flv.AUDIO``, ``flv.VIDEO``)."""

    protocol: PullProtocol
    build: Callable[[MediaReceived], bytes]
    leaves_out: int | None = None

    @property
    def needs_key_frame(self) -> bool:
        """Whether a stream with video can be joined at a key frame only."""
        return self.leaves_out != flv.VIDEO

    def join(self, messages: Iterable[MediaReceived]) -> bytes:
        """The bytes of messages, without those of the kind left out."""
        left_out = self.leaves_out
        if left_out is None:
            return b"".join(map(self.build, messages))
        return b"".join(self.build(_narrowed(message, left_out)) for message in messages if message.type_id != left_out)


def _rtmp(message: MediaReceived) -> bytes:
    csid = _CSIDS.get(message.type_id, DATA_CSID)
    return build_message(message.type_id, message.timestamp, PLAY_STREAM_ID, message.payload, csid, OUT_CHUNK_SIZE)


def _flv(message: MediaReceived) -> bytes:
    return flv.build_tag(message.type_id, message.timestamp, message.payload)


RTMP_WIRE: Final = Wire(PullProtocol.RTMP, _rtmp)
FLV_WIRE: Final = Wire(PullProtocol.HTTP_FLV, _flv)

_TYPED: Final = {
    (wire.protocol, name): Wire(wire.protocol, wire.build, left_out)
    for wire in (RTMP_WIRE, FLV_WIRE)
    for name, left_out in (("audio", flv.VIDEO), ("video", flv.AUDIO))
}


def wire_for(protocol: PullProtocol, query: str) -> Wire:
    """The wire a play URL's raw query asks for: ``type=audio`` or ``type=video`` leave the other kind out. Without a
    type, and with one nobody knows, it is the whole stream. ``protocol`` is RTMP or HTTP_FLV."""
    whole = RTMP_WIRE if protocol is PullProtocol.RTMP else FLV_WIRE
    if "type=" not in query:
        return whole
    try:
        values = parse_qs(query, max_num_fields=QUERY_FIELDS_LIMIT).get("type", [""])
    except ValueError:  # too many fields
        return whole
    return _TYPED.get((protocol, values[0]), whole)


def _narrowed(message: MediaReceived, left_out: int) -> MediaReceived:
    """Metadata without what it says of the kind left out: players wait for every track that is announced."""
    if message.type_id != flv.SCRIPT or len(message.payload) > HEADER_LIMIT_BYTES:
        return message
    try:
        values = amf0.decode_all(message.payload)
    except ProtocolError:
        return message
    if len(values) < 2 or values[0] != _METADATA_NAME or not isinstance(values[1], dict):
        return message
    word, keys = ("video", _PICTURE_KEYS) if left_out == flv.VIDEO else ("audio", _SOUND_KEYS)
    declared = values[1]
    kept = amf0.EcmaArray(
        {key: value for key, value in declared.items() if word not in key.lower() and key not in keys}
    )
    return message._replace(payload=amf0.encode(values[0], kept, *values[2:]))
