"""What a publisher's onMetaData declares. Rule: what is absent, of the wrong type or not credible is 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

# What onMetaData may claim; beyond it the value is not credible, and the answers' integers stay below 2^31.
MAX_DECLARED_SIDE: Final = 16_384
MAX_DECLARED_FRAME_RATE: Final = 1_000
MAX_DECLARED_KBPS: Final = 1_000_000
MAX_DECLARED_SAMPLE_RATE: Final = 768_000


@dataclass(frozen=True, slots=True)
class Declared:
    """What a publisher's onMetaData declares. 0 is absent, of the wrong type or not credible."""

    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    video_kbps: float = 0.0
    audio_kbps: float = 0.0
    sample_rate: int = 0


def read_metadata(values: Sequence[Any]) -> Declared:
    """Read a decoded data message (``[["@setDataFrame",] "onMetaData", {...}]``). Never raises.

    Whatever has the wrong type, is not finite, not positive or beyond the credible is 0.
    """
    start = 1 if values and values[0] == "@setDataFrame" else 0
    if len(values) < start + 2 or values[start] != "onMetaData" or not isinstance(values[start + 1], dict):
        return Declared()
    said = values[start + 1]
    return Declared(
        width=int(_credible(said.get("width"), MAX_DECLARED_SIDE)),
        height=int(_credible(said.get("height"), MAX_DECLARED_SIDE)),
        frame_rate=_credible(said.get("framerate", said.get("fps")), MAX_DECLARED_FRAME_RATE),
        video_kbps=_credible(said.get("videodatarate"), MAX_DECLARED_KBPS),
        audio_kbps=_credible(said.get("audiodatarate"), MAX_DECLARED_KBPS),
        sample_rate=int(_credible(said.get("audiosamplerate"), MAX_DECLARED_SAMPLE_RATE)),
    )


def _credible(value: Any, limit: int) -> float:
    if type(value) not in (int, float) or not 0 < value <= limit:  # NaN compares false with everything
        return 0.0
    return float(value)
