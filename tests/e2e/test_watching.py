"""A real service as an operator watches it: metrics of a stream, health, logs as JSON, levels on SIGHUP."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support_meters import value
from support_service import RunningService, make_clip, pushing, until

pytestmark = pytest.mark.e2e

MORE = """
[metrics]
token = "a-token-of-24-characters"
per_stream = 1
[log]
format = "json"
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=20)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    service = RunningService(tmp_path, MORE)
    service.start()
    yield service
    service.end()


def get(service: RunningService, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"{service.endpoint}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def metrics(service: RunningService) -> Any:
    status, body = get(service, "/metrics")
    assert status == 200
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def lines(service: RunningService) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]


def test_a_stream_is_seen_in_the_metrics_and_its_end_by_its_code(service: RunningService, clip: Path) -> None:
    with (
        pushing(clip, service.push_url("watched")),
        urllib.request.urlopen(until(lambda: _playable(service, "watched"), 15), timeout=15) as viewer,
    ):
        viewer.read(10_000)

        def is_measured() -> bool:
            found = metrics(service)
            if value(found, "openkls_streams") != 1 or "openkls_stream_frames_per_second" not in found:
                return False
            fps = value(found, "openkls_stream_frames_per_second", stream="watched")
            return 20 <= fps <= 30 and value(found, "openkls_sent_bytes_total", protocol="http+flv") > 10_000

        until(is_measured, 20, 0.5)
        found = metrics(service)
        assert value(found, "openkls_viewers", protocol="http+flv") == 1
        assert value(found, "openkls_received_bytes_total", unique_name="demo", app="live") > 10_000
        assert value(found, "openkls_publishes_admitted_total") == 1
        service.call("ForbidStream", Pubdomain="push.demo.local", Stream="watched")
        until(lambda: "openkls_publishes_ended" in metrics(service), 10, 0.5)
    found = until(lambda: _ended(service), 10, 0.5)
    assert value(found, "openkls_publishes_ended_total", code="423", reason="forbidden") == 1
    assert value(found, "openkls_api_calls_total", action="ForbidStream", outcome="0") == 1
    assert value(found, "openkls_bans") == 1


def _ended(service: RunningService) -> Any:
    found = metrics(service)
    return found if value(found, "openkls_streams") == 0 else None


def _playable(service: RunningService, stream: str) -> str | None:
    with urllib.request.urlopen(f"{service.endpoint}/metrics", timeout=10) as answer:
        return service.flv_url(stream) if b'openkls_stream_viewers{app="live"' in answer.read() else None


def test_health_is_told_while_it_runs_and_until_it_stops(service: RunningService) -> None:
    assert get(service, "/healthz") == (200, b"ok\n")
    status, body = get(service, "/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True, "service": "ok", "store": "ok", "cluster": "none"})
    with socket.create_connection(("127.0.0.1", service.api_port), 10) as kept:
        kept.sendall(b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        assert service.stop() == 0


def test_logs_are_json_with_a_line_for_each_call_and_no_secret(service: RunningService) -> None:
    service.call("CheckBlacklist", Pubdomain="push.demo.local", Stream="s1")
    calls = until(lambda: [line for line in lines(service) if line["logger"] == "openkls.access"])
    assert {key: calls[0][key] for key in ("client", "action", "status", "code", "level")} == {
        "client": "127.0.0.1",
        "action": "CheckBlacklist",
        "status": 200,
        "code": "0",
        "level": "info",
    }
    assert service.stop() == 0
    text = service.log.read_text()
    assert "Signature" not in text
    assert "a-token-of" not in text
    assert not [line for line in lines(service) if line["level"] in ("error", "critical")]


def test_hangup_takes_up_levels_and_the_access_log(service: RunningService) -> None:
    assert service.process is not None
    config = service.config.read_text()
    service.config.write_text(
        config.replace('format = "json"', 'format = "json"\naccess = false\nlevels = { "openkls.api" = "debug" }')
    )
    os.kill(service.process.pid, signal.SIGHUP)
    until(lambda: [line for line in lines(service) if "is taken up" in line["message"]])
    assert not [line for line in lines(service) if "until a restart" in line["message"]]
    # A RetCode is told at debug.
    with pytest.raises(Exception, match="4000"):
        service.call("CheckBlacklist", Pubdomain="push.nobody.local", Stream="s1")
    (line,) = until(lambda: [line for line in lines(service) if line["level"] == "debug"])
    assert (line["logger"], bool(line["request_id"])) == ("openkls.api", True)
    assert not [line for line in lines(service) if line["logger"] == "openkls.access"]


def test_a_reader_of_the_log_that_hangs_does_not_stop_the_service(tmp_path: Path) -> None:
    service = RunningService(tmp_path, MORE)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)  # until it is full
    except BlockingIOError:
        os.set_blocking(writing, True)
    command = [sys.executable, "-m", "openkls", "serve", "--config", str(service.config)]
    service.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=writing, cwd=tmp_path)
    try:
        until(lambda: _lives(service), 30)
        for _ in range(50):
            assert get(service, "/?Action=X")[0] == 400
        assert get(service, "/healthz")[0] == 200
    finally:
        service.end()
        os.close(reading)
        os.close(writing)


def _lives(service: RunningService) -> bool:
    with contextlib.suppress(OSError):
        return get(service, "/healthz")[0] == 200
    return False
