"""What HLS costs for each stream: the server's processor time with HLS and a player of each stream, less its time with
the publishers alone, beside nginx-rtmp.

The server runs on core 0, publishers and players on core 1. Each round starts each server anew and measures it twice:
with publishers alone, then with a player of each stream that follows its playlist and fetches every segment.
nginx-rtmp makes segments of every stream of an app, watched or not; ours of those that are asked for. About three
minutes.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import hls_viewers, peers, publishers
from bench.measure import SETTLE_SECONDS, median, p99, worker
from bench.worker import Worker

START_LIMIT_SECONDS: Final = 30.0
# So that no player is still fetching what was there when it came.
PLAY_SECONDS: Final = 4.0
GOAL: Final = 0.5
NOT_SHOWN: Final = """
Not shown: a network, and many players of one stream: those fetch bytes that are made once, and in earnest from a CDN.
nginx-rtmp writes its segments to files (TMPDIR says where) and its players read them from the page cache."""


@dataclass(slots=True)
class Figure:
    """One round of one server. Shares are of a core."""

    alone: float = 0.0
    played: float = 0.0
    streams: int = 1
    media: float = 0.0
    """Seconds of media that a player got in a second."""
    missed: int = 0
    client_core: float = 0.0
    starts_seconds: list[float] = field(default_factory=list)

    @property
    def per_stream(self) -> float:
        """What HLS added for each stream."""
        return (self.played - self.alone) / self.streams


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    chosen = _parse(arguments)
    present = [peers.ours(150)]
    if not chosen.no_peers:
        lack = peers.missing(peers.NGINX_TUNED)
        if lack:
            print(lack)
        else:
            present.append(peers.NGINX_TUNED)
    figures: dict[str, list[Figure]] = {peer.name: [] for peer in present}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, chosen.rounds + 1):
            for peer in present:
                figure = _round(peer, chosen.streams, chosen.seconds, Path(folder))
                figures[peer.name].append(figure)
                print(f"  round {number}: {_line(peer, figure)}", flush=True)
    for peer in present:
        of = [figure.per_stream for figure in figures[peer.name]]
        starts = [value for figure in figures[peer.name] for value in figure.starts_seconds]
        print(
            f"  {peer.name:20} {median(of):.4%} ({min(of):.4%} to {max(of):.4%}) of a core for each stream; "
            f"first segment after {median(starts):.2f} s, p99 {p99(starts):.2f}"
        )
    if len(present) > 1:
        ours, theirs = (median([figure.per_stream for figure in figures[peer.name]]) for peer in present)
        print(f"  P13 ours against nginx-rtmp's HLS: {ours / theirs:.2f}, goal {GOAL:.2f}")
    print(NOT_SHOWN)


def _line(peer: peers.Peer, figure: Figure) -> str:
    return (
        f"{peer.name:20} publishers {figure.alone:.2%}, with HLS {figure.played:.2%}: {figure.per_stream:.4%} each; "
        f"{figure.media:.2f} s of media a second, {figure.missed} missed, players' core {figure.client_core:.0%}"
    )


def _round(peer: peers.Peer, streams: int, seconds: float, folder: Path) -> Figure:
    figure = Figure(streams=streams)
    names = tuple(f"s{number}" for number in range(streams))
    with peers.running(peer, folder) as server:
        with _published(server, peer.app, names):
            figure.alone = _share(server, seconds)
            if peer.kind == "openkls":
                _play(server, peer.app, names, seconds, figure)
        if peer.kind != "openkls":
            with _published(server, "hls", names):
                _play(server, "hls", names, seconds, figure)
    return figure


@contextlib.contextmanager
def _published(server: peers.Server, app: str, names: tuple[str, ...]):
    with worker(publishers.run, publishers.Push(server.rtmp, app, names, peers.CACHE)) as source:
        source.answer()
        time.sleep(SETTLE_SECONDS)
        yield


def _share(server: peers.Server, seconds: float) -> float:
    cpu, begin = server.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu_seconds() - cpu) / (time.monotonic() - begin)


def _play(server: peers.Server, app: str, names: tuple[str, ...], seconds: float, figure: Figure) -> None:
    follow = hls_viewers.Follow(server.http, tuple(f"/{app}/{name}.m3u8" for name in names))
    with worker(hls_viewers.run, follow) as players:
        _await_players(players, len(names))
        time.sleep(PLAY_SECONDS)
        before, begin = players.ask("report"), time.monotonic()
        figure.played = _share(server, seconds)
        after, wall = players.ask("report"), time.monotonic() - begin
        figure.media = (after.media_seconds - before.media_seconds) / len(names) / wall
        figure.missed = after.missed - before.missed
        figure.client_core = (after.cpu_seconds - before.cpu_seconds) / wall
        figure.starts_seconds = after.first_segment_seconds


def _await_players(players: Worker, count: int) -> None:
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while (playing := players.ask("report").playing) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{playing} of {count} HLS players have a segment after {START_LIMIT_SECONDS:g} s")
        time.sleep(0.2)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench hls", description=__doc__, formatter_class=form)
    parser.add_argument("--streams", type=int, default=50, help="each with one player (50)")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each window (8)")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--quick", action="store_true", help="one short round with few streams: does it run?")
    chosen = parser.parse_args(list(arguments))
    if chosen.quick:
        chosen.streams, chosen.rounds, chosen.seconds = 5, 1, 4.0
    return chosen


if __name__ == "__main__":
    main(sys.argv[1:])
