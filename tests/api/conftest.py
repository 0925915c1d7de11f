from collections.abc import AsyncIterator

import pytest
from support_api import Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.start()
    yield site
    await site.close()
