"""How many error rows a refused publisher may write. Rule: refusing costs memory that is bounded, whoever knocks.

An encoder that is refused comes back every few seconds for ever; an attacker comes back at once (security class 18).
"""

from openkls.domain.keys import StreamKey

# Design, flow (a) 3: per stream key and address.
ROWS_PER_MINUTE = 60
# Distinct (key, address) pairs remembered within a minute. Beyond it no further pair gets rows in that minute.
PAIRS_LIMIT = 20_000


class RefusalQuota:
    """Counts error rows per (key, address) in fixed minutes. Monotonic seconds."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[tuple[StreamKey, str], int] = {}
        self.suppressed = 0
        """Rows not written because of the quota, since the start."""
        self.suppressed_this_minute = 0

    def allows(self, key: StreamKey, address: str, now: float) -> bool:
        """Whether this refusal is written down; counts it either way."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
            self.suppressed_this_minute = 0
        pair = (key, address)
        count = self._counts.get(pair, 0)
        if count >= ROWS_PER_MINUTE or (not count and len(self._counts) >= PAIRS_LIMIT):
            self.suppressed += 1
            self.suppressed_this_minute += 1
            return False
        self._counts[pair] = count + 1
        return True
