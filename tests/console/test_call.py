"""Calls of a session: the API's own steps and answers; and the request that an SDK would send instead."""

import asyncio
import hmac
import http.client
import json
import shlex
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from openkls import model
from openkls.api import pipeline
from openkls.api.wire import BODY_LIMIT_BYTES, Way
from openkls.codec import sigv4
from openkls.domain.ports import AccessKey
from support_api import NOW, Reply
from support_console import Browser, Desk

PLACE = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
BAN = {**PLACE, "Stream": "s1"}


def key_with(policy: str) -> AccessKey:
    return AccessKey("AKSTORED", "SKSTORED", "2000001", True, NOW, 1, policy)


async def signed(desk: Desk, action: str, **parameters: str) -> Reply:
    return await desk.site.call(action, **parameters)


# -- call ---------------------------------------------------------------------------------------------------------


async def test_session_calls_every_action_of_the_contract_as_a_signature_does(user: Browser) -> None:
    user.desk.site.publish("s1")
    for name in model.load().operations:
        if name in ("ForbidStream", "ResumeStream"):
            continue
        parameters = BAN | {"StartUnixTime": str(NOW - 86400), "EndUnixTime": str(NOW)}
        by_signature = await signed(user.desk, name, **parameters)
        by_session = await user.call(name, **parameters)
        assert by_session.status == by_signature.status == 200
        assert by_session.json["Data"] == by_signature.json["Data"], name
        assert by_session.headers["content-type"] == by_signature.headers["content-type"]


async def test_ban_and_resume_are_audited_with_key_address_and_request(user: Browser) -> None:
    forbidden = await user.call("ForbidStream", **BAN)
    user.desk.site.now += 1
    resumed = await user.call("ResumeStream", **BAN)
    rows = user.desk.site.audit.rows
    assert [(row.action, row.author.access_key, row.author.address, row.outcome) for row in rows] == [
        ("ForbidStream", "AKTEST", "127.0.0.1", "0"),
        ("ResumeStream", "AKTEST", "127.0.0.1", "0"),
    ]
    for row, reply in zip(rows, (forbidden, resumed), strict=True):
        assert row.author.request_id == reply.json["RequestId"] == reply.headers["x-amzn-requestid"]


async def test_policy_of_the_key_holds_and_its_refusal_is_the_apis(desk: Desk, browser: Browser) -> None:
    policy = '[{"Effect": "Allow", "Action": ["kls:GetBlacklist"], "Resource": ["*"]}]'
    desk.site.services.keys.apply(key_with(policy))
    await browser.log_in("AKSTORED", "SKSTORED")
    assert (await browser.call("GetBlacklist", **PLACE)).json["Data"]["RetCode"] == 0
    reply = await browser.call("ForbidStream", **BAN)
    assert (reply.status, reply.json["Error"]["Code"]) == (403, "InvalidAuthenticationCode")
    assert reply.headers["x-amzn-errortype"] == "InvalidAuthenticationCode"
    assert desk.site.bans.bans == {}


@pytest.mark.parametrize(
    ("target", "body", "status", "code"),
    [
        ("/call", b"{}", 400, "MissingParameter"),
        ("/call?Action=GetBlacklist", b"{}", 400, "MissingParameter"),
        ("/call?Action=Nothing&Version=2017-01-01", b"{}", 400, "InvalidActionOrVersion"),
        ("/call?Action=GetBlacklist&Version=1999-01-01", b"{}", 400, "InvalidActionOrVersion"),
        ("/call?Action=GetBlacklist&Version=2017-01-01", b"{", 400, "InvalidParameterValue"),
        ("/call?Action=GetBlacklist&Version=2017-01-01", b"[1]", 400, "InvalidParameterValue"),
        ("/call?Action=GetBlacklist&Version=2017-01-01", b"UniqueName=demo", 400, "InvalidParameterValue"),
        ("/call?Action=GetBlacklist&Version=2017-01-01", b"[" * 100_000, 400, "InvalidParameterValue"),
    ],
)
async def test_call_that_is_wrong_is_answered_by_the_api(
    user: Browser, target: str, body: bytes, status: int, code: str
) -> None:
    reply = await user.ask("POST", target, body)
    assert (reply.status, reply.json["Error"]["Code"]) == (status, code)


async def test_body_at_the_limit_is_read_and_one_byte_more_is_413(user: Browser) -> None:
    body = json.dumps(PLACE).encode().ljust(BODY_LIMIT_BYTES)
    target = "/call?Action=GetBlacklist&Version=2017-01-01"
    assert (await user.ask("POST", target, body)).json["Data"]["RetCode"] == 0
    for refused in (target, "/explain?Action=GetBlacklist&Version=2017-01-01&Method=POST"):
        reply = await user.ask("POST", refused, body + b" ")
        assert (reply.status, reply.json["Error"]["Code"]) == (413, "RequestTooLarge")


async def test_browser_cannot_choose_bucket_or_action_by_a_header(user: Browser) -> None:
    headers = {"X-Action": "ForbidStream", "X-Version": "2017-01-01", "X-Amz-Target": "kls.ForbidStream"}
    reply = await user.ask("POST", "/call", json.dumps(BAN).encode(), headers)
    assert reply.json["Error"]["Code"] == "MissingParameter"


async def test_console_has_a_bucket_of_its_own_which_says_when_to_come_again(user: Browser) -> None:
    user.desk.site.rates.enforced = True
    rate = model.load().operations["ListHistoryPubStreamsInfo"].rate
    for _ in range(rate.requests):
        assert (await user.call("ListHistoryPubStreamsInfo", **PLACE)).status == 200
    reply = await user.call("ListHistoryPubStreamsInfo", **PLACE)
    assert (reply.status, reply.json["Error"]["Code"]) == (409, "LimitExceeded")
    assert int(reply.headers["retry-after"]) == rate.per_seconds
    assert (await signed(user.desk, "ListHistoryPubStreamsInfo", **PLACE)).status == 200


def test_session_skips_the_steps_of_a_signature_and_no_other() -> None:
    names = [step.__name__ for step in pipeline.STEPS]
    skipped = ["read_claim", "find_key", "check_time", "check_scope", "check_signature"]
    assert [step.__name__ for step in pipeline.SESSION_STEPS] == [name for name in names if name not in skipped]
    assert [step.__name__ for step in pipeline.UNMETERED_STEPS] == [
        name for name in names if name not in (*skipped, "check_rate")
    ]
    assert pipeline.STEPS_OF == {
        Way.SIGNED: pipeline.STEPS,
        Way.SESSION: pipeline.SESSION_STEPS,
        Way.UNMETERED: pipeline.UNMETERED_STEPS,
    }
    of_rights = [step.__name__ for step in pipeline.RIGHTS_STEPS]
    assert of_rights == [name for name in names[: names.index("check_rate")] if name not in skipped]
    assert {"check_account", "check_policy", "check_full_rights"} <= set(of_rights)


# -- explain ------------------------------------------------------------------------------------------------------


async def explained(user: Browser, method: str, action: str = "CheckBlacklist", **parameters: object) -> Reply:
    target = f"/explain?Action={action}&Version=2017-01-01&Method={method}"
    return await user.ask("POST", target, json.dumps(parameters).encode())


def replay(shown: dict[str, str]) -> tuple[int, bytes]:
    """Send the request that was shown, as it was shown, by the standard library."""
    url = urlsplit(shown["Url"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.putrequest(shown["Method"], f"{url.path}?{url.query}", skip_host=True, skip_accept_encoding=True)
        for name, value in dict(shown["Headers"]).items():
            connection.putheader(name, value)
        if shown["Body"]:
            connection.putheader("Content-Length", str(len(shown["Body"].encode())))
        connection.endheaders(shown["Body"].encode() or None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("stream", ["s1", "名前 'quoted' \"twice\" $HOME `id` &=+%/~*", "-x"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_request_that_is_shown_verifies_when_it_is_sent(desk: Desk, method: str, stream: str, host: str) -> None:
    user = desk.browser(host)
    await user.log_in()
    reply = await explained(user, method, **{**BAN, "Stream": stream, "Number": 5, "Flag": True})
    assert reply.status == 200
    shown = reply.json
    assert list(shown) == ["Method", "Url", "Headers", "Body", "CanonicalRequest", "StringToSign", "Curl"]
    status, body = await asyncio.to_thread(replay, shown)
    assert status == 200, body
    answered = json.loads(body)["Data"]
    assert answered["RetCode"] == (0 if stream == "s1" else 1004 if stream != "-x" else 0)
    assert_shown_is_what_was_signed(shown)
    assert_curl_is_the_request(shown)


def assert_shown_is_what_was_signed(shown: dict[str, str]) -> None:
    headers = dict(shown["Headers"])
    signature = headers["Authorization"].rpartition("Signature=")[2]
    key = sigv4.signing_key("SKTEST", headers["X-Amz-Date"][:8], "cn-beijing-6", "kls")
    assert hmac.new(key, shown["StringToSign"].encode(), "sha256").hexdigest() == signature
    assert shown["StringToSign"].endswith("\n" + sha256(shown["CanonicalRequest"].encode()).hexdigest())
    assert shown["CanonicalRequest"].startswith(shown["Method"] + "\n/\nAction=CheckBlacklist&")


def assert_curl_is_the_request(shown: dict[str, str]) -> None:
    words = shlex.split(shown["Curl"])
    assert words[:3] == ["curl", "-X", shown["Method"]]
    assert words[-1] == shown["Url"]
    sent = {words[at + 1] for at, word in enumerate(words) if word == "-H"}
    assert sent == {f"{name}: {value}" for name, value in dict(shown["Headers"]).items() if name != "Host"}
    if shown["Body"]:
        assert words[words.index("--data-raw") + 1] == shown["Body"]


async def test_nothing_is_done_by_showing_it(user: Browser) -> None:
    assert (await explained(user, "POST", "ForbidStream", **BAN)).status == 200
    assert user.desk.site.bans.bans == {}
    assert user.desk.site.audit.rows == []


async def test_secret_is_in_no_part_of_what_is_shown(user: Browser) -> None:
    assert b"SKTEST" not in (await explained(user, "GET", **BAN)).body


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("?Action=A&Version=B&Method=PUT", b"{}", "InvalidParameterValue"),
        ("?Action=A&Version=B", b"{}", "InvalidParameterValue"),
        ("?Action=A&Method=GET", b"{}", "MissingParameter"),
        ("?Version=A&Method=GET", b"{}", "MissingParameter"),
        ("?Action=A&Version=B&Method=GET", b"[]", "InvalidParameterValue"),
        ("?Action=A&Version=B&Method=GET", b"{", "InvalidParameterValue"),
        ("?Action=A&Version=B&Method=GET", b"\xff", "InvalidParameterValue"),
        ("?Action=A&Version=B&Method=GET", b'{"a": {}}', "InvalidParameterValue"),
        ("?Action=A&Version=B&Method=GET", b'{"a": null}', "InvalidParameterValue"),
        ("?Action=A&Version=B&Method=GET", b'{"X-Amz-Expires": "1"}', "InvalidParameterValue"),
        ("?" + "a=b&" * 20, b"{}", "InvalidParameterValue"),
        ("?Action=A&Version=B&Method=GET", b'{"a":' * 5000 + b"1" + b"}" * 5000, "InvalidParameterValue"),
    ],
)
async def test_request_that_cannot_be_shown_is_400(user: Browser, target: str, body: bytes, code: str) -> None:
    reply = await user.ask("POST", "/explain" + target, body)
    assert (reply.status, reply.json["Error"]["Code"]) == (400, code)


async def test_parameters_at_the_signatures_limit_are_shown_and_one_more_is_400(user: Browser) -> None:
    most = {f"p{number}": "" for number in range(sigv4.MAX_QUERY_PARAMETERS - 2)}
    assert (await explained(user, "GET", **most)).status == 200
    reply = await explained(user, "GET", **most, more="")
    assert (reply.status, reply.json["Error"]["Code"]) == (400, "InvalidParameterValue")
