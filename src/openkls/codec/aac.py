"""AAC's AudioSpecificConfig: the sample rate and the channels a listener will hear.

Rule: only the configuration is read, never an audio frame; what it cannot say (SBR signalled implicitly, in the
frames alone) stays unsaid.
"""

from dataclasses import dataclass
from typing import Final

from openkls.codec.bits import BitReader
from openkls.codec.errors import ProtocolError

MAX_SAMPLE_RATE: Final = 384_000  # four times the highest of the table; the 24-bit escape could claim 16 MHz
MAX_CONFIG_BYTES: Final = 512  # a program config element with a full comment is below 350

ADTS_HEADER_BYTES: Final = 7
MAX_ADTS_FRAME_BYTES: Final = 0x1FFF - ADTS_HEADER_BYTES  # 13 bits hold the length; 6144 bits a channel are legal
SAMPLES_PER_FRAME: Final = 1024

# ISO 14496-3, table 1.18
_SAMPLE_RATES: Final = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)
_ESCAPED_RATE: Final = 15
# table 1.19: channelConfiguration -> channels; 0 is told by a program config element, the absent are reserved
_CHANNELS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 13: 24, 14: 8}

_SBR: Final = 5
_PS: Final = 29
_LAST_IN_ADTS: Final = 4
_ER_BSAC: Final = 22
_GENERAL_AUDIO: Final = frozenset((1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23))
_LAST_PLAIN: Final = 7  # above, error protection comes before an extension, and nobody sends both
_SBR_SYNC: Final = 0x2B7
_PS_SYNC: Final = 0x548


@dataclass(frozen=True, slots=True)
class AacConfig:
    """An AudioSpecificConfig.

    ``object_type`` is that of the core (2 is AAC-LC, also under HE-AAC). ``sample_rate`` in Hz and ``channels``
    are those of the output: with SBR the extension's rate, with parametric stereo two channels for a mono core.
    """

    object_type: int
    sample_rate: int
    channels: int
    sbr: bool
    ps: bool


@dataclass(frozen=True, slots=True)
class Adts:
    """What an ADTS stream says before each frame (ISO 14496-3, 1.A.2.2): 56 bits that lack only the frame's length.

    ``sample_rate`` in Hz is the core's: a frame lasts 1024 of its samples.
    """

    template: int
    sample_rate: int

    def header(self, frame_bytes: int) -> bytes:
        """The header of a frame of 1 to MAX_ADTS_FRAME_BYTES bytes; ADTS cannot say more."""
        return (self.template | frame_bytes + ADTS_HEADER_BYTES << 13).to_bytes(ADTS_HEADER_BYTES, "big")


def parse_aac_config(body: bytes) -> AacConfig:
    """Parse the body of an AAC sequence header (ISO 14496-3, 1.6.2.1). Raises ProtocolError.

    Both explicit signallings of SBR are read: hierarchical (object type 5 or 29 first) and backward compatible (an
    extension behind the core's configuration).
    """
    if len(body) > MAX_CONFIG_BYTES:
        raise ProtocolError(
            f"an AAC configuration of {len(body)} bytes; at most {MAX_CONFIG_BYTES} are read", "MAX_CONFIG_BYTES"
        )
    bits = BitReader(body)
    object_type = _pull_object_type(bits)
    sample_rate = _pull_sample_rate(bits)
    layout = bits.pull(4)
    ps = object_type == _PS
    sbr = ps or object_type == _SBR
    if sbr:
        sample_rate = _pull_sample_rate(bits)
        object_type = _pull_object_type(bits)
        if object_type == _ER_BSAC:
            bits.skip(4)  # extensionChannelConfiguration
    channels = _CHANNELS.get(layout, 0)
    if layout and not channels:
        raise ProtocolError(f"an AAC configuration with the reserved channel configuration {layout}")
    if object_type in _GENERAL_AUDIO:
        channels = _pull_general_audio(bits, object_type, channels)
        if not sbr and object_type <= _LAST_PLAIN:
            sbr, ps, sample_rate = _pull_extension(bits, sample_rate)
    if not channels:
        raise ProtocolError("an AAC configuration without channels")
    return AacConfig(object_type, sample_rate, 2 if ps and channels == 1 else channels, sbr, ps)


def parse_adts(body: bytes) -> Adts:
    """Parse the body of an AAC sequence header for the header of each frame in an ADTS stream.

    SBR and parametric stereo stay unsaid, as is usual: decoders find them in the frames. Raises ProtocolError for a
    configuration that is broken, and for one that ADTS cannot say: object types above 4, channels by a program config
    element, a sample rate not of the table, frames of 960 samples.
    """
    bits = BitReader(body)
    object_type = _pull_object_type(bits)
    sample_rate = _pull_sample_rate(bits)
    layout = bits.pull(4)
    if object_type in (_SBR, _PS):
        _pull_sample_rate(bits)
        object_type = _pull_object_type(bits)
    if object_type > _LAST_IN_ADTS or not 1 <= layout <= 7 or sample_rate not in _SAMPLE_RATES or bits.flag():
        raise ProtocolError(
            f"an ADTS stream cannot carry AAC of object type {object_type}, {sample_rate} Hz, channel configuration "
            f"{layout}, or of 960 samples a frame"
        )
    rate_index = _SAMPLE_RATES.index(sample_rate)
    return Adts(0xFFF1 << 40 | object_type - 1 << 38 | rate_index << 34 | layout << 30 | 0x7FF << 2, sample_rate)


def _pull_object_type(bits: BitReader) -> int:
    object_type = bits.pull(5)
    if object_type == 31:
        object_type = 32 + bits.pull(6)
    if object_type == 0:
        raise ProtocolError("an AAC configuration without an object type")
    return object_type


def _pull_sample_rate(bits: BitReader) -> int:
    index = bits.pull(4)
    if index < len(_SAMPLE_RATES):
        return _SAMPLE_RATES[index]
    if index != _ESCAPED_RATE:
        raise ProtocolError(f"an AAC configuration with the reserved sample rate index {index}")
    sample_rate = bits.pull(24)
    if not 0 < sample_rate <= MAX_SAMPLE_RATE:
        raise ProtocolError(f"an AAC configuration of {sample_rate} Hz; 1 to {MAX_SAMPLE_RATE} are credible")
    return sample_rate


def _pull_general_audio(bits: BitReader, object_type: int, channels: int) -> int:
    """Pass over a GASpecificConfig (ISO 14496-3, 4.4.1) and return the channels, from its program config if any."""
    bits.skip(1)  # frameLengthFlag
    if bits.flag():  # dependsOnCoreCoder
        bits.skip(14)
    extended = bits.flag()
    if not channels:
        channels = _pull_program_channels(bits)
    if object_type in (6, 20):
        bits.skip(3)  # layerNr
    if extended:
        if object_type == _ER_BSAC:
            bits.skip(16)
        elif object_type in (17, 19, 20, 23):
            bits.skip(3)
        bits.skip(1)  # extensionFlag3
    return channels


def _pull_program_channels(bits: BitReader) -> int:
    """Read a program_config_element (ISO 14496-3, 4.4.1.1) and return its number of output channels."""
    bits.skip(10)  # element_instance_tag, object_type, sampling_frequency_index
    front, side, back, lfe = bits.pull(4), bits.pull(4), bits.pull(4), bits.pull(2)
    assoc_data, coupling = bits.pull(3), bits.pull(4)
    for width in (4, 4, 3):  # mono, stereo and matrix mixdown
        if bits.flag():
            bits.skip(width)
    channels = lfe
    for _ in range(front + side + back):
        channels += 2 if bits.flag() else 1
        bits.skip(4)
    bits.skip(4 * lfe + 4 * assoc_data + 5 * coupling)
    bits.skip(bits.remaining % 8)  # byte_alignment
    bits.skip(8 * bits.pull(8))  # comment
    return channels


def _pull_extension(bits: BitReader, core_rate: int) -> tuple[bool, bool, int]:
    """Return SBR, parametric stereo and the output's sample rate from a backward compatible extension, if any."""
    if bits.remaining < 16 or bits.pull(11) != _SBR_SYNC or _pull_object_type(bits) != _SBR or not bits.flag():
        return False, False, core_rate
    sample_rate = _pull_sample_rate(bits)
    ps = bits.remaining >= 12 and bits.pull(11) == _PS_SYNC and bits.flag()
    return True, ps, sample_rate
