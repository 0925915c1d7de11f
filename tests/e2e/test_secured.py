"""HTTPS and a customer's own server, on the real service as a process."""

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support_service import RunningService, pushing, until
from tools.ports import free_ports

pytestmark = pytest.mark.e2e

DOOR = """
[[account.space.publish_domain]]
name = "ext.demo.local"
auth = "external"
external_url = "http://127.0.0.1:{port}/may-publish?token=of-the-url"
external_private = true
keys = ["key-of-the-hook"]
"""


class Judge(ThreadingHTTPServer):
    """A customer's server that lets in whoever knows the word."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Judgement)
        self.asked: list[dict[str, Any]] = []


class _Judgement(BaseHTTPRequestHandler):
    server: Judge

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question)
        self.send_response(200 if "word=sesame" in question["PubParam"] else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def judge() -> Iterator[Judge]:
    with Judge() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def make_certificate(folder: Path, *more: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "openkls", "cert", "--out", str(folder), *more], check=True, capture_output=True
    )


@pytest.fixture
def secured(tmp_path: Path, judge: Judge) -> Iterator[tuple[RunningService, int]]:
    """A service with HTTPS and a guarded door, and its HTTPS port."""
    running = RunningService(tmp_path)
    (port,) = free_ports(1)
    make_certificate(tmp_path)
    tls = (
        f'[api]\ntls_listen = "127.0.0.1:{port}"\ntls_certificate = "{tmp_path}/openkls-cert.pem"\n'
        f'tls_key = "{tmp_path}/openkls-key.pem"'
    )
    text = running.config.read_text().replace("[api]", tls)
    head, mark, tail = text.partition("[[account.space.play_domain]]")
    running.config.write_text(head + DOOR.format(port=judge.server_address[1]) + mark + tail)
    running.start()
    try:
        yield running, port
    finally:
        running.end()


def presented(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def test_certificate_is_renewed_under_a_running_service(secured: tuple[RunningService, int]) -> None:
    service, port = secured
    trusted = service.folder / "openkls-cert.pem"
    assert _curl(port, trusted) == 0
    old = shutil.copy(trusted, service.folder / "old.pem")
    first = presented(port)
    make_certificate(service.folder, "--force")
    until(lambda: presented(port) != first, 15)
    assert _curl(port, trusted) == 0
    assert _curl(port, Path(old)) == 60, "curl's code for a certificate that is not trusted"
    with socket.create_connection(("127.0.0.1", port)) as silent:  # a handshake that does not begin
        assert service.stop() == 0
        assert silent.recv(1) == b""
    assert "Traceback" not in service.log.read_text()


def _curl(port: int, certificate: Path) -> int:
    url = f"https://localhost:{port}/"
    return subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "--cacert", str(certificate), "-o", "/dev/null", url],
        check=False,
        capture_output=True,
    ).returncode


def test_real_encoder_is_let_in_and_refused_by_the_customers_server(
    secured: tuple[RunningService, int], judge: Judge, clip: Path
) -> None:
    service, _ = secured

    def errors() -> list[dict[str, Any]]:
        rows = service.call("ListHistoryPubStreamsErrInfo", Pubdomain="ext.demo.local")["Result"]
        return [detail for row in rows for detail in row["Detail"]]

    with pushing(clip, service.push_url("s1?vhost=ext.demo.local&word=open")):
        (error, *_) = until(errors)
    assert (error["StatusCode"], error["StatusMessage"]) == (426, "Signature does not match!")
    with pushing(clip, service.push_url("s2?vhost=ext.demo.local&word=sesame")):
        streams = until(lambda: service.call("ListRealtimeStreamsInfo", Type="push")["Streams"])
    assert [row["Stream"] for row in streams] == ["s2"]
    first = judge.asked[0]
    assert (first["UniqueName"], first["App"], first["Pubdomain"]) == ("demo", "live", "ext.demo.local")
    assert (first["Stream"], first["ClientIp"]) == ("s1", "127.0.0.1")
    assert service.stop() == 0
    log = service.log.read_text()
    assert "426, the external server refused it" in log
    assert "word=" not in log
    assert "of-the-url" not in log
    assert "key-of-the-hook" not in log
