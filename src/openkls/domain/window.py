"""Bytes a second over a sliding window. Rule: adding within a tick is one integer operation; reading is a subtraction.

Theory of operation. Wall time is cut into ticks of 250 ms. Bytes are summed up since the start; at the begin of each
tick the sum so far is noted in a ring of WINDOW_TICKS places, so that what came within the window is the difference of
two sums. Ticks that went by without an addition are noted by the next one; a reader that finds the last tick out of the
window counts nothing, so that silence decays to 0 without a sweep.
"""

TICKS_PER_SECOND = 4
WINDOW_TICKS = 10 * TICKS_PER_SECOND
# Below a second a rate says more about the burst at the start than about the stream (contract, 7).
WINDOW_MIN_SECONDS = 1.0


def window_seconds(now: float, since: float) -> float:
    """The length of the window read at ``now`` for something that began at ``since``: the ticks of the ring that have
    passed, the current one in part; at most the age, at least WINDOW_MIN_SECONDS. Both monotonic seconds."""
    oldest = (int(now * TICKS_PER_SECOND) - WINDOW_TICKS + 1) / TICKS_PER_SECOND
    return max(WINDOW_MIN_SECONDS, now - max(oldest, since))


class ByteRate:
    """A counter of bytes that can be read as bits a second."""

    __slots__ = ("_since", "_starts", "_tick", "total_bytes")

    def __init__(self, now: float) -> None:
        self._since = now
        self._tick = int(now * TICKS_PER_SECOND)
        self._starts = [0] * WINDOW_TICKS
        self.total_bytes = 0

    def add(self, now: float, count_bytes: int) -> None:
        """Count bytes at ``now`` (monotonic seconds)."""
        tick = int(now * TICKS_PER_SECOND)
        if tick > self._tick:
            for begun in range(max(self._tick, tick - WINDOW_TICKS) + 1, tick + 1):
                self._starts[begun % WINDOW_TICKS] = self.total_bytes
            self._tick = tick
        self.total_bytes += count_bytes

    def bps(self, now: float) -> float:
        """Bits a second over the window that ends at ``now``."""
        # An event loop's clock may stand a little before the one that is read here, and the other way round.
        now = max(now, self._tick / TICKS_PER_SECOND)
        oldest = int(now * TICKS_PER_SECOND) - WINDOW_TICKS + 1
        if self._tick < oldest:
            return 0.0
        return (self.total_bytes - self._starts[oldest % WINDOW_TICKS]) * 8 / window_seconds(now, self._since)
