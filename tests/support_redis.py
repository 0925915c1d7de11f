"""A private redis-server for tests. Rule: on loopback, in a folder of its own, ended by its process id."""

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path

from tests.support_service import free_ports, until


class RedisServer:
    """redis-server. One that was killed comes back empty; or, where it is ``durable``, with all that it had."""

    def __init__(self, folder: Path, durable: bool = False) -> None:
        self.folder = folder
        self._durable = durable
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What ``[cluster] url`` takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                    *("--appendonly", "yes" if self._durable else "no", "--appendfsync", "always"),
                    *("--dir", str(self.folder), "--daemonize", "no"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._answers)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def forget(self) -> None:
        """Lose what a durable one that is dead would come back with."""
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def end(self) -> None:
        """Whatever its state: gone."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
        return False
