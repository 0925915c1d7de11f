"""What the server says on one connection, as bytes ready to write.

Rule: pure functions; every message is built for OUT_CHUNK_SIZE, which `build_connect_answer` announces.
"""

from openkls.codec.amf0 import UNDEFINED, AmfValue, encode
from openkls.codec.rtmp import message as m
from openkls.codec.rtmp.acks import ACK_WINDOW_BYTES
from openkls.codec.rtmp.chunk import CONTROL_CSID, build_message

OUT_CHUNK_SIZE = 60_000
"""Chunk size of everything after the connect answer; SRS's default. Most frames are then one chunk, and it
stays below the 65,536 that old clients take for the maximum."""

PLAY_STREAM_ID = 1
"""The one message stream of a connection: createStream answers it every time, players get their media on it."""

COMMAND_CSID = 3
AUDIO_CSID = 4
DATA_CSID = 5
VIDEO_CSID = 6

FOUR_CCS = ("avc1", "hvc1", "av01", "vp09", "mp4a", "Opus")
"""Enhanced RTMP codecs told to a client that tells its own; all pass through untouched."""

BAD_NAME = "NetStream.Publish.BadName"
REJECTED = "NetStream.Publish.Rejected"
BUSY_CODE = 422  # the break code "Already exist stream!", the one cause BadName stands for

_VERSION_TOLD = "FMS/3,0,1,123"  # old Flash clients read features from it; the value most servers tell


def build_control(type_id: int, payload: bytes) -> bytes:
    """Return a protocol control or user control message."""
    return build_message(type_id, 0, 0, payload, CONTROL_CSID, OUT_CHUNK_SIZE)


def build_command(stream_id: int, name: str, transaction_id: float, *values: AmfValue) -> bytes:
    """Return a command message; `values` are the command object and the arguments."""
    payload = m.build_command(name, transaction_id, *values)
    return build_message(m.COMMAND, 0, stream_id, payload, COMMAND_CSID, OUT_CHUNK_SIZE)


def build_status(stream_id: int, level: str, code: str, description: str) -> bytes:
    """Return an onStatus command (RTMP 1.0, 7.2.2); `level` is "status" or "error"."""
    info = {"level": level, "code": code, "description": description}
    return build_command(stream_id, "onStatus", 0, None, info)


def build_connect_answer(transaction_id: float, wants_four_ccs: bool) -> bytes:
    """Return the answer to connect (RTMP 1.0, 7.2.1.1): windows, chunk size, success in AMF0."""
    properties = {"fmsVer": _VERSION_TOLD, "capabilities": 31, "mode": 1}
    information: dict[str, AmfValue] = {
        "level": "status",
        "code": "NetConnection.Connect.Success",
        "description": "Connection succeeded.",
        "objectEncoding": 0,
    }
    if wants_four_ccs:
        information["fourCcList"] = list(FOUR_CCS)
    return b"".join(
        (
            build_control(m.WINDOW_ACK_SIZE, m.build_number(ACK_WINDOW_BYTES)),
            build_control(m.SET_PEER_BANDWIDTH, m.build_peer_bandwidth(ACK_WINDOW_BYTES)),
            build_control(m.SET_CHUNK_SIZE, m.build_number(OUT_CHUNK_SIZE)),
            build_command(0, "_result", transaction_id, properties, information),
        )
    )


def build_result(transaction_id: float, value: AmfValue = UNDEFINED) -> bytes:
    """Return a _result without a command object."""
    return build_command(0, "_result", transaction_id, None, value)


def build_publish_start(stream_id: int, stream: str, tell_fc_publish: bool) -> bytes:
    """Return the acceptance of a publish. onFCPublish is for encoders of the FMLE family, which wait for it."""
    parts = [build_control(m.USER_CONTROL, m.build_user_control(m.STREAM_BEGIN, stream_id))]
    start, description = "NetStream.Publish.Start", f"{stream} is now published."
    if tell_fc_publish:
        parts.append(build_command(0, "onFCPublish", 0, None, {"code": start, "description": description}))
    parts.append(build_status(stream_id, "status", start, description))
    return b"".join(parts)


def build_publish_end(stream_id: int, code: int, text: str) -> bytes:
    """Return the refusal or the cut of a publish by its break code; 200 is an ending in order.

    ffmpeg ends on any level `error`, librtmp and OBS on Rejected, GStreamer on both codes; a client that
    knows none of them sees the connection closed.
    """
    if code == 200:
        return build_status(stream_id, "status", "NetStream.Unpublish.Success", f"{code} {text}")
    name = BAD_NAME if code == BUSY_CODE else REJECTED
    return build_status(stream_id, "error", name, f"{code} {text}")


def build_play_start(stream_id: int, stream: str) -> bytes:
    """Return the acceptance of a play (RTMP 1.0, 7.2.2.1)."""
    access = encode("|RtmpSampleAccess", True, True)  # Flash's leave to read audio and video samples
    return b"".join(
        (
            build_control(m.USER_CONTROL, m.build_user_control(m.STREAM_BEGIN, stream_id)),
            build_status(stream_id, "status", "NetStream.Play.Reset", f"Playing and resetting {stream}."),
            build_status(stream_id, "status", "NetStream.Play.Start", f"Started playing {stream}."),
            build_message(m.DATA, 0, stream_id, access, DATA_CSID, OUT_CHUNK_SIZE),
        )
    )


def build_play_end(stream_id: int, stream: str) -> bytes:
    """Return the end of a play: ffmpeg, librtmp and GStreamer read UnpublishNotify as the end of the stream."""
    return b"".join(
        (
            build_control(m.USER_CONTROL, m.build_user_control(m.STREAM_EOF, stream_id)),
            build_status(stream_id, "status", "NetStream.Play.UnpublishNotify", f"{stream} is no longer published."),
        )
    )
