"""What is kept of every call: counts by action and outcome, and the lines of the access log until they are written.

Rule: a label is a name of the service model, never one a caller sent.

Lines are written many at once, soon after: made one by one between requests a line takes three times as long (measured:
15 microseconds of a call's processor time, against 5).
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from openkls.domain.histogram import Histogram

log = logging.getLogger("openkls.access")

# Calls refused before their key had verified are anybody's: so many of a second have a line in the access log, and the
# rest of it is one number (security class 18). Those that verified are bounded by the request rates.
LINES_PER_SECOND: Final = 100
# About a millisecond of the loop; and how long a line waits for others.
LINES_AT_ONCE: Final = 200
GATHER_SECONDS: Final = 0.05


class Line(Protocol):
    """A line of the access log."""

    at: float
    """Unix seconds."""
    fields: Mapping[str, Any]
    """What it says, by name."""


class Ledger:
    """The calls of one process."""

    def __init__(self, access: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.access = access
        """Whether the access log is written; may be changed at any time."""
        self.clock = clock
        self.calls: Counter[tuple[str, str]] = Counter()
        """Since the start, by action and outcome."""
        self.took: dict[str, Histogram] = {}
        """By action."""
        self.unlogged = 0
        """Lines left out because of LINES_PER_SECOND, since the start."""
        self._second = 0
        self._lines = 0
        self._unwritten: list[Line] = []

    def note(self, action: str, outcome: str, took_seconds: float) -> None:
        """Count a call; ``action`` is "" for one that named none there is, whose time says nothing."""
        self.calls[action, outcome] += 1
        if action:
            took = self.took.get(action)
            if took is None:
                took = self.took[action] = Histogram()
            took.note(took_seconds)

    def may_log(self, now: float) -> bool:
        """Whether a call that anybody may make has a line; counts it either way."""
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        self._lines += 1
        if self._lines > LINES_PER_SECOND:
            self.unlogged += 1
            return False
        return True

    def write(self, line: Line) -> None:
        """Have a line written soon."""
        self._unwritten.append(line)
        if len(self._unwritten) >= LINES_AT_ONCE:
            self.flush()
        elif len(self._unwritten) == 1:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        lines, self._unwritten = self._unwritten, []
        for line in lines:
            record = logging.LogRecord(log.name, logging.INFO, "", 0, line, None, None)
            record.created, record.msecs = line.at, line.at % 1 * 1000
            log.handle(record)

    @property
    def left_out(self) -> int:
        """Lines left out in the second that was asked about last."""
        return max(0, self._lines - LINES_PER_SECOND)
