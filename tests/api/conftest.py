from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openkls.store import open_store
from support_api import Site

SECRET = bytes(32)
# Generous: no test here is about the store's own deadline.
STORE_SECONDS = 20.0


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """An API over the in-memory twins of the durable ports."""
    site = Site()
    await site.start()
    yield site
    await site.close()


@pytest.fixture(params=["memory", "sqlite"])
async def stored_site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """An API over each kind of store."""
    if request.param == "memory":
        site, close = Site(), None
    else:
        store = await open_store("sqlite:///openkls.db", tmp_path, SECRET, deadline_seconds=STORE_SECONDS)
        site, close = Site(store.history, store.blacklist), store.close
    await site.start()
    yield site
    await site.close()
    if close is not None:
        await close()
