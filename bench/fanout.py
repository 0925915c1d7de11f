"""What a viewer costs: processor, memory, start, stall and latency, beside nginx-rtmp and Node-Media-Server.

The server runs on core 0, publishers and viewers on core 1; each case starts its server anew. Rounds alternate between
the servers. The share of a core is user and system time of all the server's processes over the window; the ratio is of
medians, with the extremes of the rounds' own ratios. The begin of a new viewer counts from its connection, beside the
full audience. About twelve minutes.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import measure, peers
from bench.measure import Case, Figure, median, p99

NOT_SHOWN: Final = """
Not shown: a network. Loopback takes segments of 64 KB, from which merged writes profit most; expect ratios nearer to 1
where each packet costs. What the kernel does in interrupts is in nobody's share: nginx-rtmp leaves Nagle's algorithm
on, so that part of its sending happens there, when acknowledgements come. Ordinary viewers read every 5 ms and their
kernel drops the bytes: memory for unread data and the cost of slow viewers are not in it. Node-Media-Server merges by
ten messages (147 ms); nginx-rtmp has no cache of the group of pictures: its viewers wait for the next key frame."""

QUICK_VIEWERS: Final = 50
# nginx-rtmp tuned keeps frames back until the next sound, 23 ms at most; stock writes each message, as ours at 0 ms.
LIKE_TUNED_MS: Final = 25


class Run:
    """The figures of one run, by table and case."""

    def __init__(self, chosen: argparse.Namespace, folder: Path) -> None:
        self._chosen = chosen
        self._folder = folder
        self._figures: dict[Case, list[Figure]] = {}

    def measure(self, title: str, cases: Sequence[Case], rounds: int) -> None:
        """Alternate between the cases, and print a line for each as it is measured, then the table."""
        print(f"\n{title}", flush=True)
        for number in range(1, rounds + 1):
            for case in cases:
                figure = measure.run(case, self._chosen.seconds, self._folder, bursts=self._chosen.bursts)
                self._figures.setdefault(case, []).append(figure)
                print(f"  round {number}: {_line(case, figure)}", flush=True)
        for case in cases:
            figures = self._figures[case]
            print(f"  {case.name:32} {measure.cores(figures)} of a core, {self._memory(case)} KB a viewer")
        for case in cases:
            if case.streams == 1 and self._figures[case][0].latency_ms:
                print(f"  {case.name:32} {_times(case, self._figures[case])}")

    def _memory(self, case: Case) -> str:
        count = case.streams * case.viewers
        kilobytes = [(each.full_rss - each.published_rss) / count / 1024 for each in self._figures[case]]
        return f"{median(kilobytes):.1f}"

    def figures(self, case: Case) -> list[Figure]:
        """What was measured of a case, by round."""
        return self._figures.get(case, [])

    def ratio(self, goal: str, what: str, ours: Case, peer: Case, wanted: float) -> None:
        """One line of the goals."""
        found = measure.ratio(self._figures.get(ours, []), self._figures.get(peer, []))
        print(f"  {goal:3} {what:58} {found:24} goal {wanted:.2f}")


def _line(case: Case, figure: Figure) -> str:
    return (
        f"{case.name:32} {figure.core:7.2%}, others {figure.others:.0%}; clients {figure.client_core:.0%}, "
        f"publishers {figure.publisher_core:.0%}, late {figure.late_ms:.0f} ms; "
        f"received {figure.delivered:.1%}, least {figure.least:.1%}, lost {figure.lost}"
    )


def _times(case: Case, figures: Sequence[Figure]) -> str:
    latency, gaps = measure.joined(figures, "latency_ms"), measure.joined(figures, "gaps_ms")
    keys = [value for figure in figures for value in figure.starts.key_frame_ms]
    firsts = [value for figure in figures for value in figure.starts.first_byte_ms]
    text = (
        f"latency {median(latency):6.1f} ms, p99 {p99(latency):6.1f}; longest pause "
        f"{median([max(figure.gaps_ms, default=0.0) for figure in figures]):6.1f} (worst {max(gaps, default=0.0):.1f})"
    )
    if keys:
        text += (
            f"; first byte {median(firsts):.1f}, p99 {p99(firsts):.1f}; "
            f"first key frame {median(keys):.1f}, p99 {p99(keys):.1f} ({len(keys)} viewers)"
        )
    return text


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    chosen = _parse(arguments)
    if (os.cpu_count() or 1) < 2:
        print("one core only: server and clients share it, and the figures mean little")
    known = [peers.NGINX_STOCK, peers.NGINX_TUNED, peers.NODE]
    absent = {peer for peer in known if chosen.no_peers or peers.missing(peer)}
    if not chosen.no_peers:
        for peer in sorted(absent, key=lambda each: each.name):
            print(peers.missing(peer))
    with tempfile.TemporaryDirectory() as folder:
        _run(chosen, Run(chosen, Path(folder)), absent)
    print(NOT_SHOWN)


def _run(chosen: argparse.Namespace, run: Run, absent: set[peers.Peer]) -> None:
    count, visitors = chosen.viewers, chosen.visitors

    def case(peer: peers.Peer, protocol: str, streams: int = 1, viewers: int = count, visit: int = 0) -> Case:
        return Case(peer, protocol, streams, viewers, visit)

    def present(cases: Sequence[Case]) -> list[Case]:
        return [each for each in cases if each.peer not in absent]

    stock = case(peers.NGINX_STOCK, "rtmp", visit=visitors)
    tuned = case(peers.NGINX_TUNED, "rtmp", visit=visitors)
    node = {protocol: case(peers.NODE, protocol, visit=visitors) for protocol in ("rtmp", "flv")}
    ours = {
        (protocol, merge): case(peers.ours(merge), protocol, visit=visitors)
        for protocol in ("rtmp", "flv")
        for merge in chosen.merge
        if protocol == "rtmp" or merge != LIKE_TUNED_MS
    }
    main_cases = present([tuned, *ours.values(), stock, *node.values()])
    if chosen.merge:
        run.measure(f"{count} viewers of one stream", main_cases, chosen.rounds)
    many = [case(peer, "rtmp", chosen.streams, 10) for peer in (peers.NGINX_TUNED, peers.ours(150))]
    if chosen.streams:
        run.measure(f"{chosen.streams} streams x 10 viewers", present(many), chosen.rounds)
    if chosen.workers:
        _measure_workers(chosen, run)
    for size in chosen.sizes:
        sized = [
            case(peers.NGINX_TUNED, "rtmp", 1, size),
            *(case(peers.ours(150), p, 1, size) for p in ("rtmp", "flv")),
        ]
        run.measure(f"{size} viewers of one stream, one round", present(sized), 1)
    print("\nratios of the share of a core")
    goals = (
        ("P1", "RTMP, 150 ms, against nginx-rtmp tuned", ("rtmp", 150), tuned, 0.30),
        ("P2", "FLV, 150 ms, against nginx-rtmp tuned (RTMP)", ("flv", 150), tuned, 0.30),
        ("P3", "RTMP, 350 ms, against Node-Media-Server", ("rtmp", 350), node["rtmp"], 0.60),
        ("P3", "FLV, 350 ms, against Node-Media-Server", ("flv", 350), node["flv"], 0.10),
        ("P4", "RTMP, 0 ms, against nginx-rtmp tuned", ("rtmp", 0), tuned, 0.90),
        ("", "RTMP, 0 ms, against nginx-rtmp stock, as prompt", ("rtmp", 0), stock, 0.90),
        ("", "RTMP, 25 ms, against nginx-rtmp tuned, as prompt", ("rtmp", LIKE_TUNED_MS), tuned, 0.90),
    )
    for goal, what, of, peer, wanted in goals:
        if of in ours and peer.peer not in absent:
            run.ratio(goal, what, ours[of], peer, wanted)
    if chosen.streams and peers.NGINX_TUNED not in absent:
        run.ratio("P5", f"{chosen.streams} streams x 10, RTMP, 150 ms, nginx-rtmp tuned", many[1], many[0], 0.45)


def _measure_workers(chosen: argparse.Namespace, run: Run) -> None:
    """One process beside several that share the ports, on all cores: what a viewer who sits in another process than
    its stream costs, and how far the audience is spread."""
    alone, spread = ours_by_protocol(chosen, 0), ours_by_protocol(chosen, chosen.workers)
    title = f"{chosen.viewers} viewers of one stream, one process and {chosen.workers} workers (and their API process)"
    run.measure(title, [*alone, *spread], chosen.rounds)
    for one, several in zip(alone, spread, strict=True):
        busiest = [median([figure.busiest for figure in run.figures(case)]) for case in (one, several)]
        whole = measure.ratio(run.figures(several), run.figures(one))
        print(
            f"  {several.name:32} busiest process {busiest[1]:.2%} of a core, alone {busiest[0]:.2%}: "
            f"{busiest[1] / busiest[0]:.2f}; all processes against one: {whole}"
        )


def ours_by_protocol(chosen: argparse.Namespace, workers: int) -> list[Case]:
    """Ours at 150 ms, by RTMP and by FLV."""
    return [Case(peers.ours(150, workers), protocol, 1, chosen.viewers) for protocol in ("rtmp", "flv")]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench fanout", description=__doc__, formatter_class=form)
    parser.add_argument("--viewers", type=int, default=1000, help="of one stream, in the main table (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="of the main table and of the many streams (3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each window (10)")
    parser.add_argument("--merge", type=int, nargs="*", default=[0, 25, 150, 350], help="windows, ms (0 25 150 350)")
    parser.add_argument("--streams", type=int, default=100, help="with ten viewers each; 0 leaves them out (100)")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 3000], help="further audiences (100 3000)")
    parser.add_argument("--visitors", type=int, default=60, help="new viewers to time, in each round (60)")
    parser.add_argument("--workers", type=int, default=0, help="media processes, in a table of their own (0: without)")
    parser.add_argument("--bursts", action="store_true", help="publish audio with the next frame, as muxers interleave")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--quick", action="store_true", help="one short round with few viewers: does it run?")
    chosen = parser.parse_args(list(arguments))
    if chosen.quick:
        chosen.viewers, chosen.rounds, chosen.seconds, chosen.visitors = QUICK_VIEWERS, 1, 2.0, 10
        chosen.streams, chosen.sizes = 5, []
    return chosen


if __name__ == "__main__":
    main(sys.argv[1:])
