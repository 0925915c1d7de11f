"""The clients people have, unmodified, against the real service with a real encoder pushing.

Each client calls all nine actions; what it is given back is judged against the model and against what is pushed.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from openkls import model
from support_service import ACCESS_KEY, SECRET_KEY, RunningService, pushing, until

pytestmark = pytest.mark.e2e

NAMES = {"UniqueName": "demo", "App": "live"}
PUBDOMAIN = "push.demo.local"
STREAM = "大厅-1"  # names are Unicode, and signed as such
Call = Callable[..., dict[str, Any]]


def run_all_nine(call: Call, service: RunningService, clip: Path) -> None:
    """``call(action, **parameters)`` gives the whole answer."""

    def good(action: str, **parameters: object) -> dict[str, Any]:
        answer = call(action, **NAMES, **parameters)
        assert answer["Data"]["RetCode"] == 0, answer
        assert model.conforms(action, {"Data": answer["Data"], "RequestId": answer["RequestId"]}) == []
        return dict(answer["Data"])

    door = {"Pubdomain": PUBDOMAIN}
    one = {**door, "Stream": STREAM}
    today = int(time.time())
    with pushing(clip, service.push_url(STREAM)) as encoder, _Viewer(service, STREAM):
        live = until(lambda: good("ListRealtimeStreamsInfo", Stream=STREAM)["Streams"], 20)[0]
        assert (live["Stream"], live["OnlineUser"], live["Vcodec"], live["Acodec"]) == (STREAM, 1, "h264", "aac")
        assert live["Pulls"][0]["Stream"] == STREAM
        pushed = good("ListRealtimePubStreamsInfo", **one)
        assert (pushed["Count"], pushed["Total"], pushed["Result"][0]["Width"]) == (1, 1, "640")
        assert good("ListHistoryPubStreamsInfo", **one)["Count"] == 0  # a live one is not history
        assert good("ListStreamDurations", **one, StartUnixTime=today, EndUnixTime=today + 86400)["Count"] == 1
        assert good("CheckBlacklist", **one)["CheckResult"] == 0
        good("ForbidStream", **one, ForbidTillUnixTime=-1)
        assert encoder.wait(10) != 0
    assert good("CheckBlacklist", **one)["CheckResult"] == 1
    assert good("GetBlacklist", **door)["Recs"][0]["ForbidTillUnixTime"] == -1
    with pushing(clip, service.push_url(STREAM)) as encoder:
        assert encoder.wait(10) != 0  # refused
    errors = until(lambda: _when(good("ListHistoryPubStreamsErrInfo", **one), lambda data: data["Total"] == 2))
    assert [detail["StatusCode"] for detail in errors["Result"][0]["Detail"]] == [423, 423]
    history = good("ListHistoryPubStreamsInfo", **one)
    assert history["Total"] == 1
    assert history["Result"][0]["Detail"][0]["StatusMessage"] == "Forbidden by blacklist!"
    good("ResumeStream", **one)
    assert good("GetBlacklist", **door)["Total"] == 0
    with pushing(clip, service.push_url(STREAM)):
        until(lambda: good("ListRealtimePubStreamsInfo", **one)["Total"] == 1)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the SDK imports cgi, which Python 3.13 no longer has")
def test_ksc_sdk_python_unmodified_calls_all_nine(service: RunningService, clip: Path) -> None:
    program = Path(__file__).with_name("ksc_sdk_program.py")
    command = [sys.executable, str(program), service.endpoint, ACCESS_KEY, SECRET_KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines, answers = process.stdin, process.stdout

        def call(action: str, **parameters: object) -> dict[str, Any]:
            print(json.dumps([_snake(action), parameters]), file=lines, flush=True)
            answer: dict[str, Any] = json.loads(answers.readline())
            return answer

        try:
            run_all_nine(call, service, clip)
        finally:
            process.kill()


def test_botocore_with_our_model_calls_all_nine(service: RunningService, clip: Path, tmp_path: Path) -> None:
    import botocore.session

    folder = tmp_path / "models" / "kls" / "2017-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_bytes(model.source())
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.append(str(tmp_path / "models"))
    client = session.create_client(
        "kls",
        "cn-beijing-6",
        endpoint_url=service.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )

    def call(action: str, **parameters: object) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, _snake(action))(**parameters)
        return answer

    run_all_nine(call, service, clip)


def test_curl_aws_sigv4_calls_all_nine(service: RunningService, clip: Path) -> None:
    curl = shutil.which("curl")
    assert curl, "curl is missing; .ci/run installs it"

    def call(action: str, **parameters: object) -> dict[str, Any]:
        operation = model.load().operations[action]
        command = [curl, "--silent", "--show-error", "--max-time", "10", "--aws-sigv4", "aws:amz:cn-beijing-6:kls"]
        command += ["--user", f"{ACCESS_KEY}:{SECRET_KEY}", "--header", "Accept: application/json"]
        target = f"{service.endpoint}/?Action={action}&Version=2017-01-01"
        if operation.method == "GET":
            command += ["--get"]
            for name, value in parameters.items():
                command += ["--data-urlencode", f"{name}={value}"]
        else:
            command += ["--header", "Content-Type: application/json", "--data-binary", json.dumps(parameters)]
        done = subprocess.run([*command, target], capture_output=True, timeout=15, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    run_all_nine(call, service, clip)


def _snake(action: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in action).lstrip("_")


def _when(data: dict[str, Any], fact: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    return data if fact(data) else None


class _Viewer:
    """One HTTP-FLV viewer that is there as soon as the stream is, and reads."""

    def __init__(self, service: RunningService, stream: str) -> None:
        self._service = service
        self._stream = stream
        self._socket: socket.socket | None = None

    def __enter__(self) -> None:
        self._socket = until(self._join, 20)

    def __exit__(self, *_: object) -> None:
        assert self._socket is not None
        self._socket.close()

    def _join(self) -> socket.socket | None:
        joined = socket.create_connection(("127.0.0.1", self._service.play_port), 5)
        path = self._service.flv_url(self._stream).partition("/live/")[2]
        joined.sendall(f"GET /live/{quote(path)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        if joined.recv(4096).startswith(b"HTTP/1.1 200"):
            return joined
        joined.close()
        return None
