"""Metrics and health of a cluster: each process tells its own, one with an API shows every node, a media process has a
port for them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from openkls import config
from openkls.app import Place, Role, Service
from openkls.config import Address
from openkls.control.ids import new_session_id
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.quality import Quality
from openkls.domain.session import Session, SessionFacts
from openkls.domain.viewers import PullProtocol
from support_api import DEADLINE_SECONDS, Encoder, read_reply
from support_cluster import Node
from support_meters import value
from tools.redis import RedisServer


async def get(address: Address | None, path: str) -> tuple[int, bytes]:
    assert address is not None
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            reply = await read_reply(reader)
            return reply.status, reply.body
    finally:
        writer.close()


async def metrics(address: Address | None) -> dict[str, Any]:
    status, body = await get(address, "/metrics")
    assert status == 200
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


async def until(fact: Any, seconds: float = 15.0) -> None:
    """Ask until it is so; what is shown to others is seconds old."""
    end = time.monotonic() + seconds
    while not await fact():
        assert time.monotonic() < end
        await asyncio.sleep(0.2)


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A server that a test may stop."""
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.end()


@pytest.fixture
async def nodes(own_redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Service, Service]]:
    """An API node and a media node."""
    (tmp_path / "api").mkdir()
    (tmp_path / "media").mkdir()
    services = []
    for role in (Role.API, Role.MEDIA):
        node = Node(tmp_path / role.value, role, f"sqlite:///{tmp_path}/shared.db", own_redis.url)
        tree = config.load(node.config)
        tree = msgspec.structs.replace(
            tree,
            server=msgspec.structs.replace(tree.server, node=f"{role.value}.test"),
            store=msgspec.structs.replace(tree.store, secret_file=str(tmp_path / "secret.key")),
            metrics=config.Metrics(listen="127.0.0.1:0"),
        )
        services.append(await Service.start(tree, role, Place()))
    yield services[0], services[1]
    for service in reversed(services):
        await service.stop()


def publish(service: Service, stream: str) -> None:
    key = StreamKey("demo", "push.demo.local", "live", stream)
    facts = SessionFacts(new_session_id(time.time()), key, "192.0.2.7", 1, "media.test", "boot", int(time.time()))
    session = Session(facts, Encoder(), Quality(time.monotonic()), started=True)
    assert service.parts.registry.claim(session, time.time()).refusal is None
    session.quality.received(time.monotonic(), 100_000)
    service.parts.viewers.join(StreamName("demo", "live", stream), PullProtocol.RTMP, "", time.monotonic())


async def test_each_process_tells_its_own_and_the_api_shows_every_node(nodes: tuple[Service, Service]) -> None:
    api, media = nodes
    assert media.api_address is None
    publish(media, "s1")
    publish(media, "s2")

    async def is_shown() -> bool:
        found = await metrics(api.api_address)
        shown = found.get("openkls_node_streams")
        return shown is not None and value(found, "openkls_node_streams") == 2

    await until(is_shown)
    of_api, of_media = await metrics(api.api_address), await metrics(media.metrics_address)
    assert value(of_api, "openkls_node_streams", node="media.test", unique_name="demo", app="live") == 2
    assert value(of_api, "openkls_node_viewers", node="media.test", protocol="rtmp") == 2
    assert value(of_api, "openkls_node_processes", node="media.test") == 1
    assert value(of_api, "openkls_node_processes", node="api.test") == 1
    assert value(of_api, "openkls_node_received_bytes_per_second", node="media.test") > 0
    assert "openkls_streams" not in of_api  # it publishes none, so that sums over processes are right
    assert value(of_media, "openkls_streams", unique_name="demo", app="live") == 2
    assert value(of_media, "openkls_info", role="media", node="media.test") == 1
    assert not [name for name in of_media if name.startswith(("openkls_node_", "openkls_api_"))]
    for found in (of_api, of_media):
        assert value(found, "openkls_redis_up") == 1
        assert value(found, "openkls_redis_seconds_count") > 0
        assert value(found, "openkls_peers") == 1


async def test_without_redis_nobody_is_ready_and_everybody_lives(
    nodes: tuple[Service, Service], own_redis: RedisServer
) -> None:
    api, media = nodes
    places = (api.api_address, api.metrics_address, media.metrics_address)
    for place in places:
        status, body = await get(place, "/readyz")
        assert (status, json.loads(body)["cluster"]) == (200, "ok")
    own_redis.end()

    async def all_say_so() -> bool:
        said = [await get(place, "/readyz") for place in places]
        return all(status == 503 and json.loads(body)["cluster"] == "unavailable" for status, body in said)

    await until(all_say_so)
    for place in places:
        assert await get(place, "/healthz") == (200, b"ok\n")
        assert value(await metrics(place), "openkls_redis_up") == 0
