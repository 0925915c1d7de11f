"""The wheel holds the built console: installed with its pinned dependencies and nothing else, it serves it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from support_service import RunningService, until
from support_tools import running
from tests.support_browser import build_console

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_serves_the_console_without_node(tmp_path: Path) -> None:
    build_console()
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    (wheel,) = tmp_path.glob("openkls-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "openkls/console/static/index.html" in names
    assert not [name for name in names if "node_modules" in name]
    _run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare")
    pip = (sys.executable, "-m", "pip", "--python", tmp_path / "bare" / "bin" / "python", "install", "--quiet")
    _run(*pip, "--disable-pip-version-check", "--require-hashes", "-r", ROOT / "requirements" / "serve.txt")
    _run(*pip, "--disable-pip-version-check", "--no-deps", wheel)

    service = RunningService(tmp_path)  # for its ports and its configuration
    env = ["env", "-u", "PYTHONPATH", f"PATH={tmp_path / 'nothing'}{os.pathsep}/nonexistent"]
    command = [*env, tmp_path / "bare" / "bin" / "openkls", "serve", "--config", service.config]
    with running(*command, log=tmp_path / "serve.log"):

        def answer() -> httpx.Response | None:
            try:
                return httpx.get(f"{service.endpoint}/console/", trust_env=False)
            except httpx.TransportError:
                return None

        page = until(answer, 30)
        assert page.status_code == 200
        assert page.text == (ROOT / "src" / "openkls" / "console" / "static" / "index.html").read_text()
