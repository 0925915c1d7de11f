"""Fuzz target: media messages of any bytes, in any order, into HLS segments.

An input is a sequence of messages: role and length in a byte and two, the timestamp in four, the payload.
"""

import struct

from openkls.codec import flv
from openkls.codec.mpegts import PACKET_BYTES
from openkls.codec.rtmp.events import MediaReceived
from openkls.media.ingest import Role
from openkls.media.segments import Segmenter

_HEAD = struct.Struct(">BHI")
_TYPE_IDS = {Role.AUDIO: flv.AUDIO, Role.AUDIO_HEADER: flv.AUDIO}

_AVC = b"\x17\x00\x00\x00\x00\x01\x64\x00\x1e\xff\xe1\x00\x04\x67\x64\x00\x1e\x01\x00\x02\x68\xef"
_HVC = b"\x90hvc1\x01" + bytes(20) + b"\x03\x01\xa1\x00\x01\x00\x03\x42\x01s"
_AAC = b"\xaf\x00\x12\x10"


def seeds() -> list[bytes]:
    """Streams to start from, with what the segmenter decides by: headers, key frames, time."""
    h264 = [
        (Role.VIDEO_HEADER, 0, _AVC),
        (Role.AUDIO_HEADER, 0, _AAC),
        (Role.AUDIO, 0, b"\xaf\x01sound"),
        (Role.KEY_FRAME, 0, b"\x17\x01\x00\x00\x50\x00\x00\x00\x02\x65k"),
        (Role.FRAME, 40, b"\x27\x01\xff\xff\xd8\x00\x00\x00\x02\x41p\x00\x00\x00\x01\x41"),
        (Role.AUDIO, 46, b"\xaf\x01sound"),
        (Role.KEY_FRAME, 2_000, b"\x17\x01\x00\x00\x00\x00\x00\x00\xc0\x65" + bytes(191)),
    ]
    hevc = [
        (Role.VIDEO_HEADER, 0, _HVC),
        (Role.KEY_FRAME, 0, b"\x91hvc1\x00\x00\x28\x00\x00\x00\x03\x26\x01i"),
        (Role.FRAME, 4_294_967_290, b"\xa3hvc1\x00\x00\x00\x03\x02\x01p"),
        (Role.KEY_FRAME, 3_000, b"\x1c\x01\x00\x00\x00\x00\x00\x00\x03\x26\x01i"),
    ]
    mp3 = [(Role.AUDIO, 26 * n, b"\x2f\xff\xfb\x90\xc4" + bytes(40)) for n in range(90)]
    alone = [(Role.AUDIO_HEADER, 0, _AAC), *((Role.AUDIO, 700 * n, b"\xaf\x01sound") for n in range(9))]
    return [_build(messages) for messages in (h264, hevc, mp3, alone, [*h264, *mp3, *hevc], [*alone, *h264])]


def _build(messages: list[tuple[Role, int, bytes]]) -> bytes:
    return b"".join(_HEAD.pack(role, len(payload), timestamp) + payload for role, timestamp, payload in messages)


def fuzz_one(data: bytes) -> None:
    """Nothing raises; segments are whole packets, follow each other, and are not much longer than what went in."""
    segmenter = Segmenter()
    segments = []
    cursor = taken_bytes = frames = 0
    while len(data) - cursor >= _HEAD.size:
        role, size, timestamp = _HEAD.unpack_from(data, cursor)
        cursor += _HEAD.size
        payload = data[cursor : cursor + size]
        cursor += size
        if not payload:
            continue
        taken_bytes += len(payload)
        frames += 1
        role = Role(role % len(Role))
        type_id = _TYPE_IDS.get(role, flv.VIDEO)
        segments.append(segmenter.take(role, MediaReceived(type_id, timestamp, payload)))
    segments.append(segmenter.break_off())
    made = [segment for segment in segments if segment is not None]
    assert [segment.sequence for segment in made] == list(range(len(made)))
    for segment in made:
        assert len(segment.payload) % PACKET_BYTES == 0
        assert set(segment.payload[::PACKET_BYTES]) == {0x47}
        assert 0 < segment.duration_seconds < 40
    # per frame: tables, parameter sets, headers and stuffing; per byte: a start code for each NAL unit
    assert sum(len(segment.payload) for segment in made) <= frames * 12_000 + 6 * taken_bytes
