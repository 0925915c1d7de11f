"""Fixtures of the use cases' tests: a house whose time stands still, and the stores it may stand on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from openkls.store import open_store
from support_control import Still
from support_ports import MemoryBlacklist, MemoryHistory, MemoryKeys


@pytest.fixture
def still() -> Iterator[Still]:
    """Time stands still, and the store answers when the test says so (at once, until told otherwise)."""
    built = Still()
    yield built
    built.loop.bury()
    assert not built.loop.faults


class Stores:
    """The durable ports of one data folder; ``reopen`` is what a restart finds."""

    def __init__(self, kind: str, data_dir: Path) -> None:
        self.kind = kind
        self._data_dir = data_dir
        self._store: Any = None

    async def open(self) -> None:
        if self.kind == "memory":
            self.history, self.blacklist, self.keys = MemoryHistory(), MemoryBlacklist(), MemoryKeys()
            return
        self._store = await open_store("sqlite:///openkls.db", self._data_dir, b"0" * 32)
        self.history, self.blacklist, self.keys = self._store.history, self._store.blacklist, self._store.keys

    async def reopen(self) -> None:
        if self._store is not None:
            await self.close()
            await self.open()

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()


@pytest.fixture(params=["memory", "sqlite"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """The ports' two implementations: the twins, and the real store on SQLite."""
    built = Stores(request.param, tmp_path)
    await built.open()
    yield built
    await built.close()
