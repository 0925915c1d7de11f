"""Customers' servers that are told of events, and accept, refuse, redirect, hang, or live where they should not."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from openkls.domain.callbacks import Callback, CallbackTarget, Outcome, Told
from openkls.domain.keys import StreamName
from openkls.hooks import callbacks
from openkls.hooks.callbacks import EVENT_ID_HEADER, CallbackHooks
from openkls.hooks.targets import SIGNATURE_HEADER, TIMESTAMP_HEADER
from support_hook import HookServer, Say, saying, until

NASTY = "$(touch x); `id` | rm -rf"
BODY = '{"NotifyType": "PubStart", "Stream": "$(touch x); `id` | rm -rf"}'
EVENT = Callback(7, "0123456789abcdef0123456789abcdef", StreamName("demo", "live", NASTY), BODY, 1_700_000_000)
SOON_SECONDS = 0.3


@pytest.fixture
async def server() -> AsyncIterator[HookServer]:
    built = HookServer()
    await built.open()
    yield built
    await built.close()


@pytest.fixture
async def hooks() -> AsyncIterator[CallbackHooks]:
    built = CallbackHooks(clock=lambda: 1_700_000_000.9)
    yield built
    await built.close()


@pytest.fixture(autouse=True)
def no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for secret in ("of-the-url", "key of the hook", NASTY):
        assert secret not in caplog.text


def target(server: HookServer, host: str = "127.0.0.1", **more: bool) -> CallbackTarget:
    asked = server.at(host=host)
    return CallbackTarget(asked.url, asked.keys, **{"private": True, **more})


async def test_event_is_a_post_of_its_body_with_its_id(server: HookServer, hooks: CallbackHooks) -> None:
    assert await hooks.send(target(server), EVENT) == Told(Outcome.ACCEPTED, 200)
    assert server.heads[0].startswith(b"POST /ask?token=of-the-url HTTP/1.1\r\n")
    assert server.bodies == [BODY.encode()]
    assert server.headers()["Content-Type"] == "application/json"
    assert server.headers()[EVENT_ID_HEADER] == EVENT.event_id


async def test_class_16_event_is_signed_with_every_key(server: HookServer, hooks: CallbackHooks) -> None:
    await hooks.send(replace(target(server), keys=("old", "new")), EVENT)
    headers = server.headers()
    assert headers[TIMESTAMP_HEADER] == "1700000000"
    signed = b"1700000000." + server.bodies[0]
    expected = [f"sha256={hmac.new(key, signed, 'sha256').hexdigest()}" for key in (b"old", b"new")]
    assert headers[SIGNATURE_HEADER].split(",") == expected


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_accepts(server: HookServer, hooks: CallbackHooks, status: int) -> None:
    server.say = saying(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    assert await hooks.send(target(server), EVENT) == Told(Outcome.ACCEPTED, status)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 400, 401, 404, 429, 500, 503])
async def test_class_16_other_statuses_refuse_and_no_redirect_is_followed(
    server: HookServer, hooks: CallbackHooks, status: int
) -> None:
    location = f"Location: http://127.0.0.1:{server.port}/elsewhere\r\n"
    server.say = saying(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n".encode())
    assert await hooks.send(target(server), EVENT) == Told(Outcome.REFUSED, status)
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("say", "outcome"),
    [
        (saying(), Outcome.LATE),
        (saying(b"HTTP/1.1 200", b" ", b"O", b"K", b"\r", pause_seconds=0.1), Outcome.LATE),
        (saying(close=True), Outcome.BROKEN),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Le", close=True), Outcome.BROKEN),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n", close=True), Outcome.BROKEN),
    ],
    ids=["hangs", "drips", "closes", "closes in its head", "speaks otherwise"],
)
async def test_server_that_gives_no_answer_is_told_apart(
    server: HookServer, hooks: CallbackHooks, monkeypatch: pytest.MonkeyPatch, say: Say, outcome: Outcome
) -> None:
    monkeypatch.setattr(callbacks, "SEND_SECONDS", SOON_SECONDS)
    server.say = say
    assert await hooks.send(target(server), EVENT) == Told(outcome)


async def test_server_that_is_not_there_is_unreachable(server: HookServer, hooks: CallbackHooks) -> None:
    there = target(server)
    await server.close()
    assert await hooks.send(there, EVENT) == Told(Outcome.UNREACHABLE)
    assert await hooks.send(CallbackTarget("http://nowhere.invalid/"), EVENT) == Told(Outcome.UNREACHABLE)


async def test_body_of_an_answer_is_not_read(server: HookServer, hooks: CallbackHooks) -> None:
    server.say = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1000)
    assert await hooks.send(target(server), EVENT) == Told(Outcome.ACCEPTED, 200)


# -- where it lives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "0x7f.1"])
async def test_class_16_private_address_is_not_connected_to(
    server: HookServer, hooks: CallbackHooks, host: str
) -> None:
    assert await hooks.send(target(server, host, private=False), EVENT) == Told(Outcome.PRIVATE)
    assert not server.heads


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "10.0.0.1", "192.168.1.1", "[fd00::1]", "100.64.0.1"])
async def test_class_16_link_local_and_other_inner_addresses_are_not_connected_to(
    hooks: CallbackHooks, host: str
) -> None:
    assert await hooks.send(CallbackTarget(f"http://{host}/latest/meta-data"), EVENT) == Told(Outcome.PRIVATE)


async def test_class_16_name_that_resolves_to_a_private_address_is_not_connected_to(
    server: HookServer, hooks: CallbackHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    look_up = loop.getaddrinfo

    async def rebound(host: str, port: int, **more: int) -> object:
        return await look_up("127.0.0.1" if host == "hooks.example" else host, port, **more)

    monkeypatch.setattr(loop, "getaddrinfo", rebound)
    named = target(server, "hooks.example")
    assert await hooks.send(replace(named, private=False), EVENT) == Told(Outcome.PRIVATE)
    assert not server.heads
    assert await hooks.send(named, EVENT) == Told(Outcome.ACCEPTED, 200)


async def test_sender_that_is_cancelled_closes_its_connection(server: HookServer, hooks: CallbackHooks) -> None:
    server.say = saying()
    sending = asyncio.create_task(hooks.send(target(server), EVENT))
    await until(lambda: server.heads)
    sending.cancel()
    await asyncio.wait([sending])
    await until(lambda: server.closed)
