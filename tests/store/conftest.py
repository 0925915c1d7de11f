"""Stores to test: every test of a port runs over every adapter named here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from openkls.store import Store, open_store
from support_store import SECRET, URL

Reopen = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The [store] url of each adapter; the contract's tests know no more of it."""
    if request.param == "sqlite":
        return URL
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def reopen(url: str, tmp_path: Path) -> AsyncIterator[Reopen]:
    """Opens the store; called again, closes it first."""
    opened: list[Store] = []

    async def reopen_it() -> Store:
        if opened:
            await opened[-1].close()
        # Generous: eight people share the machine, and no test here is about this deadline.
        opened.append(await open_store(url, tmp_path, SECRET, deadline_seconds=20))
        return opened[-1]

    yield reopen_it
    if opened:
        await opened[-1].close()


@pytest.fixture
async def store(reopen: Reopen) -> Store:
    return await reopen()
