"""All nine actions by any one client, beside a real encoder and a real viewer.

Rule: the client is a function from an action and its parameters to the whole answer; what it is given back is judged
against the model and against what is pushed.
"""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openkls import model
from support_service import RunningService, pushing, until

NAMES = {"UniqueName": "demo", "App": "live"}
PUBDOMAIN = "push.demo.local"
STREAM = "大厅-1"  # names are Unicode, and signed as such
# The documented rate of the lists is 50 calls a minute.
POLL_SECONDS = 0.5
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

        def watched() -> dict[str, Any]:
            streams = good("ListRealtimeStreamsInfo", Stream=STREAM)["Streams"]
            return dict(streams[0]) if streams and streams[0]["Acodec"] else {}  # its first media has been read

        live = until(watched, 20, POLL_SECONDS)
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
    errors = until(
        lambda: _when(good("ListHistoryPubStreamsErrInfo", **one), lambda data: data["Total"] == 2), 10, POLL_SECONDS
    )
    assert [detail["StatusCode"] for detail in errors["Result"][0]["Detail"]] == [423, 423]
    history = good("ListHistoryPubStreamsInfo", **one)
    assert history["Total"] == 1
    assert history["Result"][0]["Detail"][0]["StatusMessage"] == "Forbidden by blacklist!"
    good("ResumeStream", **one)
    assert good("GetBlacklist", **door)["Total"] == 0
    with pushing(clip, service.push_url(STREAM)):
        until(lambda: good("ListRealtimePubStreamsInfo", **one)["Total"] == 1, 10, POLL_SECONDS)


def snake(action: str) -> str:
    """An action's name as botocore and what is made of it write it."""
    return re.sub("(?<!^)(?=[A-Z])", "_", action).lower()


@contextlib.contextmanager
def program(
    path: Path, *arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Call]:
    """An application in a process of its own: a line with a JSON array of action and parameters for each answer."""
    with subprocess.Popen(
        [sys.executable, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=cwd,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines, answers = process.stdin, process.stdout

        def call(action: str, **parameters: object) -> dict[str, Any]:
            print(json.dumps([action, parameters]), file=lines, flush=True)
            line = answers.readline()
            assert line, f"{path.name} ended at {action} with {process.wait(10)}"
            answer: dict[str, Any] = json.loads(line)
            return answer

        try:
            yield call
        finally:
            process.kill()


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
