"""`openkls serve` as a process: first start, second start, signals, set-ups that cannot work."""

import asyncio
import os
import pty
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openkls.cli import serve
from openkls.cli.firstrun import make_first_config
from support_service import until
from tools.ports import free_ports

pytestmark = pytest.mark.e2e

END_SECONDS = 15


class Serving:
    """One `openkls serve` in a folder, its stdout and stderr in files."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.api, self.rtmp, self.play = free_ports(3)
        self._out, self._err = folder / "stdout", folder / "stderr"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENKLS_")} | {
            "OPENKLS_API__LISTEN": f"127.0.0.1:{self.api}",
            "OPENKLS_RTMP__LISTEN": f"127.0.0.1:{self.rtmp}",
            "OPENKLS_PLAY__LISTEN": f"127.0.0.1:{self.play}",
            **variables,
        }
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openkls", "serve", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=environment,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def up(self) -> "Serving":
        until(lambda: "is running" in self.out or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.err
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)


@pytest.fixture
def started(folder: Path) -> Iterator[list[Serving]]:
    """Whatever a test puts in here is gone at its end."""
    all_of_them: list[Serving] = []
    yield all_of_them
    for serving in all_of_them:
        if serving.process.poll() is None:
            serving.process.kill()
        serving.process.wait(END_SECONDS)


def test_a_first_start_makes_a_private_folder_and_a_second_keeps_it(folder: Path, started: list[Serving]) -> None:
    first = Serving(folder)
    started.append(first)
    first.up()
    file = folder / "openkls-data" / "openkls.toml"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}
    content = file.read_bytes()
    for port in (first.api, first.rtmp, first.play):
        assert f"127.0.0.1:{port}" in first.out
    assert "First start" in first.err
    assert first.end() == 0
    assert "has ended" in first.out

    second = Serving(folder)
    started.append(second)
    second.up()
    assert file.read_bytes() == content
    assert "First start" not in second.err
    access_key = re.search(r"access key +(\S+)", first.out)
    assert access_key is not None
    assert access_key[1] in second.out
    assert second.end() == 0


def test_the_secret_does_not_go_into_a_pipe(folder: Path, started: list[Serving]) -> None:
    secret = make_first_config("./openkls-data").read_text().partition('secret_key = "')[2].partition('"')[0]
    serving = Serving(folder)
    started.append(serving)
    serving.up()
    assert secret not in serving.out + serving.err
    assert "secret key  in openkls-data/openkls.toml" in serving.out


def test_the_secret_is_shown_on_a_terminal_and_ctrl_c_there_ends_it(folder: Path) -> None:
    secret = make_first_config("./openkls-data").read_text().partition('secret_key = "')[2].partition('"')[0]
    ours, theirs = pty.openpty()
    ports = dict.fromkeys(("OPENKLS_API__LISTEN", "OPENKLS_RTMP__LISTEN", "OPENKLS_PLAY__LISTEN"), "127.0.0.1:0")
    process = subprocess.Popen(
        [sys.executable, "-m", "openkls", "serve"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, **ports},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        said = b""
        while b"Ask for it" not in said:
            said += os.read(ours, 65536)
        assert secret.encode() in said
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(END_SECONDS) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(END_SECONDS)
        os.close(ours)


async def test_the_first_signal_asks_for_the_end_and_the_second_is_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    ended: asyncio.Future[int] = loop.create_future()
    monkeypatch.setattr(os, "_exit", ended.set_result)
    serve._listen_for_signals(loop, stop)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(5):
            await stop.wait()
        assert not ended.done()
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await ended == 128 + signal.SIGTERM
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def test_the_limit_of_open_files_is_raised_to_the_hard_one_and_a_low_one_warned_of(
    folder: Path, started: list[Serving]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        serving = Serving(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    started.append(serving)
    serving.up()
    limits = Path(f"/proc/{serving.process.pid}/limits").read_text()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()  # type: ignore[union-attr]
    assert soft == hard == str(before[1])
    assert ("files may be open" in serving.err) is (before[1] < 65_536)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_ctrl_c_ends_it_cleanly_with_either_loop(folder: Path, started: list[Serving], loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    serving = Serving(folder, OPENKLS_LOOP=loop)
    started.append(serving)
    serving.up()
    assert serving.end(signal.SIGINT) == 0
    assert "Ending" in serving.err
    assert "Traceback" not in serving.err


def test_a_loop_that_is_none_is_refused(folder: Path, started: list[Serving]) -> None:
    serving = Serving(folder, OPENKLS_LOOP="trio")
    started.append(serving)
    assert serving.process.wait(END_SECONDS) == 1
    assert "OPENKLS_LOOP" in serving.err


def test_a_port_in_use_is_one_line(folder: Path, started: list[Serving]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        serving = Serving(folder, "--log-level", "error", OPENKLS_RTMP__LISTEN=f"127.0.0.1:{port}")
        started.append(serving)
        assert serving.process.wait(END_SECONDS) == 1
    assert "rtmp.listen" in serving.err
    assert "Traceback" not in serving.err


def test_a_folder_in_use_is_one_line(folder: Path, started: list[Serving]) -> None:
    first = Serving(folder)
    started.append(first)
    first.up()
    second = Serving(folder, "--log-level", "error")
    started.append(second)
    assert second.process.wait(END_SECONDS) == 1
    assert "in use" in second.err
    assert "Traceback" not in second.err


def test_an_open_door_is_warned_of_at_the_start(folder: Path, started: list[Serving]) -> None:
    serving = Serving(folder, OPENKLS_RTMP__LISTEN="0.0.0.0:0")
    started.append(serving)
    serving.up()
    assert "whoever reaches it may push through" in serving.err


def test_another_data_folder_is_made_where_the_environment_says(folder: Path, started: list[Serving]) -> None:
    serving = Serving(folder, OPENKLS_SERVER__DATA_DIR="elsewhere")
    started.append(serving)
    serving.up()
    assert (folder / "elsewhere" / "openkls.db").exists()
    assert not (folder / "openkls-data").exists()
