"""The console's server side in the real service: login, a ban, events, and an end that does not wait for pages."""

import http.client
import json
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support_service import ACCESS_KEY, ACCOUNT, SECRET_KEY, RunningService, pushing, until

pytestmark = pytest.mark.e2e
BAN = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}


class Page:
    """A logged-in page."""

    def __init__(self, service: RunningService) -> None:
        self.authority = f"127.0.0.1:{service.api_port}"
        self.headers = {"Origin": f"http://{self.authority}", "Content-Type": "application/json"}
        status, headers, answer = self.ask("POST", "/session", {"AccessKey": ACCESS_KEY, "SecretKey": SECRET_KEY})
        assert status == 200, answer
        self.token = headers["Set-Cookie"].partition(";")[0].partition("=")[2]
        self.headers |= {"Cookie": headers["Set-Cookie"].partition(";")[0], "X-CSRF-Token": answer["CsrfToken"]}
        self.session = answer

    def ask(self, method: str, target: str, body: Any = None) -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection(self.authority, timeout=10)
        try:
            content = b"" if body is None else json.dumps(body).encode()
            connection.request(method, f"/console{target}", content, self.headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
        finally:
            connection.close()

    def call(self, action: str, version: str = "2017-01-01", **parameters: Any) -> Any:
        status, _, answer = self.ask("POST", f"/call?Action={action}&Version={version}", parameters)
        assert status == 200, answer
        return answer["Data"]

    @contextmanager
    def events(self) -> Iterator[Iterator[tuple[str, Any]]]:
        connection = http.client.HTTPConnection(self.authority, timeout=10)
        connection.request("GET", "/console/events", headers=self.headers)
        answer = connection.getresponse()
        assert answer.status == 200

        def told() -> Iterator[tuple[str, Any]]:
            kind = ""
            for line in answer:
                if line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    yield kind, json.loads(line[6:])

        try:
            yield told()
        finally:
            connection.close()


def test_page_is_told_of_a_real_stream_and_bans_it(service: RunningService, clip: Path) -> None:
    page = Page(service)
    assert page.session["AccountId"] == ACCOUNT
    with pushing(clip, service.push_url("s1")) as encoder, page.events() as told:
        rows = next(data["Streams"] for kind, data in told if kind == "streams" and data["Streams"])
        assert [(row["Stream"], row["Pubdomain"]) for row in rows] == [("s1", "push.demo.local")]
        totals = next(data for kind, data in told if kind == "totals" and data["BwReal"])
        assert totals["Streams"] == 1
        assert page.call("ForbidStream", **BAN)["RetCode"] == 0
        assert until(lambda: encoder.poll() is not None)
        assert next(data for kind, data in told if kind == "streams" and not data["Streams"])["Count"] == 0
    assert [row["Stream"] for row in page.call("GetBlacklist", **BAN)["Recs"]] == ["s1"]
    status, _, shown = page.ask("POST", "/explain?Action=CheckBlacklist&Version=2017-01-01&Method=GET", BAN)
    assert status == 200
    with urllib.request.urlopen(urllib.request.Request(shown["Url"], headers=shown["Headers"]), timeout=10) as answer:
        assert json.load(answer)["Data"]["CheckResult"] == 1


def test_service_ends_in_its_time_while_pages_are_open_and_tells_them(service: RunningService) -> None:
    page = Page(service)
    with page.events() as first, page.events() as second:
        next(first), next(second)
        assert service.process is not None
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert [data for kind, data in first if kind == "end"] == [{"Code": "ServiceStopping"}]
        assert [data for kind, data in second if kind == "end"] == [{"Code": "ServiceStopping"}]
        assert service.process.wait(15) == 0
        assert time.monotonic() - began < 10


def test_page_that_does_not_read_does_not_hold_the_end_up(service: RunningService) -> None:
    page = Page(service)
    connection = socket.create_connection(("127.0.0.1", service.api_port))
    connection.sendall(
        f"GET /console/events HTTP/1.1\r\nHost: {page.authority}\r\nCookie: {page.headers['Cookie']}\r\n\r\n".encode()
    )
    assert until(lambda: connection.recv(64, socket.MSG_PEEK))
    assert service.stop() == 0
    connection.close()


def test_log_has_neither_secret_nor_token(service: RunningService) -> None:
    page = Page(service)
    page.call("GetBlacklist", **BAN)
    page.ask("POST", "/session", {"AccessKey": ACCESS_KEY, "SecretKey": "a-wrong-secret"})
    page.ask("GET", f"/session?token={page.token}")
    page.ask("DELETE", "/session")
    assert service.stop() == 0
    text = service.log.read_text()
    assert f"key {ACCESS_KEY} logged in to the console from 127.0.0.1" in text
    for secret in (SECRET_KEY, page.token, page.session["CsrfToken"], "a-wrong-secret"):
        assert secret not in text


def test_play_port_answers_the_pages_of_the_console(service: RunningService) -> None:
    for target in ("/live/s1.flv", "/live/s1.m3u8", "/live/s1.flv?type=video"):
        connection = http.client.HTTPConnection("127.0.0.1", service.play_port, timeout=15)
        connection.request("GET", target, headers={"Origin": f"http://127.0.0.1:{service.api_port}"})
        assert connection.getresponse().headers["Access-Control-Allow-Origin"] == "*"
        connection.close()


def test_without_the_console_its_path_is_the_apis(tmp_path: Path) -> None:
    service = RunningService(tmp_path, "\n[console]\nenabled = false\n")
    service.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", service.api_port, timeout=10)
        connection.request("GET", "/console/")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "MissingAccesskey")
        connection.close()
    finally:
        service.end()
