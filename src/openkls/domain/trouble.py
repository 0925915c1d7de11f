"""What is wrong with a push, if anything. Rule: one trouble a stream, the gravest that holds; the console's live page,
the terminal's and the metrics tell by the same rule.
"""

from enum import StrEnum
from typing import Final

# Quality is measured over up to 10 s; of a younger push it says little.
YOUNG_SECONDS: Final = 5
# Of what the encoder makes; below it are chunk headers and the measuring.
UPLINK_SHARE: Final = 0.1
# FLR, from which frames are missed by who watches.
LOST_PERCENT: Final = 10


class Trouble(StrEnum):
    """The gravest first."""

    STALLED = "stalled"
    """Nothing arrives, or no frame of its video."""
    UPLINK = "uplink"
    """BwDiff is above UPLINK_SHARE of BwIn: the uplink carries less than the encoder makes."""
    LOST = "lost"
    """FLR is LOST_PERCENT or more."""


def trouble_of(
    age_seconds: float, frame_rate: int, curfps: int, flr: int, in_rate: float, real_rate: float
) -> Trouble | None:
    """The trouble of a push that is ``age_seconds`` old; rates of one unit."""
    if age_seconds < YOUNG_SECONDS:
        return None
    if real_rate <= 0 or (frame_rate > 0 and curfps <= 0):
        return Trouble.STALLED
    if in_rate > 0 and in_rate - real_rate > in_rate * UPLINK_SHARE:
        return Trouble.UPLINK
    return Trouble.LOST if flr >= LOST_PERCENT else None
