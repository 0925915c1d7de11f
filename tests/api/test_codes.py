"""Every code that the service model says an action gives can be got, and is what the documented cause gives."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openkls import model
from openkls.api import pipeline
from openkls.domain.blacklist import SPACE_BANS_LIMIT, Ban
from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.ports import AccessKey, AccountSwitch
from support_api import NOW, Encoder, Reply, Site

OPERATIONS = model.load().operations
GOOD = {
    "UniqueName": "demo",
    "App": "live",
    "Pubdomain": "push.demo.local",
    "Stream": "s1",
    "StartUnixTime": NOW - 86400,
    "EndUnixTime": NOW,
}


def good(action: str, **changes: Any) -> dict[str, Any]:
    """Parameters that the action takes and that are right, but for the changes."""
    members = OPERATIONS[action].input.members
    return {name: value for name, value in GOOD.items() if name in members} | changes


def wrong(**changes: Any) -> Callable[[Site, str], Awaitable[Reply]]:
    async def recipe(site: Site, action: str) -> Reply:
        return await site.call(action, **good(action, **changes))

    return recipe


async def forbid_twice(site: Site, action: str) -> Reply:
    await site.call(action, **good(action))
    return await site.call(action, **good(action))


async def store_down(site: Site, action: str) -> Reply:
    site.bans.down = StoreUnavailable("disk full")
    return await site.call(action, **good(action))


async def kick_fails(site: Site, action: str) -> Reply:
    site.publish("s1", encoder=Encoder(RuntimeError("no such connection")))
    return await site.call(action, **good(action))


async def orphan(site: Site, action: str) -> Reply:
    return await site.call(action, access_key="AKORPHAN", **good(action))


async def too_often(site: Site, action: str) -> Reply:
    site.rates.enforced = True
    for _ in range(OPERATIONS[action].rate.requests):
        await site.call(action, **good(action))
    return await site.call(action, **good(action))


# What gives each code. Where a code has a cause of its own in one action, that comes first.
RECIPES: dict[tuple[str, int] | int, Callable[[Site, str], Awaitable[Reply]]] = {
    0: wrong(),
    ("ResumeStream", 0): wrong(),
    1000: wrong(UniqueName=""),
    1002: wrong(UniqueName="de mo"),
    1003: wrong(App="li/ve"),
    1004: wrong(Stream="s/1"),
    3802: forbid_twice,
    4000: wrong(Pubdomain="push.nobody.local"),
    ("ListRealtimeStreamsInfo", 4000): wrong(DomainIds="1001,1003"),
    ("ListHistoryPubStreamsInfo", 4001): wrong(StartUnixTime=NOW, EndUnixTime=NOW - 1),
    ("ListHistoryPubStreamsErrInfo", 4001): wrong(StartUnixTime=NOW, EndUnixTime=NOW - 1),
    ("ListStreamDurations", 4001): wrong(StartUnixTime=NOW, EndUnixTime=NOW),
    ("ForbidStream", 4001): wrong(ForbidTillUnixTime=NOW),
    4201: wrong(Pubdomain="push.other.local"),
    4999: wrong(UniqueName="", uniquename="demo"),
    5000: orphan,
    6406: wrong(UniqueName="theirs"),
    8200: store_down,
    8201: wrong(),
    8501: kick_fails,
    8502: wrong(ForbidTillUnixTime=1),
    9014: wrong(PullProtocol="srt"),
    9015: wrong(Type="both"),
    9016: too_often,
}


@pytest.mark.parametrize(
    ("action", "code"),
    [
        pytest.param(name, code, marks=pytest.mark.provokes(code))
        for name, operation in OPERATIONS.items()
        for code in operation.ret_codes
    ],
)
async def test_code_of_the_model_is_given(site: Site, action: str, code: int) -> None:
    if (action, code) == ("ResumeStream", 0):
        await site.call("ForbidStream", **good("ForbidStream"))
    recipe = RECIPES.get((action, code)) or RECIPES[code]
    reply = await recipe(site, action)
    assert reply.data["RetCode"] == code


async def store_is(site: Site, error: Exception) -> Reply:
    site.history.down = error
    return await site.call("ListHistoryPubStreamsInfo", **good("ListHistoryPubStreamsInfo"))


async def late_store(site: Site) -> Reply:
    return await store_is(site, StoreTimeout("5 s"))


async def absent_store(site: Site) -> Reply:
    return await store_is(site, StoreUnavailable("gone"))


async def our_bug(site: Site) -> Reply:
    return await store_is(site, KeyError("secret detail"))


async def dry_run(site: Site) -> Reply:
    return await site.call("ForbidStream", **good("ForbidStream", DryRun="true"))


async def not_opened(site: Site) -> Reply:
    parameters = good("ListStreamDurations", UniqueName="closed", Pubdomain="push.closed.local")
    return await site.call("ListStreamDurations", **parameters)


async def list_too_often(site: Site) -> Reply:
    return await too_often(site, "ListHistoryPubStreamsInfo")


async def account_switched_off(site: Site) -> Reply:
    site.services.keys.apply_switch(AccountSwitch("2000001", disabled=True, version=1))
    return await site.call("CheckBlacklist", **good("CheckBlacklist"))


def with_policy(statements: list[dict[str, str]]) -> Callable[[Site], Awaitable[Reply]]:
    async def recipe(site: Site) -> Reply:
        key = AccessKey("AKPOLICY", "SKPOLICY", "2000001", True, 0, 1, policy=json.dumps(statements))
        site.services.keys.apply(key)
        return await site.call("CheckBlacklist", access_key="AKPOLICY", **good("CheckBlacklist"))

    return recipe


ACCEPT = [("Accept", "application/json")]


def signed(target: str, method: str = "GET", body: bytes = b"", **claims: str) -> Callable[[Site], Awaitable[Reply]]:
    async def recipe(site: Site) -> Reply:
        return await site.send(site.signed(method, target, body, ACCEPT, **claims))

    return recipe


def unsigned(headers: str) -> Callable[[Site], Awaitable[Reply]]:
    async def recipe(site: Site) -> Reply:
        return await site.send_raw(f"GET / HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n{headers}\r\n".encode())

    return recipe


CREDENTIAL = "Authorization: AWS4-HMAC-SHA256 Credential=AKTEST/20261122/cn-beijing-6/kls/aws4_request\r\n"
RESOURCE = "krn:ksc:kls:cn-beijing-6:2000001:demo/push.demo.local/live/s1"
CHECK = "/?Action=CheckBlacklist&Version=2017-01-01"
GATEWAY_RECIPES: dict[str, tuple[Callable[[Site], Awaitable[Reply]], str]] = {
    "RequestTooLarge": (
        signed(CHECK, "POST", b"{" + b" " * 1048576),
        "The request is larger than 1048576 bytes.",
    ),
    "MissingAccesskey": (unsigned(""), "Access Key is Missing"),
    "MissingTimestamp": (unsigned(CREDENTIAL), "The request is missing timestamp parameter."),
    "MissingSignature": (
        unsigned(CREDENTIAL + "X-Amz-Date: 20261122T170000Z\r\n"),
        "The Request is missing Signature Parameter.",
    ),
    "InvalidAccesskey": (signed(CHECK, access_key="AKNOBODY"), "Invalid Accesskey(AKNOBODY)"),
    "InvalidTimestamp": (
        signed(CHECK, amz_date="20261121T170000Z"),
        "Invalid Timestamp(20261121T170000Z). Pls in 15mins",
    ),
    "ServiceUnavailableInvalid": (signed(CHECK, service="ec2"), "Invalid service(ec2)"),
    "UnavailableRegion": (signed(CHECK, region="mars"), "The region mars is unavailable for the openapi"),
    "SignatureNotMatch": (signed(CHECK, secret_key="SKWRONG"), "The Signature is not matched"),
    "MissingParameter": (signed("/?Version=2017-01-01"), "The request is missing Action parameter."),
    "InvalidActionOrVersion": (
        signed("/?Action=Nothing&Version=1"),
        "The action Nothing or version 1 is not valid for this web service",
    ),
    "InvalidParameterValueType": (signed(CHECK, "POST", b"[]"), "The input parameter value type error."),
    "InvalidAuthenticationCode": (not_opened, "Request was rejected because of lack of policy."),
    "InvalidAuthenticationCodeDeny": (
        with_policy([{"Effect": "Deny", "Action": "kls:*", "Resource": "*"}]),
        f"the policy deny to [kls:CheckBlacklist] the resources[{RESOURCE}]",
    ),
    "InvalidAuthenticationCodeLack": (
        with_policy([{"Effect": "Allow", "Action": "kls:GetBlacklist", "Resource": "*"}]),
        f"lack of policy to [kls:CheckBlacklist] the resources[{RESOURCE}]",
    ),
    "UnavailableAccountID": (account_switched_off, "The Account ID is invalid."),
    "LimitExceeded": (
        list_too_often,
        "Request was rejected because the request speed of this openAPI is beyond the current flow control limit.",
    ),
    "ErrorDryRun": (dry_run, "Request would have succeeded, but DryRun flag is set."),
    "ServiceTimeout": (late_store, "Internal Service is unavailable because of time out."),
    "ServiceUnavailable": (absent_store, "The service is unavailable due to an internal exception."),
    "UndefinedError": (our_bug, "Undefine Internal Error. Pls Contact With Admin."),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(error.name, marks=pytest.mark.provokes(error.name))
        for error in model.load().gateway_errors.values()
        if not error.reserved
    ],
)
async def test_gateway_error_of_the_model_is_given(site: Site, name: str) -> None:
    error = model.load().gateway_errors[name]
    recipe, text = GATEWAY_RECIPES[name]
    reply = await recipe(site)
    assert (reply.status, reply.error_code) == (error.status, error.code)
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.json == {
        "RequestId": reply.headers["x-amzn-requestid"],
        "Error": {"Type": "Receiver" if error.status >= 500 else "Sender", "Code": error.code, "Message": text},
    }


async def test_bug_of_ours_is_logged_with_its_request_id_and_kept_out_of_the_answer(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await our_bug(site)
    assert b"secret detail" not in reply.body
    (record,) = [record for record in caplog.records if record.exc_info]
    assert reply.json["RequestId"] in record.getMessage()


async def test_dry_run_changes_nothing(site: Site) -> None:
    await dry_run(site)
    assert site.bans.calls == []


@pytest.mark.parametrize("value", [True, "true", "True"])
async def test_dry_run_is_understood_in_json(site: Site, value: object) -> None:
    reply = await site.call("ForbidStream", **good("ForbidStream", DryRun=value))
    assert reply.error_code == "ErrorDryRun"


@pytest.mark.parametrize("value", [False, "false", "", 0])
async def test_dry_run_that_is_not_true_is_none(site: Site, value: object) -> None:
    assert (await site.call("ForbidStream", **good("ForbidStream", DryRun=value))).data["RetCode"] == 0


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), StoreTimeout("late")])
async def test_blacklist_questions_are_answered_from_memory_while_the_store_is_away(
    site: Site, error: Exception
) -> None:
    await site.call("ForbidStream", **good("ForbidStream"))
    site.bans.down = site.history.down = error
    assert (await site.call("CheckBlacklist", **good("CheckBlacklist"))).data["CheckResult"] == 1
    assert (await site.call("GetBlacklist", **good("GetBlacklist"))).data["Total"] == 1


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), StoreTimeout("late")])
@pytest.mark.parametrize("action", ["ForbidStream", "ResumeStream"])
async def test_change_that_the_store_does_not_take_is_8200(site: Site, action: str, error: Exception) -> None:
    site.bans.down = error
    assert (await site.call(action, **good(action))).data["RetCode"] == 8200


async def test_ban_beyond_what_a_space_may_hold_is_8200(site: Site) -> None:
    def fill(number: int) -> None:
        key = StreamKey("demo", "push.demo.local", "live", f"x{number}")
        site.blacklist.apply(Ban(key, NOW, NOW + 1000, permanent=False, resumed=False, version=number))

    for number in range(SPACE_BANS_LIMIT - 1):
        fill(number)
    assert (await site.call("ForbidStream", **good("ForbidStream", Stream="last"))).data["RetCode"] == 0
    assert (await site.call("ForbidStream", **good("ForbidStream", Stream="one-more"))).data["RetCode"] == 8200


async def test_business_failure_of_realtime_streams_carries_the_zeroed_members(site: Site) -> None:
    reply = await site.call("ListRealtimeStreamsInfo", UniqueName="demo")
    assert reply.data == {
        "UniqueName": "",
        "App": "",
        "Count": 0,
        "Bw": 0,
        "OnlineUser": 0,
        "Streams": [],
        "RetCode": 1000,
        "RetMsg": "lack of parameters",
    }


@pytest.mark.parametrize("app", ["radio", "LIVE"])
async def test_app_that_is_not_in_the_spaces_list_is_1003(site: Site, app: str) -> None:
    assert (await site.call("GetBlacklist", **good("GetBlacklist", App=app))).data["RetCode"] == 1003


def test_every_operation_of_the_model_has_an_action() -> None:
    assert set(pipeline.ACTIONS) == set(model.operations())
