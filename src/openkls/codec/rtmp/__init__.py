"""RTMP 1.0 without I/O: handshake, chunks, messages, and the server's and the client's session machines.

Rule: bytes come in as arguments, what to say comes out as bytes; randomness is an argument.
"""

from openkls.codec.rtmp.acks import ACK_WINDOW_BYTES
from openkls.codec.rtmp.answers import AUDIO_CSID, DATA_CSID, OUT_CHUNK_SIZE, PLAY_STREAM_ID, VIDEO_CSID
from openkls.codec.rtmp.chunk import ChunkLimits, ChunkReader, build_message
from openkls.codec.rtmp.client import ClientSession, ClientState, Mode, RtmpUrl, parse_rtmp_url
from openkls.codec.rtmp.events import (
    ClientEvent,
    Connected,
    Ended,
    MediaReceived,
    PlayEnded,
    PlayRequested,
    PlayStarted,
    PublishEnded,
    PublishRequested,
    PublishStarted,
    Refused,
    ServerEvent,
)
from openkls.codec.rtmp.handshake import HANDSHAKE_RANDOM_BYTES
from openkls.codec.rtmp.message import AUDIO, DATA, VIDEO, Message
from openkls.codec.rtmp.session import HELD_BYTES_MAX, ServerSession, State

__all__ = [
    "ACK_WINDOW_BYTES",
    "AUDIO",
    "AUDIO_CSID",
    "DATA",
    "DATA_CSID",
    "HANDSHAKE_RANDOM_BYTES",
    "HELD_BYTES_MAX",
    "OUT_CHUNK_SIZE",
    "PLAY_STREAM_ID",
    "VIDEO",
    "VIDEO_CSID",
    "ChunkLimits",
    "ChunkReader",
    "ClientEvent",
    "ClientSession",
    "ClientState",
    "Connected",
    "Ended",
    "MediaReceived",
    "Message",
    "Mode",
    "PlayEnded",
    "PlayRequested",
    "PlayStarted",
    "PublishEnded",
    "PublishRequested",
    "PublishStarted",
    "Refused",
    "RtmpUrl",
    "ServerEvent",
    "ServerSession",
    "State",
    "build_message",
    "parse_rtmp_url",
]
