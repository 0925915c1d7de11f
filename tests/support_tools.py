"""Programs of others that tests run. Rule: every process started here is ended here, by its own process group."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def need(*names: str) -> str:
    """The path of the first of these tools that is installed; skips the test when none is, except in CI, where its
    absence is a failure."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    text = f"{' or '.join(names)} is not installed (see .ci/run)"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


@contextlib.contextmanager
def running(*command: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program and whatever it starts; what it says goes to ``log``."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
