"""The headers of audio messages. Rule: classifying never raises; what makes no sense is `Kind.OTHER`."""

from typing import Final, NamedTuple

from openkls.codec.flv.enhanced import NO_BODY_NEEDED, Kind, parse_ex_header


class AudioTag(NamedTuple):
    """The header of an audio message; ``sample_rate`` is 0 where only the sequence header knows (AAC, FLAC...)."""

    codec: str
    kind: Kind
    sample_rate: int
    body_offset: int
    track: int = 0


_NO_AUDIO: Final = AudioTag("", Kind.OTHER, 0, 0)
_EX_AUDIO: Final = 9
_AAC: Final = 10
_AUDIO_MULTITRACK: Final = 5

# FLV 10.1, E.4.2.1: SoundFormat -> name and, where the format fixes it, the sample rate; 13 is SRS's Opus
_LEGACY_AUDIO: Final = {
    0: ("pcm", 0),
    1: ("adpcm", 0),
    2: ("mp3", 0),
    3: ("pcm", 0),
    4: ("nellymoser", 16_000),
    5: ("nellymoser", 8_000),
    6: ("nellymoser", 0),
    7: ("g711a", 8_000),
    8: ("g711u", 8_000),
    11: ("speex", 16_000),
    13: ("opus", 48_000),
    14: ("mp3", 8_000),
}
_SOUND_RATES: Final = (5_512, 11_025, 22_050, 44_100)

_AUDIO_FOURCC: Final = {
    b"mp4a": ("aac", 0),
    b".mp3": ("mp3", 0),
    b"Opus": ("opus", 48_000),
    b"fLaC": ("flac", 0),
    b"ac-3": ("ac3", 0),
    b"ec-3": ("eac3", 0),
}
_AUDIO_EX_KINDS: Final = {
    0: Kind.SEQUENCE_HEADER,
    1: Kind.CODED,
    2: Kind.END,
    4: Kind.METADATA,  # MultichannelConfig
}

# ISO 11172-3, 2.4.2.3 and 13818-3: by version (2.5, reserved, 2, 1) and sampling_frequency
_MP3_RATES: Final = ((11_025, 12_000, 8_000, 0), (0, 0, 0, 0), (22_050, 24_000, 16_000, 0), (44_100, 48_000, 32_000, 0))


def _audio_table() -> list[AudioTag]:
    """Legacy headers by their first byte."""
    table = [_NO_AUDIO] * 256
    for first in range(256):
        known = _LEGACY_AUDIO.get(first >> 4)
        if known is not None:
            codec, rate = known
            table[first] = AudioTag(codec, Kind.CODED, rate or _SOUND_RATES[first >> 2 & 3], 1)
    return table


_AUDIO: Final = _audio_table()
_AAC_KINDS: Final = (AudioTag("aac", Kind.SEQUENCE_HEADER, 0, 2), AudioTag("aac", Kind.CODED, 0, 2))


def parse_audio(payload: bytes) -> AudioTag:
    """Classify an audio message by its header: legacy (FLV 10.1) or enhanced RTMP v2. Never raises."""
    size = len(payload)
    if size < 2:
        return _NO_AUDIO
    first = payload[0]
    form = first >> 4
    if form == _AAC:
        return _AAC_KINDS[payload[1]] if payload[1] < 2 and size > 2 else _NO_AUDIO
    if form == _EX_AUDIO:
        return _parse_ex_audio(payload)
    tag = _AUDIO[first]
    if tag.codec == "mp3":
        # the two rate bits cannot say 48000 or 32000; the MP3 frame can
        rate = _mp3_sample_rate(payload, 1)
        if rate and rate != tag.sample_rate:
            return AudioTag("mp3", Kind.CODED, rate, 1)
    return tag


def _parse_ex_audio(payload: bytes) -> AudioTag:
    header = parse_ex_header(payload, _AUDIO_MULTITRACK)
    if header is None:
        return _NO_AUDIO
    kind = _AUDIO_EX_KINDS.get(header.packet, Kind.OTHER)
    codec, rate = _AUDIO_FOURCC.get(header.fourcc, ("unknown", 0))
    if len(payload) <= header.body_offset and kind not in NO_BODY_NEEDED:
        return _NO_AUDIO
    if codec == "mp3":
        rate = _mp3_sample_rate(payload, header.body_offset)
    return AudioTag(codec, kind, rate, header.body_offset, header.track)


def _mp3_sample_rate(payload: bytes, offset: int) -> int:
    """Return the sample rate in Hz of the MPEG audio frame at the offset, or 0."""
    if len(payload) < offset + 3 or payload[offset] != 0xFF or payload[offset + 1] & 0xE0 != 0xE0:
        return 0
    return _MP3_RATES[payload[offset + 1] >> 3 & 3][payload[offset + 2] >> 2 & 3]
