import html
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from openkls import model
from openkls.store import open_store
from support_api import ANSWERED, Reply, Site

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


@pytest.fixture(autouse=True)
def _provokes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that is marked with a code (`provokes`, from which the reference is made) and did not get it."""
    ANSWERED.clear()
    yield
    for mark in request.node.iter_markers("provokes"):
        for code in mark.args:
            assert any(_holds(reply, code) for reply in ANSWERED), f"no answer had {code}"


def _holds(reply: Reply, code: str | int) -> bool:
    if isinstance(code, int):
        return reply.status == 200 and json.loads(reply.body)["Data"]["RetCode"] == code
    error = model.load().gateway_errors[code]
    # Several errors share a code and differ in their texts.
    text = re.escape(error.text).replace("%s", ".*")
    return (reply.status, reply.error_code) == (error.status, error.code) and bool(
        re.search(text, html.unescape(reply.body.decode()))
    )
