"""What a publisher costs: processor and memory, with the quality of every stream measured, beside nginx-rtmp and
Node-Media-Server, neither of which measures it.

The server runs on core 0, the publishers on core 1; each case starts its server anew. Rounds alternate between the
servers. The share of a core is user and system time of all the server's processes over the window, without viewers.
About four minutes.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import clip, measure, peers
from bench.measure import Case, Figure, median

NOT_SHOWN: Final = """
Not shown: a network; encoders that send late or in bursts; the begin of a publish (its admission and its history row).
Memory beside the group of pictures: resident memory a publisher, less half a group, which is what a stream's cache
holds on average; nginx-rtmp has no such cache."""

GOP_KB: Final = measure.KBPS * clip.GOP_MS / 1000 / 8 * 1000 / 1024
GOAL_RATIO, GOAL_KB = 1.8, 60.0


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    chosen = _parse(arguments)
    wanted = [peers.ours(150)] + ([] if chosen.no_peers else [peers.NGINX_TUNED, peers.NODE])
    present = []
    for peer in wanted:
        lack = peers.missing(peer)
        if lack:
            print(lack)
        else:
            present.append(peer)
    figures: dict[tuple[int, peers.Peer], list[Figure]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in chosen.publishers:
            print(f"\n{count} publishers, chunks of {chosen.chunk_size} bytes", flush=True)
            for number in range(1, chosen.rounds + 1):
                for peer in present:
                    figure = measure.run(Case(peer, "", count, 0), chosen.seconds, Path(folder), chosen.chunk_size)
                    figures.setdefault((count, peer), []).append(figure)
                    print(f"  round {number}: {_line(peer, figure)}", flush=True)
            _print(count, present, figures)
    print(NOT_SHOWN)


def _line(peer: peers.Peer, figure: Figure) -> str:
    return (
        f"{peer.name:26} {figure.core:7.2%}, others {figure.others:.0%}; "
        f"publishers {figure.publisher_core:.0%}, late {figure.late_ms:.0f} ms"
    )


def _print(count: int, present: list[peers.Peer], figures: dict[tuple[int, peers.Peer], list[Figure]]) -> None:
    for peer in present:
        of = figures[count, peer]
        memory = median([(each.full_rss - each.idle_rss) / count / 1024 for each in of])
        beside = "" if peer.kind.startswith("nginx") else f", {memory - GOP_KB / 2:.0f} beside half a group"
        print(f"  {peer.name:26} {measure.cores(of)} of a core; {memory:.0f} KB a publisher{beside}")
    for peer in present[1:]:
        goal = f", goal {GOAL_RATIO} at 100" if peer is peers.NGINX_TUNED else ""
        print(f"  ours against {peer.name}: {measure.ratio(figures[count, present[0]], figures[count, peer])}{goal}")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench ingest", description=__doc__, formatter_class=form)
    parser.add_argument("--publishers", type=int, nargs="+", default=[50, 100, 200], help="(50 100 200)")
    parser.add_argument("--rounds", type=int, default=2, help="of each (2)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each window (8)")
    parser.add_argument("--chunk-size", type=int, default=4096, help="that publishers send in, bytes (4096)")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--quick", action="store_true", help="one short round with few publishers: does it run?")
    chosen = parser.parse_args(list(arguments))
    if chosen.quick:
        chosen.publishers, chosen.rounds, chosen.seconds = [5], 1, 2.0
    return chosen


if __name__ == "__main__":
    main(sys.argv[1:])
