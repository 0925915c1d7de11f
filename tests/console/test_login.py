"""Login and sessions: who gets one, what the browser is given, and when it is over."""

import asyncio
import contextlib
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from openkls import config
from openkls.api import listener, tls
from openkls.api.listener import listen
from openkls.cli.cert import make_certificate
from openkls.console import sessions, site
from openkls.console.sessions import End
from openkls.domain.backoff import FREE_PER_MINUTE, HELD_LIMIT
from openkls.domain.ports import AccessKey, AccountSwitch
from support_api import DEADLINE_SECONDS, NOW, Reply, read_reply
from support_console import Browser, Desk

IDLE_SECONDS = 30 * 60


def stored_key(version: int = 1, enabled: bool = True, policy: str | None = None, **more: int) -> AccessKey:
    return AccessKey("AKSTORED", "SKSTORED", "2000001", enabled, NOW, version, policy, **more)


def error_code(reply: Reply) -> str:
    return str(reply.json["Error"]["Code"])


async def is_logged_in(browser: Browser) -> bool:
    reply = await browser.ask("GET", "/session")
    assert reply.status in (200, 204)
    return reply.status == 200


# -- logging in ---------------------------------------------------------------------------------------------------


async def test_login_answers_who_it_is_and_a_cookie(desk: Desk, browser: Browser) -> None:
    reply = await browser.log_in()
    assert reply.status == 200
    assert reply.json == {
        "AccountId": "2000001",
        "AccessKey": "AKTEST",
        "Region": "cn-beijing-6",
        "Version": "0.1.0",
        "CsrfToken": reply.json["CsrfToken"],
        "IdleSeconds": IDLE_SECONDS,
        "FullRights": True,
    }
    name, _, rest = reply.headers["set-cookie"].partition("=")
    token, *attributes = rest.split("; ")
    assert name == f"openkls-{desk.port}"
    assert sorted(attributes) == ["HttpOnly", "Path=/console", "SameSite=Strict"]
    assert len(token) >= 43
    assert token not in (reply.json["CsrfToken"], reply.body.decode())
    assert (await browser.ask("GET", "/session")).json == reply.json


async def test_key_with_a_policy_has_not_full_rights(desk: Desk, browser: Browser) -> None:
    desk.site.services.keys.apply(stored_key(policy="[]"))
    assert (await browser.log_in("AKSTORED", "SKSTORED")).json["FullRights"] is False


async def test_who_is_not_logged_in_is_401_at_every_door(browser: Browser) -> None:
    browser.csrf_token = "guess"
    for method, target in (
        ("DELETE", "/session"),
        ("POST", "/call?Action=GetBlacklist&Version=2017-01-01"),
        ("POST", "/explain?Action=GetBlacklist&Version=2017-01-01&Method=GET"),
        ("GET", "/events"),
    ):
        reply = await browser.ask(method, target)
        assert (reply.status, error_code(reply)) == (401, "NoSession"), target
    reply = await browser.ask("GET", "/session")
    assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize(
    ("access_key", "secret_key"),
    [("AKTEST", "SKTHEIRS"), ("AKNOBODY", "SKTEST"), ("AKTEST", ""), ("", ""), ("", "\0"), ("AKNOBODY", "\0")],
)
async def test_wrong_pair_is_told_in_one_way(browser: Browser, access_key: str, secret_key: str) -> None:
    reply = await browser.log_in(access_key, secret_key)
    assert (reply.status, error_code(reply)) == (401, "LoginFailed")
    assert "set-cookie" not in reply.headers
    assert browser.desk.console.failed_logins == 1


async def test_key_of_a_disabled_account_cannot_log_in(desk: Desk, browser: Browser) -> None:
    desk.site.services.keys.apply_switch(AccountSwitch("2000001", True, 1))
    reply = await browser.log_in()
    assert (reply.status, error_code(reply)) == (401, "UnavailableAccountID")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"AccessKey": "AKTEST"}',
        b'{"AccessKey": 1, "SecretKey": "SKTEST"}',
        b'{"AccessKey": "AKTEST", "SecretKey": "SKTEST", "More": 1}',
        b"\xff\xfe",
        b"AccessKey=AKTEST&SecretKey=SKTEST",
        b"[" * 4000,
    ],
)
async def test_body_that_is_no_login_is_400_and_not_repeated(browser: Browser, body: bytes) -> None:
    reply = await browser.ask("POST", "/session", body)
    assert (reply.status, error_code(reply)) == (400, "InvalidParameterValue")
    assert b"SKTEST" not in reply.body


async def test_login_at_its_limit_is_read_and_one_byte_more_is_413(browser: Browser) -> None:
    body = json.dumps({"AccessKey": "AKTEST", "SecretKey": "SKTEST"}).encode()
    at_limit = body + b" " * (site.LOGIN_LIMIT_BYTES - len(body))
    assert (await browser.ask("POST", "/session", at_limit)).status == 200
    reply = await browser.ask("POST", "/session", at_limit + b" ")
    assert (reply.status, error_code(reply)) == (413, "RequestTooLarge")


async def test_class_20_body_of_a_gigabyte_is_refused_at_its_head(browser: Browser) -> None:
    for target in ("/session", "/call?Action=GetBlacklist&Version=2017-01-01", "/explain", "/"):
        await browser.log_in()
        data = browser.head("POST", target, b"", {"Content-Length": str(1 << 30)})
        reply = await browser.desk.site.send_raw(data)
        assert reply.status in (405, 413)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_login_of_a_type_that_forms_can_send_is_refused(browser: Browser, content_type: str | None) -> None:
    reply = await browser.log_in(headers={"Content-Type": content_type})
    assert (reply.status, error_code(reply)) == (415, "InvalidContentType")


async def test_type_with_a_charset_is_json_too(browser: Browser) -> None:
    assert (await browser.log_in(headers={"Content-Type": "Application/JSON; charset=utf-8"})).status == 200


async def test_class_20_login_that_drips_is_cut(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "BODY_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection(*browser.desk.site.address)
    writer.write(browser.head("POST", "/session", b"", {"Content-Length": "100"}) + b'{"AccessKey"')
    async with asyncio.timeout(DEADLINE_SECONDS):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    assert browser.desk.site.listener is not None
    assert browser.desk.site.listener.outcomes[listener.TOO_LATE] == 1


async def test_bug_of_ours_is_500_in_the_consoles_form_and_logged(
    user: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a detail")

    monkeypatch.setattr(user.desk.console.sessions, "find", broken)
    reply = await user.ask("GET", "/session")
    assert (reply.status, error_code(reply)) == (500, "UndefinedError")
    assert b"a detail" not in reply.body
    assert caplog.records[-1].exc_info is not None
    caplog.clear()


# -- where a secret may be typed in -------------------------------------------------------------------------------


def behind_proxy() -> config.Config:
    return config.Config(
        api=config.Api(trusted_proxies=("127.0.0.1",)), console=config.Console(hosts=("console.test",))
    )


async def test_login_over_plain_http_off_loopback_is_refused(folder: Path) -> None:
    desk = Desk(folder, behind_proxy())
    await desk.start()
    browser = desk.browser()
    refused = [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"},
        {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https, http"},
        {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": ""},
        {"Host": f"console.test:{desk.port}", "Origin": f"http://console.test:{desk.port}"},
        {"Host": f"192.0.2.1:{desk.port}", "Origin": f"http://192.0.2.1:{desk.port}"},
    ]
    for headers in refused:
        reply = await browser.log_in(headers=headers)
        assert (reply.status, error_code(reply)) == (403, "InsecureLogin"), headers
    # The right pair is not told from a wrong one.
    assert desk.console.failed_logins == 0
    reply = await browser.log_in(
        headers={
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "Host": "console.test",
            "Origin": "https://console.test",
        }
    )
    assert reply.status == 200
    assert reply.headers["set-cookie"].startswith(f"__Secure-openkls-{desk.port}=")
    assert "; Secure" in reply.headers["set-cookie"]
    await desk.close()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Forwarded-Proto", "X-Real-IP", "Via"])
async def test_proxy_of_this_machine_that_is_not_trusted_makes_no_loopback(browser: Browser, header: str) -> None:
    reply = await browser.log_in(headers={header: "https"})
    assert (reply.status, error_code(reply)) == (403, "InsecureLogin")


async def test_loopback_logs_in_over_plain_http_by_each_of_its_names(desk: Desk) -> None:
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.8.9.1"):
        assert (await desk.browser(host).log_in()).status == 200, host


async def test_cookie_over_https_is_secure_and_no_other_is_read(desk: Desk, tmp_path: Path) -> None:
    certificate, key = make_certificate([x509.DNSName("localhost")])
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    secured = await listen(
        desk.site.services,
        config.Address("127.0.0.1", 0),
        tls.Certificate(tmp_path / "cert.pem", tmp_path / "key.pem"),
        desk.site.sites,
    )
    browser = desk.browser("localhost")
    browser.scheme, browser.authority = "https", f"localhost:{secured.address.port}"

    async def ask(method: str, body: bytes = b"") -> Reply:
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        reader, writer = await asyncio.open_connection(*secured.address, ssl=context, server_hostname="localhost")
        writer.write(browser.head(method, "/session", body, {}) + body)
        try:
            reply = await read_reply(reader)
        finally:
            writer.close()
        browser.keep_cookies(reply)
        return reply

    reply = await ask("POST", b'{"AccessKey": "AKTEST", "SecretKey": "SKTEST"}')
    assert reply.status == 200
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"__Secure-openkls-{secured.address.port}=")
    assert sorted(cookie.split("; ")[1:]) == ["HttpOnly", "Path=/console", "SameSite=Strict", "Secure"]
    assert (await ask("GET")).status == 200
    ((_, token),) = browser.cookies.items()
    browser.cookies = {f"openkls-{secured.address.port}": token}
    assert (await ask("GET")).status == 204
    await secured.close()


# -- guessing (security class 21) ---------------------------------------------------------------------------------


async def test_class_21_guessing_is_slowed_and_the_owner_never(desk: Desk, browser: Browser) -> None:
    for _ in range(FREE_PER_MINUTE + 10):
        assert (await browser.log_in(secret_key="guess")).status == 401
    pauses = list(desk.site.pauses)
    assert pauses[:3] == [0.1, 0.2, 0.4]
    assert max(pauses) == 2.0
    assert (await browser.log_in()).status == 200
    assert (
        await desk.site.call("GetBlacklist", UniqueName="demo", App="live", Pubdomain="push.demo.local")
    ).status == 200
    assert desk.site.pauses == pauses


async def test_class_21_guesses_at_the_login_and_at_signatures_are_counted_together(
    desk: Desk, browser: Browser
) -> None:
    for _ in range(FREE_PER_MINUTE):
        await browser.log_in(secret_key="guess")
    assert desk.site.pauses == []
    wrong = desk.site.signed("GET", "/?Action=GetBlacklist&Version=2017-01-01", secret_key="guess")
    assert (await desk.site.send(wrong)).error_code == "SignatureNotMatch"
    assert desk.site.pauses == [0.1]


async def test_class_21_guess_beyond_those_that_wait_closes_its_connection(desk: Desk, browser: Browser) -> None:
    for _ in range(FREE_PER_MINUTE + 1):
        reply = await browser.log_in(secret_key="guess")
    assert "connection" not in reply.headers
    desk.site.backoff.held = HELD_LIMIT
    reply = await browser.log_in(secret_key="guess")
    assert (reply.status, reply.headers["connection"]) == (401, "close")
    assert desk.site.backoff.overflowed == 1


# -- what ends a session ------------------------------------------------------------------------------------------


async def test_logout_ends_the_session_and_takes_the_cookie_away(user: Browser) -> None:
    before = dict(user.cookies)
    reply = await user.ask("DELETE", "/session")
    assert (reply.status, reply.body) == (204, b"")
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert user.cookies == {}
    user.cookies = before
    assert not await is_logged_in(user)
    assert len(user.desk.console.sessions) == 0


async def test_session_is_over_when_nobody_has_used_it_for_so_long(user: Browser) -> None:
    user.desk.site.ticks += IDLE_SECONDS - 1
    assert await is_logged_in(user)
    user.desk.site.ticks += IDLE_SECONDS - 1
    assert (await user.call("GetBlacklist")).status == 200
    user.desk.site.ticks += IDLE_SECONDS
    assert not await is_logged_in(user)
    assert len(user.desk.console.sessions) == 0


async def test_session_is_over_after_a_day_whatever_it_was_used_for(user: Browser) -> None:
    for _ in range(int(sessions.LIFETIME_SECONDS / 600) - 1):
        user.desk.site.ticks += 600
        assert await is_logged_in(user)
    user.desk.site.ticks += 600
    assert not await is_logged_in(user)


async def test_idle_minutes_are_the_configurations(folder: Path) -> None:
    desk = Desk(folder, config.Config(console=config.Console(idle_minutes=1)))
    await desk.start()
    browser = desk.browser()
    assert (await browser.log_in()).json["IdleSeconds"] == 60
    desk.site.ticks += 60
    assert not await is_logged_in(browser)
    await desk.close()


async def test_session_ends_with_its_key_in_every_way(desk: Desk) -> None:
    keys = desk.site.services.keys

    def disabled() -> None:
        keys.apply(stored_key(version=2, enabled=False))

    def ended() -> None:
        keys.apply(stored_key(version=2, expires_at=1))

    def given_another_secret() -> None:
        keys.apply(AccessKey("AKSTORED", "SKANOTHER", "2000001", True, NOW, 2))

    def given_to_another_account() -> None:
        keys.apply(AccessKey("AKSTORED", "SKSTORED", "2000002", True, NOW, 2))

    def its_account_disabled() -> None:
        keys.apply_switch(AccountSwitch("2000001", True, 2))

    for happened in (disabled, ended, given_another_secret, given_to_another_account, its_account_disabled):
        keys._rows.clear()
        keys.apply(stored_key())
        browser = desk.browser()
        assert (await browser.log_in("AKSTORED", "SKSTORED")).status == 200
        assert await is_logged_in(browser)
        happened()
        reply = await browser.call("GetBlacklist")
        assert (reply.status, error_code(reply)) == (401, "NoSession"), happened
        assert len(desk.console.sessions) == 0


async def test_rights_that_change_count_from_the_next_call(desk: Desk, browser: Browser) -> None:
    keys = desk.site.services.keys
    keys.apply(stored_key())
    await browser.log_in("AKSTORED", "SKSTORED")
    names = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
    assert (await browser.call("GetBlacklist", **names)).status == 200
    keys.apply(stored_key(version=2, policy="[]"))
    assert (await browser.call("GetBlacklist", **names)).status == 403
    assert (await browser.ask("GET", "/session")).json["FullRights"] is False


# -- tokens -------------------------------------------------------------------------------------------------------


async def test_token_that_was_there_before_is_never_taken_on(desk: Desk, browser: Browser) -> None:
    planted = "A" * 43
    browser.cookies[f"openkls-{desk.port}"] = planted
    assert (await browser.log_in()).status == 200
    assert planted not in browser.cookies.values()
    attacker = desk.browser()
    attacker.cookies[f"openkls-{desk.port}"] = planted
    assert not await is_logged_in(attacker)


async def test_who_logs_in_again_has_another_token_and_the_first_is_over(user: Browser) -> None:
    first, first_csrf = dict(user.cookies), user.csrf_token
    assert (await user.log_in()).status == 200
    assert user.cookies != first
    assert user.csrf_token != first_csrf
    assert len(user.desk.console.sessions) == 1
    user.cookies = first
    assert not await is_logged_in(user)


async def test_cookie_that_is_there_twice_opens_nothing(user: Browser) -> None:
    ((name, token),) = user.cookies.items()
    other = user.desk.browser()
    await other.log_in()
    for cookie in (f"{name}={token}; {name}={other.cookies[name]}", f"{name}={token}; {name}={token}"):
        assert (await user.ask("GET", "/session", headers={"Cookie": cookie})).status == 204


@pytest.mark.parametrize("cookie", ["", ";;;", "=", "a=b; {name}={token}", "bad name=1;{name}={token};;x"])
async def test_other_cookies_do_not_hide_the_sessions(user: Browser, cookie: str) -> None:
    ((name, token),) = user.cookies.items()
    text = cookie.format(name=name, token=token)
    expected = 200 if token in text else 204
    assert (await user.ask("GET", "/session", headers={"Cookie": text})).status == expected


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * sessions.TOKEN_CHARACTERS_LIMIT, "A" * 4000, "\xff\xfe"])
async def test_token_of_nobody_opens_nothing(desk: Desk, browser: Browser, token: str) -> None:
    browser.cookies[f"openkls-{desk.port}"] = token
    assert not await is_logged_in(browser)


async def test_memory_holds_neither_token_nor_secret(user: Browser) -> None:
    held = user.desk.console.sessions
    ((hashed, session),) = held._by_hash.items()
    (token,) = user.cookies.values()
    for text in (repr(session), repr(hashed), *(repr(getattr(session, name)) for name in session.__slots__)):
        assert token not in text
        assert "SKTEST" not in text
    assert user.csrf_token not in repr(session)


# -- limits -------------------------------------------------------------------------------------------------------


async def test_key_has_so_many_sessions_and_one_more_ends_that_used_longest_ago(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_PER_KEY_LIMIT", 3)
    browsers = [desk.browser() for _ in range(4)]
    for browser in browsers[:3]:
        await browser.log_in()
        desk.site.ticks += 1
    assert await is_logged_in(browsers[0])
    assert desk.console.sessions.displaced == 0
    desk.site.ticks += 1
    await browsers[3].log_in()
    assert [await is_logged_in(browser) for browser in browsers] == [True, False, True, True]
    assert (len(desk.console.sessions), desk.console.sessions.displaced) == (3, 1)
    other = desk.browser()
    await other.log_in("AKTHEIRS", "SKTHEIRS")
    assert len(desk.console.sessions) == 4


async def test_there_are_so_many_sessions_and_not_one_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_LIMIT", 2)
    first, second, third = (desk.browser() for _ in range(3))
    await first.log_in("AKTHEIRS", "SKTHEIRS")
    desk.site.ticks += 1
    await second.log_in()
    assert len(desk.console.sessions) == 2
    desk.site.ticks += 1
    await third.log_in()
    assert [await is_logged_in(browser) for browser in (first, second, third)] == [False, True, True]
    assert (len(desk.console.sessions), desk.console.sessions.displaced) == (2, 1)


async def test_sessions_that_are_over_make_room_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_LIMIT", 2)
    for _ in range(2):
        await desk.browser().log_in()
    desk.site.ticks += IDLE_SECONDS
    await desk.browser().log_in()
    assert (len(desk.console.sessions), desk.console.sessions.displaced) == (1, 0)


async def test_sessions_end_with_the_service(user: Browser) -> None:
    (session,) = user.desk.console.sessions._by_hash.values()
    await user.desk.console.close()
    assert session.ended_by is End.SERVICE_STOPPING
    assert not await is_logged_in(user)
