"""How often an account may call an action: an exact sliding window of accepted calls.

Rule: time is an argument; what is remembered is bounded by what was accepted, never by what was refused.

Theory of operation. A window keeps the times of the last calls it accepted, as many as its limit is. It is full when
the oldest of them is younger than the period: then, and only then, one more call would be one too many within some
period. A refused call leaves no trace, so that a caller who asks too often gets the documented rate and not silence.
Windows that have nothing left to say are swept away when their number has doubled since the last sweep.
"""

import math
from collections import deque

# Windows below which a sweep is not worth its while: an account has 9 for each bucket it uses.
SWEEP_LEAST = 1024

_Window = tuple[deque[float], float]


def retry_after_seconds(wait_seconds: float) -> int:
    """A wait as the header Retry-After says it: whole seconds, at least one (RFC 9110, 10.2.3)."""
    return max(1, math.ceil(wait_seconds))


class Rates:
    """The calls that were accepted of late. ``now`` is monotonic seconds."""

    def __init__(self, enforced: bool = True) -> None:
        self.enforced = enforced
        """Whether anything is refused; may be changed at any time."""
        self._windows: dict[tuple[str, ...], _Window] = {}
        self._sweep_at = SWEEP_LEAST
        self.refused = 0
        """Calls refused since the start."""

    def __len__(self) -> int:
        """How many windows are remembered."""
        return len(self._windows)

    def take(self, caller: tuple[str, ...], requests: int, per_seconds: float, now: float) -> float:
        """Accept a call and return 0, or refuse it and return the seconds (above 0) after which one will be accepted.

        Of the calls of one ``caller``, at most ``requests`` are accepted in any ``per_seconds``: the one that comes
        that long after the oldest of a full window is the next. One caller always comes with the same limit.
        """
        if not self.enforced:
            return 0.0
        accepted = self._window(caller, requests, per_seconds, now)
        if len(accepted) == requests and now - accepted[0] < per_seconds:
            self.refused += 1
            # Rounding may make nothing of a wait that there is.
            return max(accepted[0] + per_seconds - now, math.ulp(now))
        accepted.append(now)
        return 0.0

    def note(self, caller: tuple[str, ...], requests: int, per_seconds: float, now: float) -> None:
        """Remember a call that somebody else accepted (the cluster), for the time when there is nobody else."""
        self._window(caller, requests, per_seconds, now).append(now)

    def _window(self, caller: tuple[str, ...], requests: int, per_seconds: float, now: float) -> deque[float]:
        window = self._windows.get(caller)
        if window is None:
            if len(self._windows) >= self._sweep_at:
                self._sweep(now)
            window = self._windows[caller] = (deque(maxlen=requests), per_seconds)
        return window[0]

    def _sweep(self, now: float) -> None:
        """Forget every window whose last call is older than its period."""
        self._windows = {
            caller: (accepted, per_seconds)
            for caller, (accepted, per_seconds) in self._windows.items()
            if accepted and now - accepted[-1] < per_seconds
        }
        self._sweep_at = max(SWEEP_LEAST, 2 * len(self._windows))
