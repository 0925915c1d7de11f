from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support_meters import Running


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A whole service in this process, with a port of its own for metrics."""
    running = Running(tmp_path)
    await running.start()
    yield running
    await running.stop()
