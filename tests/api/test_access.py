"""Every call is counted under names of the model and has its line in the access log, which holds no secret."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from openkls.api import access, ledger, pipeline
from openkls.api.ledger import LINES_AT_ONCE, LINES_PER_SECOND, Ledger
from support_api import Site, request_bytes
from support_media import seen


@pytest.fixture
def lines(site: Site) -> Iterator[list[Any]]:
    """The records of the access log, as they are written."""
    site.services.ledger.access = True
    records: list[Any] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keeper, level = Keeper(), ledger.log.level
    ledger.log.addHandler(keeper)
    ledger.log.setLevel(logging.INFO)
    yield records
    ledger.log.removeHandler(keeper)
    ledger.log.setLevel(level)


def facts(site: Site, records: list[Any]) -> list[dict[str, Any]]:
    site.services.ledger.flush()
    return [dict(record.msg.fields) for record in records if isinstance(record.msg, access.AccessLine)]


async def test_a_call_has_one_line_with_its_facts(site: Site, lines: list[Any]) -> None:
    reply = await site.call("CheckBlacklist", UniqueName="demo", App="live", Pubdomain="push.demo.local", Stream="s1")
    (line,) = facts(site, lines)
    assert line.pop("duration_ms") >= 0
    assert line == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/",
        "action": "CheckBlacklist",
        "version": "2017-01-01",
        "access_key": "AKTEST",
        "status": 200,
        "code": "0",
        "bytes": len(reply.body),
        "request_id": reply.json["RequestId"],
    }


async def test_lines_come_by_themselves_soon_after(site: Site, lines: list[Any]) -> None:
    await site.call("CheckBlacklist", UniqueName="demo", App="live", Pubdomain="push.demo.local", Stream="s1")
    await seen(lambda: lines)


async def test_lines_that_are_many_do_not_wait(site: Site, lines: list[Any]) -> None:
    class Line:
        at = 1.5
        fields: dict[str, Any] = {}  # noqa: RUF012

    site.services.ledger.flush()
    before = len(lines)
    for _ in range(LINES_AT_ONCE - 1):
        site.services.ledger.write(Line())
    assert len(lines) == before
    site.services.ledger.write(Line())
    assert len(lines) == before + LINES_AT_ONCE
    assert (lines[-1].created, lines[-1].msecs) == (1.5, 500)


async def test_retcodes_and_errors_are_the_outcome(site: Site, lines: list[Any]) -> None:
    await site.call("CheckBlacklist", UniqueName="none", App="live", Pubdomain="push.demo.local", Stream="s1")
    await site.send_raw(b"GET /?Action=CheckBlacklist&Version=2017-01-01 HTTP/1.1\r\nHost: h\r\n\r\n")
    of_model, refused = facts(site, lines)
    assert (of_model["status"], of_model["code"]) == (200, "6406")
    assert (refused["status"], refused["code"], refused["action"]) == (400, "MissingAccesskey", "CheckBlacklist")
    assert site.services.ledger.calls == {("CheckBlacklist", "6406"): 1, ("", "MissingAccesskey"): 1}
    assert list(site.services.ledger.took) == ["CheckBlacklist"]


async def test_no_label_is_what_a_caller_made_up(site: Site) -> None:
    for number in range(3):
        await site.send(site.signed("GET", f"/?Action=Bogus{number}&Version=2017-01-01"))
    assert set(site.services.ledger.calls) == {("", "InvalidActionOrVersion")}


async def test_a_line_holds_no_query_and_no_secret(site: Site, lines: list[Any]) -> None:
    request = site.signed("GET", "/?Action=CheckBlacklist&Version=2017-01-01&Stream=a&k=SECRETK")
    await site.send(request)
    (line,) = facts(site, lines)
    text = str(lines[0].msg) + repr(line)
    signature = next(value for name, value in request.headers if name == "Authorization").rpartition("=")[2]
    assert signature not in text
    assert "SECRETK" not in text
    assert "SKTEST" not in text


async def test_hostile_words_stay_words_of_one_line(site: Site, lines: list[Any]) -> None:
    data = b"GET /a%0ab\xff HTTP/1.1\r\nHost: h\r\nX-Action: a b\xc2\x85c\r\n\r\n"
    await site.send_raw(data)
    long = b"GET /" + b"x" * 3000 + b"?Action=" + b"y" * 3000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    await site.send_raw(long)
    facts(site, lines)
    for record in lines:
        text = record.getMessage()
        assert text.isprintable()
        assert len(text) < 1000


async def test_refused_calls_of_anybody_have_lines_up_to_a_limit_and_then_a_number(
    site: Site, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(site.services.ledger, "clock", lambda: now)
    for _ in range(LINES_PER_SECOND + 2):
        await site.send_raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await site.call("CheckBlacklist", UniqueName="demo", App="live", Pubdomain="push.demo.local", Stream="s1")
    assert len(facts(site, lines)) == LINES_PER_SECOND + 1  # whoever verified has a line
    assert site.services.ledger.unlogged == 2
    now = 1001.0
    await site.send_raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert len(facts(site, lines)) == LINES_PER_SECOND + 2
    assert [record.getMessage() for record in lines if isinstance(record.msg, str)] == [
        "2 further requests of one second, which anybody can make, have no line"
    ]


async def test_without_access_nothing_is_written_and_all_is_counted(site: Site, lines: list[Any]) -> None:
    site.services.ledger.access = False
    await site.send_raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert facts(site, lines) == []
    assert site.services.ledger.calls == {("", "MissingAccesskey"): 1}


async def test_what_waits_is_written_when_the_port_closes(site: Site, lines: list[Any]) -> None:
    await site.send_raw(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await site.close()
    assert len(lines) == 1


async def test_a_call_that_the_end_of_the_service_cuts_is_counted(site: Site) -> None:
    started = asyncio.Event()

    async def hang(*_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    site.history.page = hang  # type: ignore[method-assign]
    request = site.signed(
        "GET",
        "/?Action=ListHistoryPubStreamsInfo&Version=2017-01-01&UniqueName=demo&App=live&Pubdomain=push.demo.local"
        f"&StartUnixTime={int(site.now) - 100}&EndUnixTime={int(site.now)}",
    )
    _, writer = await asyncio.open_connection(*site.address)
    writer.write(request_bytes(request))
    async with asyncio.timeout(10):
        await started.wait()
    await site.close()
    writer.close()
    assert site.services.ledger.calls == {("ListHistoryPubStreamsInfo", access.CANCELLED): 1}


def test_the_limit_of_lines_counts_anew_each_second() -> None:
    book = Ledger(clock=lambda: 0.0)
    assert [book.may_log(5.0) for _ in range(ledger.LINES_PER_SECOND + 1)] == [True] * LINES_PER_SECOND + [False]
    assert book.left_out == 1
    assert book.may_log(6.0)
    assert book.left_out == 0


async def test_sites_have_lines_too_but_for_what_probes_ask_every_few_seconds(site: Site, lines: list[Any]) -> None:
    async def answer(request: web.BaseRequest, path: str, *_: object) -> web.StreamResponse:
        return web.Response(status=503 if path == "/readyz" else 200, body=b"12345")

    site.sites.update({"/console": answer, "/healthz": answer, "/readyz": answer})  # type: ignore[dict-item]
    for path in ("/console/x?token=SECRET", "/healthz", "/readyz"):
        await site.send_raw(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    site.services.ledger.flush()
    said = [(record.msg.fields["path"], record.msg.fields["status"], record.msg.fields["bytes"]) for record in lines]
    assert said == [("/console/x", 200, 5), ("/readyz", 503, 5)]
    assert all(record.msg.fields["request_id"] for record in lines)
    assert "SECRET" not in "".join(record.getMessage() for record in lines)


async def test_calls_of_a_session_have_lines_and_what_the_console_is_told_unasked_has_none(
    site: Site, lines: list[Any]
) -> None:
    credential = site.services.keys.find("AKTEST")
    assert credential is not None
    for is_metered in (True, False):
        call = pipeline.session_call(
            credential, "Action=DescribeSpaces&Version=2026-01-01", b"{}", "192.0.2.9", is_metered
        )
        assert (await pipeline.answer_call(site.services, call)).status == 200
    (line,) = facts(site, lines)
    assert (line["client"], line["action"], line["access_key"]) == ("192.0.2.9", "DescribeSpaces", "AKTEST")
    assert site.services.ledger.calls == {("DescribeSpaces", "0"): 2}
