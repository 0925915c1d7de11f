"""What a scrape of `/metrics` costs a service with many live streams, and what a line of the access log costs a call.

OpenKLS runs whole on core 0, filled with live streams that have no connections, and is scraped from core 1, once in
more than the second for which a scrape is kept. Printed is the service's processor time for a scrape, without what it
uses in the same time when nobody asks.

The line is measured in this process, on the steps and the action of CheckBlacklist without HTTP: processor time of a
call, with the log and without, in turns.
"""

import asyncio
import http.client
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.api import CLIENT_CORE, CONFIG, Server
from bench.machine import no_options
from openkls.api import pipeline, wire
from openkls.cli import logs
from tests.support_api import Site

STREAMS: Final = (0, 1_000, 10_000)
SCRAPES: Final = 8
# A little more than meters.scrape.FRESH_SECONDS.
PAUSE_SECONDS: Final = 1.1
PER_STREAM: Final = (0, 100)
CALLS: Final = 20_000
ROUNDS: Final = 5


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    no_options("metrics", __doc__, options)
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {CLIENT_CORE})
    for per_stream in PER_STREAM:
        print(f"\n/metrics with per_stream = {per_stream}")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            path = folder / "openkls.toml"
            path.write_text(f"{CONFIG.format(folder=folder)}[metrics]\nper_stream = {per_stream}\n")
            server = Server("OpenKLS", ["-m", "bench.api_server", "openkls", str(path)])
            stack.callback(server.end)
            filled = 0
            for count in STREAMS:
                server.order(f"fill {count - filled} {filled}")
                filled = count
                server.order("feed")
                _scrape(server, count)
    print("\nA line of the access log")
    asyncio.run(_access())


def _scrape(server: Server, count: int) -> None:
    began, before = time.monotonic(), server.used_seconds()
    while time.monotonic() - began < SCRAPES * PAUSE_SECONDS:
        time.sleep(0.01)
    idle_seconds = server.used_seconds() - before
    before, took, size = server.used_seconds(), [], 0
    for _ in range(SCRAPES):
        begin = time.perf_counter()
        size = len(_fetch(server.port, "/metrics"))
        took.append(time.perf_counter() - begin)
        time.sleep(PAUSE_SECONDS)
    used_ms = (server.used_seconds() - before - idle_seconds) / SCRAPES * 1000
    print(
        f"  {count:6} streams: {used_ms:6.1f} ms of processor time, {statistics.median(took) * 1000:6.1f} ms from "
        f"asking to the whole answer of {size} bytes"
    )


def _fetch(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


async def _access() -> None:
    site = Site()
    await site.start()
    request = site.signed(
        "GET",
        "/?Action=CheckBlacklist&Version=2017-01-01&UniqueName=demo&App=live&Pubdomain=push.demo.local&Stream=s1",
    )

    async def run() -> float:
        begin = time.process_time()
        for _ in range(CALLS):
            await pipeline.answer_call(site.services, wire.Call(request, wire.new_request_id(), client_ip="192.0.2.7"))
        site.services.ledger.flush()
        logs.drain()
        return (time.process_time() - begin) / CALLS * 1e6

    shown = sys.stderr
    times: dict[str, list[float]] = {}
    with Path(os.devnull).open("w") as nowhere:  # noqa: ASYNC230
        sys.stderr = nowhere
        for _ in range(ROUNDS):
            for name, style in (("off", None), ("console", logs.Format.CONSOLE), ("json", logs.Format.JSON)):
                logs.set_up(logs.Level.INFO, style=style or logs.Format.CONSOLE)
                site.services.ledger.access = style is not None
                times.setdefault(name, []).append(await run())
        sys.stderr = shown
        logging.getLogger().handlers.clear()
    await site.close()
    for name, each in times.items():
        print(f"  {name:8} {statistics.median(each):5.1f} us a call ({min(each):.1f} to {max(each):.1f})")
