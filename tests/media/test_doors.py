"""The connections of a listener."""

import asyncio

import pytest

from openkls.media.doors import Connections


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_connections_tell_when_all_are_gone_and_when_not() -> None:
    connections: Connections[str] = Connections()
    assert await connections.gone(0)
    connections.add("a")
    assert not await connections.gone(0.01)
    for connection in connections:
        connections.discard(connection)
        connections.discard(connection)
    assert await asyncio.wait_for(connections.gone(1), 1)
