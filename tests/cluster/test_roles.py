"""What a process reads of the others, by what it serves."""

import asyncio
from pathlib import Path

import pytest

from openkls import config
from openkls.app import Role, Service
from openkls.cluster.redis_ports import RedisSnapshots
from openkls.domain.ports import Part
from support_cluster import Node
from tools.redis import RedisServer


@pytest.mark.parametrize("role", list(Role))
async def test_readings_are_read_by_who_answers_lists(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    asked: list[frozenset[Part]] = []
    looked = asyncio.Event()
    newer = RedisSnapshots.newer

    async def spy(port: RedisSnapshots, parts: tuple[Part, ...], known: dict[str, dict[Part, int]]) -> object:
        asked.append(frozenset(parts))
        looked.set()
        return await newer(port, parts, known)

    monkeypatch.setattr(RedisSnapshots, "newer", spy)
    node = Node(tmp_path, role, f"sqlite:///{tmp_path}/shared.db", redis_server.url)
    service = await Service.start(config.load(node.config), role)
    try:
        async with asyncio.timeout(10):
            await looked.wait()
    finally:
        await service.stop()
    assert set(asked) == {frozenset({Part.NAMES} if role is Role.MEDIA else Part)}
