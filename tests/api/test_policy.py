"""What a key may do, over the wire: the three texts, and no way around a policy by another spelling of a request."""

import json
from typing import Any

import pytest

from openkls import config, model
from openkls.control.keyring import KeyRing
from openkls.domain.policy import Policy, parse_policy
from support_api import ACCOUNTS, VERSION, Reply, Site

OPERATIONS = model.load().operations
KRN = "krn:ksc:kls:cn-beijing-6:2000001:"
DEMO = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}


def statement(effect: str = "Allow", action: Any = "kls:*", resource: Any = "*") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource}


def restrict(site: Site, *statements: dict[str, Any]) -> None:
    """Give the tests' key a policy."""
    account = ACCOUNTS[0]
    key = config.Key("AKTEST", "SKTEST", policy=statements)
    site.services.keys.replace((config.Account(account.id, (key,), account.space), *ACCOUNTS[1:]))


def fault(reply: Reply) -> str:
    """The text of a refusal; "" when there was none."""
    if reply.status == 200:
        return ""
    assert (reply.status, reply.error_code) == (403, "InvalidAuthenticationCode")
    return str(reply.json["Error"]["Message"])


def parameters(action: str, **changes: Any) -> dict[str, Any]:
    members = OPERATIONS[action].input.members
    return {name: value for name, value in DEMO.items() if name in members} | changes


# -- the three texts -------------------------------------------------------------------------------------------------


async def test_key_without_a_policy_may_do_everything(site: Site) -> None:
    for action in OPERATIONS:
        assert fault(await site.call(action, **parameters(action))) == ""


@pytest.mark.parametrize("action", OPERATIONS)
async def test_empty_policy_allows_nothing(site: Site, action: str) -> None:
    restrict(site)
    reply = await site.call(action, **parameters(action))
    assert fault(reply) == "Request was rejected because of lack of policy."


async def test_deny_names_action_and_resource(site: Site) -> None:
    restrict(site, statement(), statement("Deny", "kls:ForbidStream", KRN + "demo/*/live/*"))
    reply = await site.call("ForbidStream", **DEMO)
    resource = KRN + "demo/push.demo.local/live/s1"
    assert fault(reply) == f"the policy deny to [kls:ForbidStream] the resources[{resource}]"
    assert site.bans.calls == []
    assert fault(await site.call("CheckBlacklist", **DEMO)) == ""


async def test_lack_of_an_allow_names_action_and_resource(site: Site) -> None:
    restrict(site, statement(action="kls:GetBlacklist"))
    reply = await site.call("ListRealtimeStreamsInfo", UniqueName="demo", App="live")
    assert fault(reply) == f"lack of policy to [kls:ListRealtimeStreamsInfo] the resources[{KRN}demo/*/live/*]"


async def test_alias_of_an_action_is_weighed_as_the_action(site: Site) -> None:
    restrict(site, statement(), statement("Deny", "kls:ListRealtimePubStreamsInfo"))
    target = f"/?Action=RealtimePubStreamsInfo&Version={VERSION}&UniqueName=demo&App=live&Pubdomain=push.demo.local"
    reply = await site.send(site.signed("GET", target, headers=[("Accept", "application/json")]))
    assert fault(reply).startswith("the policy deny to [kls:ListRealtimePubStreamsInfo]")


async def test_what_is_echoed_is_cut_and_legible(site: Site) -> None:
    restrict(site, statement(action="kls:GetBlacklist"))
    reply = await site.call("ForbidStream", **DEMO | {"Stream": "a\n" + "b" * 250})
    text = fault(reply)
    assert "\n" not in text
    assert len(text) < 400


# -- no way around -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["push.demo.local", "PUSH.demo.local", "push.demo.local.", "push.demo.local:1935", "localhost", "127.0.0.1"]
)
async def test_denied_publish_domain_is_denied_by_its_other_names_too(site: Site, name: str) -> None:
    restrict(site, statement(), statement("Deny", resource=KRN + "*/push.demo.local/*/*"))
    assert fault(await site.call("ForbidStream", **DEMO | {"Pubdomain": name})).startswith("the policy deny")


@pytest.mark.parametrize("name", ["push.demo.local", "Push.Demo.Local", "localhost"])
async def test_allowed_publish_domain_is_allowed_by_its_other_names_too(site: Site, name: str) -> None:
    restrict(site, statement(resource=KRN + "demo/push.demo.local/live/*"))
    assert fault(await site.call("ForbidStream", **DEMO | {"Pubdomain": name})) == ""


@pytest.mark.parametrize("stream", [None, "", [], {}, 5, True, "s1" * 200])
@pytest.mark.parametrize("action", ["ListStreamDurations", "ListHistoryPubStreamsInfo"])
async def test_request_that_names_no_stream_is_not_one_for_the_allowed_stream(
    site: Site, action: str, stream: Any
) -> None:
    restrict(site, statement(resource=KRN + "demo/*/live/s1"))
    reply = await site.call(action, "POST", **parameters(action, Stream=stream))
    assert fault(reply).startswith("lack of policy to")


@pytest.mark.parametrize("stream", [None, "", [], {}, 5, True, "s1" * 200])
async def test_request_that_names_no_stream_is_one_for_the_denied_stream(site: Site, stream: Any) -> None:
    restrict(site, statement(), statement("Deny", resource=KRN + "demo/*/live/s1"))
    action = "ListHistoryPubStreamsInfo"
    reply = await site.call(action, "POST", **parameters(action, Stream=stream))
    assert fault(reply).startswith("the policy deny to")


@pytest.mark.parametrize(
    ("action", "unknown"),
    [
        ("ListRealtimeStreamsInfo", {"Pubdomain": "push.demo.local"}),
        ("GetBlacklist", {"Stream": "s1"}),
        ("ListStreamDurations", {"stream": "s1"}),
    ],
)
async def test_parameter_that_the_action_does_not_have_says_nothing(
    site: Site, action: str, unknown: dict[str, str]
) -> None:
    restrict(site, statement(resource=KRN + "demo/push.demo.local/live/s1"))
    known = parameters(action)
    known.pop("Stream", None)
    assert fault(await site.call(action, **known | unknown)).startswith("lack of policy to")
    restrict(site, statement(), statement("Deny", resource=KRN + "demo/push.demo.local/live/s1"))
    assert fault(await site.call(action, **known | unknown)).startswith("the policy deny to")


async def test_body_is_weighed_over_the_query_as_it_is_done(site: Site) -> None:
    restrict(site, statement(resource=KRN + "demo/*/live/s1"))
    query = f"/?Action=ForbidStream&Version={VERSION}&Stream=s1"
    headers = [("Accept", "application/json")]
    body = json.dumps(DEMO | {"Stream": "s2"}).encode()
    assert fault(await site.send(site.signed("POST", query, body, headers))).startswith("lack of policy")
    body = json.dumps(DEMO).encode()
    assert fault(await site.send(site.signed("POST", query.replace("s1", "s2"), body, headers))) == ""


async def test_region_of_the_credential_is_not_the_region_of_the_stream(site: Site) -> None:
    restrict(site, statement(resource=KRN + "*/*/*/*"))
    target = f"/?Action=GetBlacklist&Version={VERSION}&UniqueName=demo&App=live&Pubdomain=push.demo.local"
    reply = await site.send(
        site.signed("GET", target, headers=[("Accept", "application/json")], region="cn-shanghai-3")
    )
    assert fault(reply) == ""


async def test_policy_gives_no_rights_in_another_account(site: Site) -> None:
    restrict(site, statement())
    assert (await site.call("ForbidStream", **DEMO | {"UniqueName": "theirs"})).data["RetCode"] == 6406
    restrict(site, statement(resource="krn:ksc:kls:*:2000002:*/*/*/*"))
    assert fault(await site.call("ForbidStream", **DEMO)).startswith("lack of policy to")


async def test_denied_request_is_not_examined_further(site: Site) -> None:
    restrict(site, statement("Deny"))
    assert fault(await site.call("ForbidStream", UniqueName=["demo"])).startswith("the policy deny")


# -- keys --------------------------------------------------------------------------------------------------------------


def test_key_of_the_file_carries_its_policy() -> None:
    statements = (statement(action="kls:List*"),)
    ring = KeyRing([config.Account("1", (config.Key("AK", "SK", policy=statements), config.Key("AKALL", "SK")))])
    found, free = ring.find("AK"), ring.find("AKALL")
    assert found is not None
    assert free is not None
    assert found.policy == parse_policy(statements, OPERATIONS)
    assert isinstance(found.policy, Policy)
    assert free.policy is None


def test_policy_that_cannot_be_read_is_an_error_that_names_the_key() -> None:
    with pytest.raises(config.ConfigError, match=r"account\.key\.policy of AK: statement 1: Effect: got 'allow'"):
        KeyRing([config.Account("1", (config.Key("AK", "SK", policy=(statement("allow"),)),))])


# -- accounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", OPERATIONS)
async def test_account_that_is_switched_off_gets_401(site: Site, action: str) -> None:
    site.services.keys.disabled_accounts.add("2000001")
    reply = await site.call(action, **parameters(action))
    assert (reply.status, reply.error_code) == (401, "UnavailableAccountID")
    assert reply.json["Error"]["Message"] == "The Account ID is invalid."
    other = await site.call("ForbidStream", access_key="AKTHEIRS", **DEMO | {"UniqueName": "theirs"})
    assert other.error_code == ""


async def test_account_that_is_switched_off_is_told_only_to_whoever_has_its_secret(site: Site) -> None:
    site.services.keys.disabled_accounts.add("2000001")
    reply = await site.send(site.signed("GET", "/", secret_key="SKWRONG"))
    assert reply.error_code == "SignatureNotMatch"
