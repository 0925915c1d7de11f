"""One redis-server for all tests of the folder, and the ports on it and on the twins."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from openkls.cluster import MemoryCluster, open_cluster
from support_cluster import Ports
from tools.redis import RedisServer

_prefixes = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that stays up."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.end()


@pytest.fixture(params=["memory", "redis"])
async def ports(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[Ports]:
    """The twins, and Redis."""
    if request.param == "memory":
        moved = 0.0
        loop = asyncio.get_running_loop()
        twin = MemoryCluster(lambda: loop.time() + moved)

        async def pass_lease(_: str) -> None:
            nonlocal moved
            moved += 10.0

        yield Ports("memory", twin, twin, twin, twin, pass_lease, twin)
        return
    prefix = f"test{next(_prefixes)}:"
    real, other = await open_cluster(redis_server.url, prefix), await open_cluster(redis_server.url, prefix)

    async def expire(part: str) -> None:
        for key in await real.link.redis.keys(f"{prefix}*{part}*"):
            await real.link.redis.pexpire(key, 0)

    yield Ports("redis", real.claims, real.snapshots, real.bus, real.rates, expire, other.bus)
    await real.close()
    await other.close()
