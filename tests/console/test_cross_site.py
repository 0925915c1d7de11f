"""The session cannot be used from elsewhere: other origins, sites, names and tokens (security classes 14, 15)."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from openkls import config
from support_api import DEADLINE_SECONDS, Reply
from support_console import Browser, Desk

BAN = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
FORBID = "/call?Action=ForbidStream&Version=2017-01-01"
BODY = json.dumps(BAN).encode()
DOORS = [
    ("GET", "/session"),
    ("POST", "/session"),
    ("DELETE", "/session"),
    ("POST", FORBID),
    ("POST", "/explain?Action=GetBlacklist&Version=2017-01-01&Method=GET"),
    ("GET", "/events"),
]
CHANGING = [door for door in DOORS if door[0] != "GET"]


def refused_as(reply: Reply) -> tuple[int, str]:
    return reply.status, str(reply.json["Error"]["Code"])


def nothing_happened(user: Browser) -> bool:
    site = user.desk.site
    return not site.bans.bans and not site.audit.rows and len(user.desk.console.sessions) == 1


# -- other pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "target"), DOORS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://{authority}"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "http://{authority}.evil.test"},
        {"Origin": "http://{authority}, http://{authority}"},
        {"Origin": "http://{authority}/"},
        {"Origin": "http://user@{authority}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "same-origin, cross-site"},
    ],
)
async def test_class_15_page_of_another_origin_is_turned_away_at_every_door(
    user: Browser, method: str, target: str, headers: Mapping[str, str]
) -> None:
    filled = {
        name: value.replace("{authority}", user.authority).replace("{port}", str(user.desk.port))
        for name, value in headers.items()
    }
    body = b'{"AccessKey": "AKTEST", "SecretKey": "SKTEST"}' if target == "/session" else BODY
    reply = await user.ask(method, target, body if method == "POST" else b"", filled)
    assert refused_as(reply) == (403, "CrossSiteRequest")
    assert "set-cookie" not in reply.headers
    assert nothing_happened(user)


@pytest.mark.parametrize(("method", "target"), CHANGING)
async def test_request_that_a_browser_was_led_to_changes_nothing(user: Browser, method: str, target: str) -> None:
    reply = await user.ask(method, target, BODY, {"Sec-Fetch-Site": "none"})
    assert refused_as(reply) == (403, "CrossSiteRequest")
    assert nothing_happened(user)


async def test_what_a_session_is_may_be_looked_at_by_hand(user: Browser) -> None:
    assert (await user.ask("GET", "/session", headers={"Sec-Fetch-Site": "none"})).status == 200


async def test_who_is_no_browser_needs_no_origin_but_all_the_rest(desk: Desk) -> None:
    program = desk.browser()
    program.more_headers = {"Origin": None, "Sec-Fetch-Site": None}  # type: ignore[dict-item]
    assert (await program.log_in()).status == 200
    assert (await program.call("ForbidStream", **BAN)).json["Data"]["RetCode"] == 0


# -- other tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "target"), [door for door in CHANGING if door != ("POST", "/session")])
async def test_change_without_the_sessions_own_csrf_token_is_refused(user: Browser, method: str, target: str) -> None:
    other = user.desk.browser()
    await other.log_in("AKTHEIRS", "SKTHEIRS")
    (token,) = user.cookies.values()
    for wrong in (None, "", "x", other.csrf_token, user.csrf_token[:-1], user.csrf_token + "x", token, "\xff"):
        reply = await user.ask(method, target, BODY, {"X-CSRF-Token": wrong})
        assert refused_as(reply) == (403, "InvalidCsrfToken"), wrong
        assert not user.desk.site.bans.bans
    assert len(user.desk.console.sessions) == 2


async def test_csrf_token_alone_opens_nothing(user: Browser) -> None:
    user.cookies.clear()
    assert (await user.call("ForbidStream", **BAN)).status == 401


async def test_every_cookie_is_strict_and_unseen_by_scripts(browser: Browser) -> None:
    for reply in (await browser.log_in(), await browser.ask("DELETE", "/session")):
        assert "; SameSite=Strict" in reply.headers["set-cookie"]
        assert "; HttpOnly" in reply.headers["set-cookie"]
        assert "; Path=/console" in reply.headers["set-cookie"]
        assert "omain" not in reply.headers["set-cookie"]


async def test_session_is_nobodys_signature(user: Browser) -> None:
    """The cookie, were it sent to the API itself, is nothing there."""
    data = user.head("GET", "", b"", {}).replace(b"/console", b"/?Action=GetBlacklist&Version=2017-01-01")
    assert (await user.desk.site.send_raw(data)).error_code == "MissingAccesskey"


# -- what a GET can do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        FORBID + "&UniqueName=demo&App=live&Pubdomain=push.demo.local&Stream=s1",
        "/session?AccessKey=AKTEST&SecretKey=SKTEST",
        "/explain?Action=ForbidStream&Version=2017-01-01&Method=POST",
        "/?Action=ForbidStream&Version=2017-01-01&UniqueName=demo&App=live&Pubdomain=push.demo.local&Stream=s1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_get_never_changes_anything(user: Browser, method: str, target: str) -> None:
    body = b"" if method == "HEAD" else BODY
    data = user.head(method, target, b"", {"X-CSRF-Token": user.csrf_token, "Content-Length": str(len(body))})
    reader, writer = await asyncio.open_connection(*user.desk.site.address)
    async with asyncio.timeout(DEADLINE_SECONDS):
        writer.write(data + body)
        assert (await reader.readline()).split()[1] in (b"200", b"405")
    writer.close()
    assert nothing_happened(user)
    assert await is_still_in(user)


async def is_still_in(user: Browser) -> bool:
    return (await user.ask("GET", "/session")).status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "DELETE", "PROPFIND"])
async def test_other_methods_are_405_and_say_what_is_allowed(user: Browser, method: str) -> None:
    for target, allowed in (("/events", "GET"), ("/call", "POST"), ("/", "GET, HEAD"), ("", "GET, HEAD")):
        reply = await user.ask(method, target)
        assert refused_as(reply) == (405, "MethodNotAllowed")
        assert reply.headers["allow"] == allowed
    if method != "DELETE":
        assert (await user.ask(method, "/session")).headers["allow"] == "DELETE, GET, POST"


async def test_preflight_is_never_granted(browser: Browser) -> None:
    asked = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
    for target in ("/call", "/session", "/"):
        assert (await browser.ask("OPTIONS", target, b"", asked)).status == 405


# -- other names (rebinding) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:{port}",
        "127.0.0.1.evil.test:{port}",
        "localhost.evil.test",
        "localhost@evil.test",
        "127.0.0.1:{port}@evil.test",
        "[::1].evil.test",
        "[evil.test]",
        "[]",
        ":{port}",
        "",
        "127.0.0.1, evil.test",
        "127.0.0.1:abc",
        "0x7f000001",
        "2130706433",
        "xn--lcalhost-0za",
        "a" * 300,
    ],
)
async def test_class_14_name_of_nobodys_is_refused_everywhere(user: Browser, host: str) -> None:
    host = host.replace("{port}", str(user.desk.port))
    headers = {"Host": host, "Origin": f"http://{host}"}
    for method, target in (*DOORS, ("GET", ""), ("GET", "/"), ("GET", "/favicon.svg"), ("GET", "/nothing")):
        reply = await user.ask(method, target, BODY if method == "POST" else b"", headers)
        assert reply.status == 403, (host, target)
        assert "set-cookie" not in reply.headers
    assert nothing_happened(user)


async def test_page_for_an_unknown_name_says_what_to_do(browser: Browser) -> None:
    reply = await browser.ask("GET", "/", headers={"Host": "kls.example.com:8080"})
    assert (reply.status, reply.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert 'hosts = ["kls.example.com"]' in reply.body.decode().replace("&quot;", '"')


@pytest.mark.parametrize(
    "data", [b"GET /console/ HTTP/1.0\r\n\r\n", b"GET /console/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"]
)
async def test_request_without_one_host_is_refused(desk: Desk, data: bytes) -> None:
    assert (await desk.site.send_raw(data)).status in (400, 403)


async def test_names_of_the_configuration_are_known_and_no_others(folder: Path) -> None:
    desk = Desk(folder, config.Config(console=config.Console(hosts=("Kls.Example.com", "b.test."))))
    await desk.start()
    browser = desk.browser()
    for host, status in (
        ("kls.example.com", 200),
        ("KLS.EXAMPLE.COM.:443", 200),
        ("b.test", 200),
        ("192.0.2.1:8080", 200),
        ("[2001:db8::1]:8080", 200),
        ("localhost", 200),
        ("example.com", 403),
        ("x.kls.example.com", 403),
    ):
        assert (await browser.ask("GET", "/", headers={"Host": host})).status == status, host
    await desk.close()


# -- words that are code ------------------------------------------------------------------------------------------

HOSTILE = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "a\x01\x1b[31m\u202e", "\ufffe\x85\u2028"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_class_15_names_come_out_of_every_door_as_json(user: Browser, name: str) -> None:
    texts = [
        await user.ask("POST", FORBID, json.dumps(BAN | {"Stream": name}).encode()),
        await user.ask("POST", f"/call?Action={quote(name)}&Version=2017-01-01", b"{}"),
        await user.ask(
            "POST",
            f"/explain?Action={quote(name)}&Version={quote(name)}&Method=GET",
            json.dumps({name: name}).encode(),
        ),
        await user.ask("POST", f"/explain?Action=A&Version=B&Method={quote(name)}", b"{}"),
        await user.ask("POST", "/explain?Action=A&Version=B&Method=GET", json.dumps({name: []}).encode()),
        await user.ask("GET", f"/{quote(name)}"),
        await user.log_in(access_key=name),
    ]
    for reply in texts:
        assert reply.headers["content-type"] == "application/json; charset=utf-8"
        assert reply.headers["x-content-type-options"] == "nosniff"
        reply.json  # noqa: B018 -- it can be read


async def test_class_15_there_is_no_jsonp(user: Browser) -> None:
    for target in ("/session?callback=alert", "/session?jsonp=alert&format=js"):
        reply = await user.ask("GET", target)
        assert reply.body.startswith(b"{")
        assert b"alert" not in reply.body
    reply = await user.ask("POST", "/call?Action=GetBlacklist&Version=2017-01-01&callback=alert", b"{}")
    assert reply.body.startswith(b"{")
    assert b"alert" not in reply.body


async def test_class_15_host_is_escaped_in_the_page_about_it(browser: Browser) -> None:
    reply = await browser.ask("GET", "/", headers={"Host": "<script>alert(1)</script>"})
    assert reply.status == 403
    assert b"<script" not in reply.body


async def test_live_streams_with_hostile_names_stay_within_their_event(user: Browser) -> None:
    for name in HOSTILE:
        user.desk.site.publish(name + "\n\ndata: x")
    async with user.events() as events:
        streams = await events.until("streams")
        assert {row["Stream"] for row in streams["Streams"]} == {name + "\n\ndata: x" for name in HOSTILE}
