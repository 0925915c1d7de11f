"""What several nodes on one Redis cost: the list of 10,000 streams over four nodes, claims, snapshots, a ban from node
to node.

Four nodes are processes with 2,500 streams each in their registries (claims, snapshots and their renewals are the real
ones; the streams have counters and no connections), one of which is asked for the list of all; beside it one node that
has all 10,000 itself. For the ban there are two nodes with real connections: each round publishes at A and forbids at
B; from the request's last byte to the publisher's closed socket. All on one machine, loopback, and a redis-server
without persistence: a network adds its delay, and the nodes of a real cluster do not share two cores.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench import forbid
from bench.api_server import Filled
from bench.machine import no_options, spread
from openkls.client import Client
from openkls.cluster import RedisCluster, open_cluster
from openkls.codec import flv
from openkls.codec.rtmp.client import Mode
from openkls.control.snapshot import Snapshot, build_snapshot
from openkls.domain.blacklist import Blacklist
from openkls.domain.keys import StreamName
from openkls.domain.ports import Hold
from openkls.domain.registry import Registry
from openkls.domain.viewers import Viewers
from tests.support_cluster import Node
from tests.support_service import ACCESS_KEY, SECRET_KEY
from tools.redis import RedisServer

NODES: Final = 4
STREAMS: Final = 10_000
LISTS: Final = 30
ROUNDS: Final = 200
CLAIMS: Final = 20_000
CLAIMERS: Final = 64
COUNTED_SECONDS: Final = 30
# Two snapshots and two readings of them.
SETTLE_SECONDS: Final = 8


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    no_options("cluster", __doc__, options)
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder))
        redis.start()
        try:
            asyncio.run(_claims(redis))
            asyncio.run(_snapshots())
            _lists(Path(folder), redis)
            _bans(Path(folder), redis)
        finally:
            redis.end()


async def _claims(redis: RedisServer) -> None:
    cluster = await open_cluster(redis.url, "bench:")
    names = [StreamName("demo", "live", f"stream-{number:05}") for number in range(CLAIMS)]
    rest = iter(names)

    async def claim() -> None:
        for name in rest:
            assert await cluster.claims.take(name, "node", "0" * 32)

    before = _memory_bytes(redis)
    begin = time.perf_counter()
    await asyncio.gather(*(claim() for _ in range(CLAIMERS)))
    print(f"claims granted to one process      {CLAIMS / (time.perf_counter() - begin):.0f} a second")
    print(f"memory of Redis for a claim        {(_memory_bytes(redis) - before) / CLAIMS:.0f} bytes")
    await _renewals(cluster, names[:STREAMS])
    await cluster.close()


async def _renewals(cluster: RedisCluster, names: list[StreamName]) -> None:
    holds = {name: Hold("0" * 32) for name in names}
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        assert not await cluster.claims.hold("node", holds, 0.0)
        times.append((time.perf_counter() - begin) * 1000)
    print(f"renewal of {STREAMS} claims            {spread(times)}")


async def _snapshots() -> None:
    """What a node shows of a stream with a viewer, made and read without a service; the reading is an API node's."""
    registry, viewers = Registry(Blacklist()), Viewers()
    filled = Filled(registry, viewers)
    filled.fill(STREAMS // NODES)
    filled.feed()
    made, read = [], []
    for _ in range(20):
        begin = time.process_time()
        payload = await build_snapshot("0" * 32, "127.0.0.1", registry, viewers, int(time.time()), time.monotonic())
        made.append((time.process_time() - begin) * 1e6 / (STREAMS // NODES))
        begin = time.process_time()
        await Snapshot(payload).app("demo", "live")
        read.append((time.process_time() - begin) * 1e6 / (STREAMS // NODES))
    print(f"snapshot                           {len(payload) / (STREAMS // NODES):.0f} bytes a stream")
    tracemalloc.start()
    snapshot = Snapshot(payload)
    await snapshot.app("demo", "live")
    held_bytes = tracemalloc.get_traced_memory()[0] / (STREAMS // NODES)
    tracemalloc.stop()
    print(f"                                   held, when read, in {held_bytes:.0f} bytes a stream")
    print(f"                                   made in {median(made):.1f} us a stream, read in {median(read):.1f}")


def _lists(folder: Path, redis: RedisServer) -> None:
    share = STREAMS // NODES
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(_filled(folder, f"node-{n}", redis)) for n in range(NODES)]
        for number, (orders, _) in enumerate(nodes):
            orders(f"fill {share} {number * share}")
        time.sleep(SETTLE_SECONDS)
        for orders, _ in nodes:
            orders("feed")
        time.sleep(SETTLE_SECONDS)
        print(f"list of {STREAMS} over {NODES} nodes       {_list_times(nodes[0][1])}")
        before = _commands(redis)
        time.sleep(COUNTED_SECONDS)
        count = sum(_commands(redis).values()) - sum(before.values())
        print(
            f"Redis commands                     {count / COUNTED_SECONDS:.1f} a second, "
            f"{count / COUNTED_SECONDS / STREAMS:.5f} for each stream and second"
        )
        print(f"Redis traffic                      {_traffic_kib(redis):.0f} KiB a second out of it")
    with _filled(folder, "alone", None) as (orders, port):
        orders(f"fill {STREAMS}")
        orders("feed")
        time.sleep(SETTLE_SECONDS)
        print(f"list of {STREAMS} of one node's own   {_list_times(port)}")


def _list_times(port: int) -> str:
    times = []
    with Client(f"http://127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY) as api:
        for _ in range(LISTS):
            begin = time.perf_counter()
            data = api.call("ListRealtimeStreamsInfo", {"UniqueName": "demo", "App": "live"})
            times.append((time.perf_counter() - begin) * 1000)
            assert (data["Count"], data["OnlineUser"]) == (STREAMS, STREAMS), (data["Count"], data["OnlineUser"])
            time.sleep(0.2)
    return f"{spread(times)}   ({LISTS} calls, the client's reading included)"


@contextlib.contextmanager
def _filled(folder: Path, name: str, redis: RedisServer | None) -> Iterator[tuple[Callable[[str], None], int]]:
    node = Node(folder, name, f"sqlite:///{folder}/lists.db", redis.url if redis else "")
    node.config.write_text(node.config.read_text() + "\n[limits]\nenforce = false\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.api_server", "openkls", str(node.config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    reader, writer = process.stdout, process.stdin

    def order(line: str) -> None:
        writer.write(line + "\n")
        writer.flush()
        assert reader.readline().strip() == "done"

    try:
        yield order, int(reader.readline())
    finally:
        process.kill()
        process.wait(10)


def _bans(folder: Path, redis: RedisServer) -> None:
    store = f"sqlite:///{folder}/bans.db"
    nodes = [Node(folder, name, store, redis.url) for name in ("a", "b")]
    try:
        for node in nodes:
            node.start()
        times = [_round(*nodes, f"round-{number}") for number in range(ROUNDS)]
    finally:
        for node in nodes:
            node.end()
    print(f"forbid at B, publisher closed at A {spread(times)}   ({ROUNDS} rounds)")


def _round(a: Node, b: Node, stream: str) -> float:
    """Milliseconds from the last byte of the request to the end of the publisher's connection."""
    publisher, session = forbid._rtmp(a, stream, Mode.PUBLISH)
    session.send_media(flv.VIDEO, 0, forbid.AVC_HEADER)
    session.send_media(flv.VIDEO, 0, forbid.KEY_FRAME)
    publisher.sendall(session.data_to_send())
    publisher.settimeout(forbid.WAIT_SECONDS)
    with socket.create_connection(("127.0.0.1", b.api_port)) as api, publisher:
        request = forbid._request(b, stream)
        api.sendall(request)
        begin = time.perf_counter()
        with contextlib.suppress(ConnectionResetError):
            while publisher.recv(1 << 16):
                pass
        took_ms = (time.perf_counter() - begin) * 1000
        assert b'"RetCode":0' in api.recv(1 << 16)
    return took_ms


def _commands(redis: RedisServer) -> dict[str, int]:
    """Calls that came from clients since the start, by command; without our own question."""
    text = _info(redis, "commandstats")
    counts = {}
    for line in text.splitlines():
        if line.startswith("cmdstat_"):
            name, _, rest = line.removeprefix("cmdstat_").partition(":")
            counts[name] = int(rest.partition("calls=")[2].partition(",")[0])
    # GET, SET and EXPIRE are what scripts do within themselves.
    return {name: counts.get(name, 0) for name in ("evalsha", "publish", "hmget", "ping", "exists")}


def _memory_bytes(redis: RedisServer) -> int:
    return int(_info(redis, "memory").partition("used_memory:")[2].split()[0])


def _traffic_kib(redis: RedisServer) -> float:
    def sent() -> int:
        return int(_info(redis, "stats").partition("total_net_output_bytes:")[2].split()[0])

    before = sent()
    time.sleep(10)
    return (sent() - before) / 10 / 1024


def _info(redis: RedisServer, section: str) -> str:
    command = ["redis-cli", "-p", str(redis.port), "info", section]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
