"""Fuzz target: the decoder configurations of H.264 and AAC."""

from openkls.codec import ProtocolError, aac, h264

_SPS = bytes.fromhex("6764001facd9405005bb016a02020280000003008000001e078c18cb")
_PPS = bytes.fromhex("68ebe3cb22c0")


def seeds() -> list[bytes]:
    """Real configurations: H.264 High at 1280x720, its SPS alone, AAC-LC, HE-AAC in both signallings."""
    config = b"\x01\x64\x00\x1f\xff\xe1" + len(_SPS).to_bytes(2, "big") + _SPS
    config += b"\x01" + len(_PPS).to_bytes(2, "big") + _PPS + b"\xfd\xf8\xf8\x00"
    return [config, _SPS, b"\x12\x10", b"\x2b\x92\x08\x00", bytes.fromhex("139056e5a54880")]


def fuzz_one(data: bytes) -> None:
    """Any bytes give numbers within their bounds or a ProtocolError."""
    for parse in (h264.parse_avc_config, h264.parse_sps):
        try:
            video = parse(data)
        except ProtocolError:
            continue
        assert 0 < video.width <= h264.MAX_SIDE_MACROBLOCKS * 16
        assert 0 < video.height <= h264.MAX_SIDE_MACROBLOCKS * 16
        assert video.frame_rate is None or 0 < video.frame_rate <= h264.MAX_FRAME_RATE
    try:
        audio = aac.parse_aac_config(data)
    except ProtocolError:
        return
    assert 0 < audio.sample_rate <= aac.MAX_SAMPLE_RATE
    assert audio.channels > 0
