"""`make demo` does what it promises."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from openkls import model

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_holds_in_under_90_seconds() -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "tools.demo"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 90
    assert all(name in done.stdout for name in model.load().operations)
    assert done.stderr == ""
    assert "\x1b" not in done.stdout  # readable in a pipe
