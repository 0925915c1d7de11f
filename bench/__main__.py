"""Run the benches: ``python -m bench [NAME ...]``; without a name, those of ``make bench``."""

import importlib
import sys

from bench import machine

# Each is a module with ``main()`` that prints its figures.
BENCHES = {
    "api": "signed requests a second on one core, beside a bare aiohttp server",
    "forbid": "from a ForbidStream's last byte to the closed sockets of publisher and viewers",
    "store": "the embedded store: bans, sessions, pages",
}


def main() -> None:
    """Run what was asked for."""
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        known = "\n".join(f"  {name:8} {what}" for name, what in BENCHES.items())
        sys.exit(f"no bench is called {', '.join(unknown)}; there are:\n{known}")
    print(machine.describe())
    for name in wanted:
        print(f"\n== {name}: {BENCHES[name]}")
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
