"""Bytes a second over a sliding window. Rule: adding is two integer operations; the arithmetic is the reader's.

Theory of operation. Wall time is cut into ticks of 250 ms. A ring holds one slot for each of the last WINDOW_TICKS
ticks; a slot whose tick is older is simply not counted, so silence decays to 0 without a sweep.
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

    __slots__ = ("_amounts", "_since", "_ticks", "total_bytes")

    def __init__(self, now: float) -> None:
        self._since = now
        self._ticks = [0] * WINDOW_TICKS
        self._amounts = [0] * WINDOW_TICKS
        self.total_bytes = 0

    def add(self, now: float, count_bytes: int) -> None:
        """Count bytes at ``now`` (monotonic seconds)."""
        tick = int(now * TICKS_PER_SECOND)
        slot = tick % WINDOW_TICKS
        if self._ticks[slot] != tick:
            self._ticks[slot] = tick
            self._amounts[slot] = 0
        self._amounts[slot] += count_bytes
        self.total_bytes += count_bytes

    def bps(self, now: float) -> float:
        """Bits a second over the window that ends at ``now``."""
        oldest = int(now * TICKS_PER_SECOND) - WINDOW_TICKS
        counted = sum(amount for tick, amount in zip(self._ticks, self._amounts, strict=True) if tick > oldest)
        return counted * 8 / window_seconds(now, self._since)
