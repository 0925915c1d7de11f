"""Server-sent events: what comes, how often, who is cut, and when it ends."""

import asyncio
import contextlib
import json
import socket

import pytest

from openkls import model
from openkls.api.wire import Answer
from openkls.console import events
from openkls.console.events import Listing, Totals
from openkls.domain.ports import AccessKey, AccountSwitch
from support_api import DEADLINE_SECONDS, NOW
from support_console import Browser, Desk

QUICK_SECONDS = 0.05
LOOKING = '[{"Effect": "Allow", "Action": ["kls:DescribeLiveStreams"], "Resource": ["*"]}]'


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    """Rounds that follow each other soon; each takes the site's clock on by as much as it would take."""
    monkeypatch.setattr(events, "PACE_SECONDS", QUICK_SECONDS)


def stored(version: int = 1, policy: str | None = None, enabled: bool = True) -> AccessKey:
    return AccessKey("AKSTORED", "SKSTORED", "2000001", enabled, NOW, version, policy)


async def until_none_is_open(desk: Desk) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(desk.console.events):  # noqa: ASYNC110 -- there is no event for it
            await asyncio.sleep(0.01)


async def test_page_is_told_totals_and_streams_at_once(user: Browser) -> None:
    user.desk.site.publish("s1")
    user.desk.site.watch("s1", 3)
    async with user.events() as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.headers["x-accel-buffering"] == "no"
        kind, totals = await stream.next() or ("", {})
        assert kind == "totals"
        assert totals == {"Time": NOW, "Streams": 1, "OnlineUser": 3, "BwReal": 0.0, "Bw": 0}
        kind, streams = await stream.next() or ("", {})
        assert kind == "streams"
        asked = await user.call("DescribeLiveStreams", "2026-01-01")
        assert streams == asked.json["Data"]
        assert stream.retry_ms == events.RETRY_MS


async def test_stream_that_begins_or_ends_is_told_without_being_asked(user: Browser, quick: None) -> None:
    async with user.events() as stream:
        assert (await stream.until("streams"))["Streams"] == []
        user.desk.site.publish("s1")
        user.desk.site.ticks += 10
        while not (told := await stream.until("streams"))["Streams"]:
            user.desk.site.ticks += 10
        assert [row["Stream"] for row in told["Streams"]] == ["s1"]


async def test_list_is_told_no_more_often_than_its_pace(user: Browser, quick: None) -> None:
    async with user.events() as stream:
        await stream.until("streams")
        kinds = [(await stream.next() or ("end", None))[0] for _ in range(5)]
        assert kinds == ["totals"] * 5
        user.desk.site.ticks += QUICK_SECONDS
        await stream.until("streams")


@pytest.mark.parametrize(("rows", "seconds"), [(0, 2.0), (2000, 2.0), (2001, 2.001), (10_000, 10.0)])
def test_longer_list_is_told_less_often(rows: int, seconds: float) -> None:
    assert Listing(b"", Totals(0, rows, 0, 0.0, 0), 0.0).pace_seconds == pytest.approx(seconds)


async def test_list_is_asked_for_once_for_all_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    asked: list[str] = []
    call = desk.console.events._ask

    def counted(*arguments: object) -> object:
        asked.append("once")
        return call(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.console.events, "_ask", counted)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            user = desk.browser()
            await user.log_in()
            stream = await stack.enter_async_context(user.events())
            await stream.until("streams")
            await stream.until("totals")
        assert len(asked) == 1


async def test_events_are_no_calls_that_count(user: Browser, quick: None) -> None:
    site = user.desk.site
    site.rates.enforced = True
    operation = model.find("DescribeLiveStreams", "2026-01-01")
    assert operation is not None
    caller = ("2000001", "DescribeLiveStreams", "console")
    while not site.rates.take(caller, operation.rate.requests, operation.rate.per_seconds, site.ticks):
        pass
    assert (await user.call("DescribeLiveStreams", "2026-01-01")).status == 409
    refused = site.rates.refused
    async with user.events() as stream:
        await stream.until("streams")
    assert site.rates.refused == refused


# -- rights -------------------------------------------------------------------------------------------------------


async def test_key_that_may_not_list_is_told_so_once_and_stays(desk: Desk, browser: Browser, quick: None) -> None:
    keys = desk.site.services.keys
    keys.apply(stored(policy="[]"))
    await browser.log_in("AKSTORED", "SKSTORED")
    desk.site.publish("s1")
    async with browser.events() as stream:
        kind, fault = await stream.next() or ("", {})
        assert kind == "refused"
        assert fault["Code"] == "InvalidAuthenticationCode"
        assert fault["Message"]
        # It gets the right, and is told; loses it, and is told that.
        keys.apply(stored(2, LOOKING))
        assert (await stream.next() or ("", {}))[0] == "totals"
        assert (await stream.until("streams"))["Count"] == 1
        keys.apply(stored(3, "[]"))
        assert (await stream.until("refused"))["Code"] == "InvalidAuthenticationCode"


async def test_other_accounts_streams_are_never_told(desk: Desk) -> None:
    desk.site.publish("mine")
    desk.site.publish("yours", unique_name="theirs", pubdomain="push.theirs.local")
    for key, stream_name in (("AKTEST", "mine"), ("AKTHEIRS", "yours")):
        user = desk.browser()
        await user.log_in(key, key.replace("AK", "SK"))
        async with user.events() as stream:
            assert [row["Stream"] for row in (await stream.until("streams"))["Streams"]] == [stream_name]


# -- the end ------------------------------------------------------------------------------------------------------


async def test_logout_ends_the_events_at_once(user: Browser) -> None:
    async with user.events() as stream:
        await stream.until("streams")
        await user.ask("DELETE", "/session")
        assert await stream.until("end") == {"Code": "LoggedOut"}
        assert await stream.next() is None


@pytest.mark.parametrize(
    ("happened", "code"), [("disabled", "KeyEnded"), ("account", "UnavailableAccountID"), ("idle", "SessionExpired")]
)
async def test_session_that_does_not_hold_any_more_ends_its_events(
    desk: Desk, browser: Browser, quick: None, happened: str, code: str
) -> None:
    desk.site.services.keys.apply(stored())
    await browser.log_in("AKSTORED", "SKSTORED")
    async with browser.events() as stream:
        await stream.until("streams")
        if happened == "disabled":
            desk.site.services.keys.apply(stored(2, enabled=False))
        elif happened == "account":
            desk.site.services.keys.apply_switch(AccountSwitch("2000001", True, 1))
        else:
            # Events alone do not keep a session.
            desk.site.ticks += 30 * 60
        assert await stream.until("end") == {"Code": code}
        assert await stream.next() is None


async def test_events_end_with_the_service_and_within_its_time(user: Browser) -> None:
    async with user.events() as stream:
        await stream.until("streams")
        began = asyncio.get_running_loop().time()
        await user.desk.close()
        assert await stream.until("end") == {"Code": "ServiceStopping"}
        assert asyncio.get_running_loop().time() - began < events.END_SECONDS + 1


async def test_events_that_hang_are_cut_at_the_services_end(
    user: Browser, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    monkeypatch.setattr(events, "END_SECONDS", 0.1)
    asked = asyncio.Event()

    async def hanging(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(user.desk.console.events, "_ask", hanging)
    async with user.events() as stream:
        await asked.wait()
        await user.desk.console.close()
        with pytest.raises((EOFError, ConnectionError)):
            await stream.until("end")
        await user.desk.site.close()


async def test_closing_console_opens_no_more_events(user: Browser) -> None:
    await user.desk.console.close()
    await user.log_in()
    async with user.events() as stream:
        assert (stream.status, json.loads(stream.body)["Error"]["Code"]) == (503, "ServiceStopping")


async def test_page_that_was_left_is_forgotten(user: Browser, quick: None) -> None:
    async with user.events() as stream:
        await stream.until("streams")
        assert len(user.desk.console.events) == 1
    await until_none_is_open(user.desk)
    (session,) = user.desk.console.sessions._by_hash.values()
    assert session.streams == 0
    assert len(user.desk.console.events._boards) == 0


async def test_heartbeat_comes_where_nothing_else_does(desk: Desk, browser: Browser, quick: None) -> None:
    desk.site.services.keys.apply(stored(policy="[]"))
    await browser.log_in("AKSTORED", "SKSTORED")
    async with browser.events() as stream:
        await stream.until("refused")
        reading = asyncio.create_task(stream.next())
        desk.site.ticks += events.HEARTBEAT_SECONDS
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not stream.comments:  # noqa: ASYNC110 -- a comment is no event
                await asyncio.sleep(0.01)
        assert stream.comments == 1
        reading.cancel()


# -- limits -------------------------------------------------------------------------------------------------------


async def test_session_has_so_many_events_and_not_one_more(user: Browser) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(events.STREAMS_PER_SESSION_LIMIT):
            assert (await stack.enter_async_context(user.events())).status == 200
        refused = await stack.enter_async_context(user.events())
        assert (refused.status, json.loads(refused.body)["Error"]["Code"]) == (429, "TooManyEventStreams")
        assert refused.headers["retry-after"] == "15"
        assert user.desk.console.events.refused == 1
        other = user.desk.browser()
        await other.log_in()
        assert (await stack.enter_async_context(other.events())).status == 200


async def test_there_are_so_many_events_and_not_one_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAMS_LIMIT", 2)
    async with contextlib.AsyncExitStack() as stack:
        for status in (200, 200, 429):
            user = desk.browser()
            await user.log_in()
            assert (await stack.enter_async_context(user.events())).status == status
    assert len(desk.console.events) <= 2


async def test_class_12_reader_that_does_not_read_is_cut(
    user: Browser, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    monkeypatch.setattr(events, "READ_SECONDS", 0.3)
    for number in range(2000):
        user.desk.site.publish(f"stream-with-a-long-name-{number:04}")
    connection = socket.create_connection(user.desk.site.address)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(user.head("GET", "/events", b"", {}))
    most = 0
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not user.desk.console.events.cut:
            user.desk.site.ticks += 1
            for stream in user.desk.console.events._open:
                if stream._request.transport is not None:
                    most = max(most, stream._request.transport.get_write_buffer_size())
            await asyncio.sleep(0.01)
    assert 0 < most <= 3 * events.SLICE_BYTES
    await until_none_is_open(user.desk)
    connection.close()


async def test_bug_within_a_stream_cuts_it_and_is_logged(
    user: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, quick: None
) -> None:
    async with user.events() as stream:
        await stream.until("streams")

        def broken(*_: object) -> None:
            raise KeyError("a bug")

        monkeypatch.setattr(user.desk.console.events, "_board", broken)
        monkeypatch.setattr(events._Stream, "_tell", broken)
        with pytest.raises((EOFError, ConnectionError)):
            await stream.until("never")
    await until_none_is_open(user.desk)
    assert caplog.records[-1].exc_info is not None
    caplog.clear()


@pytest.mark.parametrize(
    "failure",
    [
        Answer(
            500, "application/json", b'{"RequestId": "", "Error": {"Code": "ServiceTimeout"}}', "", "ServiceTimeout"
        ),
        Answer(200, "application/json", b'{"Data": {"RetCode": 5000, "RetMsg": "x"}, "RequestId": ""}', ""),
    ],
)
async def test_list_that_cannot_be_had_is_asked_for_again(
    user: Browser, monkeypatch: pytest.MonkeyPatch, quick: None, failure: Answer
) -> None:
    asked = asyncio.Event()

    async def failing(*_: object) -> Answer:
        asked.set()
        return failure

    with monkeypatch.context() as patched:
        patched.setattr(user.desk.console.events, "_ask", failing)
        opening = user.events()
        stream = await opening.__aenter__()
        await asked.wait()
    (board,) = [each._board for each in user.desk.console.events._open]
    assert board is not None
    board._ask = user.desk.console.events._ask
    assert (await stream.next() or ("", None))[0] == "totals"
    await opening.__aexit__(None, None, None)
