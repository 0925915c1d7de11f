"""The ephemeral ports as tests are given them, and nodes of a cluster as processes.

Rule: what is between a node and what it needs may be a proxy that stalls or cuts.
"""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openkls.domain.ports import BusPort, ClaimsPort, RatesPort, SnapshotsPort
from tests.support_service import START_SECONDS, RunningService, until

TOKEN = "the-token-of-this-cluster"


@dataclass
class Ports:
    """The ephemeral ports, and a way to let their leases lapse."""

    kind: str
    claims: ClaimsPort
    snapshots: SnapshotsPort
    bus: BusPort
    rates: RatesPort
    lapse: Callable[[str], Any]
    """Ends the lease of everything whose name holds this."""
    other_bus: BusPort


class StallingProxy:
    """A port before another one, or before a unix socket: carries bytes, holds them back, or cuts."""

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._carries = threading.Event()
        self._carries.set()
        self._refuses = False
        self._ended = False
        self.carried_bytes = 0
        """Both ways."""
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def stall(self) -> None:
        """Carry nothing any more; what comes waits."""
        self._carries.clear()

    def carry(self) -> None:
        """Go on, with what has waited too."""
        self._refuses = False
        self._carries.set()

    def cut(self) -> None:
        """End every connection."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """End every connection, and each new one as soon as it is made."""
        self._refuses = True
        self.cut()

    def end(self) -> None:
        """Everything is closed."""
        self._ended = True
        self.carry()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                continue
            try:
                if self._refuses:
                    raise ConnectionRefusedError
                far = self._reach()
            except OSError:
                near.close()
                continue
            self._sockets = [each for each in self._sockets if each.fileno() >= 0] + [near, far]
            self._start(self._carry, near, far)
            self._start(self._carry, far, near)

    def _reach(self) -> socket.socket:
        kind = socket.AF_UNIX if isinstance(self._target, Path) else socket.AF_INET
        far = socket.socket(kind, socket.SOCK_STREAM)
        try:
            far.connect(str(self._target) if isinstance(self._target, Path) else ("127.0.0.1", self._target))
        except OSError:
            far.close()
            raise
        return far

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self._carries.wait()
                sink.sendall(piece)
                self.carried_bytes += len(piece)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        source.close()


class Node(RunningService):
    """One process of several; ``more`` goes into its ``[cluster]``, ``environment`` over that of the tests."""

    def __init__(
        self,
        folder: Path,
        name: str,
        store: str,
        redis_url: str,
        role: str = "all",
        more: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        (folder / name).mkdir()
        secret = folder / "secret.key"
        if not secret.exists():
            secret.write_text(secrets.token_hex(32))
            secret.chmod(0o600)
        super().__init__(
            folder / name,
            f"""
[store]
url = "{store}"
secret_file = "{secret}"
[cluster]
url = "{redis_url}"
token = "{TOKEN}"
{more}
""",
        )
        self.name = name
        self.role = role
        self.environment = environment or {}

    @property
    def runs(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start, and wait until every port of its role answers."""
        self.launch()
        self.await_ports()

    def launch(self) -> None:
        """Start."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENKLS_")}
        # Tests that wait for a fact ask more often than 50 times a minute.
        environment["OPENKLS_LIMITS__ENFORCE"] = str(self.limits_enforced).lower()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openkls", "serve", "--config", str(self.config), "--role", self.role],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment | self.environment,
                cwd=self.folder,
            )

    def await_ports(self) -> None:
        """Wait until every port of its role answers."""
        ports = {"api": [self.api_port], "media": [self.rtmp_port, self.play_port]}
        for port in ports.get(self.role) or [*ports["api"], *ports["media"]]:
            until(lambda port=port: self._answers(port), START_SECONDS)


def start_all(*nodes: Node) -> None:
    """Start them side by side. Nodes on one SQLite file, or on an empty database, stand in line for its migration."""
    for node in nodes:
        node.launch()
    for node in nodes:
        node.await_ports()
