"""Stock botocore loads the model file as it is shipped, sends each action by it and reads the answers.

Rule: the peer is a server on the loopback that records the request and answers what the test put there; nothing of
OpenKLS but the model takes part.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.loaders import Loader
from botocore.session import Session

from openkls.model import coerce, load, source
from openkls.model.reference import example

TIMEOUT_SECONDS = 10

PUSH = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
WINDOW = {"StartUnixTime": 1753056000, "EndUnixTime": 1753228800}
CALLS: dict[str, dict[str, Any]] = {
    "ListRealtimeStreamsInfo": {"UniqueName": "demo", "App": "live", "PullProtocol": "http+flv", "Type": "push"},
    "ListRealtimePubStreamsInfo": PUSH | {"Stream": "直播~1", "OrderTime": 1, "Marker": 2, "Limit": 10},
    "ListHistoryPubStreamsInfo": PUSH | WINDOW,
    "ListHistoryPubStreamsErrInfo": PUSH | WINDOW | {"Limit": 0},
    "ListStreamDurations": PUSH | WINDOW,
    "ForbidStream": PUSH | {"Stream": "s222", "ForbidTillUnixTime": -1},
    "ResumeStream": PUSH | {"Stream": "s222"},
    "GetBlacklist": PUSH,
    "CheckBlacklist": PUSH | {"Stream": "s222"},
}


@dataclass
class Exchange:
    """What the next answer shall be, and what the last request was."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    method: str = ""
    target: str = ""
    sent: bytes = b""
    sent_headers: dict[str, str] = field(default_factory=dict)


class Peer(HTTPServer):
    exchange: Exchange
    timeout = TIMEOUT_SECONDS


class Answer(BaseHTTPRequestHandler):
    timeout = TIMEOUT_SECONDS
    server: Peer

    def do_GET(self) -> None:
        exchange = self.server.exchange
        exchange.method, exchange.target = self.command, self.path
        exchange.sent_headers = {name.lower(): value for name, value in self.headers.items()}
        exchange.sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(exchange.status)
        for name, value in exchange.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(exchange.body)))
        self.end_headers()
        self.wfile.write(exchange.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is its verdict."""


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(("127.0.0.1", 0), Answer) as server:
        server.exchange = Exchange()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("models")
    folder: Path = root / "kls" / "2017-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_bytes(source())
    return str(root)


@pytest.fixture
def client(peer: Peer, data_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    session = Session()
    session.register_component("data_loader", Loader(extra_search_paths=[data_path]))
    made = session.create_client(
        "kls",
        region_name="cn-beijing-6",
        endpoint_url=f"http://127.0.0.1:{peer.server_port}",
        aws_access_key_id="AKTEST",
        aws_secret_access_key="secret",
        config=Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
            parameter_validation=True,
        ),
    )
    yield made
    made.close()


def call(client: Any, action: str) -> Any:
    method = next(name for name, known in client.meta.method_to_api_mapping.items() if known == action)
    return getattr(client, method)(**CALLS[action])


def test_loader_finds_the_model_and_the_client_has_the_nine_actions(client: Any) -> None:
    assert set(client.meta.method_to_api_mapping.values()) == set(CALLS)
    assert client.meta.service_model.api_version == "2017-01-01"


@pytest.mark.parametrize("action", CALLS)
def test_request_has_documented_method_query_and_body(client: Any, peer: Peer, action: str) -> None:
    operation = load().operations[action]
    peer.exchange.body = json.dumps(example(operation.output)).encode()
    call(client, action)
    target = urlsplit(peer.exchange.target)
    query = dict(parse_qsl(target.query, strict_parsing=True))
    assert (peer.exchange.method, target.path) == (operation.method, "/")
    assert (query.pop("Action"), query.pop("Version")) == (action, "2017-01-01")
    if operation.method == "GET":
        assert query == {name: str(value) for name, value in CALLS[action].items()}
        assert peer.exchange.sent == b""
        received: dict[str, Any] = dict(query)
    else:
        assert query == {}
        assert peer.exchange.sent_headers["content-type"] == "application/json"
        received = json.loads(peer.exchange.sent)
        assert received == CALLS[action]
    assert coerce(action, received) == coerce(action, CALLS[action])
    assert isinstance(coerce(action, received), dict)


@pytest.mark.parametrize("action", CALLS)
def test_request_is_signed_for_the_contract_region_and_service(client: Any, peer: Peer, action: str) -> None:
    peer.exchange.body = json.dumps(example(load().operations[action].output)).encode()
    call(client, action)
    authorization = peer.exchange.sent_headers["authorization"]
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKTEST/")
    assert "/cn-beijing-6/kls/aws4_request, SignedHeaders=" in authorization


@pytest.mark.parametrize("action", CALLS)
def test_answer_is_read_in_full(client: Any, peer: Peer, action: str) -> None:
    answer = example(load().operations[action].output)
    peer.exchange.body = json.dumps(answer).encode()
    peer.exchange.headers = {"Content-Type": "application/json", "x-amzn-RequestId": answer["RequestId"]}
    parsed = call(client, action)
    assert parsed["ResponseMetadata"].pop("RequestId") == answer["RequestId"]
    del parsed["ResponseMetadata"]
    assert parsed == answer


@pytest.mark.parametrize("action", CALLS)
def test_business_failure_is_read_as_an_answer(client: Any, peer: Peer, action: str) -> None:
    model = load()
    data = model.failure(model.operations[action], 6406)
    peer.exchange.body = json.dumps({"Data": data, "RequestId": "x"}).encode()
    parsed = call(client, action)
    assert parsed["Data"] == data


@pytest.mark.parametrize("name", [name for name, error in load().gateway_errors.items() if not error.reserved])
def test_xml_gateway_error_is_raised_with_its_code_and_status(client: Any, peer: Peer, name: str) -> None:
    error = load().gateway_errors[name]
    values = ["x"] * error.text.count("%s")
    peer.exchange.status = error.status
    peer.exchange.headers = {"Content-Type": "text/xml", "x-amzn-errortype": error.code, "x-amzn-RequestId": "id-1"}
    peer.exchange.body = (
        f"<ErrorResponse><RequestId>id-1</RequestId><Error><Type>{error.type}</Type><Code>{error.code}</Code>"
        f"<Message>{error.message(*values)}</Message></Error></ErrorResponse>"
    ).encode()
    with pytest.raises(ClientError) as raised:
        call(client, "ForbidStream")
    assert raised.value.response["Error"]["Code"] == error.code
    assert error.message(*values) in raised.value.response["Error"]["Message"]
    metadata = raised.value.response["ResponseMetadata"]
    assert (metadata["HTTPStatusCode"], metadata["RequestId"]) == (error.status, "id-1")
    assert type(raised.value) is client.exceptions.from_code(error.code)
    assert type(raised.value) is not ClientError


@pytest.mark.parametrize("action", CALLS)
def test_missing_mandatory_parameter_is_refused_before_sending(client: Any, peer: Peer, action: str) -> None:
    method = next(name for name, known in client.meta.method_to_api_mapping.items() if known == action)
    mandatory = {name for name, member in load().operations[action].input.members.items() if member.required}
    for name in mandatory:
        given = {key: value for key, value in CALLS[action].items() if key != name}
        with pytest.raises(ParamValidationError, match=f'Missing required parameter in input: "{name}"'):
            getattr(client, method)(**given)
    assert peer.exchange.method == ""
