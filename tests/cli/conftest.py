"""Every test of the command line runs in an empty folder, without OPENKLS_* in its environment."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from openkls.cli.program import app

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    for name in [name for name in os.environ if name.startswith("OPENKLS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """What a command sets up writes to a stream that is gone after its test."""
    root, ours = logging.getLogger(), logging.getLogger("openkls")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def run() -> Run:
    """``run("check-config", ...)``: one command, its exit code and what it said."""
    runner = CliRunner()

    def invoke(*arguments: str) -> Result:
        result = runner.invoke(app, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke
