"""How long things take, as counts by bucket. Rule: noting one costs a search among a dozen numbers and two additions;
nothing is kept of the single one."""

from bisect import bisect_left

# From a cached answer to what every deadline of ours has ended by.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Histogram:
    """Counts of seconds, by the least bound that is not below them."""

    __slots__ = ("bounds", "counts", "sum_seconds")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        """``bounds`` ascending; what is above the last is counted beyond it."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_seconds = 0.0

    def note(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum_seconds += seconds

    def cumulative(self) -> list[int]:
        """How many are not above each bound, and last how many there are in all."""
        total, sums = 0, []
        for count in self.counts:
            total += count
            sums.append(total)
        return sums
