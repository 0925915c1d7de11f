"""The HTTP front: limits, deadlines, what is no HTTP, and how it closes."""

import asyncio
import contextlib
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web

from openkls import config
from openkls.api import listener, pipeline, wire
from openkls.codec.sigv4 import encode_query
from openkls.control import ids
from openkls.domain.origin import AddressCap
from support_api import DEADLINE_SECONDS, Reply, Site, read_reply, request_bytes

KEY = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
CHECK = "/?" + encode_query([("Action", "CheckBlacklist"), ("Version", "2017-01-01"), *KEY.items()])
# Far above a scheduler's hiccup, far below the deadlines of the real thing.
SOON_SECONDS = 0.3


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "ANSWER_SECONDS", "CLOSE_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(listener, name, SOON_SECONDS)


@pytest.fixture(autouse=True)
def no_word_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def until(fact: Callable[[], object]) -> None:
    """Wait for a fact, DEADLINE_SECONDS at most."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not fact():  # noqa: ASYNC110 -- the facts asked for have no event
            await asyncio.sleep(0.01)


def outcomes(site: Site) -> Counter[str]:
    assert site.listener is not None
    return site.listener.outcomes


async def test_security_20_address_has_so_many_connections_and_not_one_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AddressCap, "is_exempt", lambda cap, address: False)
    site.cap.limit = 2
    held = [await asyncio.open_connection(*site.address) for _ in range(2)]
    await until(lambda: site.cap._counts == {"127.0.0.1": 2})
    reader, writer = await asyncio.open_connection(*site.address)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    assert site.cap.refused == 1
    for _, other in [*held, (reader, writer)]:
        other.close()
    await until(lambda: not site.cap._counts)
    assert (await site.send(site.signed("GET", CHECK))).data["RetCode"] == 0


async def drip(site: Site, data: bytes, first: bytes = b"", answered: bool = False) -> bytes:
    """Send ``first`` whole and take its answer, if it has one; then a byte now and then until the server closes:
    what it says to that."""
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(first)
    if answered:
        assert (await read_reply(reader)).status == 200

    async def feed() -> None:
        for index in range(len(data)):
            writer.write(data[index : index + 1])
            await writer.drain()
            await asyncio.sleep(0.01)

    feeding = asyncio.create_task(feed())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        writer.close()


# -- deadlines ----------------------------------------------------------------------------------------------------


SLOW_HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X-Pad: y\r\n" * 1000


@pytest.mark.usefixtures("hurried")
async def test_class_20_head_that_drips_is_cut(site: Site) -> None:
    assert await drip(site, SLOW_HEAD) == b""


@pytest.mark.usefixtures("hurried")
async def test_connection_that_says_nothing_is_cut(site: Site) -> None:
    assert await drip(site, b"") == b""


@pytest.mark.usefixtures("hurried")
async def test_head_that_drips_after_an_answer_is_cut(site: Site) -> None:
    assert await drip(site, SLOW_HEAD, first=request_bytes(site.signed("GET", CHECK)), answered=True) == b""


@pytest.mark.usefixtures("hurried")
async def test_class_20_body_that_drips_is_cut(site: Site) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"
    assert await drip(site, b"x" * 1000, first=head) == b""
    assert outcomes(site)[listener.TOO_LATE] == 1


@pytest.mark.usefixtures("hurried")
async def test_reader_that_does_not_read_a_long_answer_is_cut(site: Site) -> None:
    for number in range(3000):
        site.publish(f"{'s' * 200}{number}")
    request = site.signed(
        "GET", "/?Action=ListRealtimeStreamsInfo&Version=2017-01-01&UniqueName=demo&App=live&Type=push"
    )
    _, writer = await asyncio.open_connection(*site.address, limit=1024)
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    writer.write(request_bytes(request) * 8)
    await until(lambda: outcomes(site)[listener.TOO_LATE])
    writer.close()


async def test_long_answer_reaches_a_reader_whole(site: Site) -> None:
    for number in range(3000):
        site.publish(f"{'s' * 200}{number}")
    reply = await site.call("ListRealtimeStreamsInfo", UniqueName="demo", App="live", Type="push")
    assert reply.data["Count"] == 3000
    assert len(reply.body) > listener.ANSWER_WAITING_BYTES


async def test_client_that_leaves_within_its_body_is_forgotten(site: Site) -> None:
    _, writer = await asyncio.open_connection(*site.address)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
    await writer.drain()
    writer.close()
    await until(lambda: outcomes(site)[listener.GONE])


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("piece", [b"xyz\r\n", b"3\r\nabcdef\r\n"])
async def test_body_that_breaks_off_its_chunks_is_cut(site: Site, piece: bytes) -> None:
    reader, writer = await asyncio.open_connection(*site.address)
    async with asyncio.timeout(DEADLINE_SECONDS):
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert (await read_reply(reader)).status == 100
        writer.write(piece)
        await until(lambda: outcomes(site)[listener.TOO_LATE])
    writer.close()


async def test_reader_that_leaves_before_a_long_answer_is_forgotten(site: Site) -> None:
    for number in range(1000):
        site.publish(f"{'s' * 200}{number}")
    list_all = "/?Action=ListRealtimeStreamsInfo&Version=2017-01-01&UniqueName=demo&App=live&Type=push"
    _, writer = await asyncio.open_connection(*site.address)
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    writer.write(request_bytes(site.signed("GET", list_all)) * 30)
    assert site.listener is not None
    front = site.listener._front
    await until(lambda: any(connection.writing_paused for connection in front.connections))
    writer.transport.abort()
    await until(lambda: outcomes(site)[listener.GONE])


# -- sizes --------------------------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    body = json.dumps(KEY).encode()
    return body + b" " * (size - len(body))


def whole(site: Site, body: bytes) -> bytes:
    return request_bytes(site.signed("POST", CHECK, body))


def chunked(site: Site, body: bytes) -> bytes:
    request = site.signed("POST", CHECK, body)
    head = request_bytes(request).partition(b"\r\n\r\n")[0]
    head = head.replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
    pieces = [body[start : start + 60_000] for start in range(0, len(body), 60_000)]
    return head + b"\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("build", [whole, chunked])
async def test_body_at_its_limit_is_read_and_one_byte_more_is_413(
    site: Site, build: Callable[[Site, bytes], bytes]
) -> None:
    assert (await site.send_raw(build(site, padded(wire.BODY_LIMIT_BYTES)))).data["RetCode"] == 0
    reply = await site.send_raw(build(site, padded(wire.BODY_LIMIT_BYTES + 1)))
    assert (reply.status, reply.error_code) == (413, "RequestTooLarge")


@pytest.mark.usefixtures("hurried")
async def test_class_20_body_of_a_gigabyte_is_refused_at_its_head(site: Site) -> None:
    reply = await site.send_raw(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
    assert (reply.status, reply.error_code) == (413, "RequestTooLarge")


async def test_continue_is_said_to_who_expects_it(site: Site) -> None:
    body = json.dumps(KEY).encode()
    request = request_bytes(site.signed("POST", CHECK, body)).removesuffix(body)
    reader, writer = await asyncio.open_connection(*site.address)
    async with asyncio.timeout(DEADLINE_SECONDS):
        writer.write(request.removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n")
        assert (await read_reply(reader)).status == 100
        writer.write(body)
        assert (await read_reply(reader)).data["RetCode"] == 0
    writer.close()


def target_of(size: int) -> bytes:
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nHost: h\r\n\r\n"


def header_of(size: int) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: h\r\nX-Pad: " + b"a" * size + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("build", "limit"), [(target_of, wire.TARGET_LIMIT_BYTES), (header_of, listener.HEADER_LIMIT_BYTES)]
)
async def test_target_or_header_at_its_limit_is_read_and_one_byte_more_is_413(
    site: Site, build: Callable[[int], bytes], limit: int
) -> None:
    assert (await site.send_raw(build(limit))).error_code == "MissingAccesskey"
    reply = await site.send_raw(build(limit + 1))
    assert (reply.status, reply.error_code) == (413, "RequestTooLarge")
    assert f"larger than {limit} bytes".encode() in reply.body


async def test_headers_at_their_limit_are_read_and_one_more_is_400(site: Site) -> None:
    def request(count: int) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X-A: b\r\n" * (count - 1) + b"\r\n"

    assert (await site.send_raw(request(listener.HEADERS_LIMIT))).error_code == "MissingAccesskey"
    assert (await site.send_raw(request(listener.HEADERS_LIMIT + 1))).status == 400


@pytest.mark.parametrize(
    ("count", "code"), [(1024, "MissingAccesskey"), (1025, "RequestTooLarge"), (8000, "RequestTooLarge")]
)
async def test_class_20_query_parameters_are_counted(site: Site, count: int, code: str) -> None:
    reply = await site.send_raw(b"GET /?" + b"&".join([b"a"] * count) + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert reply.error_code == code


# -- forms of a request -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["http://kls.api.ksyun.com", "HTTP://kls.api.ksyun.com:80", "https://other"])
async def test_absolute_form_target_is_answered(site: Site, prefix: str) -> None:
    reply = await site.send_raw(request_bytes(site.signed("GET", CHECK), target=prefix + CHECK))
    assert reply.data["RetCode"] == 0


async def test_absolute_form_target_without_a_path_is_answered(site: Site) -> None:
    target = "http://kls.api.ksyun.com" + CHECK.removeprefix("/")
    reply = await site.send_raw(request_bytes(site.signed("GET", CHECK), target=target))
    assert reply.data["RetCode"] == 0


async def test_http_1_0_is_answered_and_closed(site: Site) -> None:
    reader, writer = await asyncio.open_connection(*site.address)
    async with asyncio.timeout(DEADLINE_SECONDS):
        writer.write(request_bytes(site.signed("GET", CHECK)).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await read_reply(reader)).data["RetCode"] == 0
        assert await reader.read() == b""
    writer.close()


async def test_pipelined_requests_are_answered_in_their_order(site: Site) -> None:
    reader, writer = await asyncio.open_connection(*site.address)
    await site.call("ForbidStream", **KEY)
    forbidden, free = site.signed("GET", CHECK), site.signed("GET", CHECK.replace("s1", "s2"))
    async with asyncio.timeout(DEADLINE_SECONDS):
        writer.write(b"".join(request_bytes(request) for request in (forbidden, free) * 50))
        results = [(await read_reply(reader)).data["CheckResult"] for _ in range(100)]
    assert results == [1, 0] * 50
    writer.close()


async def test_head_and_connect_and_upgrade_do_no_harm(site: Site) -> None:
    for data in (
        b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(*site.address)
        async with asyncio.timeout(DEADLINE_SECONDS):
            writer.write(data)
            assert (await reader.readline()).startswith(b"HTTP/1.1 4"), data
        writer.close()
    assert (await site.call("CheckBlacklist", **KEY)).status == 200


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100,
    b"\xff" * 3000,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http://h:99999/ HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http://xn--\xff/ HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET foo:bar HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET x://y HTTP/1.1\r\nHost: h\r\n\r\n",
    b"CONNECT [::1 HTTP/1.1\r\nHost: h\r\n\r\n",
]


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: repr(data[:50]))
async def test_garbage_is_refused_with_4xx_and_no_word_in_the_log(site: Site, data: bytes) -> None:
    reply = await site.send_raw(data + b"\r\n\r\n")
    assert 400 <= reply.status < 500
    assert "x-amzn-requestid" in reply.headers


async def test_random_bytes_never_give_5xx(site: Site) -> None:
    rng = random.Random(7)
    pieces = [
        b"GET ",
        b"POST ",
        b"/",
        b"http://",
        b"?",
        b"&",
        b"%",
        b" HTTP/1.1\r\n",
        b"Host: h\r\n",
        b"\r\n",
        b":",
        b"\0",
    ]
    pieces += [
        b"Authorization: AWS4-HMAC-SHA256 ",
        b"Credential=",
        b"X-Amz-Date: ",
        b"Content-Length: 5\r\n",
        b"\xc3\x28",
    ]
    for _ in range(300):
        data = b"".join(rng.choice([*pieces, rng.randbytes(5)]) for _ in range(rng.randint(1, 20)))
        reader, writer = await asyncio.open_connection(*site.address)
        writer.write(data + b"\r\n\r\n")
        writer.write_eof()
        async with asyncio.timeout(DEADLINE_SECONDS):
            try:
                answer = await reader.read()
            except ConnectionResetError:
                answer = b""
        assert b" 50" not in answer.partition(b"\r\n")[0], (data, answer)
        writer.close()
    assert (await site.call("CheckBlacklist", **KEY)).status == 200


async def test_outcomes_are_counted(site: Site) -> None:
    await site.call("CheckBlacklist", **KEY)
    await site.send_raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await site.send_raw(b"\0\r\n\r\n")
    await site.send_raw(target_of(wire.TARGET_LIMIT_BYTES + 1))
    assert dict(outcomes(site)) == {
        "": 1,
        "MissingAccesskey": 1,
        listener.UNREADABLE: 1,
        "RequestTooLarge": 1,
    }


async def test_answer_does_not_name_its_libraries(site: Site) -> None:
    for data in (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\0\r\n\r\n"):
        reply = await site.send_raw(data)
        assert reply.headers["server"] == "OpenKLS"


async def test_bug_outside_the_pipeline_is_500_and_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> wire.Answer:
        raise KeyError("secret detail")

    monkeypatch.setattr(pipeline, "answer_call", broken)
    reply = await site.send(site.signed("GET", CHECK))
    assert (reply.status, reply.error_code) == (500, "UndefinedError")
    assert b"secret detail" not in reply.body
    (record,) = caplog.records
    assert record.exc_info is not None
    assert reply.headers["x-amzn-requestid"] in record.getMessage()
    caplog.clear()


# -- sites --------------------------------------------------------------------------------------------------------


class Booth:
    """A site that remembers who called."""

    def __init__(self) -> None:
        self.visits: list[tuple[str, str, bytes | None, str, str]] = []

    async def __call__(
        self, request: web.BaseRequest, path: str, query: str, body: bytes | None, client_ip: str
    ) -> web.StreamResponse:
        self.visits.append((path, query, body, client_ip, ids.request_id.get()))
        if path.endswith("/bug"):
            raise KeyError("secret detail")
        return web.Response(body=b"x" * (listener.ANSWER_WAITING_BYTES + 1))


@pytest.fixture
async def booth(site: Site) -> Booth:
    booth = Booth()
    site.sites["/booth"] = booth
    return booth


@pytest.mark.parametrize("path", ["/booth", "/booth/", "/booth/a%2Fb/../c"])
async def test_site_answers_below_its_segment_whatever_the_query_names(site: Site, booth: Booth, path: str) -> None:
    data = f"POST {path}?Action=CheckBlacklist&Version=2017-01-01 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
    reply = await site.send_raw(data.encode())
    assert (reply.status, len(reply.body)) == (200, listener.ANSWER_WAITING_BYTES + 1)
    assert (reply.headers["server"], reply.headers["x-content-type-options"]) == ("OpenKLS", "nosniff")
    ((seen, query, body, client_ip, request_id),) = booth.visits
    assert (seen, query, body, client_ip) == (path, "Action=CheckBlacklist&Version=2017-01-01", b"hi", "127.0.0.1")
    assert request_id
    assert site.listener is not None
    assert site.listener.visits == {("/booth", 200): 1}
    assert outcomes(site) == {}


@pytest.mark.parametrize("path", ["/boothe", "/", "/x/booth", "/%62ooth"])
async def test_all_other_paths_are_the_apis(site: Site, booth: Booth, path: str) -> None:
    reply = await site.send_raw(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert reply.error_code == "MissingAccesskey"
    assert booth.visits == []


async def test_site_is_told_of_a_body_over_the_limit(site: Site, booth: Booth) -> None:
    head = f"POST /booth HTTP/1.1\r\nHost: h\r\nContent-Length: {wire.BODY_LIMIT_BYTES + 1}\r\n\r\n"
    assert (await site.send_raw(head.encode())).status == 200
    assert booth.visits[0][2] is None


async def test_bug_in_a_site_is_500_and_logged(site: Site, booth: Booth, caplog: pytest.LogCaptureFixture) -> None:
    reply = await site.send_raw(b"GET /booth/bug HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (reply.status, reply.error_code) == (500, "UndefinedError")
    assert b"secret detail" not in reply.body
    (record,) = caplog.records
    assert record.exc_info is not None
    caplog.clear()


# -- closing ------------------------------------------------------------------------------------------------------


async def ask(site: Site) -> Reply:
    return await site.call("ForbidStream", **KEY)


async def test_close_lets_a_request_finish(site: Site) -> None:
    gate = site.bans.gate = asyncio.Event()
    asking = asyncio.create_task(ask(site))
    await until(lambda: "forbid" in site.bans.calls)
    closing = asyncio.create_task(site.close())
    await asyncio.sleep(0)
    gate.set()
    assert (await asking).data["RetCode"] == 0
    await closing


@pytest.mark.usefixtures("hurried")
async def test_close_takes_bounded_time_whoever_hangs_on(site: Site) -> None:
    site.bans.gate = asyncio.Event()
    asking = asyncio.create_task(ask(site))
    idle = await asyncio.open_connection(*site.address)
    halfway = await asyncio.open_connection(*site.address)
    halfway[1].write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
    await until(lambda: "forbid" in site.bans.calls)
    began = asyncio.get_running_loop().time()
    await site.close()
    assert asyncio.get_running_loop().time() - began < 4 * SOON_SECONDS
    with pytest.raises((EOFError, ConnectionError)):
        await asking
    for reader, writer in (idle, halfway):
        assert await reader.read() == b""
        writer.close()


async def test_close_with_idle_connections_does_not_wait_for_them(site: Site) -> None:
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(request_bytes(site.signed("GET", CHECK)))
    assert (await read_reply(reader)).status == 200
    began = asyncio.get_running_loop().time()
    await site.close()
    assert asyncio.get_running_loop().time() - began < listener.CLOSE_SECONDS
    assert await reader.read() == b""
    writer.close()


async def test_closed_port_takes_no_more_connections_and_close_is_idempotent(site: Site) -> None:
    await site.close()
    await site.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*site.address)


async def test_listening_on_a_taken_port_fails(site: Site) -> None:
    with pytest.raises(OSError, match="in use"):
        await listener.listen(site.services, config.Address(*site.address))
