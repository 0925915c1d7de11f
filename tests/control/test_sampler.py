"""The sampler: once every ten seconds, of all processes, whatever goes wrong in one sample."""

import asyncio
from typing import Any

import pytest

from openkls import config
from openkls.control import sampler as module
from openkls.control.directory import Directory
from openkls.control.failures import Failures
from openkls.control.live import LiveStreams
from openkls.control.sampler import Sampler
from openkls.domain.blacklist import Blacklist
from openkls.domain.registry import Registry
from openkls.domain.series import KEEP_SECONDS, Metrics
from openkls.domain.viewers import Viewers
from support_domain import key, session

BEGIN = 1_753_056_000
SPACE = config.Space("demo", apps=("live",), publish_domains=("push.demo.local",))
ACCOUNTS = (config.Account("2000001", space=(SPACE, config.Space("other"))),)


class Process:
    """What another process shows."""

    def __init__(self, boot_id: str, *failures: tuple[str, str, int]) -> None:
        self.boot_id = boot_id
        self.failures = list(failures)


class Peers:
    def __init__(self) -> None:
        self.shown: list[Process] = []

    def apps(self) -> set[tuple[str, str]]:
        return set()

    def processes(self) -> list[Process]:
        return self.shown


class Bench:
    def __init__(self, peers: Any = None) -> None:
        self.now = float(BEGIN)
        self.registry, self.viewers = Registry(Blacklist()), Viewers()
        self.failures = Failures()
        live = LiveStreams(self.registry, self.viewers, peers)
        self.sampler = Sampler(live, Directory(ACCOUNTS), self.failures, Metrics(), lambda: self.now, lambda: self.now)

    async def sample(self, seconds: float = 10) -> None:
        self.now += seconds
        await self.sampler.sample()

    def errors(self, *names: str) -> list[int]:
        series = self.sampler.metrics.totals.find(("2000001", *names))
        assert series is not None
        return [row[4] for _, row in series.fine(0, BEGIN * 2)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_sample_is_of_the_step_that_the_clock_is_nearest_to(bench: Bench) -> None:
    for seconds in (9.9, 10.3):
        await bench.sample(seconds)
    series = bench.sampler.metrics.totals.find(("2000001",))
    assert series is not None
    assert [at - BEGIN for at, _ in series.fine(0, BEGIN * 2)] == [10, 20]


async def test_streams_are_read_in_slices_and_what_ended_meanwhile_is_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE_ROWS", 2)
    made = [session(key(f"s{number}"), pub_time=BEGIN - number) for number in range(5)]
    for each in made:
        bench.registry.claim(each, BEGIN)
    turns = []
    sleep = asyncio.sleep

    async def others(seconds: float) -> None:
        turns.append(seconds)
        await sleep(0)
        made[3].ended = len(turns) > 1  # the first is that between two apps

    monkeypatch.setattr(module.asyncio, "sleep", others)
    await bench.sample()
    monkeypatch.undo()
    assert len(turns) == 4
    assert len(bench.sampler.metrics.streams) == 4
    assert bench.sampler.samples == 1


async def test_errors_are_what_the_counters_of_all_processes_have_grown_by() -> None:
    peers = Peers()
    bench = Bench(peers)
    peers.shown = [Process("a", ("demo", "live", 5))]
    bench.failures.count(key())
    await bench.sample()
    # What a process had when it was first heard of is not of this step; what this one had is.
    assert bench.errors() == bench.errors("demo") == bench.errors("demo", "live") == [1]
    peers.shown = [Process("a", ("demo", "live", 7), ("other", "", 1)), Process("b", ("demo", "live", 100))]
    await bench.sample()
    assert (bench.errors(), bench.errors("demo"), bench.errors("other")) == ([1, 3], [1, 2], [0, 1])
    peers.shown = [Process("b", ("demo", "live", 101), ("gone", "live", 9))]
    await bench.sample()
    assert bench.errors() == [1, 3, 1]


@pytest.mark.parametrize(("away", "errors"), [(KEEP_SECONDS, 3), (KEEP_SECONDS + 10, 0)])
async def test_process_that_was_away_for_a_while_goes_on_from_what_it_had(away: int, errors: int) -> None:
    peers = Peers()
    bench = Bench(peers)
    peers.shown = [Process("a", ("demo", "live", 5))]
    await bench.sample()
    peers.shown = []
    await bench.sample(away)
    peers.shown = [Process("a", ("demo", "live", 8))]
    await bench.sample()
    # After an hour it has been forgotten, and is as new as any.
    assert bench.errors()[-1] == errors


async def test_loop_samples_on_and_on_though_one_sample_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    done = asyncio.Event()
    sleep = asyncio.sleep

    async def pass_time(seconds: float) -> None:
        if seconds:
            waits.append(seconds)
            # Timers go off a little early, and a little late.
            bench.now += seconds + (-0.01 if len(waits) % 2 else 0.3)
            if len(waits) == 6:
                done.set()
        await sleep(0)

    monkeypatch.setattr(module.asyncio, "sleep", pass_time)
    sample, failing = bench.sampler.sample, [3]

    async def sometimes() -> None:
        failing[0] -= 1
        if not failing[0]:
            raise RuntimeError("a bug")
        await sample()

    bench.sampler.sample = sometimes  # type: ignore[method-assign]
    bench.now += 4
    task = asyncio.create_task(bench.sampler.run())
    await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert waits[0] == 6
    assert all(9.5 < wait < 10.5 for wait in waits[1:])
    assert "a sample failed" in caplog.text
    series = bench.sampler.metrics.totals.find(("2000001",))
    assert series is not None
    assert [at - BEGIN for at, _ in series.fine(0, BEGIN * 2)][:4] == [10, 20, 40, 50]
