"""`make cluster` shows what it promises, and leaves nothing behind however it ends."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support_service import until

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tools.cluster"]
SHOW_SECONDS = 100.0
END_SECONDS = 40.0


class Trial:
    """A running `make cluster`, and the folder that all its files are in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = folder.with_suffix(".said")
        self._known: dict[int, psutil.Process] = {}
        environment = os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=out, stderr=out)

    def text(self) -> str:
        """All that it has said."""
        return self.said.read_text()

    def processes(self) -> dict[str, psutil.Process]:
        """What it has started and still runs, by its main word."""
        found = {}
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._known[each.pid] = each
                found[" ".join(each.cmdline())] = each
        return found

    def goes_on(self) -> None:
        """Wait for the end of the show."""
        until(lambda: self.process.poll() is not None or "Ctrl-C ends it" in self.text(), SHOW_SECONDS)
        assert self.process.poll() is None, self.text()

    def end(self) -> None:
        """Whatever its state: gone, with all that was seen of it."""
        if self.process.poll() is None:
            self.processes()
            self.process.kill()
            self.process.wait(10)
        for each in self._known.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    def left(self) -> list[object]:
        """Files and processes."""
        return [*self.folder.iterdir(), *(each for each in self._known.values() if each.is_running())]


@pytest.fixture
def trial() -> Iterator[Trial]:
    # In /tmp and open to all: PostgreSQL is another user's when this one is root, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="kls-") as outer:
        Path(outer).chmod(0o755)
        folder = Path(outer, "t")
        folder.mkdir(mode=0o755)
        running = Trial(folder)
        try:
            yield running
        finally:
            running.end()


@pytest.mark.cluster
def test_show_holds_and_ends_by_itself() -> None:
    done = subprocess.run([*COMMAND, "--once"], cwd=ROOT, capture_output=True, text=True, timeout=SHOW_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    said = done.stdout
    assert "\x1b" not in said  # readable in a pipe
    for number in range(1, 9):
        assert f"\n{number}. " in said
    assert said.count("127.0.0.11") == 3  # where it lives, by both API nodes, and once explained
    assert "api-1: OnlineUser 1, " in said
    assert "api-2: OnlineUser 1, " in said
    assert said.count("Forbidden by blacklist!") == 3  # to ffmpeg; of the cut; of the refusal
    assert "api-2 lists it again" in said
    assert "the folder is gone" in said


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_goes_on_until_it_is_ended_and_leaves_nothing(trial: Trial, number: signal.Signals) -> None:
    trial.goes_on()
    config = next(trial.folder.glob("openkls-cluster-*/openkls.toml"))
    assert config.stat().st_mode & 0o777 == 0o600
    started = list(trial.processes())
    for part in ("redis-server", "postgres", "--role media", "--role api", "clip.flv"):
        assert any(part in name for name in started), part
    trial.process.send_signal(number)
    assert trial.process.wait(END_SECONDS) == 0, trial.text()
    assert trial.left() == []


@pytest.mark.cluster
def test_its_stream_can_be_forbidden_and_comes_back_when_resumed(trial: Trial) -> None:
    """By the commands that it has printed."""
    trial.goes_on()
    printed = [line.split() for line in trial.text().splitlines() if " call " in line]

    def call(action: str, endpoint: bool = False) -> str:
        command = next(line for line in printed if line[2] == action and ("--endpoint" in line) is endpoint)
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout

    assert '"Stream": "show"' in call("ListRealtimeStreamsInfo")
    call("ForbidStream")
    until(lambda: '"Count": 0' in call("ListRealtimeStreamsInfo", endpoint=True), 20)
    assert trial.process.poll() is None, trial.text()
    call("ResumeStream")
    until(lambda: '"Stream": "show"' in call("ListRealtimeStreamsInfo", endpoint=True), 40)
    assert trial.process.poll() is None, trial.text()


@pytest.mark.cluster
@pytest.mark.parametrize("part", ["--role media", "redis-server", "bin/postgres -D"])
def test_death_of_a_part_ends_it_with_the_log(trial: Trial, part: str) -> None:
    trial.goes_on()
    victim = next(process for name, process in trial.processes().items() if part in name)
    victim.kill()
    assert trial.process.wait(END_SECONDS) == 1
    assert "ended with -9; the end of its log:" in trial.text()
    assert trial.left() == []


@pytest.mark.cluster
def test_ended_in_the_midst_of_its_start_it_leaves_nothing(trial: Trial) -> None:
    until(lambda: any(trial.folder.glob("openkls-pg-*")), 30)
    trial.processes()
    trial.process.send_signal(signal.SIGINT)
    assert trial.process.wait(END_SECONDS) == 130, trial.text()
    assert trial.left() == []


def test_missing_binary_is_named_with_its_package(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "redis-server or valkey-server is not installed; on Debian: apt-get install redis-server" in done.stdout
    assert "Traceback" not in done.stderr
