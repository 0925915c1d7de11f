"""The commands against the real service: `call`, `publish`, `play`, `top`, `key`."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from openkls.cli.pace import read_tags
from openkls.client import Client, KlsError
from openkls.codec.flv import VIDEO
from support_service import ACCESS_KEY, RunningService, make_clip, until

pytestmark = pytest.mark.e2e

Run = Callable[..., Result]
ONE = ("UniqueName=demo", "App=live", "Pubdomain=push.demo.local")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=4)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service"))
    running.start()
    try:
        yield running
    finally:
        running.end()


@pytest.fixture(autouse=True)
def local(service: RunningService, folder: Path) -> None:
    """The service's configuration is that of the working directory."""
    (folder / "openkls.toml").write_text(service.config.read_text())


class Command:
    """`openkls ...` as a process that ends with the test."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENKLS_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openkls", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
            )

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


def is_live(service: RunningService, stream: str) -> bool:
    return bool(service.call("ListRealtimeStreamsInfo", Type="push", Stream=stream)["Streams"])


def test_call_prints_the_answer_and_ends_with_0(run: Run) -> None:
    result = run("call", "GetBlacklist", *ONE)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["Data"]["RetCode"] == 0


def test_call_raw_prints_the_bytes(run: Run) -> None:
    result = run("call", "GetBlacklist", *ONE, "--raw")
    assert result.exit_code == 0
    assert result.stdout.startswith('{"Data":{')


def test_call_ends_with_1_and_the_text_of_a_business_failure(run: Run) -> None:
    result = run("call", "ResumeStream", *ONE, "Stream=never-forbidden")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["Data"]["RetCode"] == 8201
    assert "RetCode 8201" in result.stderr


def test_call_ends_with_1_and_the_text_of_a_gateway_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENKLS_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("OPENKLS_SECRET_KEY", "wrong")
    result = run("call", "GetBlacklist", *ONE)
    assert result.exit_code == 1
    assert "SignatureNotMatch" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_made_key_signs_within_seconds_and_a_disabled_one_no_longer(run: Run, service: RunningService) -> None:
    made = run("key", "create")
    assert made.exit_code == 0
    pair = dict(line.split("=", 1) for line in made.stdout.splitlines())
    access_key, secret_key = pair["OPENKLS_ACCESS_KEY"], pair["OPENKLS_SECRET_KEY"]

    refused: set[str] = set()

    def signs() -> bool:
        with Client(service.endpoint, access_key, secret_key) as api:
            try:
                api.call("GetBlacklist", {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"})
            except KlsError as error:
                refused.add(error.code)
                return False
            return True

    until(signs, 10)
    listed = run("key", "list")
    assert access_key in listed.stdout
    assert ACCESS_KEY in listed.stdout
    assert secret_key not in listed.output
    assert run("key", "disable", access_key).exit_code == 0
    until(lambda: not signs(), 10)
    assert refused == {"InvalidAccesskey"}
    assert "disabled" in run("key", "list").stdout


def test_a_key_of_the_configuration_cannot_be_disabled(run: Run) -> None:
    result = run("key", "disable", ACCESS_KEY)
    assert result.exit_code == 2
    assert "in the configuration" in result.stderr


def test_an_unknown_key_cannot_be_disabled(run: Run) -> None:
    result = run("key", "disable", "AKNOBODY")
    assert result.exit_code == 1
    assert "no key AKNOBODY" in result.stderr


def test_a_key_for_an_unknown_account_is_not_made(run: Run) -> None:
    result = run("key", "create", "--account", "1")
    assert result.exit_code == 2
    assert "2000001" in result.stderr


def test_a_published_file_is_played_over_both_protocols(
    run: Run, service: RunningService, clip: Path, folder: Path
) -> None:
    with Command(folder, "publish", str(clip), service.push_url("both"), "--loop"):
        until(lambda: is_live(service, "both"), 20)
        for url, name in ((service.push_url("both"), "a.flv"), (service.flv_url("both"), "b.flv")):
            result = run("play", url, "--seconds", "2.5", "--output", name)
            assert result.exit_code == 0, result.output
            assert "h264 640x360 + aac 44100" in result.stdout
            assert "fps" in result.stdout
            assert sum(tag.type_id == VIDEO for tag in read_tags(folder / name)) > 25
        table = run("top", "--once")
        assert table.exit_code == 0
        assert "1 stream(s), 0 viewer(s)" in table.stdout
        assert "demo/live/both" in table.stdout
        assert "h264 640x360" in table.stdout


def test_a_file_is_published_to_its_end_faster_than_real_time(run: Run, service: RunningService, clip: Path) -> None:
    began = time.monotonic()
    result = run("publish", str(clip), service.push_url("fast"), "--speed", "4")
    assert result.exit_code == 0, result.output
    assert "Sent 0:00:0" in result.stdout
    assert 0.8 < time.monotonic() - began < 4
    until(lambda: not is_live(service, "fast"))


def test_a_second_publisher_of_a_name_is_refused_with_the_servers_text(
    run: Run, service: RunningService, clip: Path, folder: Path
) -> None:
    with Command(folder, "publish", str(clip), service.push_url("taken"), "--loop"):
        until(lambda: is_live(service, "taken"), 20)
        result = run("publish", str(clip), service.push_url("taken"))
    assert result.exit_code == 1
    assert "refused the stream: 422 Already exist stream!" in result.stderr


def test_a_cut_publisher_ends_with_the_servers_text(service: RunningService, clip: Path, folder: Path) -> None:
    with Command(folder, "publish", str(clip), service.push_url("cut"), "--loop") as publisher:
        until(lambda: is_live(service, "cut"), 20)
        service.call("ForbidStream", Pubdomain="push.demo.local", Stream="cut")
        assert publisher.process.wait(10) == 1
    assert "cut the stream: 423 Forbidden by blacklist!" in publisher.log.read_text()


def test_a_viewer_ends_with_the_stream(run: Run, service: RunningService, clip: Path, folder: Path) -> None:
    with Command(folder, "publish", str(clip), service.push_url("ending"), "--loop"):
        until(lambda: is_live(service, "ending"), 20)
        timer = threading.Timer(
            1.0, service.call, ("ForbidStream",), {"Pubdomain": "push.demo.local", "Stream": "ending"}
        )
        timer.start()
        result = run("play", service.flv_url("ending"))
        timer.join()
    assert result.exit_code == 0
    assert "The stream has ended" in result.stderr


@pytest.mark.parametrize("protocol", ["rtmp", "http"])
def test_a_stream_that_is_not_there_cannot_be_played(run: Run, service: RunningService, protocol: str) -> None:
    url = service.push_url("nothing") if protocol == "rtmp" else service.flv_url("nothing")
    result = run("play", url)
    assert result.exit_code == 1
    assert "such stream" in result.stderr.lower()


def test_a_push_signature_is_not_shown(run: Run, service: RunningService, clip: Path) -> None:
    url = service.push_url("signed") + "?vhost=md5.demo.local&t=1&k=0123456789abcdef"
    result = run("publish", str(clip), url)
    assert result.exit_code == 1
    assert "425" in result.stderr
    assert "0123456789abcdef" not in result.output
