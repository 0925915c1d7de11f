"""Run the benches: ``python -m bench [NAME ...] [OPTION ...]``; without a name, those of ``make bench``.

Options go to every bench that was named; ``python -m bench NAME --help`` lists those of one.
"""

import importlib
import signal
import sys
from pathlib import Path

from bench import machine

# Each is a module with ``main(options)`` that prints its figures.
BENCHES = {
    "api": "signed requests a second on one core, beside a bare aiohttp server",
    "forbid": "from a ForbidStream's last byte to the closed sockets of publisher and viewers",
    "store": "the embedded store: bans, sessions, pages",
    "callbacks": "what a publish costs with callbacks beside one without, and events delivered a second",
    "history": "pages of history, 500 thousand rows against 5 million and 50 million",
    "fanout": "what a viewer costs, beside nginx-rtmp and Node-Media-Server",
    "ingest": "what a publisher costs, beside nginx-rtmp and Node-Media-Server",
    "cluster": "four nodes on one Redis: lists, claims, commands; a ban from one node to the other",
    "sdk": "what the Python SDK's signing costs, beside botocore's",
    "metrics": "what a scrape costs, and a line of the access log",
    "look": "what looking on costs: the list of all live streams, and the series",
    "console": "10,000 live streams in the browser: first rows, long tasks while scrolling",
    "hls": "what HLS costs for each stream, beside nginx-rtmp",
}


def main() -> None:
    """Run what was asked for."""
    # Ended from outside, a bench still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    names, options = _parse(sys.argv[1:])
    wanted = names or ([] if options else list(BENCHES))
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown or not wanted:
        known = "\n".join(f"  {name:8} {what}" for name, what in BENCHES.items())
        asked = f"no bench is called {', '.join(unknown)}" if unknown else "python -m bench [NAME ...] [OPTION ...]"
        sys.exit(f"{asked}; there are:\n{known}")
    # The supports of the tests import each other by their bare names.
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    print(machine.describe())
    for name in wanted:
        print(f"\n== {name}: {BENCHES[name]}", flush=True)
        importlib.import_module(f"bench.{name}").main(options)


def _parse(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The names in front, and the options behind them."""
    for at, argument in enumerate(arguments):
        if argument.startswith("-"):
            return arguments[:at], arguments[at:]
    return arguments, []


if __name__ == "__main__":
    main()
