"""What callbacks cost: a publish of a space with a server to tell beside one without, and events delivered a second.

About 30 s. The server to tell is a process of its own on this machine that answers 204 at once. What it does not show:
a network, and a server that works on what it is told.
"""

import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.machine import no_options
from bench.store import KEY, NOW, facts_at
from openkls.control.callbacks import Callbacks
from openkls.domain.callbacks import CallbackTarget
from openkls.domain.session import BreakCode, HistoryRow, Reason
from openkls.hooks.callbacks import CallbackHooks
from openkls.store import Store, open_store

SESSIONS = 500
TURNS = 5
STREAMS = 200
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


async def publish(store: Store, unique_name: str) -> float:
    """Sessions opened and closed at once; microseconds of this process's processor time for each."""

    async def one(number: int) -> None:
        facts = facts_at(NOW, f"s{number % STREAMS}")
        facts = replace(facts, key=replace(facts.key, unique_name=unique_name), pub_param='{"user": "7"}')
        await store.history.open(facts)
        await store.history.close(HistoryRow(facts, facts.pub_time + 9, BreakCode.SUCCESS, Reason.CLOSED))

    began = time.process_time()
    await asyncio.gather(*(one(number) for number in range(SESSIONS)))
    return (time.process_time() - began) / SESSIONS * 1e6


async def deliver(store: Store, port: int) -> None:
    """Deliver what waits, all of it."""
    hooks = CallbackHooks()
    target = CallbackTarget(f"http://127.0.0.1:{port}/", ("key",), private=True)
    callbacks = Callbacks(store.outbox, hooks, lambda _: target, "bench", 90 * 86400)
    events = sum(space.waiting for space in await store.outbox.spaces())
    began, processor = time.perf_counter(), time.process_time()
    running = asyncio.create_task(callbacks.run())
    while callbacks.delivered < events:  # noqa: ASYNC110 - looked at from outside
        await asyncio.sleep(0.05)
    rate = events / (time.perf_counter() - began)
    cost = (time.process_time() - processor) / events * 1e6
    running.cancel()
    await asyncio.wait([running])
    await callbacks.close()
    await hooks.close()
    print(f"delivered, of {STREAMS} streams   {rate:.0f} events a second, {cost:.0f} us of processor each")


def serve(listener: socket.socket) -> None:
    """A server that has all it is told read, and says so."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(length)
        writer.write(NO_CONTENT)
        await writer.drain()
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(take, sock=listener)
        await server.serve_forever()

    asyncio.run(work())


async def _measure(port: int) -> None:
    with tempfile.TemporaryDirectory() as data_dir:
        store = await open_store("sqlite:///bench.db", Path(data_dir), bytes(32), deadline_seconds=30)
        store.announcements.wants = lambda unique_name: unique_name == "told"
        await store.history.begin_boot("boot", "node", NOW)
        figures: dict[str, list[float]] = {KEY.unique_name: [], "told": []}
        for _ in range(TURNS):
            for unique_name, taken in figures.items():
                taken.append(await publish(store, unique_name))
        for unique_name, what in ((KEY.unique_name, "without"), ("told", "with   ")):
            taken = figures[unique_name]
            spread = f"{min(taken):.0f} to {max(taken):.0f}"
            print(f"session, {what} callbacks  median {statistics.median(taken):.0f} us of processor, {spread}")
        await deliver(store, port)
        await store.close()


def main(options: Sequence[str] = ()) -> None:
    """Measure and print; TMPDIR says on which disk."""
    no_options("callbacks", __doc__, options)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        server.start()
        try:
            asyncio.run(_measure(listener.getsockname()[1]))
        finally:
            server.kill()
            server.join()


if __name__ == "__main__":
    main()
