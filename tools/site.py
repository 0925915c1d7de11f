"""A whole service on one machine, for a trial: PostgreSQL, Redis, two media nodes, two API nodes, each a process.

Rule: a process that ends unasked ends the whole, with what it said last; whatever was started ends with the site, by
its own id, and the site's folder goes with it. Signals are only noted, and heeded between two steps: none can come in
the midst of a start and leave a process that nobody knows.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from openkls.cli.firstrun import new_access_key, new_secret_key
from openkls.client import Client
from tools import postgres, redis
from tools.ports import free_ports
from tools.stage import DemoFailed

T = TypeVar("T")

# A node that starts brings the store's schema up to date; the others wait for it.
START_SECONDS = 60.0
STEP_SECONDS = 20.0
# The service promises 10.
STOP_SECONDS = 15.0
POLL_SECONDS = 0.1
LOG_LINES = 20

_CONFIG = """\
# One file for all four nodes, as in production; what sets them apart (ports, data_dir) is in each one's environment.
[server]
data_dir = "{folder}/data"
[api]
listen = "127.0.0.1:{api_port}"
[store]
url = "{store}"
secret_file = "{folder}/secret.key"
[cluster]
url = "{redis}"
token = "{token}"
[limits]
enforce = false                     # so that one may look as often as one likes
[[account]]
id = "2000001"
[[account.key]]
access_key = "{access_key}"
secret_key = "{secret_key}"
[[account.space]]
unique_name = "demo"
apps = ["live"]
publish_domains = ["push.demo.local", "localhost", "127.0.0.1"]
[[account.space.play_domain]]
id = "1001"
name = "play.demo.local"
"""


class Stopped(Exception):
    """Somebody wants it to end."""


@dataclass(slots=True)
class Node:
    """One process of the service."""

    name: str
    role: str
    address: str
    """What the lists name as its Node; nothing connects to it."""
    ports: tuple[int, ...]
    """Of the API; or of RTMP and of the play port."""

    @property
    def endpoint(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def rtmp_url(self, stream: str) -> str:
        """To push to, or to play."""
        return f"rtmp://127.0.0.1:{self.ports[0]}/live/{stream}"

    def flv_url(self, stream: str) -> str:
        """To play over HTTP-FLV; HLS is the same with .m3u8."""
        return f"http://127.0.0.1:{self.ports[1]}/live/{stream}.flv"


@dataclass(slots=True)
class _Child:
    process: "subprocess.Popen[bytes]"
    log: Path


class Site:
    """The processes and their folder. Nothing is started but by ``start_*`` and ``run``."""

    def __init__(self) -> None:
        self._stopping = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.folder = Path(tempfile.mkdtemp(prefix="openkls-cluster-"))
        self.config = self.folder / "openkls.toml"
        self.key = new_access_key(), new_secret_key()
        ports = free_ports(6)
        self.media = (
            Node("media-1", "media", "127.0.0.11", (ports[0], ports[1])),
            Node("media-2", "media", "127.0.0.12", (ports[2], ports[3])),
        )
        self.api = Node("api-1", "api", "127.0.0.21", (ports[4],)), Node("api-2", "api", "127.0.0.22", (ports[5],))
        self.postgres: postgres.PrivatePostgres | None = None
        self.redis = redis.RedisServer(self.folder)
        self._children: dict[str, _Child] = {}
        self._released: list[subprocess.Popen[bytes]] = []

    # -- starting

    def start_stores(self) -> None:
        """PostgreSQL with an empty database, Redis, and the configuration that names both."""
        self.postgres = postgres.PrivatePostgres()
        self.check()
        self.redis.start()
        url = self.postgres.create("openkls")
        self.check()
        self.config.touch(mode=0o600)
        self.config.write_text(
            _CONFIG.format(
                folder=self.folder,
                api_port=self.api[0].ports[0],
                store=url,
                redis=self.redis.url,
                token=secrets.token_hex(32),
                access_key=self.key[0],
                secret_key=self.key[1],
            )
        )

    def start_nodes(self) -> None:
        """All four at once, as after a power cut; returns when all say that they run."""
        for node in (*self.api, *self.media):
            changed = {"SERVER__DATA_DIR": str(self.folder / node.name), "SERVER__NODE": node.address}
            sections = ("API",) if node.role == "api" else ("RTMP", "PLAY")
            changed |= {
                f"{section}__LISTEN": f"127.0.0.1:{port}" for section, port in zip(sections, node.ports, strict=True)
            }
            command = [*openkls(), "serve", "--role", node.role, "--config", str(self.config)]
            self.run(node.name, *command, environment={f"OPENKLS_{key}": value for key, value in changed.items()})
        for node in (*self.api, *self.media):
            self.until(
                lambda node=node: "OpenKLS is running" in self.said(node.name),
                f"{node.name} to be up",
                START_SECONDS,
            )

    def run(self, name: str, *command: str, environment: dict[str, str] | None = None) -> None:
        """Start a process that must go on until it is let go of; what it says goes into a log of its name."""
        self.check()
        log = self.log(name)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("OPENKLS_")}
        with log.open("ab") as out:
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env=inherited | (environment or {}),
                # A Ctrl-C in the terminal is the site's, which then ends them in their order.
                start_new_session=True,
            )
        self._children[name] = _Child(process, log)

    # -- watching

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        """All that a process has said."""
        return self.log(name).read_text(errors="replace")

    def call(self, node: Node, action: str, **parameters: object) -> dict[str, object]:
        """One call of an API node; ``Data``."""
        self.check()
        with Client(node.endpoint, *self.key, retries=0) as api:
            return api.call(action, {"UniqueName": "demo", "App": "live", **parameters})

    def check(self) -> None:
        """Raises Stopped when somebody wants it to end, DemoFailed when a process has ended unasked."""
        if self._stopping:
            raise Stopped
        for name, code, log in self._ends():
            if code is not None:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
                raise DemoFailed(f"{name} ended with {code}; the end of its log:\n{tail}")

    def until(self, fact: Callable[[], T], what: str, seconds: float = STEP_SECONDS) -> T:
        """The first true value of ``fact``; DemoFailed when there is none in time, or when a process ends."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            value = fact()
            if value:
                return value
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {seconds:g} s in vain for {what}")
            time.sleep(POLL_SECONDS)

    def let_go(self, *names: str) -> "list[subprocess.Popen[bytes]]":
        """From now on these processes may end."""
        self.check()
        released = [self._children.pop(name).process for name in names]
        self._released = [each for each in self._released if each.poll() is None] + released
        return released

    def _ends(self) -> Iterator[tuple[str, int | None, Path]]:
        if self.postgres is not None:
            yield "PostgreSQL", self.postgres.exit_code, self.postgres.log
        if self.redis.process is not None:
            yield "Redis", self.redis.process.poll(), self.redis.log
        for name, child in self._children.items():
            yield name, child.process.poll(), child.log

    # -- ending

    def close(self) -> None:
        """End everything, the nodes in order, and remove the folder."""
        for process in self._released:
            process.kill()
            process.wait()
        children = [child.process for child in self._children.values()]
        self._children.clear()
        for process in children:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in children:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.redis.end()
        if self.postgres is not None:
            self.postgres.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _on_signal(self, *_: object) -> None:
        self._stopping = True


def missing_programs() -> list[str]:
    """What the site needs and this machine has not, and how to get it."""
    missing = []
    for find in (redis.find_redis, *(lambda name=name: postgres.find_program(name) for name in ("postgres", "initdb"))):
        try:
            find()
        except FileNotFoundError as error:
            missing.append(str(error))
    return missing


def openkls() -> list[str]:
    """The command of this environment."""
    return [sys.executable, "-m", "openkls"]
