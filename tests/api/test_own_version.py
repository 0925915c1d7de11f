"""Version 2026-01-01 goes through the same steps as the contract's: policy, rate, audit, dry run, hostile values."""

import json
from typing import Any

import pytest

from openkls import config, model
from openkls.api import audit, auth, pipeline
from openkls.codec import sigv4
from support_api import ACCOUNTS, NOW, Reply, Site

OWN = model.load(model.OWN_VERSION).operations
CHANGES = [name for name, operation in OWN.items() if operation.method == "POST"]
READS = [name for name in OWN if name not in CHANGES]
KRN = "krn:ksc:kls:cn-beijing-6:2000001:"
GOOD = {
    "UniqueName": "demo",
    "App": "live",
    "Pubdomain": "push.demo.local",
    "Stream": "s1",
    "AccessKey": "AKMADE",
    "Policy": "[]",
}
HOSTILE = [
    "<script>alert(1)</script>",
    "'; DROP TABLE audit; --",
    "\x00",
    "\u202e",
    "../../etc",
    "a" * 5000,
    "9" * 5000,
    10**400,
    -1,
    1.5,
    True,
    [],
    {"a": []},
    [["x"] * 100],
]


async def store_key(site: Site) -> None:
    site.key_ring.apply(await site.key_store.create("2000001", "AKMADE", "SKMADE", NOW))
    site.audit.rows.clear()


def good(action: str, **changes: Any) -> dict[str, Any]:
    """Every parameter that the action takes of those that say what it is about."""
    return {name: value for name, value in GOOD.items() if name in OWN[action].input.members} | changes


def restrict(site: Site, *statements: dict[str, Any]) -> None:
    account = ACCOUNTS[0]
    key = config.Key("AKTEST", "SKTEST", policy=statements)
    site.key_ring.replace((config.Account(account.id, (key,), account.space), *ACCOUNTS[1:]))


def statement(effect: str = "Allow", action: Any = "kls:*", resource: Any = "*") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource}


def text_of(reply: Reply) -> str:
    """The text of a refusal by policy, "" for none."""
    if reply.status == 200:
        return ""
    assert (reply.status, reply.error_code) == (403, "InvalidAuthenticationCode")
    return str(reply.json["Error"]["Message"])


# -- the steps -------------------------------------------------------------------------------------------------------


def test_full_rights_are_looked_at_between_policy_and_rate() -> None:
    names = [step.__name__ for step in pipeline.STEPS]
    place = names.index("check_full_rights")
    assert names[place - 1 : place + 2] == ["check_policy", "check_full_rights", "check_rate"]


def test_what_changes_keys_wants_full_rights_and_is_audited() -> None:
    assert set(CHANGES) == auth.FULL_RIGHTS_ONLY
    assert {"ForbidStream", "ResumeStream"} == audit.AUDITED - auth.FULL_RIGHTS_ONLY


@pytest.mark.parametrize("action", OWN)
async def test_each_action_succeeds_by_both_methods(site: Site, action: str) -> None:
    for method in ("GET", "POST"):
        site.key_store.keys.clear()
        await store_key(site)
        site.key_ring.apply(site.key_store.keys["AKMADE"])
        reply = await site.call(action, method=method, **good(action))
        assert reply.data["RetCode"] == 0, reply.body


@pytest.mark.parametrize("action", OWN)
async def test_version_is_part_of_the_name(site: Site, action: str) -> None:
    for named in (
        [("Action", action), ("Version", "2017-01-01")],
        [("Action", action), ("Version", "2026-01-02")],
        [("Action", "ForbidStream"), ("Version", "2026-01-01")],
    ):
        reply = await site.send(site.signed("GET", "/?" + sigv4.encode_query(named)))
        assert reply.error_code == "InvalidActionOrVersion"
    headers = [("X-Amz-Target", f"kls.{action}")]
    assert (await site.send(site.signed("GET", "/", headers=headers))).error_code == "InvalidActionOrVersion"
    headers.append(("X-Version", "2026-01-01"))
    assert (await site.send(site.signed("GET", "/", headers=headers))).status == 200


@pytest.mark.parametrize("action", OWN)
async def test_path_and_body_name_it_too(site: Site, action: str) -> None:
    assert (await site.send(site.signed("GET", f"/api/{action}/2026-01-01"))).status == 200
    body = json.dumps({"Action": action, "Version": "2026-01-01"}).encode()
    assert (await site.send(site.signed("POST", "/", body))).status == 200


@pytest.mark.parametrize("action", OWN)
async def test_dry_run_is_answered_so(site: Site, action: str) -> None:
    await store_key(site)
    assert (await site.call(action, **good(action), DryRun="true")).error_code == "ErrorDryRun"


@pytest.mark.parametrize("action", OWN)
async def test_answer_to_an_account_that_is_gone_is_5000(site: Site, action: str) -> None:
    assert (await site.call(action, access_key="AKORPHAN", **good(action))).data["RetCode"] == 5000


# -- policies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", OWN)
async def test_empty_policy_allows_nothing(site: Site, action: str) -> None:
    restrict(site)
    assert text_of(await site.call(action, **good(action))) == "Request was rejected because of lack of policy."


@pytest.mark.parametrize("action", READS)
async def test_allowed_reads_are_allowed_one_by_one(site: Site, action: str) -> None:
    restrict(site, statement(action=f"kls:{action}"))
    for asked in READS:
        text = text_of(await site.call(asked, **good(asked)))
        assert text.startswith(f"lack of policy to [kls:{asked}]") == (asked != action), text


@pytest.mark.parametrize("action", READS)
async def test_deny_wins(site: Site, action: str) -> None:
    restrict(site, statement(), statement("Deny", f"kls:{action}"))
    assert text_of(await site.call(action, **good(action))).startswith(f"the policy deny to [kls:{action}]")


async def test_allow_of_a_space_does_not_show_all_spaces(site: Site) -> None:
    restrict(site, statement(resource=KRN + "demo/*/*/*"))
    site.publish("s1")
    assert text_of(await site.call("DescribeLiveStreams", UniqueName="demo")) == ""
    assert text_of(await site.call("DescribeStreamMetrics", UniqueName="demo", App="live")) == ""
    resource = "krn:ksc:kls:cn-beijing-6:2000001:"
    for action in ("DescribeLiveStreams", "DescribeStreamMetrics", "DescribeSpaces", "DescribeNodes", "DescribeAudit"):
        assert text_of(await site.call(action)) == f"lack of policy to [kls:{action}] the resources[{resource}*/*/*/*]"
    assert "other/*/*/*" in text_of(await site.call("DescribeLiveStreams", UniqueName="other"))


async def test_denied_stream_is_not_shown_by_a_list_of_all(site: Site) -> None:
    restrict(site, statement(), statement("Deny", "kls:DescribeLiveStreams", KRN + "demo/*/live/secret"))
    for asked in ({}, {"UniqueName": "demo"}, {"UniqueName": "demo", "App": "live", "Stream": "secret"}):
        assert text_of(await site.call("DescribeLiveStreams", **asked)).startswith("the policy deny to")
    assert text_of(await site.call("DescribeLiveStreams", UniqueName="demo", App="live", Stream="open")) == ""
    assert text_of(await site.call("DescribeLiveStreams", UniqueName="other")) == ""


async def test_urls_are_signed_only_for_streams_that_the_policy_allows(site: Site) -> None:
    restrict(site, statement(action="kls:DescribeStreamUrls", resource=KRN + "demo/push.demo.local/live/s1"))
    assert text_of(await site.call("DescribeStreamUrls", **good("DescribeStreamUrls", Pubdomain="localhost"))) == ""
    assert "lack of policy" in text_of(await site.call("DescribeStreamUrls", **good("DescribeStreamUrls", Stream="s2")))


@pytest.mark.parametrize("action", OWN)
def test_policies_may_name_the_actions_of_both_versions(site: Site, action: str) -> None:
    restrict(site, statement(action=[f"kls:{action}", "kls:ForbidStream", "kls:List*", "kls:Describe*"]))
    credential = site.key_ring.find("AKTEST")
    assert credential is not None
    assert credential.policy is not None
    assert {action, "ForbidStream", "ListStreamDurations", *READS} <= set(credential.policy.rules)


# -- rates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", OWN)
async def test_120_calls_a_minute_are_accepted_and_the_next_is_not(site: Site, action: str) -> None:
    site.rates.enforced = True
    for _ in range(119):
        assert not site.rates.take(("2000001", action, ""), 120, 60, site.ticks)
    assert (await site.call(action, **good(action))).status == 200
    reply = await site.call(action, **good(action))
    assert (reply.status, reply.error_code, reply.headers["retry-after"]) == (409, "LimitExceeded", "60")
    site.ticks += 60
    assert (await site.call(action, **good(action))).status == 200


async def test_console_draws_on_a_bucket_of_its_own(site: Site) -> None:
    site.rates.enforced = True
    while not site.rates.take(("2000001", "DescribeSpaces", ""), 120, 60, site.ticks):
        pass
    target = "/?Action=DescribeSpaces&Version=2026-01-01"
    for bucket, status in (("console", 200), ("top", 200), ("other", 409)):
        headers = [("X-OpenKLS-Bucket", bucket)]
        assert (await site.send(site.signed("GET", target, headers=headers))).status == status


# -- audit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", READS)
async def test_reading_is_not_written_down(site: Site, action: str) -> None:
    await site.call(action, **good(action))
    await site.call(action, **good(action), DryRun="true")
    assert site.audit.rows == []


# -- hostile values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "name"), [(action, name) for action, each in OWN.items() for name in each.input.members]
)
async def test_hostile_value_is_refused_by_a_code_and_changes_nothing(site: Site, action: str, name: str) -> None:
    await store_key(site)
    before = dict(site.key_store.keys)
    for value in HOSTILE:
        reply = await site.call(action, method="POST", **good(action, **{name: value}))
        code = reply.data["RetCode"]
        # Limits are clamped, and a text of digits may be a number.
        assert code or name in ("Limit", "Marker"), (value, reply.body[:200])
    assert site.key_store.keys == before


@pytest.mark.parametrize("action", OWN)
async def test_body_that_is_no_object_is_refused(site: Site, action: str) -> None:
    request = site.signed("POST", f"/?Action={action}&Version=2026-01-01", b"[1]")
    assert (await site.send(request)).error_code == "InvalidParameterValue"
