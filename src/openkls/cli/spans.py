"""Lengths of time as they are typed: ``90s``, ``15m``, ``24h``, ``7d``. Rule: a number always has its unit."""

import re

from openkls.cli.screen import USAGE, fail

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A slip of the keyboard must not become a time that no calendar has.
SPAN_LIMIT_SECONDS = 3650 * 86400


def read_span_seconds(text: str, option: str) -> int:
    """The seconds of a span; ends the command when it is none."""
    found = re.fullmatch(r"([0-9]{1,10})([smhd])", text.strip())
    seconds = int(found[1]) * UNIT_SECONDS[found[2]] if found else -1
    if not 0 <= seconds <= SPAN_LIMIT_SECONDS:
        fail(f"{option}: got {text!r}, expected a number and s, m, h or d, such as 24h; at most 3650d", USAGE)
    return seconds
