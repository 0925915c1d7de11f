"""MPEG-TS: packets of 188 bytes out of frames, read back by a demuxer that tolerates nothing."""

import io
import zlib
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec.mpegts import CLOCK_LEAD_TICKS, MAX_AUDIO_PES_BYTES, PACKET_BYTES, StreamType, TsWriter, crc32
from support_ts import REVERSED, demux

WRAP = 1 << 33


def test_crc_is_that_of_annex_a() -> None:
    assert crc32(b"123456789") == 0x0376E6E7  # the published check value of CRC-32/MPEG-2
    assert crc32(b"") == 0xFFFFFFFF


@given(st.binary(max_size=64))
def test_crc_is_zlibs_mirrored(data: bytes) -> None:
    mirrored = zlib.crc32(data.translate(REVERSED)) ^ 0xFFFFFFFF
    assert crc32(data) == int(f"{mirrored:032b}"[::-1], 2)


def test_program_association_is_the_bytes_of_the_standard() -> None:
    pat = TsWriter().tables(None, StreamType.AAC, clock_in_video=False)[:PACKET_BYTES]
    assert pat.hex(" ").startswith("47 40 00 10 00 00 b0 0d 00 01 c1 00 00 00 01 f0 00 2a b1 04 b2 ff ff")


@pytest.mark.parametrize("video", [None, StreamType.H264, StreamType.HEVC])
@pytest.mark.parametrize("audio", [None, StreamType.AAC, StreamType.MPEG1_AUDIO, StreamType.MPEG2_AUDIO])
def test_tables_name_the_tracks_and_the_clock(video: StreamType | None, audio: StreamType | None) -> None:
    for clock_in_video in {video is not None, audio is None}:
        tables = TsWriter().tables(video, audio, clock_in_video)
        program = demux(tables)
        assert len(tables) == 2 * PACKET_BYTES
        assert list(program.tracks.values()) == [kind for kind in (video, audio) if kind is not None]
        assert not program.tracks or program.clock_pid == (0x100 if clock_in_video else 0x101)


def test_hevc_is_registered() -> None:
    assert b"\x05\x04HEVC" in TsWriter().tables(StreamType.HEVC, None, clock_in_video=True)


def test_map_has_another_version_when_it_says_something_else() -> None:
    writer = TsWriter()
    kinds = [StreamType.AAC, StreamType.AAC, StreamType.MPEG1_AUDIO, *[StreamType.AAC, StreamType.MPEG1_AUDIO] * 16]
    tables = b"".join(writer.tables(StreamType.H264, kind, clock_in_video=True) for kind in kinds)
    assert demux(tables).versions == [0, 0, *(n % 32 for n in range(1, 34))]


@pytest.mark.parametrize("with_clock", [False, True])
def test_every_size_of_a_frame_comes_back(with_clock: bool) -> None:
    writer = TsWriter()
    stream = [writer.tables(None, StreamType.AAC, clock_in_video=False)]
    bodies = [
        bytes([size & 0xFF]) * size for size in (*range(600), 184 * 64, 184 * 64 + 1, 184 * 130, MAX_AUDIO_PES_BYTES)
    ]
    stream += [writer.audio(0, [body], with_clock) for body in bodies]
    assert [pes.body for pes in demux(b"".join(stream)).audio] == bodies


def test_audio_of_more_than_a_pes_can_say_is_refused() -> None:
    with pytest.raises(ValueError, match="65528"):
        TsWriter().audio(0, [bytes(MAX_AUDIO_PES_BYTES), b"."], with_clock=False)


frames = st.tuples(
    st.integers(0, 3 * WRAP), st.integers(0, 1 << 24), st.lists(st.binary(max_size=500), max_size=4), st.booleans()
)


@given(st.lists(frames, min_size=1, max_size=40))
def test_frames_come_back_with_their_times(frames: list[tuple[int, int, list[bytes], bool]]) -> None:
    writer = TsWriter()
    stream = [writer.tables(StreamType.H264, StreamType.AAC, clock_in_video=True)]
    for dts, later, pieces, flag in frames:
        stream.append(writer.video(dts, dts + later, pieces, flag))
        stream.append(writer.audio(dts, pieces, flag))
    program = demux(b"".join(stream))
    for (dts, later, pieces, flag), video, audio in zip(frames, program.video, program.audio, strict=True):
        assert video.body == audio.body == b"".join(pieces)
        assert (video.dts, video.pts) == (dts % WRAP, (dts + later) % WRAP)
        assert video.random_access is flag
        assert video.clock == (dts - CLOCK_LEAD_TICKS) % WRAP
        assert audio.pts == dts % WRAP
        assert audio.clock == (video.clock if flag else None)
        assert audio.random_access is flag


def test_random_access_and_clock_stand_in_the_first_packet_of_a_long_frame() -> None:
    writer = TsWriter()
    tables = writer.tables(StreamType.H264, None, clock_in_video=True)
    body = bytes(range(256)) * 400
    (pes,) = demux(tables + writer.video(WRAP + 5, WRAP + 5, [body], random_access=True)).video
    assert pes == (0x100, 5, 5, body, True, WRAP + 5 - CLOCK_LEAD_TICKS)


def test_pyav_reads_mp3_frames_over_the_wrap_of_the_clock() -> None:
    writer = TsWriter()
    silence = b"\xff\xfb\x90\xc4" + bytes(413)  # MPEG-1 layer III, 128 kbps, 44100 Hz: 417 bytes
    step = 1152 * 90_000 // 44_100
    stream = writer.tables(None, StreamType.MPEG1_AUDIO, clock_in_video=False)
    stream += b"".join(writer.audio(WRAP - 5 * step + n * step, [silence], with_clock=True) for n in range(50))
    with av.open(io.BytesIO(stream), format="mpegts") as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    assert [bytes(packet) for packet in packets] == [silence] * 50
    assert {b.pts - a.pts for a, b in pairwise(packets)} <= {step, step + 1}
