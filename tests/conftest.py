"""What holds for every test. Rule: an exception that reaches an event loop fails the test it happened in."""

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from support_store import migrated
from tools.postgres import PrivatePostgres

# No test is about how long it takes, and a busy machine is no finding.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

_numbers = itertools.count()


@pytest.fixture
async def _loop_faults() -> AsyncIterator[list[dict[str, Any]]]:
    """What reached the running loop's exception handler."""
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    yield faults
    await asyncio.sleep(0)  # what the test's last step scheduled


@pytest.fixture(autouse=True)
def _quiet_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails an asynchronous test whose loop was told of an exception that nobody took."""
    if not inspect.iscoroutinefunction(getattr(request.node, "function", None)):
        yield
        return
    faults = request.getfixturevalue("_loop_faults")
    yield
    assert not faults, f"exceptions reached the event loop: {faults}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL server of our own for all tests, with a database to copy whose schema is the newest."""
    with PrivatePostgres() as server:
        migrated(server.create("migrated"))
        yield server


@pytest.fixture
def postgres_url(postgres: PrivatePostgres) -> Iterator[str]:
    """A new database."""
    name = f"test{next(_numbers)}"
    yield postgres.create(name, template="migrated")
    postgres.drop(name)
