"""One running service for the tests that only talk to it, and one clip for all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support_service import RunningService, make_clip


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
