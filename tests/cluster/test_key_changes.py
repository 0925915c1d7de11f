"""Keys that are changed by hand are known to all nodes at once."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from openkls.cluster import open_cluster
from openkls.control.signals import KeysChanged
from support_cluster import Node
from support_service import ACCOUNT
from tools.redis import RedisServer


@pytest.mark.parametrize(
    "change", [("key", "create", "--account", ACCOUNT), ("account", "disable", ACCOUNT), ("key", "list")], ids=" ".join
)
async def test_change_of_a_key_or_account_is_told_and_a_look_is_not(
    redis_server: RedisServer, tmp_path: Path, change: tuple[str, ...]
) -> None:
    node = Node(tmp_path, "a", f"sqlite:///{tmp_path}/shared.db", redis_server.url)
    heard: list[bytes] = []
    cluster, connected = await open_cluster(redis_server.url), asyncio.Event()
    task = asyncio.create_task(cluster.bus.listen(heard.append, connected.set))
    await connected.wait()
    command = [sys.executable, "-m", "openkls", *change, "--config", str(node.config)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=60)
    await cluster.bus.tell(b"the last")
    async with asyncio.timeout(10):
        while b"the last" not in heard:  # noqa: ASYNC110 - the bus has no event
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await cluster.close()
    told = [] if change[1] == "list" else [msgspec.msgpack.encode(KeysChanged())]
    assert heard == [*told, b"the last"]
