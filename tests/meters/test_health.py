"""Alive is that it answers; ready is that it is worth sending somebody to."""

import asyncio
import json
from typing import Any

import pytest

from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.histogram import Histogram
from openkls.meters import health as module
from openkls.meters.health import Health
from support_meters import Running


class Redis:
    """A link to Redis that is up or down."""

    def __init__(self, up: bool) -> None:
        self.up = up
        self.took = Histogram()
        self.failures = self.refused = self.outages = 0


async def test_alive_is_two_letters_for_everybody(running: Running) -> None:
    for address in (running.api, running.own):
        for header in ("Host: evil.example", "X-Forwarded-For: 203.0.113.9"):
            reply = await running.get("/healthz", header, address=address)
            assert (reply.status, reply.body, reply.headers["content-type"]) == (
                200,
                b"ok\n",
                "text/plain; charset=utf-8",
            )


async def test_ready_says_what_was_found_and_no_more(running: Running) -> None:
    for address in (running.api, running.own):
        reply = await running.get("/readyz", address=address)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert reply.json == {"ready": True, "service": "ok", "store": "ok", "cluster": "none"}


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (StoreUnavailable("postgresql://user:SECRET@db/x is away"), "unavailable"),
        (StoreTimeout("late"), "late"),
        (None, "late"),
    ],
)
async def test_a_store_that_does_not_answer_is_503(
    running: Running, monkeypatch: pytest.MonkeyPatch, failure: Exception | None, state: str
) -> None:
    monkeypatch.setattr(module, "STORE_SECONDS", 0.05)

    async def ping() -> None:
        if failure is None:
            await asyncio.Event().wait()
        assert failure is not None
        raise failure

    monkeypatch.setattr(running.service.parts.store, "ping", ping)
    reply = await running.get("/readyz")
    assert (reply.status, reply.json) == (
        503,
        {"ready": False, "service": "ok", "store": state, "cluster": "none"},
    )
    assert b"SECRET" not in reply.body
    assert (await running.get("/healthz")).status == 200


async def test_a_store_that_takes_no_writes_is_503(running: Running) -> None:
    running.service.parts.reconcile.store_reachable = False
    reply = await running.get("/readyz")
    assert (reply.status, reply.json["store"]) == (503, "unavailable")


@pytest.mark.parametrize(("up", "status", "state"), [(True, 200, "ok"), (False, 503, "unavailable")])
async def test_redis_is_a_part_of_it_where_there_is_a_cluster(
    running: Running, up: bool, status: int, state: str
) -> None:
    running.service.parts.redis = Redis(up)
    reply = await running.get("/readyz")
    assert (reply.status, reply.json["cluster"]) == (status, state)


async def test_the_store_is_asked_once_a_second_however_many_ask(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now = 0, 100.0

    async def ping() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    monkeypatch.setattr(running.service.parts.store, "ping", ping)
    health = Health(running.service.parts, lambda: now)
    assert all(found.ready for found in await asyncio.gather(*(health.find() for _ in range(50))))
    assert asked == 1
    now += 0.9
    await health.find()
    assert asked == 1
    now += 0.2
    await health.find()
    assert asked == 2


async def test_a_service_that_stops_is_not_ready(running: Running) -> None:
    health = Health(running.service.parts)
    assert (await health.find()).ready
    await health.close()
    found = await health.find()
    assert (found.ready, found.service) == (False, "stopping")


async def test_what_is_under_way_ends_with_the_service(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ping() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(running.service.parts.store, "ping", ping)
    health = Health(running.service.parts)
    asking: asyncio.Task[Any] = asyncio.create_task(health.find())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await health.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize("path", ["/healthz/x", "/readyz/", "/readyz/x"])
async def test_there_is_one_path_each(running: Running, path: str) -> None:
    assert (await running.get(path)).status == 404


async def test_nothing_is_changed_by_them(running: Running) -> None:
    assert (await running.get("/readyz", method="POST")).status == 404
    assert (await running.get("/healthz", method="DELETE")).status == 404


async def test_head_is_answered_without_a_body(running: Running) -> None:
    reader, writer = await asyncio.open_connection(*running.api)
    writer.write(b"HEAD /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


def test_the_words_are_json() -> None:
    found = module.Found(True, "ok", "ok", "none")
    assert json.loads(module.msgspec.json.encode(found)) == {
        "ready": True,
        "service": "ok",
        "store": "ok",
        "cluster": "none",
    }
