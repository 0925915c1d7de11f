"""What a supervisor decides before it starts anything."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from openkls import config
from openkls.cli.logs import Format, Level, LineFormatter
from openkls.cli.welcome import Endpoints, welcome
from openkls.cli.workers import ORPHAN_EXIT, Supervisor, Worker, as_worker
from openkls.config import Address, ConfigError


def tree(folder: Path, **cluster: str) -> config.Config:
    return config.Config(
        server=config.Server(data_dir=str(folder)), cluster=config.Cluster(url="redis://r", token="t" * 16, **cluster)
    )


def supervisor(folder: Path, **cluster: str) -> Supervisor:
    return Supervisor(tree(folder, **cluster), folder / "openkls.toml", 2, Level.INFO)


def test_workers_need_redis(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.url: --workers needs it"):
        Supervisor(config.Config(), tmp_path / "openkls.toml", 2, Level.INFO)


def test_relay_ports_that_are_named_follow_one_another(tmp_path: Path) -> None:
    made = supervisor(tmp_path, relay_listen="10.0.0.5:7001", relay_advertise="192.0.2.5:8001")
    assert made._relay(0) == {
        "OPENKLS_CLUSTER__RELAY_LISTEN": "10.0.0.5:7001",
        "OPENKLS_CLUSTER__RELAY_ADVERTISE": "192.0.2.5:8001",
    }
    assert made._relay(3) == {
        "OPENKLS_CLUSTER__RELAY_LISTEN": "10.0.0.5:7004",
        "OPENKLS_CLUSTER__RELAY_ADVERTISE": "192.0.2.5:8004",
    }


@pytest.mark.parametrize("advertised", ["", "node-5"])
def test_relay_ports_that_the_system_chooses_stay_its_choice(tmp_path: Path, advertised: str) -> None:
    assert supervisor(tmp_path, relay_advertise=advertised)._relay(1) == {}


def test_a_port_that_is_held_is_kept_from_others_and_shared_with_workers(tmp_path: Path) -> None:
    made = supervisor(tmp_path)
    held = made._reserve("127.0.0.1:0", "rtmp.listen")
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind(held)
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(held)
        worker.listen()
        with pytest.raises(ConfigError, match=r"rtmp\.listen: cannot listen on"):
            supervisor(tmp_path)._reserve(f"127.0.0.1:{held.port}", "rtmp.listen")
    for port in made._ports:
        port.close()


def test_a_worker_knows_that_it_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENKLS_WORKER", raising=False)
    assert as_worker() is None
    monkeypatch.setenv("OPENKLS_WORKER", "media-1")
    worker = as_worker()
    assert worker is not None
    assert worker.folder(tree(tmp_path)) == tmp_path / "workers" / "media-1"


def test_a_worker_that_hangs_ends_all_the_same_when_its_supervisor_has() -> None:
    program = """if True:
    import asyncio, time
    from openkls.cli.workers import Worker
    async def main():
        worker = Worker("media-1")
        worker.outlive_nobody(0.1)
        await worker.end_with_supervisor(asyncio.Event())
        print("ready", flush=True)
        time.sleep(600)
    asyncio.run(main())
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as worker:  # type: ignore[call-overload]
        try:
            assert worker.stdout.readline() == b"ready\n"
            assert worker.poll() is None
            worker.stdin.close()
            assert worker.wait(30) == ORPHAN_EXIT
        finally:
            worker.kill()


def test_a_worker_whose_supervisor_is_gone_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr("openkls.cli.workers.STDOUT", writer)
    try:
        Worker("media-1").tell(Endpoints(None, Address("127.0.0.1", 1), Address("127.0.0.1", 2)))
    finally:
        os.close(writer)


def test_a_worker_s_lines_carry_its_name() -> None:
    import logging

    record = logging.LogRecord("openkls.app", logging.INFO, "", 0, "text", (), None)
    assert LineFormatter("media-1").format(record).endswith("INFO    [media-1] openkls.app: text")


def test_a_process_of_one_role_tells_what_it_serves() -> None:
    media = welcome(config.Config(), None, Endpoints(None, Address("127.0.0.1", 1), Address("0.0.0.0", 2)), False)
    assert "  RTMP        rtmp://127.0.0.1:1" in media
    assert "  HTTP-FLV    http://127.0.0.1:2" in media
    assert not any("API" in line for line in media)
    api = welcome(config.Config(), None, Endpoints(Address("::1", 3), None, None, Address("::1", 4)), False)
    assert "  API         http://[::1]:3" in api
    assert "              https://[::1]:4" in api


@pytest.mark.parametrize(
    ("listen", "ports"),
    [("127.0.0.1:9180", ["127.0.0.1:9180", "127.0.0.1:9181", "127.0.0.1:9182"]), ("", [None] * 3), ("h:0", [None] * 3)],
)
def test_workers_have_metrics_at_ports_that_follow_one_another(
    tmp_path: Path, listen: str, ports: list[str | None]
) -> None:
    one = supervisor(tmp_path)
    one._tree = msgspec.structs.replace(one._tree, metrics=config.Metrics(listen=listen))
    assert [one._metrics(number).get("OPENKLS_METRICS__LISTEN") for number in range(3)] == ports


def test_workers_log_as_their_supervisor_does(tmp_path: Path) -> None:
    one = Supervisor(tree(tmp_path), tmp_path / "openkls.toml", 2, Level.DEBUG, Format.JSON)
    command = one._command
    assert command[command.index("--log-level") + 1] == "debug"
    assert command[command.index("--log-format") + 1] == "json"
