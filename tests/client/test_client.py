"""The client against a played service: what it sends, and what it makes of answers."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from openkls.client import Client, KlsError, NoAnswer, UsageError, sync
from openkls.codec import sigv4

ACCESS_KEY = "AKCLIENT"
SECRET_KEY = "client-secret"
SUCCESS = {"Data": {"RetCode": 0, "RetMsg": "success", "Total": 0}, "RequestId": "r-1"}


@dataclass
class Stage:
    """What the played service answers, and the requests it got."""

    status: int = 200
    body: bytes = json.dumps(SUCCESS).encode()
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[sigv4.SignedRequest] = field(default_factory=list)
    endpoint: str = ""


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = list(self.headers.items())
            stage.requests.append(sigv4.SignedRequest(self.command, target.path, target.query, headers, body))
            self.send_response(stage.status)
            for name, value in {"Content-Length": str(len(stage.body)), **stage.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(stage.body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        stage.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield stage
        server.shutdown()
        thread.join()


def call(stage: Stage, action: str = "GetBlacklist", **parameters: object) -> dict[str, Any]:
    with Client(stage.endpoint, ACCESS_KEY, SECRET_KEY, retries=0) as api:
        return api.call(action, parameters)


def failure(stage: Stage, **parameters: object) -> KlsError:
    with pytest.raises(KlsError) as caught:
        call(stage, **parameters)
    return caught.value


def test_a_call_gives_the_data(stage: Stage) -> None:
    assert call(stage) == SUCCESS["Data"]


def test_a_get_action_sends_its_parameters_in_the_query_and_verifies(stage: Stage) -> None:
    call(stage, "GetBlacklist", UniqueName="demo", App="a b+c/大", Pubdomain=None)
    (request,) = stage.requests
    assert request.method == "GET"
    assert parse_qsl(request.query) == [
        ("Action", "GetBlacklist"),
        ("App", "a b+c/大"),
        ("UniqueName", "demo"),
        ("Version", "2017-01-01"),
    ]
    assert request.body == b""
    assert sigv4.verify(request, sigv4.read_claim(request), SECRET_KEY)


def test_a_post_action_sends_its_parameters_as_json_and_verifies(stage: Stage) -> None:
    call(stage, "ForbidStream", Stream="大厅", ForbidTillUnixTime=-1)
    (request,) = stage.requests
    assert request.method == "POST"
    assert json.loads(request.body) == {"Stream": "大厅", "ForbidTillUnixTime": -1}
    assert dict(parse_qsl(request.query)) == {"Action": "ForbidStream", "Version": "2017-01-01"}
    assert sigv4.verify(request, sigv4.read_claim(request), SECRET_KEY)
    assert not sigv4.verify(request, sigv4.read_claim(request), "another secret")


def test_the_region_is_signed_for(stage: Stage) -> None:
    with Client(stage.endpoint, ACCESS_KEY, SECRET_KEY, region="cn-shanghai-3") as api:
        api.call("GetBlacklist", {})
    assert sigv4.read_claim(stage.requests[0]).authorization.region == "cn-shanghai-3"


def test_an_unknown_action_is_refused_before_it_is_sent(stage: Stage) -> None:
    with pytest.raises(UsageError, match="ForbidStream"):
        call(stage, "ForbidStrem")


def test_a_business_failure_has_its_ret_code(stage: Stage) -> None:
    stage.body = json.dumps({"Data": {"RetCode": 8201, "RetMsg": "not there"}, "RequestId": "r-2"}).encode()
    failed = failure(stage)
    assert (failed.status, failed.ret_code, failed.message, failed.request_id) == (200, 8201, "not there", "r-2")
    assert str(failed) == "RetCode 8201: not there (request r-2)"


def test_a_gateway_failure_has_its_code(stage: Stage) -> None:
    error = {"Type": "Sender", "Code": "SignatureNotMatch", "Message": "no match"}
    stage.status, stage.body = 403, json.dumps({"RequestId": "r-3", "Error": error}).encode()
    failed = failure(stage)
    assert (failed.status, failed.ret_code, failed.code, failed.request_id) == (403, None, "SignatureNotMatch", "r-3")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"Data": {}}', b'{"Data": []}', b"\xff"])
def test_what_is_in_no_envelope_is_no_answer(stage: Stage, body: bytes) -> None:
    stage.body = body
    assert isinstance(failure(stage), NoAnswer)


def test_an_answer_at_its_limit_is_read_and_one_beyond_is_not(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "ANSWER_BYTES_MAX", len(stage.body))
    assert call(stage)["RetCode"] == 0
    monkeypatch.setattr(sync, "ANSWER_BYTES_MAX", len(stage.body) - 1)
    assert "more than" in failure(stage).message


def test_a_service_that_is_not_there_is_no_answer(stage: Stage) -> None:
    stage.endpoint = "http://127.0.0.1:1"
    failed = failure(stage)
    assert isinstance(failed, NoAnswer)
    assert "cannot be reached" in failed.message


def test_a_service_that_is_silent_is_given_up(stage: Stage) -> None:
    stage.headers = {"Content-Length": str(len(stage.body) + 1)}  # and nothing follows
    with Client(stage.endpoint, ACCESS_KEY, SECRET_KEY, timeout_seconds=0.2, retries=0) as api, pytest.raises(NoAnswer):
        api.call("GetBlacklist", {})


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:8080", "ftp://h", "http://", "http://h:x", "http://u@h", "http://h/?a"]
)
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="endpoint"):
        Client(endpoint, ACCESS_KEY, SECRET_KEY)


@pytest.mark.parametrize(("access_key", "secret_key"), [("", "s"), ("a", "")])
def test_half_a_key_pair_is_refused(access_key: str, secret_key: str) -> None:
    with pytest.raises(UsageError, match="secret key"):
        Client("http://h", access_key, secret_key)
