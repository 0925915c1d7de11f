"""Who may read metrics: this machine, and whoever shows the token."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support_meters import TOKEN, Running

FAR = "X-Forwarded-For: 203.0.113.9"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Running]:
    """With a token, behind a trusted proxy on loopback, so that a request may come from anywhere."""
    running = Running(tmp_path, token=TOKEN)
    running.set("api", trusted_proxies=("127.0.0.1",))
    await running.start()
    yield running
    await running.stop()


async def test_loopback_needs_no_token(running: Running) -> None:
    for address in (running.api, running.own):
        reply = await running.get("/metrics", address=address)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"


async def test_elsewhere_the_token_lets_in(guarded: Running) -> None:
    for header in (f"Authorization: Bearer {TOKEN}", f"authorization: bearer   {TOKEN} "):
        reply = await guarded.get("/metrics", FAR, header)
        assert reply.status == 200
        assert b"openkls_info" in reply.body


async def test_without_a_token_it_is_401_and_says_what_is_asked_for(guarded: Running) -> None:
    reply = await guarded.get("/metrics", FAR)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="metrics"')
    assert b"openkls_" not in reply.body


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer",
        "Bearer ",
        "",
        " ",
        "Bearer " + "x" * 7000,
        "Bearer \xff\xfe\x80",
        f"Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}",
        f"Bearer wrong\r\nAuthorization: Bearer {TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Bearer {TOKEN.upper()}",
    ],
)
async def test_class_21_any_other_authorization_is_403(guarded: Running, shown: str) -> None:
    reply = await guarded.get("/metrics", FAR, f"Authorization: {shown}")
    assert reply.status == 403
    assert TOKEN.encode() not in reply.body
    assert guarded.service.parts.ledger is not None


async def test_class_14_without_a_configured_token_nobody_from_elsewhere_is_let_in(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.set("api", trusted_proxies=("127.0.0.1",))
    await running.start()
    try:
        for header in ("X-Other: 1", "Authorization: Bearer ", "Authorization: Bearer x"):
            assert (await running.get("/metrics", FAR, header)).status == 403
    finally:
        await running.stop()


async def test_refusals_are_counted(guarded: Running) -> None:
    await guarded.get("/metrics", FAR)
    await guarded.get("/metrics", FAR, "Authorization: Bearer wrong")
    metrics = await guarded.metrics()
    (refused,) = [metric for metric in metrics.values() if metric.name == "openkls_scrapes_refused"]
    assert {sample.labels["status"]: sample.value for sample in refused.samples} == {"401": 1, "403": 1}


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-For: unknown",
        "X-Real-IP: 203.0.113.9",
        "Forwarded: for=203.0.113.9",
        "Via: 1.1 proxy",
    ],
)
async def test_a_local_proxy_that_nobody_trusts_makes_nobody_local(running: Running, header: str) -> None:
    for address in (running.api, running.own):
        assert (await running.get("/metrics", header, address=address)).status == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ::1, unknown"])
async def test_what_a_proxy_reports_is_not_taken_for_this_machine_where_it_may_be_made_up(
    guarded: Running, header: str
) -> None:
    assert (await guarded.get("/metrics", header)).status == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("monitor", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8080", 403),
        ("localhost.evil.example", 403),
    ],
)
async def test_a_page_whose_name_was_rebound_to_loopback_reads_nothing(
    running: Running, host: str, status: int
) -> None:
    assert (await running.get("/metrics", f"Host: {host}")).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_only_reading_is_answered(running: Running, method: str) -> None:
    for address in (running.api, running.own):
        assert (await running.get("/metrics", method=method, address=address)).status == 405


async def test_head_costs_no_scrape(running: Running) -> None:
    reader, writer = await asyncio.open_connection(*running.api)
    writer.write(b"HEAD /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", ["/metrics/", "/metrics/x", "/metrics/../console"])
async def test_there_is_one_path(running: Running, path: str) -> None:
    assert (await running.get(path)).status == 404


async def test_a_query_changes_nothing(running: Running) -> None:
    assert (await running.get("/metrics?Action=ForbidStream&Version=2017-01-01&name[]=x")).status == 200
