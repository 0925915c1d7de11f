"""The link to Redis: what a hang, a crash and a crowd cost, and what is said of it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Connection

from openkls.cluster import RedisCluster, open_cluster
from openkls.cluster.link import CONNECTIONS_LIMIT
from openkls.domain.errors import ClusterUnavailable
from openkls.domain.keys import StreamName
from openkls.domain.ports import Part
from support_cluster import StallingProxy
from tools.redis import RedisServer

NAME = StreamName("demo", "live", "s1")


async def eventually(fact: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not fact():  # noqa: ASYNC110 - facts of any kind
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(url: str, prefix: str) -> AsyncIterator[RedisCluster]:
    cluster = await open_cluster(url, prefix)
    task = asyncio.create_task(cluster.run())
    try:
        yield cluster
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cluster.close()


async def test_hang_costs_one_deadline_and_then_nobody_asks(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "openkls.cluster")
    proxy = StallingProxy(redis_server.port)
    try:
        async with running(f"redis://127.0.0.1:{proxy.port}/0", "hang:") as cluster:
            link, ups = cluster.link, []
            link.on_up(lambda: ups.append(1))
            assert await cluster.claims.take(NAME, "a", "1")
            proxy.stall()
            with pytest.raises(ClusterUnavailable):
                await cluster.claims.take(NAME, "a", "1")
            assert (link.up, link.failures, link.outages) == (False, 1, 1)
            for _ in range(100):
                with pytest.raises(ClusterUnavailable):
                    await cluster.claims.take(NAME, "a", "1")
            assert (link.failures, link.refused) == (1, 100)
            proxy.carry()
            await eventually(lambda: link.up)
            assert ups == [1]
            assert await cluster.claims.take(NAME, "a", "1")
    finally:
        await asyncio.to_thread(proxy.end)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_crowd_that_waits_in_line_when_redis_hangs_is_let_go_together(redis_server: RedisServer) -> None:
    proxy = StallingProxy(redis_server.port)
    try:
        async with running(f"redis://127.0.0.1:{proxy.port}/0", "crowd:") as cluster:
            proxy.stall()
            takes = [cluster.claims.take(NAME, "a", "1") for _ in range(10 * CONNECTIONS_LIMIT)]
            outcomes = await asyncio.gather(*takes, return_exceptions=True)
            assert all(isinstance(outcome, ClusterUnavailable) for outcome in outcomes)
            assert cluster.link.failures <= CONNECTIONS_LIMIT, "the rest was told, and did not try"
    finally:
        await asyncio.to_thread(proxy.end)


async def test_crowd_is_served_in_turn(redis_server: RedisServer) -> None:
    async with running(redis_server.url, "storm:") as cluster:

        async def publish(number: int) -> None:
            for turn in range(20):
                assert await cluster.claims.take(StreamName("demo", "live", f"{number}-{turn}"), "a", "1")

        await asyncio.gather(*(publish(number) for number in range(8 * CONNECTIONS_LIMIT)))
        assert cluster.link.failures == 0


async def test_redis_that_comes_back_empty_gets_its_scripts_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        async with running(server.url, "back:") as cluster:
            assert await cluster.claims.take(NAME, "a", "1")
            server.kill()
            with pytest.raises(ClusterUnavailable):
                await cluster.claims.is_held(NAME)
            await asyncio.to_thread(server.start)
            await eventually(lambda: cluster.link.up)
            assert not await cluster.claims.is_held(NAME)
            assert await cluster.claims.take(NAME, "b", "2")
    finally:
        server.end()


async def test_process_that_starts_without_redis_finds_it_later(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    async with running(server.url, "late:") as cluster:
        assert not cluster.link.up
        await asyncio.to_thread(server.start)
        try:
            await eventually(lambda: cluster.link.up)
            assert await cluster.claims.take(NAME, "a", "1")
        finally:
            server.end()


async def test_listener_says_when_it_may_have_missed_something_and_hears_again(redis_server: RedisServer) -> None:
    proxy = StallingProxy(redis_server.port)
    heard: list[bytes] = []
    connected: list[int] = []
    try:
        async with (
            running(f"redis://127.0.0.1:{proxy.port}/0", "bus:") as cluster,
            running(redis_server.url, "bus:") as other,
        ):
            task = asyncio.create_task(cluster.bus.listen(heard.append, lambda: connected.append(1)))
            await eventually(lambda: connected)
            for disturb in (proxy.cut, proxy.stall):
                before = len(connected)
                disturb()
                if disturb == proxy.stall:
                    await asyncio.sleep(3.0)  # until the silence is noticed; nothing tells
                    proxy.carry()
                await eventually(lambda before=before: len(connected) > before)  # type: ignore[misc]
            await other.bus.tell(b"again")
            await eventually(lambda: b"again" in heard)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        await asyncio.to_thread(proxy.end)


@pytest.mark.parametrize(
    "shown", [RuntimeError("the handler is closed"), AttributeError("writelines"), asyncio.CancelledError()]
)
async def test_loops_outlive_whatever_a_broken_connection_shows_as(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, shown: BaseException
) -> None:
    connected: list[int] = []
    tries = 0

    async def break_down(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise shown

    async with running(redis_server.url, "broken:") as cluster:
        listening = asyncio.create_task(cluster.bus.listen(lambda message: None, lambda: connected.append(1)))
        await eventually(lambda: connected)
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "send_packed_command", break_down)
            with pytest.raises(ClusterUnavailable):
                await cluster.claims.take(NAME, "a", "1")
            before = len(connected)
            await eventually(lambda: tries > 5)
        await eventually(lambda: cluster.link.up and len(connected) > before)
        assert await cluster.claims.take(NAME, "a", "1")
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_loop_that_is_cancelled_ends_whatever_redis_was_doing(redis_server: RedisServer) -> None:
    url = f"redis://127.0.0.1:{redis_server.port}/0"
    for turn in range(30):
        cluster = await open_cluster(url, "cancelled:")

        async def ask(asked: RedisCluster) -> None:
            while True:
                with contextlib.suppress(ClusterUnavailable):
                    await asked.snapshots.newer(list(Part), {})
                await asyncio.sleep(0)

        loops = [cluster.run(), cluster.bus.listen(lambda message: None, lambda: None), ask(cluster)]
        tasks = [asyncio.create_task(loop) for loop in loops]
        for _ in range(turn * 3):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=5)
        assert not left, f"after {turn * 3} turns"
        await cluster.close()
