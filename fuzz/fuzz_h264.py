"""Fuzz target: the decoder configurations of H.264, HEVC and AAC."""

from openkls.codec import ProtocolError, aac, h264, hevc

_SPS = bytes.fromhex("6764001facd9405005bb016a02020280000003008000001e078c18cb")
_PPS = bytes.fromhex("68ebe3cb22c0")
_HEVC_SPS = bytes.fromhex("42010101600000030090000003000003005da00280802d16595952930bc05a020000030002000003003c10")


def seeds() -> list[bytes]:
    """Real configurations: H.264 High at 1280x720, its SPS alone, AAC-LC, HE-AAC in both
    signallings; HEVC."""
    config = b"\x01\x64\x00\x1f\xff\xe1" + len(_SPS).to_bytes(2, "big") + _SPS
    config += b"\x01" + len(_PPS).to_bytes(2, "big") + _PPS + b"\xfd\xf8\xf8\x00"
    hevc_config = b"\x01" + bytes(21) + b"\x01\xa1\x00\x01" + len(_HEVC_SPS).to_bytes(2, "big") + _HEVC_SPS
    return [config, _SPS, hevc_config, _HEVC_SPS, b"\x12\x10", b"\x2b\x92\x08\x00", bytes.fromhex("139056e5a54880")]


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
    for parse_hevc in (hevc.parse_hevc_sps, hevc.parse_sps):
        try:
            sps = parse_hevc(data)
        except ProtocolError:
            continue
        assert 0 < sps.width <= hevc.MAX_SIDE
        assert 0 < sps.height <= hevc.MAX_SIDE
        assert sps.frame_rate is None or 0 < sps.frame_rate <= hevc.MAX_FRAME_RATE
    try:
        audio = aac.parse_aac_config(data)
    except ProtocolError:
        return
    assert 0 < audio.sample_rate <= aac.MAX_SAMPLE_RATE
    assert audio.channels > 0
