"""The servers that the media benches compare: ours, nginx with its RTMP module, and Node-Media-Server.

Rule: each is a process of its own on the servers' core, in a folder of its own, and ends with its `Server`; a peer that
is not installed is named with the command that installs it, and left out.
"""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.worker import CLIENT_CORE, hurry, pin

SERVER_CORE: Final = 0
PORTS: Final = (20_000, 32_000)
START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 5.0
CACHE: Final = Path(__file__).parent.parent / ".bench"
NODE_MEDIA_SERVER: Final = "2.7.4"
"""The last of the line that merges what it writes to RTMP viewers, and so the stronger peer there."""
NGINX: Final = "/usr/sbin/nginx"
NGINX_MODULE: Final = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

_OPENKLS: Final = """\
[server]
data_dir = "{folder}/data"
[api]
listen = "127.0.0.1:{api}"
[rtmp]
listen = "127.0.0.1:{rtmp}"
[play]
listen = "127.0.0.1:{http}"
merge_ms = {merge}
[limits]
enforce = false
[[account]]
id = "2000001"
[[account.key]]
access_key = "AKBENCH"
secret_key = "SKBENCH"
[[account.space]]
unique_name = "demo"
publish_domains = ["push.demo.local", "127.0.0.1"]
[[account.space.play_domain]]
id = "1001"
name = "play.demo.local"
"""
_CLUSTER: Final = """\
[store]
url = "sqlite:///{folder}/shared.db"
[cluster]
url = "redis://127.0.0.1:{redis}/0"
token = "the-token-of-a-benchmark"
"""
_NGINX: Final = """\
load_module {module};
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 16000; }}
rtmp {{
  access_log off;
  server {{
    listen 127.0.0.1:{rtmp};
    {tuning}
    application live {{ live on; {live} }}
    application hls {{ live on; hls on; hls_path {folder}/hls; hls_fragment 2s; hls_playlist_length 12s; }}
  }}
}}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{http};
    location / {{ root {folder}; types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }} }}
  }}
}}
"""
# It has no option for the address to listen on.
_NODE: Final = """\
const net = require("net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...others) {
  return listen.call(this, port, "127.0.0.1", ...others);
};
const Server = require("node-media-server");
const config = JSON.parse(process.argv[2]);
new Server(config).run();
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server as it can be started. ``app`` is where to push to and play from."""

    name: str
    kind: str
    app: str
    merge_ms: int = 0
    workers: int = 0
    """Media processes that share the ports, on all cores; 0 is one process on the servers' core."""


def ours(merge_ms: int, workers: int = 0) -> Peer:
    """OpenKLS with a merge window."""
    name = f"OpenKLS {merge_ms} ms" + (f", {workers} workers" if workers else "")
    return Peer(name, "openkls", "live", merge_ms, workers)


NGINX_STOCK: Final = Peer("nginx-rtmp stock", "nginx", "live")
NGINX_TUNED: Final = Peer("nginx-rtmp tuned", "nginx-tuned", "live")
NODE: Final = Peer(f"Node-Media-Server {NODE_MEDIA_SERVER}", "node", "live")


def missing(peer: Peer) -> str:
    """Why a peer can't be started, and what to do; empty when it can."""
    if peer.kind.startswith("nginx") and not (Path(NGINX).exists() and Path(NGINX_MODULE).exists()):
        return f"{peer.name} is not installed: apt-get install nginx-light libnginx-mod-rtmp"
    if peer.kind == "node":
        if shutil.which("node") is None:
            return f"{peer.name} is not installed: apt-get install nodejs npm, then python -m bench.peers"
        if not _node_package().exists():
            return f"{peer.name} is not installed: python -m bench.peers"
    return ""


def install() -> None:
    """Bring Node-Media-Server into the cache folder where npm is there, and say what is missing of the others."""
    if not missing(NODE) or shutil.which("npm") is None:
        return
    (CACHE / "node").mkdir(parents=True, exist_ok=True)
    package = f"node-media-server@{NODE_MEDIA_SERVER}"
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--prefix", str(CACHE / "node")]
    subprocess.run(["npm", "install", *options, package], check=False)


class Server:
    """A running peer. ``rtmp`` and ``http`` are its ports."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self.rtmp, self.http, self._api, self._redis_port = _free_ports(4)
        self._folder = folder
        self._log = folder / "server.log"
        # Of the bench's own process, for the moment in which the server inherits both.
        self._redis = self._start_redis() if peer.workers else None
        if peer.workers:
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
        else:
            pin(SERVER_CORE)
        hurry(hurried=True)
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._environment(),
                    start_new_session=True,
                )
        finally:
            hurry(hurried=False)
            pin(CLIENT_CORE)
        try:
            self._wait()
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its processes and threads, by the scheduler's own clock."""
        return sum(_run_seconds(each.pid) for each in self._processes())

    def cpu_of_each(self) -> dict[int, float]:
        """The same of each of its processes."""
        return {each.pid: _run_seconds(each.pid) for each in self._processes()}

    def rss_bytes(self) -> int:
        """Resident memory of all its processes."""
        return sum(each.memory_info().rss for each in self._processes())

    def log(self) -> str:
        """What it said, for when something went wrong."""
        return self._log.read_text()[-2000:]

    def end(self) -> None:
        """Gone, with its workers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            left = self._processes()
            self._process.terminate()
            _, left = psutil.wait_procs(left, STOP_SECONDS)
            for each in left:
                each.kill()
        self._process.wait(STOP_SECONDS)
        if self._redis is not None:
            self._redis.terminate()
            self._redis.wait(STOP_SECONDS)

    def _start_redis(self) -> subprocess.Popen[bytes]:
        command = ["redis-server", "--port", str(self._redis_port), "--bind", "127.0.0.1", "--save", ""]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _processes(self) -> list[psutil.Process]:
        process = psutil.Process(self._process.pid)
        return [process, *process.children(recursive=True)]

    def _command(self) -> list[str]:
        if self.peer.kind == "openkls":
            path = self._folder / "openkls.toml"
            ports = {"api": self._api, "rtmp": self.rtmp, "http": self.http}
            text = _OPENKLS.format(folder=self._folder, merge=self.peer.merge_ms, **ports)
            command = [sys.executable, "-m", "openkls", "serve", "--config", str(path)]
            if self.peer.workers:
                text += _CLUSTER.format(folder=self._folder, redis=self._redis_port)
                command += ["--workers", str(self.peer.workers)]
            path.write_text(text)
            return command
        if self.peer.kind == "node":
            path = self._folder / "server.js"
            path.write_text(_NODE)
            rtmp = {"port": self.rtmp, "chunk_size": 60000, "gop_cache": True, "ping": 30, "ping_timeout": 60}
            config = {"logType": 1, "rtmp": rtmp, "http": {"port": self.http, "allow_origin": "*"}}
            return ["node", str(path), json.dumps(config)]
        tuned = self.peer.kind == "nginx-tuned"
        path = self._folder / "nginx.conf"
        path.write_text(
            _NGINX.format(
                module=NGINX_MODULE,
                user="user root;" if os.getuid() == 0 else "",
                folder=self._folder,
                rtmp=self.rtmp,
                http=self.http,
                tuning="chunk_size 60000; out_queue 4096;" if tuned else "",
                live="buffer 1s;" if tuned else "",
            )
        )
        (self._folder / "hls").mkdir(exist_ok=True)
        return [NGINX, "-p", str(self._folder), "-c", str(path), "-e", str(self._folder / "error.log")]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENKLS_")}
        return kept | {"NODE_PATH": str(_node_package().parent)}

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        for port in (self.rtmp, self.http):
            while not _answers(port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.peer.name} did not start: {self.log()}")
                time.sleep(0.02)


@contextlib.contextmanager
def running(peer: Peer, folder: Path) -> Iterator[Server]:
    """A server in a folder of its own below ``folder``, ended at the end."""
    own = folder / f"{peer.kind}-{time.monotonic_ns()}"
    own.mkdir()
    server = Server(peer, own)
    try:
        yield server
    finally:
        server.end()
        shutil.rmtree(own, ignore_errors=True)


def _node_package() -> Path:
    return CACHE / "node" / "node_modules" / "node-media-server"


def _run_seconds(pid: int) -> float:
    """Of all threads of a process (Documentation/scheduler/sched-stats: the first number, in nanoseconds)."""
    seconds = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
    return seconds


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _free_ports(count: int) -> list[int]:
    """Ports that are free, and below those that the system gives to connections: another process's might come between
    the choice and the server's start."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(*PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports


if __name__ == "__main__":
    install()
    for each in (NGINX_STOCK, NODE):
        if missing(each):
            print(missing(each))
