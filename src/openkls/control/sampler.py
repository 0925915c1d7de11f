"""Readings of all that is live, every 10 seconds, for the series. Rule: one pass, in slices that let others run.

Theory of operation. A sample is of one step: it reads each live stream of the service once, adds it up for its account,
its space and its app, and notes all of it. Totals are noted of what is configured also while nothing is live there, so
that a plot of them has no gaps. Failed publishes are counters since the start of each process; what they have grown by
since the last sample is the errors of the step. Of a process that is heard of for the first time nothing is new.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from math import floor

from openkls.control.directory import Directory
from openkls.control.failures import Failures
from openkls.control.live import Found, LiveStreams
from openkls.domain.series import FINE_SECONDS, KEEP_SECONDS, Metrics, Row

log = logging.getLogger("openkls.control.sampler")

# About 8 ms.
SLICE_ROWS = 400
STEP_BPS = 100

_Counts = dict[tuple[str, str], int]


class Sampler:
    """Fills ``metrics``. ``clock`` gives Unix seconds, ``monotonic`` those that readings are made by."""

    def __init__(
        self,
        live: LiveStreams,
        directory: Directory,
        failures: Failures,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live = live
        self._directory = directory
        self._failures = failures
        self.metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        # By process, "" for this one: when it was last heard of, and its counters then.
        self._failed: dict[str, tuple[int, _Counts]] = {"": (0, {})}
        self.samples = 0

    async def run(self) -> None:
        """A sample every FINE_SECONDS, until cancelled."""
        while True:
            now = self._clock()
            # A timer may go off a little early, and the step it was for is then the nearest all the same.
            await asyncio.sleep((_step_at(now) + 1) * FINE_SECONDS - now)
            try:
                await self.sample()
            except Exception:  # a loop that ended would leave every plot as it is
                log.exception("a sample failed")

    async def sample(self) -> None:
        """Read everything once. The step is the one that the clock is nearest to."""
        step = _step_at(self._clock())
        totals = self._configured()
        found = await self._live.found(None)
        for begin in range(0, len(found), SLICE_ROWS):
            now = self._monotonic()
            for each in found[begin : begin + SLICE_ROWS]:
                # It may have ended while others had their turn.
                if not each.session.ended:
                    self._note(each, step, now, totals)
            await asyncio.sleep(0)
        for unique_name, app, count in self._new_failures(step):
            for total in self._totals_of(unique_name, app, totals):
                total[4] += count
        # Accounts before spaces, spaces before apps: if there is no place for all, for these.
        for name in sorted(totals, key=len):
            self.metrics.totals.put(name, step, tuple(totals[name]))
        self.metrics.end_step(step)
        self.samples += 1

    def _configured(self) -> dict[tuple[str, ...], list[int]]:
        """The totals there are even when nothing is live: streams, viewers, steps received, bit/s sent, errors."""
        totals: dict[tuple[str, ...], list[int]] = {}
        for account_id, space in self._directory.all_spaces():
            names = [(account_id,), (account_id, space.unique_name)]
            for name in (*names, *((account_id, space.unique_name, app) for app in space.apps)):
                totals.setdefault(name, [0, 0, 0, 0, 0])
        return totals

    def _note(self, found: Found, step: int, now: float, totals: dict[tuple[str, ...], list[int]]) -> None:
        reading, shares = found.session.read(now), self._live.shares(found, now)
        audio, video = _steps(reading.audio_bps), _steps(reading.video_bps)
        real, online = _steps(reading.real_bps), shares.online
        row: Row = (reading.frame_rate, reading.curfps, audio, video + audio, real, online, _steps(shares.bps))
        name = found.session.key.name
        self.metrics.streams.put(name, step, row)
        for total in self._totals_of(name.unique_name, name.app, totals):
            total[0] += 1
            total[1] += online
            total[2] += real
            total[3] += int(shares.bps)

    def _totals_of(self, unique_name: str, app: str, totals: dict[tuple[str, ...], list[int]]) -> Iterable[list[int]]:
        """The totals that something of an app counts for; none for a space that is gone."""
        account_id = self._directory.owner(unique_name)
        if account_id is None:
            return ()
        names = [(account_id,), (account_id, unique_name), *([(account_id, unique_name, app)] if app else [])]
        return [totals.setdefault(name, [0, 0, 0, 0, 0]) for name in names]

    def _new_failures(self, step: int) -> list[tuple[str, str, int]]:
        """What has failed since the last sample, in all processes."""
        shown = {"": list(self._failures.counts())}
        if self._live.peers is not None:
            shown.update((each.boot_id, list(each.failures)) for each in self._live.peers.processes())
        new = []
        for boot_id, counts in shown.items():
            now = {(unique_name, app): count for unique_name, app, count in counts}
            _, before = self._failed.get(boot_id, (0, now))
            new += [(*name, count - before.get(name, 0)) for name, count in now.items() if count > before.get(name, 0)]
            self._failed[boot_id] = (step, now)
        # One that has not been seen for a while may yet come back with what it had.
        oldest = step - KEEP_SECONDS // FINE_SECONDS
        for boot_id in [boot_id for boot_id, (last, _) in self._failed.items() if last < oldest]:
            del self._failed[boot_id]
        return new


def _step_at(now: float) -> int:
    return floor(now / FINE_SECONDS + 0.5)


def _steps(bps: float) -> int:
    return floor(bps / STEP_BPS + 0.5)
