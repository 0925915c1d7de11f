"""Customers' servers that accept, refuse, redirect, hang, drip, flood, break off, or live where they should not."""

import asyncio
import hmac
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from openkls.cli.cert import make_certificate
from openkls.domain.ports import PushAnswer, PushFacts, PushServer
from openkls.hooks import authority
from openkls.hooks.authority import ASK_SECONDS, PushHooks
from openkls.hooks.targets import (
    HEAD_LINE_LIMIT_BYTES,
    HEADERS_LIMIT,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    build_signatures,
    is_public,
)
from support_hook import OK, HookServer, Say, saying, until

FACTS = PushFacts("demo", "live", "push.demo.local", "s1", "token=of-the-encoder&x=1", "192.0.2.7")
SOON_SECONDS = 0.3


@pytest.fixture
async def server() -> AsyncIterator[HookServer]:
    built = HookServer()
    await built.open()
    yield built
    await built.close()


@pytest.fixture
async def hooks() -> AsyncIterator[PushHooks]:
    built = PushHooks(clock=lambda: 1_700_000_000.9)
    yield built
    await built.close()
    assert len(built) == 0
    assert not built._asking_of


@pytest.fixture(autouse=True)
def no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for secret in ("of-the-encoder", "of-the-url", "key of the hook"):
        assert secret not in caplog.text


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "ASK_SECONDS", SOON_SECONDS)


# -- the question ----------------------------------------------------------------------------------------------------


async def test_question_is_a_post_of_the_contracts_json(server: HookServer, hooks: PushHooks) -> None:
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.ACCEPTED
    assert server.heads[0].startswith(b"POST /ask?token=of-the-url HTTP/1.1\r\n")
    assert server.headers()["Content-Type"] == "application/json"
    assert json.loads(server.bodies[0]) == {
        "UniqueName": "demo",
        "App": "live",
        "Pubdomain": "push.demo.local",
        "Stream": "s1",
        "PubParam": "token=of-the-encoder&x=1",
        "ClientIp": "192.0.2.7",
    }
    assert hooks.answers == {PushAnswer.ACCEPTED: 1}


async def test_any_text_of_an_encoder_becomes_json(server: HookServer, hooks: PushHooks) -> None:
    nasty = 'a"b\\c\r\n\x00\ud800\U0001f600;rm -rf'
    assert await hooks.ask(server.at(), replace(FACTS, stream="流", pub_param=nasty)) is PushAnswer.ACCEPTED
    said = json.loads(server.bodies[0])
    assert (said["Stream"], said["PubParam"]) == ("流", nasty)
    assert server.bodies[0].isascii()


async def test_class_16_question_is_signed_with_every_key(server: HookServer, hooks: PushHooks) -> None:
    await hooks.ask(replace(server.at(), keys=("old", "new")), FACTS)
    headers, body = server.headers(), server.bodies[0]
    assert headers[TIMESTAMP_HEADER] == "1700000000"
    signed = b"1700000000." + body
    expected = [f"sha256={hmac.new(key, signed, 'sha256').hexdigest()}" for key in (b"old", b"new")]
    assert headers[SIGNATURE_HEADER].split(",") == expected


def test_class_16_signature_vector() -> None:
    assert build_signatures(("123456",), "1560096712", b"{}") == (
        "sha256=" + hmac.digest(b"123456", b"1560096712.{}", "sha256").hex()
    )


async def test_question_without_keys_is_not_signed(server: HookServer, hooks: PushHooks) -> None:
    await hooks.ask(replace(server.at(), keys=()), FACTS)
    assert TIMESTAMP_HEADER not in server.headers()
    assert SIGNATURE_HEADER not in server.headers()


async def test_environment_proxies_are_not_used(
    server: HookServer, hooks: PushHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.ACCEPTED


async def test_cookies_of_one_answer_do_not_come_with_the_next_question(server: HookServer, hooks: PushHooks) -> None:
    server.say = saying(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    for _ in range(2):
        await hooks.ask(server.at(host="localhost"), FACTS)
    assert "Cookie" not in server.headers()
    assert len(server.heads) == 2


# -- the answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [201, 202, 204, 206, 301, 302, 307, 308, 400, 401, 403, 404, 500, 503, 299])
async def test_every_status_but_200_refuses_and_no_redirect_is_followed(
    server: HookServer, hooks: PushHooks, status: int
) -> None:
    location = f"Location: http://127.0.0.1:{server.port}/elsewhere\r\n"
    server.say = saying(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n".encode())
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.REFUSED
    assert len(server.heads) == 1


async def test_class_16_body_of_an_answer_is_not_read(server: HookServer, hooks: PushHooks) -> None:
    flooded = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal flooded
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while flooded < 200_000_000:
            writer.write(b"x" * 65536)
            await writer.drain()
            flooded += 65536

    server.say = flood
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.ACCEPTED
    await until(lambda: server.closed)
    assert flooded < 20_000_000, "the sockets' buffers, and no more"


@pytest.mark.parametrize(
    ("length", "answer"), [(HEAD_LINE_LIMIT_BYTES - 100, PushAnswer.ACCEPTED), (HEAD_LINE_LIMIT_BYTES + 1, None)]
)
async def test_class_16_header_of_an_answer_is_bounded(
    server: HookServer, hooks: PushHooks, length: int, answer: PushAnswer | None
) -> None:
    server.say = saying(b"HTTP/1.1 200 OK\r\nX-Pad: " + b"x" * length + b"\r\nContent-Length: 0\r\n\r\n")
    assert await hooks.ask(server.at(), FACTS) is (answer or PushAnswer.BROKEN)


@pytest.mark.parametrize(("count", "answer"), [(HEADERS_LIMIT - 2, PushAnswer.ACCEPTED), (HEADERS_LIMIT + 1, None)])
async def test_class_16_headers_of_an_answer_are_bounded(
    server: HookServer, hooks: PushHooks, count: int, answer: PushAnswer | None
) -> None:
    server.say = saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * count + b"Content-Length: 0\r\n\r\n")
    assert await hooks.ask(server.at(), FACTS) is (answer or PushAnswer.BROKEN)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "say",
    [
        saying(),
        saying(b"HTTP/1.1 200 OK\r\n"),
        saying(*(OK[index : index + 1] for index in range(len(OK) - 1)), pause_seconds=0.05),
        saying(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000, pause_seconds=0.01),
    ],
    ids=["hangs", "hangs in its head", "drips", "continues for ever"],
)
async def test_server_that_hangs_or_drips_is_late(server: HookServer, hooks: PushHooks, say: Say) -> None:
    server.say = say
    began = asyncio.get_running_loop().time()
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.LATE
    assert SOON_SECONDS * 0.9 <= asyncio.get_running_loop().time() - began < 10 * SOON_SECONDS


def test_deadline_is_the_contracts_two_seconds() -> None:
    assert ASK_SECONDS == 2.0


@pytest.mark.parametrize(
    "say",
    [
        saying(close=True),
        saying(b"HTTP/1.1 200", close=True),
        saying(b"SSH-2.0-OpenSSH_9.2\r\n", close=True),
        saying(b"\x00" * 100, close=True),
        saying(b"HTTP/1.1 abc OK\r\n\r\n", close=True),
    ],
    ids=["closes", "closes in its head", "speaks otherwise", "speaks zeros", "has no status"],
)
async def test_server_that_gives_no_answer_refuses(server: HookServer, hooks: PushHooks, say: Say) -> None:
    server.say = say
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.BROKEN


async def test_server_that_is_not_there_refuses(server: HookServer, hooks: PushHooks) -> None:
    url = server.at().url
    await server.close()
    assert await hooks.ask(PushServer(url, private=True), FACTS) is PushAnswer.UNREACHABLE
    assert await hooks.ask(PushServer("http://nowhere.invalid/", private=True), FACTS) is PushAnswer.UNREACHABLE


async def test_https_server_that_nobody_vouches_for_is_not_asked(hooks: PushHooks, tmp_path: Path) -> None:
    certificate, key = make_certificate([x509.DNSName("localhost")])
    (tmp_path / "both.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "both.pem")
    server = HookServer()
    await server.open(context)
    asked = PushServer(f"https://localhost:{server.port}/", private=True)
    assert await hooks.ask(asked, FACTS) is PushAnswer.UNREACHABLE
    assert not server.heads
    await server.close()


# -- where it lives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "0x7f.1"])
async def test_class_16_private_address_is_not_connected_to(server: HookServer, hooks: PushHooks, host: str) -> None:
    asked = PushServer(f"http://{host}:{server.port}/")
    assert await hooks.ask(asked, FACTS) is PushAnswer.PRIVATE
    assert not server.heads


async def test_class_16_address_written_as_one_number_is_not_connected_to(server: HookServer, hooks: PushHooks) -> None:
    assert await hooks.ask(PushServer(f"http://2130706433:{server.port}/"), FACTS) is PushAnswer.BROKEN
    assert not server.heads


async def test_class_16_name_that_resolves_to_a_private_address_is_not_connected_to(
    server: HookServer, hooks: PushHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    look_up = loop.getaddrinfo

    async def rebound(host: str, port: int, **more: int) -> object:
        return await look_up("127.0.0.1" if host == "hooks.example" else host, port, **more)

    monkeypatch.setattr(loop, "getaddrinfo", rebound)
    named = server.at(host="hooks.example")
    assert await hooks.ask(replace(named, private=False), FACTS) is PushAnswer.PRIVATE
    assert not server.heads
    assert await hooks.ask(named, FACTS) is PushAnswer.ACCEPTED


async def test_class_16_redirect_leads_nowhere_private(server: HookServer, hooks: PushHooks) -> None:
    server.say = saying(f"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:{server.port}/\r\n\r\n".encode())
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.REFUSED
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:1.1.1.1", True),
        ("64:ff9b::1.1.1.1", True),
        ("2002:101:101::1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("172.32.0.1", True),
        ("192.168.0.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::169.254.169.254", False),
        ("64:ff9b:1::1", False),
        ("2001::1", False),
        ("2002:7f00:1::1", False),
        ("fc00::1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_class_16_addresses_of_the_open_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


# -- how many at once ------------------------------------------------------------------------------------------------


async def test_questions_of_one_server_are_bounded_and_counted(
    server: HookServer, hooks: PushHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "ASKS_PER_SERVER_LIMIT", 3)
    go = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK)

    server.say = wait
    asks = [asyncio.create_task(hooks.ask(server.at(), FACTS)) for _ in range(4)]
    await until(lambda: len(server.heads) == 3)
    assert hooks.answers == {PushAnswer.BUSY: 1}
    other = await hooks.ask(replace(server.at("/other"), url="http://127.0.0.1:1/"), FACTS)
    assert other is PushAnswer.UNREACHABLE, "another server is asked all the same"
    go.set()
    assert sorted(await asyncio.gather(*asks)) == sorted([PushAnswer.BUSY, *[PushAnswer.ACCEPTED] * 3])
    assert await hooks.ask(server.at(), FACTS) is PushAnswer.ACCEPTED


async def test_questions_of_all_servers_are_bounded(
    server: HookServer, hooks: PushHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "ASKS_LIMIT", 2)
    server.say = saying(OK, pause_seconds=0.0)
    asks = [asyncio.create_task(hooks.ask(server.at(f"/{number}"), FACTS)) for number in range(3)]
    answers = await asyncio.gather(*asks)
    assert answers == [PushAnswer.ACCEPTED, PushAnswer.ACCEPTED, PushAnswer.BUSY]
    assert not hooks._asking_of


async def test_server_that_fails_is_told_of_once_a_minute_without_its_path(
    server: HookServer, hooks: PushHooks, caplog: pytest.LogCaptureFixture
) -> None:
    server.say = saying(close=True)
    for _ in range(3):
        await hooks.ask(server.at(), FACTS)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"http://127.0.0.1:{server.port} gave no HTTP answer" in line


# -- its end ---------------------------------------------------------------------------------------------------------


async def test_stop_ends_what_is_under_way_and_whoever_asked_is_cancelled(server: HookServer, hooks: PushHooks) -> None:
    server.say = saying()
    asking = asyncio.create_task(hooks.ask(server.at(), FACTS))
    await until(lambda: server.heads)
    began = time.monotonic()
    hooks.stop()
    hooks.stop()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert time.monotonic() - began < ASK_SECONDS / 2
    late = asyncio.create_task(hooks.ask(server.at(), FACTS))
    await asyncio.wait([late])
    assert late.cancelled()
    assert len(server.heads) == 1
    assert hooks.answers == {}


async def test_asker_that_is_cancelled_closes_its_connection(server: HookServer, hooks: PushHooks) -> None:
    server.say = saying()
    asking = asyncio.create_task(hooks.ask(server.at(), FACTS))
    await until(lambda: server.heads)
    asking.cancel()
    await asyncio.wait([asking])
    await until(lambda: server.closed)
    assert len(hooks) == 0
