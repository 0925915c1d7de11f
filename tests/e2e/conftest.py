"""One running service for the tests that only talk to it, one clip for all, and a browser for the console's modules."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support_service import RunningService, make_clip
from tests import support_browser


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 s of H.264 and AAC at known bitrates."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service of the test's own."""
    running = RunningService(tmp_path)
    running.start()
    try:
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def console_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with the built console, with keys of fewer rights."""
    support_browser.build_console()
    running = RunningService(tmp_path_factory.mktemp("console"), support_browser.MORE_KEYS)
    running.start()
    try:
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the module; its tests are synchronous, for Playwright runs a loop of its own meanwhile."""
    with support_browser.chromium() as running:
        yield running
