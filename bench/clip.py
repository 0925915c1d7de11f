"""The stream of the media benches: 640x360 at 25 frames a second, H.264 without B-frames, a key frame every 2 s, AAC;
about 1,080 kbps in 68 messages a second. Real bytes of a real encoder, made once and looped with going timestamps.

Rule: everything is built before the first byte is sent; sending a message is one write, and for a frame 16 bytes more.

Theory of operation. Each frame begins with an SEI (user data unregistered, H.264 annex D.2.7), which decoders pass
over: ``MARK``, whether it is a key frame, how many bytes it has from the mark on, and in hexadecimal the monotonic time
at which it is sent, filled in as it is sent. Whoever receives finds it in the raw bytes whatever carries them, as all
of it is in the first 128 bytes of the message. Timestamps are deltas (RTMP 1.0, 5.3.1.2.2), as encoders write them, so
that the bytes are the same in each pass of the loop.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import imageio_ffmpeg

from openkls.codec import flv
from openkls.codec.amf0 import encode

LOOP_MS: Final = 10_000
GOP_MS: Final = 2_000
# With the audio, the marks and the wrapping it comes to about 1,080.
VIDEO_KBPS: Final = 982
AUDIO_KBPS: Final = 64

MARK: Final = bytes.fromhex("6f70656e6b6c73206d61726b206f6e65")
"""Sixteen bytes that occur in no stream by chance, and need no emulation prevention."""
REST_AT: Final = len(MARK) + 1
TIME_AT: Final = REST_AT + 6
MARK_BYTES: Final = TIME_AT + 16
_CSIDS: Final = {flv.AUDIO: 4, flv.VIDEO: 6, flv.SCRIPT: 5}
# AVCPacketType: a header is 0, the encoder's last message is 2.
CODED: Final = 1


@dataclass(slots=True)
class Piece:
    """One message as RTMP bytes. ``due_ms`` is its place in the loop, ``time_at`` where in ``wire`` the time of sending
    is written, 0 when it has no mark."""

    due_ms: int
    wire: bytearray
    time_at: int


@dataclass(frozen=True, slots=True)
class Clip:
    """What a publisher sends: the headers once, the first message of each track with a full header, then the loop for
    ever. ``kbps`` is of the payloads, ``messages`` a second."""

    headers: bytes
    first_pass: list[Piece]
    loop: list[Piece]
    kbps: float
    messages: float


def load(folder: Path, chunk_size: int = 4096, *, bursts: bool = False) -> Clip:
    """The clip, made in ``folder`` by ffmpeg when it is not there yet; ``chunk_size`` in bytes, 128 or more. With
    ``bursts`` the audio is due together with the frame behind it."""
    made = build(flv.FlvReader().feed(_made(folder).read_bytes()), chunk_size)
    if bursts:
        for pieces in (made.first_pass, made.loop):
            due_ms = LOOP_MS
            for piece in reversed(pieces):
                due_ms = piece.due_ms = piece.due_ms if piece.time_at else due_ms
    return made


def build(tags: list[flv.Tag], chunk_size: int) -> Clip:
    """A clip of what an encoder wrote."""
    headers = bytearray()
    media: list[tuple[int, int, bytes]] = []
    for tag in tags:
        if tag.type_id == flv.SCRIPT:
            payload = encode("@setDataFrame") + tag.payload
            headers += _chunks(flv.SCRIPT, 0, payload, chunk_size, full=True)
        elif tag.payload[1:2] == b"\x00":
            headers += _chunks(tag.type_id, 0, tag.payload, chunk_size, full=True)
        elif tag.timestamp < LOOP_MS and not (tag.type_id == flv.VIDEO and tag.payload[1] != CODED):
            payload = _marked(tag.payload) if tag.type_id == flv.VIDEO else tag.payload
            media.append((tag.timestamp, tag.type_id, payload))
    media.sort(key=lambda each: each[0])
    last = {type_id: max(ms for ms, each, _ in media if each == type_id) - LOOP_MS for _, type_id, _ in media}
    loop, first_pass, seen = [], [], set()
    for due_ms, type_id, payload in media:
        piece = _piece(type_id, due_ms - last[type_id], due_ms, payload, chunk_size, full=False)
        loop.append(piece)
        if type_id not in seen:
            seen.add(type_id)
            piece = _piece(type_id, due_ms, due_ms, payload, chunk_size, full=True)
        first_pass.append(piece)
        last[type_id] = due_ms
    payload_bytes = sum(len(payload) for _, _, payload in media)
    return Clip(bytes(headers), first_pass, loop, payload_bytes * 8 / LOOP_MS, len(media) * 1000 / LOOP_MS)


def _piece(type_id: int, timestamp: int, due_ms: int, payload: bytes, chunk_size: int, *, full: bool) -> Piece:
    wire = _chunks(type_id, timestamp, payload, chunk_size, full=full)
    found = wire.find(MARK)
    return Piece(due_ms, wire, found + TIME_AT if found >= 0 else 0)


def _marked(payload: bytes) -> bytes:
    """A coded frame (FLV's five bytes, then units behind four bytes of length) with the mark in front."""
    rest = MARK_BYTES + 1 + len(payload) - 5
    kind = b"K" if payload[0] >> 4 == 1 else b"F"
    said = MARK + kind + b"%06x" % rest + bytes(16)
    unit = b"\x06\x05" + bytes((len(said),)) + said + b"\x80"
    return payload[:5] + len(unit).to_bytes(4, "big") + unit + payload[5:]


def _chunks(type_id: int, timestamp: int, payload: bytes, chunk_size: int, *, full: bool) -> bytearray:
    """A message as chunks: a type 0 header with the time when ``full``, else type 1 with the step from the last one."""
    csid = _CSIDS[type_id]
    wire = bytearray((csid if full else 0x40 | csid,))
    wire += timestamp.to_bytes(3, "big") + len(payload).to_bytes(3, "big") + bytes((type_id,))
    if full:
        wire += (1).to_bytes(4, "little")
    pieces = [payload[at : at + chunk_size] for at in range(0, len(payload), chunk_size)]
    wire += bytes((0xC0 | csid,)).join(pieces)
    return wire


def _made(folder: Path) -> Path:
    path = folder / f"clip-{VIDEO_KBPS}-{AUDIO_KBPS}.flv"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    raw = path.with_suffix(".part")
    picture = "testsrc2=size=640x360:rate=25,noise=alls=12:allf=t"
    seconds = LOOP_MS // 1000
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"),
            *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"),
            *("-t", str(seconds), "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-bf", "0"),
            *("-g", str(GOP_MS * 25 // 1000), "-sc_threshold", "0", "-x264-params", "nal-hrd=cbr"),
            *("-b:v", f"{VIDEO_KBPS}k", "-minrate", f"{VIDEO_KBPS}k", "-maxrate", f"{VIDEO_KBPS}k"),
            *("-bufsize", f"{VIDEO_KBPS}k", "-ac", "2", "-c:a", "aac", "-b:a", f"{AUDIO_KBPS}k", "-f", "flv", str(raw)),
        ],
        check=True,
        timeout=120,
    )
    return raw.rename(path)
