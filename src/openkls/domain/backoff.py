"""How long the answer to a refused authentication is held back.

Rule: only a refusal is ever weighed here; a request that verifies is not even shown to this module, so nobody can make
it wait (security class 21). Time is an argument.

Theory of operation. Each pair of access key and client address has a level: one more for every refusal, leaking away at
FREE_PER_MINUTE a minute. Up to FREE_PER_MINUTE a refusal costs nothing (a clock to set, a secret mistyped); beyond it
each doubles the delay, up to a limit. The level is bounded too, so that a client put right is soon as it was. The pairs
are bounded in number and in size, the oldest forgotten first; so are the answers held back at any time: beyond that
number an answer goes out at once and its connection is closed, which costs whoever tries a new one.
"""

from collections import OrderedDict

FREE_PER_MINUTE = 5
FIRST_DELAY_SECONDS = 0.1
# Held back longer, an answer would hold a parked connection of ours for longer than it slows anybody.
LONGEST_DELAY_SECONDS = 2.0
# 0.1 s doubled five times is beyond the longest delay; a higher level would only take longer to leak away.
LEVEL_MAX = FREE_PER_MINUTE + 6
# Some 400 bytes each.
PAIRS_LIMIT = 10_000
# What a Credential may begin with before its key is known; real keys are no longer (config).
KEY_CHARACTERS_LIMIT = 128
# A parked answer costs some 10 KB.
HELD_LIMIT = 1_000

_LEAK_PER_SECOND = FREE_PER_MINUTE / 60


class Backoff:
    """The refused authentications of late. ``now`` is monotonic seconds."""

    def __init__(self) -> None:
        self._levels: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self.held = 0
        """Answers held back now."""
        self.refused = 0
        """Authentications refused since the start."""
        self.overflowed = 0
        """Answers that were not held back because HELD_LIMIT others were."""

    def __len__(self) -> int:
        """How many pairs are remembered."""
        return len(self._levels)

    def refuse(self, access_key: str, address: str, now: float) -> float:
        """Count a refusal; the seconds its answer is to be held back, 0 for not at all."""
        self.refused += 1
        pair = (access_key[:KEY_CHARACTERS_LIMIT], address)
        level, since = self._levels.pop(pair, (0.0, now))
        level = min(max(0.0, level - (now - since) * _LEAK_PER_SECOND) + 1, LEVEL_MAX)
        self._levels[pair] = (level, now)
        if len(self._levels) > PAIRS_LIMIT:
            self._levels.popitem(last=False)
        if level <= FREE_PER_MINUTE:
            return 0.0
        return float(min(FIRST_DELAY_SECONDS * 2 ** (level - FREE_PER_MINUTE - 1), LONGEST_DELAY_SECONDS))

    def hold(self) -> bool:
        """Take one of the HELD_LIMIT places; False when there is none. Every True is followed by one ``let_go``."""
        if self.held >= HELD_LIMIT:
            self.overflowed += 1
            return False
        self.held += 1
        return True

    def let_go(self) -> None:
        """Give the place back."""
        self.held -= 1
