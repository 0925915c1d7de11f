"""A private Redis for tests, benches and trials: a local binary, on loopback.

Rule: nothing of it is left when it has been ended; it is ended by its process id. Valkey, its fork, will do.
"""

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tools.ports import free_ports

PROGRAMS = ("redis-server", "valkey-server")
START_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02


def find_redis() -> str:
    """The path of a server; FileNotFoundError says how to get one."""
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return found
    raise FileNotFoundError(f"{' or '.join(PROGRAMS)} is not installed; on Debian: apt-get install redis-server")


class RedisServer:
    """A server that keeps nothing: one that was killed comes back empty; or, where it is ``durable``, with all that it
    had. ``folder`` takes its log."""

    def __init__(self, folder: Path, durable: bool = False) -> None:
        self.folder = folder
        self._durable = durable
        self.log = folder / "redis.log"
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What ``[cluster] url`` takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it answers. Raises RuntimeError with its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [
                    *(find_redis(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                    *("--appendonly", "yes" if self._durable else "no", "--appendfsync", "always"),
                    *("--dir", str(self.folder), "--daemonize", "no"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is for who started it, and ends it last.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise RuntimeError(self.log.read_text(errors="replace")[-2000:])
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def forget(self) -> None:
        """Lose what a durable one that is dead would come back with."""
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def end(self) -> None:
        """Whatever its state: gone."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
        return False
