"""What looking on costs: DescribeLiveStreams and a sample of the series, and what the series of a stream take.

In this process, without sockets: sessions with their counters, half of them watched, as a service has them. The longest
turn is how long the loop was held at a time by others than the one that looks for it; on a busy machine that is more
than the code's doing, which is why the least of the rounds is told as well. What it does not show: the way over HTTP,
and streams of other processes, whose readings need not be made.
"""

import argparse
import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from openkls.api import wire
from openkls.api.actions.live import describe_live_streams
from openkls.api.services import Place
from openkls.control.failures import Failures
from openkls.control.sampler import Sampler
from openkls.domain.series import FINE_SECONDS, Metrics
from openkls.domain.viewers import PullProtocol
from tests.support_api import NOW, Site

STREAMS: Final = 10_000
ROUNDS: Final = 10
TICKS: Final = 40
AGES: Final = {"10 minutes": 60, "an hour": 360, "a day": 8640}
# As many as are filled within seconds; what one takes does not depend on how many there are.
FILLED: Final = 300


def main(options: Sequence[str]) -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(prog="python -m bench look", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few streams, an hour at most")
    quick = parser.parse_args(list(options)).quick
    asyncio.run(_measure(200 if quick else STREAMS, 2 if quick else ROUNDS))
    _fill(20 if quick else FILLED, quick)


async def _measure(streams: int, rounds: int) -> None:
    site = Site()
    for number in range(streams):
        quality = site.publish(f"stream-{number}", pub_time=NOW - number).quality
        quality.vcodec, quality.acodec = "h264", "aac"
        for tick in range(TICKS):
            now = site.ticks + tick / 4
            quality.received(now, 50_000)
            quality.video_frame(now, tick * 250, 5000)
            quality.audio_frame(now, tick * 250, 300)
        if number % 2 == 0:
            site.watch(f"stream-{number}", 3)
        if number % 4 == 0:
            site.watch(f"stream-{number}", 3, PullProtocol.HLS)
    site.ticks += TICKS / 4
    services = site.services
    sampler = Sampler(services.live, services.directory, Failures(), Metrics(), lambda: site.now, lambda: site.ticks)
    # As `openkls serve` does once everything is there.
    gc.collect()
    gc.freeze()

    async def read() -> None:
        answer = wire.success(await describe_live_streams(services, Place("2000001"), {}), "")
        sizes.append(len(answer.body))

    async def sample() -> None:
        site.now += FINE_SECONDS
        await sampler.sample()

    sizes: list[int] = []
    for name, work in (("DescribeLiveStreams", read), ("sample", sample)):
        await _report(f"{name} of {streams:,} streams", work, rounds)
    print(f"  the list is {statistics.median(sizes) / 1e6:.2f} MB")


async def _report(name: str, work: Callable[[], Awaitable[None]], rounds: int) -> None:
    walls, cores, turns = [], [], []
    for _ in range(rounds):
        turn = _Turns()
        task = asyncio.create_task(turn.run())
        await asyncio.sleep(0)
        wall, core = time.perf_counter(), time.thread_time()
        await work()
        walls.append(time.perf_counter() - wall)
        cores.append(time.thread_time() - core)
        task.cancel()
        turns.append(turn.longest)
    print(
        f"  {name}: {statistics.median(walls) * 1e3:.0f} ms (CPU {statistics.median(cores) * 1e3:.0f} ms);"
        f" longest turn: median {statistics.median(turns) * 1e3:.1f} ms, least {min(turns) * 1e3:.1f} ms"
    )


class _Turns:
    """The longest time between two turns of the loop."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last)
            last = now


def _fill(streams: int, quick: bool) -> None:
    for age, steps in AGES.items():
        if quick and steps > AGES["an hour"]:
            continue
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        metrics = Metrics()
        for step in range(steps):
            for number in range(streams):
                row = (30, 29, 640, 10_000, 11_000, number, 4000)
                metrics.streams.put(("demo", "live", f"stream-{number}"), NOW // 10 + step, row)
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        print(
            f"  series of {age}: {metrics.used_bytes / streams / 1e3:.1f} KB a stream by its own account,"
            f" {taken / streams / 1e3:.1f} KB allocated"
        )
        del metrics
