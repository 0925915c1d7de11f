"""What the media benches share: a case (a server, its publishers, its viewers) measured over a window, and how figures
of several rounds are told.
"""

import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import publishers, viewers
from bench.api_load import TICKS_PER_SECOND
from bench.peers import CACHE, SERVER_CORE, Peer, Server, running
from bench.worker import Worker

SETTLE_SECONDS = 2.0
VISIT_SECONDS = 0.04
START_LIMIT_SECONDS = 60.0
WATCHED = 8
KBPS = 1080
"""Of the stream, to see whether viewers got all of it."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured at once. ``visitors`` come one after another behind the window, and leave with their key
    frame."""

    peer: Peer
    protocol: str
    streams: int
    viewers: int
    """Of each stream."""
    visitors: int = 0

    @property
    def name(self) -> str:
        """Server and protocol."""
        return f"{self.peer.name}, {self.protocol.upper()}" if self.viewers else self.peer.name


@dataclass(slots=True)
class Figure:
    """What one round of a case gave."""

    core: float = 0.0
    """Share of one core that the server used."""
    busiest: float = 0.0
    """The same of the one of its processes that used most."""
    others: float = 0.0
    """Share of that core that other processes used meanwhile."""
    client_core: float = 0.0
    publisher_core: float = 0.0
    late_ms: float = 0.0
    idle_rss: int = 0
    """Before there was a publisher or a viewer."""
    published_rss: int = 0
    full_rss: int = 0
    delivered: float = 1.0
    """What viewers received, as a share of what was published."""
    least: float = 1.0
    """The same of the viewer that got the fewest."""
    lost: int = 0
    latency_ms: list[float] = field(default_factory=list)
    gaps_ms: list[float] = field(default_factory=list)
    starts: viewers.Starts = field(default_factory=viewers.Starts)


@contextlib.contextmanager
def worker(body: object, *arguments: object) -> Iterator[Worker]:
    """A load process, ended at the end."""
    made = Worker(body, *arguments)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.end()


def run(case: Case, seconds: float, folder: Path, chunk_size: int = 4096, *, bursts: bool = False) -> Figure:
    """Start everything, measure for a window of so many seconds, end everything."""
    settle_seconds = min(SETTLE_SECONDS, seconds)
    figure = Figure()
    names = tuple(f"s{number}" for number in range(case.streams))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(case.peer, folder))
        figure.idle_rss = server.rss_bytes()
        push = publishers.Push(server.rtmp, case.peer.app, names, CACHE, chunk_size, bursts)
        source = stack.enter_context(worker(publishers.run, push))
        source.answer()
        time.sleep(settle_seconds)
        figure.published_rss = server.rss_bytes()
        if case.viewers:
            audience, watched = _audience(stack, server, case, names)
            time.sleep(settle_seconds)
            _measure(server, source, [watched, audience], figure, seconds)
            _visit(stack, server, case, names[0], figure)
        else:
            _measure(server, source, [], figure, seconds)
    return figure


def _audience(stack: contextlib.ExitStack, server: Server, case: Case, names: tuple[str, ...]) -> tuple[Worker, Worker]:
    port = server.rtmp if case.protocol == "rtmp" else server.http
    few = min(WATCHED, case.viewers) if case.streams == 1 else 0
    bulk = viewers.Play(case.protocol, port, case.peer.app, names, case.viewers - few)
    close = viewers.Play(case.protocol, port, case.peer.app, names[:1], few or 1, watched=True)
    audience = stack.enter_context(worker(viewers.run, bulk))
    watched = stack.enter_context(worker(viewers.run, close))
    deadline = time.monotonic() + START_LIMIT_SECONDS
    for each in (audience, watched):
        while True:
            _, left = each.ask("started")
            if not left:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"{case.name}: {left} viewers have no key frame after {START_LIMIT_SECONDS:g} s")
            time.sleep(0.1)
    return audience, watched


def _measure(server: Server, source: Worker, watching: Sequence[Worker], figure: Figure, seconds: float) -> None:
    sent = source.ask("report")
    before = [each.ask("report") for each in watching]
    each_before = server.cpu_of_each()
    cpu, busy, begin = server.cpu_seconds(), busy_seconds(SERVER_CORE), time.monotonic()
    time.sleep(seconds)
    cpu, busy = server.cpu_seconds() - cpu, busy_seconds(SERVER_CORE) - busy
    wall = time.monotonic() - begin
    each_after = server.cpu_of_each()
    figure.busiest = max(spent - each_before.get(pid, 0.0) for pid, spent in each_after.items()) / wall
    after = [each.ask("report") for each in watching]
    done = source.ask("report")
    figure.full_rss = server.rss_bytes()
    figure.core = cpu / wall
    figure.others = max(0.0, busy - cpu) / wall
    figure.publisher_core = (done.cpu_seconds - sent.cpu_seconds) / wall
    figure.late_ms = done.late_ms
    if watching:
        watched, audience = after
        spent = [now.cpu_seconds - then.cpu_seconds for now, then in zip(after, before, strict=True)]
        figure.client_core = sum(spent) / wall
        figure.latency_ms, figure.gaps_ms = watched.latency_ms, watched.gaps_ms
        figure.lost = sum(each.lost for each in after)
        expected = KBPS * 1000 / 8 * wall
        figure.delivered = sum(each.received_bytes for each in after) / sum(each.viewers for each in after) / expected
        figure.least = (audience if audience.viewers else watched).least_bytes / expected


def _visit(stack: contextlib.ExitStack, server: Server, case: Case, name: str, figure: Figure) -> None:
    """New viewers beside all the others, at every moment of the group of pictures."""
    if not case.visitors:
        return
    port = server.rtmp if case.protocol == "rtmp" else server.http
    play = viewers.Play(case.protocol, port, case.peer.app, (name,), 1)
    visitors = stack.enter_context(worker(viewers.run, None))
    visitors.ask("started")
    for _ in range(case.visitors):
        visitors.tell(play)
        time.sleep(VISIT_SECONDS)
    deadline = time.monotonic() + 5
    while visitors.ask("started")[1] and time.monotonic() < deadline:
        time.sleep(0.1)
    figure.starts = visitors.ask("report").starts


def busy_seconds(core: int) -> float:
    """What a core has worked for processes, and not had because its host took it (proc(5), stat); interrupts, which
    are nobody's, are left out."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            ticks = [int(each) for each in line.split()[1:]]
            return (sum(ticks[:3]) + ticks[7]) / TICKS_PER_SECOND
    return 0.0


def median(values: Sequence[float]) -> float:
    """0 when there are none."""
    return statistics.median(values) if values else 0.0


def p99(values: Sequence[float]) -> float:
    """The value that one in a hundred is above; 0 when there are none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))] if values else 0.0


def joined(figures: Sequence[Figure], name: str) -> list[float]:
    """One list of a figure's member, over all rounds."""
    return [value for figure in figures for value in getattr(figure, name)]


def cores(figures: Sequence[Figure]) -> str:
    """Median and extremes of the share of a core."""
    all_cores = [figure.core for figure in figures]
    return f"{median(all_cores):7.2%} ({min(all_cores):.2%} to {max(all_cores):.2%})"


def ratio(figures: Sequence[Figure], peer: Sequence[Figure]) -> str:
    """Of the medians, and the extremes of the rounds' own ratios."""
    if not figures or not peer:
        return "no figure"
    rounds = [ours.core / theirs.core for ours, theirs in zip(figures, peer, strict=False)]
    whole = median([each.core for each in figures]) / median([each.core for each in peer])
    return f"{whole:.2f} ({min(rounds):.2f} to {max(rounds):.2f})"
