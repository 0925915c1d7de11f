"""RequestId: one on every answer, and the same in every log line that its request caused."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from openkls.api import listener, wire
from openkls.cli.logs import LineFormatter
from openkls.codec.sigv4 import encode_query
from openkls.domain.errors import StoreTimeout, StoreUnavailable
from support_api import Encoder, Site, request_bytes

KEY = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
CHECK = "/?" + encode_query([("Action", "CheckBlacklist"), ("Version", "2017-01-01"), *KEY.items()])
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
HEAD = b" HTTP/1.1\r\nHost: h\r\n"

RAW = {
    "no signature": b"GET /" + HEAD + b"\r\n",
    "as JSON": b"GET /" + HEAD + b"Accept: application/json\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\r\n\r\n",
    "two lengths": b"POST /" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "too many headers": b"GET /" + HEAD + b"X-A: b\r\n" * listener.HEADERS_LIMIT + b"\r\n",
    "long target": b"GET /" + b"a" * wire.TARGET_LIMIT_BYTES + HEAD + b"\r\n",
    "long header": b"GET /" + HEAD + b"X-A: " + b"a" * (listener.HEADER_LIMIT_BYTES + 1) + b"\r\n\r\n",
    "large body": b"POST /" + HEAD + b"Content-Length: 1000000000\r\n\r\n",
    "unknown method": b"BREW /" + HEAD + b"\r\n",
}


@pytest.mark.parametrize("name", RAW)
async def test_refused_request_has_an_id_of_its_own(site: Site, name: str) -> None:
    first, second = await site.send_raw(RAW[name]), await site.send_raw(RAW[name])
    assert first.status in (400, 413)
    ids = [reply.headers["x-amzn-requestid"] for reply in (first, second)]
    assert all(UUID4.fullmatch(each) for each in ids)
    assert ids[0] != ids[1]
    assert not first.body or ids[0].encode() in first.body


@pytest.mark.parametrize(("stream", "code"), [("s1", 0), ("s/1", 1004)])
async def test_answer_of_an_action_has_its_id_in_body_and_header(site: Site, stream: str, code: int) -> None:
    reply = await site.call("CheckBlacklist", **(KEY | {"Stream": stream}))
    assert reply.data["RetCode"] == code
    assert reply.json["RequestId"] == reply.headers["x-amzn-requestid"]


async def test_head_request_has_one_though_it_has_no_body(site: Site) -> None:
    answer = request_bytes(site.signed("HEAD", CHECK, headers=[("Connection", "close")]))
    reply_head = await _whole(site, answer)
    assert re.search(rb"x-amzn-RequestId: [0-9a-f-]{36}\r\n", reply_head)


async def _whole(site: Site, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(data)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The service's own log, as its lines are written."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(LineFormatter())
    ours = logging.getLogger("openkls")
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    yield out
    ours.removeHandler(handler)
    ours.setLevel(level)


def lines(log: io.StringIO) -> list[str]:
    """Without tracebacks, which are indented."""
    return [line for line in log.getvalue().splitlines() if not line.startswith("    ")]


@pytest.mark.parametrize("fault", [StoreTimeout("late"), StoreUnavailable("gone"), KeyError("a bug")])
async def test_line_of_a_failed_request_has_the_answers_id(site: Site, log: io.StringIO, fault: Exception) -> None:
    site.history.down = fault
    reply = await site.call("ListHistoryPubStreamsInfo", UniqueName="demo", App="live", Pubdomain="push.demo.local")
    assert reply.status == 500
    found = lines(log)
    assert found
    assert all(json.loads(reply.body)["RequestId"] in line for line in found)


async def test_line_written_far_below_the_api_has_the_id_too(site: Site, log: io.StringIO) -> None:
    site.publish("s1", encoder=Encoder(RuntimeError("no such connection")))
    reply = await site.call("ForbidStream", **KEY)
    assert reply.data["RetCode"] == 8501
    (kick,) = [line for line in lines(log) if "openkls.control.forbid" in line]
    assert f"request {reply.json['RequestId']}: session " in kick


async def test_requests_of_one_connection_do_not_share_an_id(site: Site, log: io.StringIO) -> None:
    site.history.down = StoreUnavailable("gone")
    query = encode_query([("Action", "ListHistoryPubStreamsInfo"), ("Version", "2017-01-01"), *KEY.items()])
    request = request_bytes(site.signed("GET", f"/?{query}"))
    last = request_bytes(site.signed("GET", f"/?{query}", headers=[("Connection", "close")]))
    answers = await _whole(site, request * 2 + last)
    said = re.findall(rb"x-amzn-RequestId: ([0-9a-f-]{36})", answers)
    assert len(set(said)) == 3
    warned = [line for line in lines(log) if "unavailable" in line]
    assert [number for line in warned for number in UUID4.findall(line)] == [each.decode() for each in said]
