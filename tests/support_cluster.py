"""The ephemeral ports as tests are given them, and nodes of a cluster as processes.

Rule: nodes of one machine stand on one SQLite file; what is between a node and its Redis may be a proxy that stalls.
"""

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openkls.domain.ports import BusPort, ClaimsPort, RatesPort, SnapshotsPort
from tests.support_service import RunningService

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
    """A port before another of this machine: carries bytes, or holds them back, or cuts every connection."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._carries = threading.Event()
        self._carries.set()
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
        self._carries.set()

    def cut(self) -> None:
        """End every connection."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

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
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                if self._ended:
                    return
                with contextlib.suppress(OSError, UnboundLocalError):
                    near.close()
                continue
            self._sockets += [near, far]
            self._start(self._carry, near, far)
            self._start(self._carry, far, near)

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
    """A whole service that is one of several."""

    def __init__(self, folder: Path, name: str, store: str, redis_url: str) -> None:
        (folder / name).mkdir()
        secret = folder / "secret.key"
        if not secret.exists():
            secret.write_text(secrets.token_hex(32))
            secret.chmod(0o600)
        more = f"""
[store]
url = "{store}"
secret_file = "{secret}"
[cluster]
url = "{redis_url}"
token = "{TOKEN}"
"""
        super().__init__(folder / name, more)
        self.name = name
