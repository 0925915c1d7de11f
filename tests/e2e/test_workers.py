"""Roles and workers as processes: viewers in the wrong process, one list, one ban; deaths, signals, ends."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from openkls.codec import flv
from support_cluster import TOKEN, Node, start_all
from support_service import START_SECONDS, RunningService, pushing
from support_service import until as until_within
from tools.redis import RedisServer

pytestmark = [pytest.mark.e2e, pytest.mark.cluster]

PUBDOMAIN = "push.demo.local"
# A busy machine is no finding.
until = partial(until_within, seconds=30.0)
WORKERS = 2


class Workers(RunningService):
    """``openkls serve --workers 2``."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        super().__init__(
            folder,
            f'[store]\nurl = "sqlite:///{folder}/shared.db"\n[cluster]\nurl = "{redis_url}"\ntoken = "{TOKEN}"\n',
        )

    def start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENKLS_")}
        environment["OPENKLS_LIMITS__ENFORCE"] = "false"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openkls", "serve", "--config", str(self.config), "--workers", str(WORKERS)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=self.folder,
            )
        until(
            lambda: "is running" in self.log.read_text() or self.process.poll() is not None, seconds=2 * START_SECONDS
        )  # type: ignore[union-attr]
        assert self.process.poll() is None, self.log.read_text()

    def workers(self) -> dict[str, psutil.Process]:
        """The living workers by their names."""
        assert self.process is not None
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                found[child.environ().get("OPENKLS_WORKER", "")] = child
        return found


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.end()


@pytest.fixture
def nodes(tmp_path: Path, redis: RedisServer, postgres_url: str) -> Iterator[list[Node]]:
    """Two media processes and one of the API, on PostgreSQL."""
    roles = {"first": "media", "second": "media", "api": "api"}
    built = [Node(tmp_path, name, postgres_url, redis.url, role) for name, role in roles.items()]
    try:
        start_all(*built)
        yield built
    finally:
        for node in built:
            node.end()
    for node in built:
        assert "Traceback" not in node.log.read_text(), node.log.read_text()


@pytest.fixture
def service(tmp_path: Path, redis: RedisServer) -> Iterator[Workers]:
    running = Workers(tmp_path, redis.url)
    running.start()
    try:
        yield running
    finally:
        children = list(running.workers().values()) if running.process and running.process.poll() is None else []
        running.end()
        # They notice by themselves that their supervisor is gone.
        _, alive = psutil.wait_procs(children, 12)
        assert not alive
    assert "Traceback" not in running.log.read_text(), running.log.read_text()


class FlvWatcher:
    """An HTTP-FLV viewer; closed when its test is over."""

    def __init__(self, port: int, stream: str) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), 10)
        OPENED.append(self)
        self.link.sendall(f"GET /live/{stream}.flv HTTP/1.1\r\nHost: play.demo.local\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.link.recv(1)
            assert byte, head
            head += byte
        self.status = int(head.split()[1])
        self.reader = flv.FlvReader()
        self.tags: list[flv.Tag] = []

    def heard(self, count: int) -> None:
        while len(self.tags) < count:
            data = self.link.recv(65536)
            assert data, "ended"
            self.tags += self.reader.feed(data)

    def seconds_to_end(self) -> float:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while self.link.recv(65536):
                pass
        return time.monotonic() - began

    def close(self) -> None:
        self.link.close()


OPENED: list[FlvWatcher] = []


@pytest.fixture(autouse=True)
def no_watcher_left() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def watch(port: int, stream: str) -> FlvWatcher:
    """Watch a stream of another process, once this one has heard of it."""

    def attempt() -> FlvWatcher | None:
        watcher = FlvWatcher(port, stream)
        if watcher.status == 200:
            return watcher
        watcher.close()
        return None

    return until(attempt)  # type: ignore[return-value]


def listed(api: RunningService, protocol: str = "http+flv") -> dict[str, Any]:
    return api.call("ListRealtimeStreamsInfo", PullProtocol=protocol)


def get(port: int, path: str) -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    link.request("GET", path, headers={"Host": "play.demo.local"})
    answer = link.getresponse()
    body = answer.read()
    link.close()
    return answer.status, body


def uri_of(playlist: bytes) -> list[str]:
    return [line for line in playlist.decode().splitlines() if line and not line.startswith("#")]


def test_viewers_in_the_wrong_process_play_are_counted_once_and_are_cut_everywhere(
    nodes: list[Node], clip: Path
) -> None:
    first, second, api = nodes
    with pushing(clip, first.push_url("one")):
        until(lambda: listed_pushes(api))
        watchers = [watch(port, "one") for port in (first.play_port, second.play_port, second.play_port)]
        for watcher in watchers:
            watcher.heard(50)
        until(lambda: listed(api)["OnlineUser"] == 3)
        assert listed(api)["Streams"][0]["Pulls"][0]["OnlineUser"] == 3
        until(lambda: listed(api)["Bw"] > 3 * 500_000)
        assert "relay of demo/live/one from" in second.log.read_text()
        assert second.log.read_text().count("relay of demo/live/one from") == 1
        watchers.pop().close()
        until(lambda: listed(api)["OnlineUser"] == 2)
        api.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="one")
        assert max(watcher.seconds_to_end() for watcher in watchers) < 2
        until(lambda: not listed_pushes(api))


def listed_pushes(api: RunningService) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.call("ListRealtimeStreamsInfo", Type="push")["Streams"]
    return rows


def test_a_viewer_in_the_wrong_process_may_come_as_soon_as_the_publish_has_begun(nodes: list[Node], clip: Path) -> None:
    first, second, _ = nodes
    with pushing(clip, first.push_url("soon")):
        until(lambda: re.search("session .* began", first.log.read_text()), step_seconds=0.005)
        watcher = FlvWatcher(second.play_port, "soon")
        assert watcher.status == 200
        watcher.heard(20)


def test_hls_in_the_wrong_process_plays_and_is_counted_once(nodes: list[Node], clip: Path) -> None:
    first, second, api = nodes
    with pushing(clip, first.push_url("two")):
        _, master = until(lambda: answered(second.play_port, "/live/two.m3u8"))
        (variant,) = uri_of(master)
        for _ in range(3):
            status, playlist = get(second.play_port, f"/live/{variant}")
            assert status == 200
        status, segment = get(second.play_port, f"/live/two/{uri_of(playlist)[-1]}")
        assert (status, segment[0]) == (200, 0x47)
        until(lambda: listed(api, "hls")["OnlineUser"] == 1)
        assert listed(api, "hls")["Bw"] > 0


def answered(port: int, path: str) -> tuple[int, bytes] | None:
    status, body = get(port, path)
    return (status, body) if status == 200 else None


def test_a_role_serves_nothing_else(nodes: list[Node]) -> None:
    first, _, api = nodes
    for port in (first.api_port, api.rtmp_port, api.play_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
    assert "API " not in first.log.read_text()


@pytest.mark.parametrize("option", [("--role", "api"), ("--role", "media"), ("--workers", "2")])
def test_roles_and_workers_without_redis_say_what_is_missing(tmp_path: Path, option: tuple[str, str]) -> None:
    node = RunningService(tmp_path)
    command = [sys.executable, "-m", "openkls", "serve", "--config", str(node.config), *option]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert ended.returncode == 1
    assert "openkls: cluster.url: " in ended.stderr
    assert "needs it" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_workers_are_one_service(service: Workers, clip: Path) -> None:
    assert set(service.workers()) == {"api", "media-1", "media-2"}
    with pushing(clip, service.push_url("three")):
        until(lambda: listed_pushes(service))
        watchers = [watch(service.play_port, "three") for _ in range(12)]
        for watcher in watchers:
            watcher.heard(20)
        until(lambda: listed(service)["OnlineUser"] == 12)
        assert len(re.findall("relay of demo/live/three from", service.log.read_text())) == 1
        service.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="three")
        assert max(watcher.seconds_to_end() for watcher in watchers) < 2


def test_a_worker_that_dies_is_started_again_and_its_sessions_end_in_history(service: Workers, clip: Path) -> None:
    with pushing(clip, service.push_url("four")) as encoder:
        until(lambda: listed_pushes(service))
        before = service.workers()
        victims = [
            name for name in ("media-1", "media-2") if f"[{name}] openkls.media.rtmp: session" in log_of(service)
        ]
        assert len(victims) == 1
        before[victims[0]].kill()
        until(lambda: f"worker {victims[0]} is back" in log_of(service))
        encoder.wait(30)
        after = service.workers()
        assert set(after) == set(before)
        assert after[victims[0]].pid != before[victims[0]].pid
        until(lambda: history(service, "four"))
        assert [detail["StatusCode"] for detail in history(service, "four")] == [200]
    with pushing(clip, service.push_url("four")):
        until(lambda: listed_pushes(service))


def log_of(service: RunningService) -> str:
    return service.log.read_text()


def history(service: RunningService, stream: str) -> list[dict[str, Any]]:
    result = service.call("ListHistoryPubStreamsInfo", Pubdomain=PUBDOMAIN, Stream=stream)["Result"]
    return [detail for each in result for detail in each["Detail"]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_within_ten_seconds(service: Workers, clip: Path, number: signal.Signals) -> None:
    assert service.process is not None
    with pushing(clip, service.push_url("five")):
        until(lambda: listed_pushes(service))
        workers = list(service.workers().values())
        began = time.monotonic()
        service.process.send_signal(number)
        assert service.process.wait(10) == 0
        assert time.monotonic() - began < 10
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    assert "OpenKLS has ended." in log_of(service)


def test_a_hangup_reaches_all(service: Workers) -> None:
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    until(lambda: log_of(service).count("the configuration is taken up") == 1 + WORKERS)


def test_the_ports_of_a_running_service_are_not_shared_with_a_second(
    service: Workers, redis: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Workers(tmp_path / "other", redis.url)
    text = other.config.read_text().replace(f":{other.rtmp_port}", f":{service.rtmp_port}")
    other.config.write_text(text)
    ended = subprocess.run(
        [sys.executable, "-m", "openkls", "serve", "--config", str(other.config), "--workers", "2"],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 1
    assert "rtmp.listen: cannot listen on" in ended.stderr


def test_a_worker_that_cannot_start_ends_the_start(tmp_path: Path, redis: RedisServer) -> None:
    other = Workers(tmp_path, redis.url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = other.config.read_text() + f'relay_listen = "127.0.0.1:{taken.getsockname()[1]}"\n'
        other.config.write_text(text)
        ended = subprocess.run(
            [sys.executable, "-m", "openkls", "serve", "--config", str(other.config), "--workers", "1"],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
        )
    assert ended.returncode == 1
    assert "cluster.relay_listen: cannot listen on" in ended.stderr
    assert "worker media-1 did not start" in ended.stderr
    assert "Traceback" not in ended.stderr
