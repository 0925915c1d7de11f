"""`openkls serve --workers N`: several processes as one service. Rule: this process serves nobody, so that it lives.

Theory of operation. The supervisor holds the data folder and the media ports, bound and not listening, so that nobody
else takes them; the workers listen on them by SO_REUSEPORT, and the kernel spreads the connections. It starts the API
first, which brings the store up to date, then the media processes. Each worker has a folder of its own in the data
folder, and with it a lock and a node id: one that died is followed by one of the same name, which ends its sessions.
One that dies is started again, at once and then less and less often.

A worker says on its standard output where it listens, once, when it is ready. Its standard input is a pipe that nobody
writes to: when it ends, the supervisor has, and so does the worker; a thread of its own sees to that even where its
loop stands still, or waits for ever in its end. Workers have a session of their own, so that Ctrl-C reaches the
supervisor alone, which passes it on.
"""

import asyncio
import contextlib
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from openkls.app import Role
from openkls.cli import logs
from openkls.cli.welcome import Endpoints
from openkls.config import Address, Config, ConfigError, join_address, parse_address, parse_advertised
from openkls.store import DataDirLock, SetupError, lock_data_dir

log = logging.getLogger("openkls.cli.workers")

WORKER_VARIABLE = "OPENKLS_WORKER"
FOLDER = "workers"
# A media process is for a core; more than machines have is a slip.
WORKERS_LIMIT = 256
# Of a worker, from its start to its being ready; SQLite may be migrating a large history.
START_SECONDS = 60.0
# Of the 10 s in which the service ends (design: Configuration and command line).
END_SECONDS = 9.0
# Of a worker whose supervisor is gone, which has nobody else to kill it when it does not end.
ORPHAN_SECONDS = 12.0
RESTART_SECONDS = 0.5
RESTART_LONGEST_SECONDS = 30.0
# One that lived this long died of something new.
LIVED_SECONDS = 60.0
READY_LIMIT_BYTES = 4096
STDIN, STDOUT = 0, 1
ORPHAN_EXIT = 1


@dataclass(frozen=True, slots=True)
class Worker:
    """This process, as one of a supervisor's."""

    name: str

    def folder(self, tree: Config) -> Path:
        """Its own folder."""
        return tree.data_dir / FOLDER / self.name

    def tell(self, endpoints: Endpoints) -> None:
        """Tell the supervisor that this worker is ready; one that is gone need not know."""
        line = json.dumps([endpoints.api, endpoints.rtmp, endpoints.play, endpoints.api_tls])
        with contextlib.suppress(BrokenPipeError):
            os.write(STDOUT, f"{line}\n".encode())

    def outlive_nobody(self, seconds: float = ORPHAN_SECONDS) -> None:
        """From now on, end at the latest so long after the supervisor, whatever this process is doing then."""

        def watch() -> None:
            gone = select.poll()
            gone.register(STDIN, select.POLLIN)  # POLLHUP comes unasked
            gone.poll()
            time.sleep(seconds)
            os._exit(ORPHAN_EXIT)

        threading.Thread(target=watch, name="supervisor", daemon=True).start()

    async def end_with_supervisor(self, stop: asyncio.Event) -> None:
        """Have ``stop`` set when the supervisor is gone."""
        loop = asyncio.get_running_loop()

        def on_readable() -> None:
            if not os.read(STDIN, 4096):
                loop.remove_reader(STDIN)
                stop.set()

        loop.add_reader(STDIN, on_readable)


def as_worker() -> Worker | None:
    """This process as a worker, if a supervisor started it."""
    name = os.environ.get(WORKER_VARIABLE)
    return Worker(name) if name else None


class _Process:
    """A worker as its supervisor sees it; it outlives the processes that are it."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.restarts = 0
        self.environment = environment
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Endpoints:
        """Start it, and wait until it is ready. Raises SetupError."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**os.environ, **self.environment, WORKER_VARIABLE: self.name},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=READY_LIMIT_BYTES,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await process.stdout.readline()
            addresses = [None if each is None else Address(*each) for each in json.loads(line)]
            return Endpoints(*addresses)
        except (TimeoutError, ValueError, TypeError) as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
            raise SetupError(f"worker {self.name} did not start (exit code {code}); it has said above why") from error

    async def wait(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Pass a signal on, if it lives."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    @property
    def ended(self) -> bool:
        """Whether it does not live."""
        return self._process is None or self._process.returncode is not None


class Supervisor:
    """The workers of this service."""

    def __init__(
        self,
        tree: Config,
        path: Path,
        workers: int,
        log_level: logs.Level,
        log_format: logs.Format = logs.Format.CONSOLE,
    ) -> None:
        """Raises ConfigError where workers could not find each other."""
        if not tree.cluster.url:
            raise ConfigError(
                "cluster.url: --workers needs it: the processes of a service find each other by a Redis, such as "
                'url = "redis://127.0.0.1:6379/0"'
            )
        self._tree = tree
        self._command = [
            sys.executable,
            "-m",
            "openkls",
            "serve",
            "--config",
            str(path),
            "--log-level",
            log_level.value,
            "--log-format",
            log_format.value,
        ]
        self._workers = workers
        self._lock: DataDirLock | None = None
        self._ports: list[socket.socket] = []
        self._processes: list[_Process] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, stop: asyncio.Event) -> Endpoints | None:
        """Start all; where the service listens, or None when ``stop`` came first. Raises ConfigError, SetupError."""
        self._lock = lock_data_dir(self._tree.data_dir)
        rtmp = self._reserve(self._tree.rtmp.listen, "rtmp.listen")
        play = self._reserve(self._tree.play.listen, "play.listen")
        ports = {"OPENKLS_RTMP__LISTEN": join_address(rtmp), "OPENKLS_PLAY__LISTEN": join_address(play)}
        starting = asyncio.ensure_future(self._start_all(ports))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
            return None
        found = starting.result()
        return Endpoints(found.api, rtmp, play, found.api_tls)

    async def _start_all(self, ports: dict[str, str]) -> Endpoints:
        api = self._add("api", Role.API, ports | self._metrics(0))
        found = await api.start()
        assert found.api is not None
        # Where the system chose the port, it stays when the process is followed by another.
        api.environment["OPENKLS_API__LISTEN"] = join_address(found.api)
        if found.api_tls is not None:
            api.environment["OPENKLS_API__TLS_LISTEN"] = join_address(found.api_tls)
        media = [
            self._add(f"media-{number + 1}", Role.MEDIA, ports | self._relay(number) | self._metrics(number + 1))
            for number in range(self._workers)
        ]
        await asyncio.gather(*(process.start() for process in media))
        return found

    async def watch(self, stop: asyncio.Event) -> None:
        """Keep all alive until ``stop``."""
        self._keepers = [asyncio.create_task(self._keep(process), name=process.name) for process in self._processes]
        await stop.wait()

    def reload(self) -> None:
        """Have all read the configuration again."""
        for process in self._processes:
            process.send(signal.SIGHUP)

    async def stop(self) -> bool:
        """End all; False when one had to be killed. Idempotent."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for process in self._processes:
            process.send(signal.SIGTERM)
        living = [process for process in self._processes if not process.ended]
        clean = True
        try:
            async with asyncio.timeout(END_SECONDS):
                await asyncio.gather(*(process.wait() for process in living))
        except TimeoutError:
            clean = False
            for process in living:
                if not process.ended:
                    log.error("worker %s did not end and is killed", process.name)
                    process.send(signal.SIGKILL)
                    await process.wait()
        for port in self._ports:
            port.close()
        if self._lock is not None:
            self._lock.release()
        return clean

    async def _keep(self, process: _Process) -> None:
        loop = asyncio.get_running_loop()
        pause_seconds = RESTART_SECONDS
        while True:
            began = loop.time()
            code = await process.wait()
            if loop.time() - began >= LIVED_SECONDS:
                pause_seconds = RESTART_SECONDS
            process.restarts += 1
            log.error(
                "worker %s ended (exit code %d); it is started again in %g s, for the %d. time",
                process.name,
                code,
                pause_seconds,
                process.restarts,
            )
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(RESTART_LONGEST_SECONDS, 2 * pause_seconds)
            try:
                await process.start()
            except (SetupError, OSError) as error:
                log.error("%s", error)
            else:
                log.warning("worker %s is back", process.name)

    def _add(self, name: str, role: Role, environment: dict[str, str]) -> _Process:
        process = _Process(name, [*self._command, "--role", role.value], dict(environment))
        self._processes.append(process)
        return process

    def _relay(self, number: int) -> dict[str, str]:
        """The relay port of a media process: where a port is named, they have that one and those behind it."""
        cluster = self._tree.cluster
        listen = parse_address(cluster.relay_listen, "cluster.relay_listen")
        changed = {}
        if listen.port:
            changed["OPENKLS_CLUSTER__RELAY_LISTEN"] = join_address(listen._replace(port=listen.port + number))
        shown = parse_advertised(cluster.relay_advertise, Address("", 0)) if cluster.relay_advertise else None
        if shown is not None and shown.port:
            changed["OPENKLS_CLUSTER__RELAY_ADVERTISE"] = join_address(shown._replace(port=shown.port + number))
        return changed

    def _metrics(self, number: int) -> dict[str, str]:
        """The port of its metrics: where one is named, the API has it and the media processes those behind it."""
        if not self._tree.metrics.listen:
            return {}
        listen = parse_address(self._tree.metrics.listen, "metrics.listen")
        if not listen.port:
            return {}
        return {"OPENKLS_METRICS__LISTEN": join_address(listen._replace(port=listen.port + number))}

    def _reserve(self, text: str, key: str) -> Address:
        """Hold a port that the workers will share. Raises ConfigError when it is somebody else's."""
        address = parse_address(text, key)
        try:
            kind, _, _, _, where = socket.getaddrinfo(
                address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(kind, socket.SOCK_STREAM) as probe:
                # SO_REUSEPORT alone would let a second service of this user share the port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
                where = probe.getsockname()
            port = socket.socket(kind, socket.SOCK_STREAM)
            self._ports.append(port)
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port.bind(where)
        except OSError as error:
            raise ConfigError(f"{key}: cannot listen on {text}: {error.strerror or error}; choose another") from error
        return Address(address.host, where[1])
