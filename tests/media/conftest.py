"""Fixtures of the media tests: both event loops, a service without its API, and no task left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from support_media import House, Wire


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test here runs on both loops that the service runs on."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A running house, and the proof that it leaves nothing behind."""
    before = asyncio.all_tasks()
    house = House()
    await house.open()
    yield house
    for wire in Wire.opened:
        await wire.reset()
    Wire.opened.clear()
    await house.close()
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"
