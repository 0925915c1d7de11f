"""Key pairs by the API: what is told of them, who may change them, and what a change leaves behind."""

import json
import logging
from typing import Any

import pytest

from openkls import config
from openkls.control import keypairs
from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.policy import TEXT_LIMIT_CHARACTERS
from openkls.domain.ports import AccessKey
from support_api import ACCOUNTS, NOW, Reply, Site

CHANGES: dict[str, dict[str, Any]] = {
    "CreateAccessKey": {},
    "RotateAccessKey": {"AccessKey": "AKMADE"},
    "DisableAccessKey": {"AccessKey": "AKMADE"},
    "SetAccessKeyPolicy": {"AccessKey": "AKMADE", "Policy": "[]"},
}
READ = json.dumps([{"Effect": "Allow", "Action": "kls:Describe*", "Resource": "*"}])
ALL = json.dumps([{"Effect": "Allow", "Action": "*", "Resource": "*"}])


async def made(site: Site, access_key: str = "AKMADE", account_id: str = "2000001", policy: str | None = None) -> None:
    """A key of the store that this process knows."""
    secret_key = access_key.replace("AK", "SK", 1)
    site.key_ring.apply(await site.key_store.create(account_id, access_key, secret_key, NOW - 100, policy))
    site.audit.rows.clear()


async def signs(site: Site, pair: dict[str, str]) -> bool:
    """Whether a request signed with the pair is answered."""
    target = "/?Action=DescribeSpaces&Version=2026-01-01"
    request = site.signed("GET", target, access_key=pair["AccessKey"], secret_key=pair["SecretKey"])
    return (await site.send(request)).status == 200


def listed(reply: Reply) -> dict[str, dict[str, Any]]:
    return {row["AccessKey"]: row for row in reply.data["Keys"]}


# -- the list --------------------------------------------------------------------------------------------------------


async def test_keys_are_told_with_state_source_times_and_policy(site: Site) -> None:
    await made(site, "AKLIVES", policy=READ)
    await made(site, "AKOFF")
    await made(site, "AKOLD")
    await made(site, "AKTHEIRSTOO", account_id="2000002")
    site.key_ring.apply(await site.key_store.disable("AKOFF", NOW))  # type: ignore[arg-type]
    for row in await site.key_store.rotate("AKOLD", "AKNEW", "SKNEW", NOW - 50, NOW - 1) or ():
        site.key_ring.apply(row)
    reply = await site.call("DescribeAccessKeys")
    assert b"SK" not in reply.body
    assert reply.data["Keys"] == [
        {
            "AccessKey": "AKTEST",
            "State": "enabled",
            "Source": "configuration",
            "CreateTime": 0,
            "ExpireTime": 0,
            "Policy": "",
        },
        *(
            {
                "AccessKey": name,
                "State": state,
                "Source": "store",
                "CreateTime": created,
                "ExpireTime": expires,
                "Policy": policy,
            }
            for name, state, created, expires, policy in (
                ("AKLIVES", "enabled", NOW - 100, 0, READ),
                ("AKOFF", "disabled", NOW - 100, 0, ""),
                ("AKOLD", "ended", NOW - 100, NOW - 1, ""),
                ("AKNEW", "enabled", NOW - 50, 0, ""),
            )
        ),
    ]


async def test_policy_of_a_key_of_the_configuration_is_told_as_json(site: Site) -> None:
    statements = ({"Effect": "Allow", "Action": "kls:*", "Resource": "*"},)
    keys = (*ACCOUNTS[0].key, config.Key("AKREAD", "SKREAD", policy=statements), config.Key("AKNONE", "SKN", policy=()))
    site.key_ring.replace((config.Account("2000001", keys, ACCOUNTS[0].space), *ACCOUNTS[1:]))
    rows = listed(await site.call("DescribeAccessKeys"))
    assert json.loads(rows["AKREAD"]["Policy"]) == list(statements)
    assert (rows["AKNONE"]["Policy"], rows["AKTEST"]["Policy"]) == ("[]", "")


async def test_key_of_the_configuration_hides_one_of_the_store(site: Site) -> None:
    site.key_ring.apply(AccessKey("AKTEST", "SKOTHER", "2000001", False, 1, 1))
    rows = (await site.call("DescribeAccessKeys")).data["Keys"]
    assert [(row["AccessKey"], row["Source"]) for row in rows] == [("AKTEST", "configuration")]


# -- changes ---------------------------------------------------------------------------------------------------------


async def test_created_pair_signs_at_once_and_its_secret_is_never_told_again(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pair = (await site.call("CreateAccessKey")).data
    assert await signs(site, pair)
    assert (len(pair["AccessKey"]), len(pair["SecretKey"])) == (22, 40)
    rows = listed(await site.call("DescribeAccessKeys"))
    assert (rows[pair["AccessKey"]]["Policy"], rows[pair["AccessKey"]]["CreateTime"]) == ("", NOW)
    trail = (await site.call("DescribeAudit")).body.decode()
    for text in (trail, repr(site.audit.rows), caplog.text):
        assert pair["SecretKey"] not in text
    assert pair["AccessKey"] in trail


async def test_created_pair_has_the_policy_it_was_given(site: Site) -> None:
    pair = (await site.call("CreateAccessKey", Policy=READ)).data
    assert await signs(site, pair)
    target = "/?Action=ForbidStream&Version=2017-01-01&UniqueName=demo&App=live&Pubdomain=push.demo.local&Stream=s"
    refused = site.signed("POST", target, access_key=pair["AccessKey"], secret_key=pair["SecretKey"])
    assert (await site.send(refused)).error_code == "InvalidAuthenticationCode"


async def test_rotated_key_signs_on_for_its_grace_and_its_successor_has_its_policy(site: Site) -> None:
    await made(site, policy=READ)
    pair = (await site.call("RotateAccessKey", AccessKey="AKMADE", GraceSeconds=60)).data
    assert await signs(site, pair)
    rows = listed(await site.call("DescribeAccessKeys"))
    assert (rows["AKMADE"]["ExpireTime"], rows[pair["AccessKey"]]["Policy"]) == (NOW + 60, READ)
    old = {"AccessKey": "AKMADE", "SecretKey": "SKMADE"}
    assert await signs(site, old)
    site.now += 60
    assert not await signs(site, old)
    assert await signs(site, pair)


@pytest.mark.parametrize(("grace", "end"), [(None, 86_400), (0, 0), (2_592_000, 2_592_000)])
async def test_grace_is_a_day_unless_said_otherwise_and_thirty_at_most(site: Site, grace: int | None, end: int) -> None:
    await made(site)
    asked = {} if grace is None else {"GraceSeconds": grace}
    await site.call("RotateAccessKey", AccessKey="AKMADE", **asked)
    assert site.key_store.keys["AKMADE"].expires_at == NOW + end


@pytest.mark.parametrize("grace", [-1, 2_592_001, "soon"])
async def test_grace_out_of_its_bounds_is_4999(site: Site, grace: object) -> None:
    await made(site)
    assert (await site.call("RotateAccessKey", AccessKey="AKMADE", GraceSeconds=grace)).data["RetCode"] == 4999


async def test_disabled_key_signs_no_longer_and_stays_so(site: Site) -> None:
    await made(site)
    for _ in range(2):
        assert (await site.call("DisableAccessKey", AccessKey="AKMADE")).data["RetCode"] == 0
    assert not await signs(site, {"AccessKey": "AKMADE", "SecretKey": "SKMADE"})
    assert listed(await site.call("DescribeAccessKeys"))["AKMADE"]["State"] == "disabled"


async def test_policy_is_set_and_taken_away(site: Site) -> None:
    await made(site)
    for policy in (READ, "[]", ""):
        assert (await site.call("SetAccessKeyPolicy", AccessKey="AKMADE", Policy=policy)).data["RetCode"] == 0
        assert listed(await site.call("DescribeAccessKeys"))["AKMADE"]["Policy"] == policy
    assert site.key_store.keys["AKMADE"].policy is None


async def test_policy_that_was_forgotten_is_no_wish_for_full_rights(site: Site) -> None:
    await made(site, policy="[]")
    assert (await site.call("SetAccessKeyPolicy", AccessKey="AKMADE")).data["RetCode"] == 1000
    assert (await site.call("SetAccessKeyPolicy", AccessKey="AKMADE", Policy=None)).data["RetCode"] == 1000
    assert site.key_store.keys["AKMADE"].policy == "[]"


async def test_blank_policy_of_a_query_is_full_rights_too(site: Site) -> None:
    await made(site, policy="[]")
    reply = await site.call("SetAccessKeyPolicy", method="GET", AccessKey="AKMADE", Policy="")
    assert (reply.data["RetCode"], site.key_store.keys["AKMADE"].policy) == (0, None)


# -- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", CHANGES)
async def test_key_with_a_policy_may_change_no_key_though_it_may_do_everything(site: Site, action: str) -> None:
    await made(site)
    await made(site, "AKALL", policy=ALL)
    before = dict(site.key_store.keys)
    reply = await site.call(action, access_key="AKALL", **CHANGES[action])
    assert (reply.status, reply.error_code) == (403, "InvalidAuthenticationCode")
    assert reply.json["Error"]["Message"] == "Request was rejected because of lack of policy."
    assert site.key_store.keys == before
    (row,) = site.audit.rows
    assert (row.action, row.author.access_key, row.outcome) == (action, "AKALL", "InvalidAuthenticationCode")


@pytest.mark.parametrize("action", CHANGES)
async def test_want_of_full_rights_is_told_after_the_policy_and_before_parameters(site: Site, action: str) -> None:
    await made(site, "AKSOME", policy=READ)
    reply = await site.call(action, access_key="AKSOME", AccessKey="not a key")
    assert "lack of policy to" in reply.json["Error"]["Message"]
    await made(site, "AKALL", policy=ALL)
    reply = await site.call(action, access_key="AKALL", AccessKey="not a key")
    assert reply.error_code == "InvalidAuthenticationCode"


@pytest.mark.parametrize("action", [action for action in CHANGES if action != "CreateAccessKey"])
@pytest.mark.provokes(7001)
async def test_key_of_another_account_or_of_nobody_is_7001(site: Site, action: str) -> None:
    await made(site, "AKTHEIRSTOO", account_id="2000002")
    for access_key in ("AKTHEIRSTOO", "AKTHEIRS", "AKNOBODY", "a key", "k" * 129):
        reply = await site.call(action, **(CHANGES[action] | {"AccessKey": access_key}))
        assert reply.data == {"RetCode": 7001, "RetMsg": "access key does not exist"}
    assert site.key_store.keys["AKTHEIRSTOO"].enabled


@pytest.mark.parametrize("action", [action for action in CHANGES if action != "CreateAccessKey"])
@pytest.mark.provokes(7002)
async def test_key_of_the_configuration_is_7002(site: Site, action: str) -> None:
    reply = await site.call(action, **(CHANGES[action] | {"AccessKey": "AKTEST"}))
    assert reply.data == {"RetCode": 7002, "RetMsg": "access key is read only"}
    assert site.key_store.keys == {}


@pytest.mark.provokes(7003)
async def test_key_that_has_ended_has_no_successor(site: Site) -> None:
    await made(site)
    await site.call("DisableAccessKey", AccessKey="AKMADE")
    reply = await site.call("RotateAccessKey", AccessKey="AKMADE")
    assert reply.data == {"RetCode": 7003, "RetMsg": "access key has ended"}


@pytest.mark.parametrize(
    "policy",
    [
        "no json",
        "{}",
        '[{"Effect": "Allow"}]',
        '[{"Effect": "Allow", "Action": "kls:Nothing", "Resource": "*"}]',
        "[" * 60_000,
        " " * TEXT_LIMIT_CHARACTERS + "[]",
    ],
    ids=["text", "object", "incomplete", "unknown action", "deep", "long"],
)
@pytest.mark.provokes(7004)
async def test_policy_that_is_none_is_7004(site: Site, policy: str) -> None:
    await made(site)
    for action, more in (("CreateAccessKey", {}), ("SetAccessKeyPolicy", {"AccessKey": "AKMADE"})):
        reply = await site.call(action, Policy=policy, **more)
        assert reply.data == {"RetCode": 7004, "RetMsg": "policy error"}
    assert list(site.key_store.keys) == ["AKMADE"]


@pytest.mark.parametrize("action", ["CreateAccessKey", "RotateAccessKey"])
@pytest.mark.provokes(7005)
async def test_keys_of_an_account_have_an_end(site: Site, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypairs, "KEYS_LIMIT", 2)
    await made(site)
    await made(site, "AKTHEIRSTOO", account_id="2000002")
    assert (await site.call(action, **CHANGES[action])).data["RetCode"] == 0
    reply = await site.call(action, **CHANGES[action])
    assert reply.data == {"RetCode": 7005, "RetMsg": "too many access keys"}


# -- what is left behind ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "written", "resource"),
    [
        ("CreateAccessKey", "CreateKey", ""),
        ("RotateAccessKey", "RotateKey", "AKMADE"),
        ("DisableAccessKey", "DisableKey", "AKMADE"),
        ("SetAccessKeyPolicy", "SetKeyPolicy", "AKMADE"),
    ],
)
async def test_change_is_one_row_of_the_audit_by_its_author(
    site: Site, action: str, written: str, resource: str
) -> None:
    await made(site)
    reply = await site.call(action, **CHANGES[action])
    (row,) = site.audit.rows
    assert (row.action, row.outcome, row.account_id, row.at) == (written, "0", "2000001", NOW)
    assert (row.author.access_key, row.author.address) == ("AKTEST", "127.0.0.1")
    assert row.author.request_id == reply.json["RequestId"]
    assert row.resource == (resource or reply.data["AccessKey"])


async def test_change_that_changed_nothing_and_failure_are_rows_by_the_actions_names(site: Site) -> None:
    await made(site)
    await site.call("DisableAccessKey", AccessKey="AKMADE")
    await site.call("DisableAccessKey", AccessKey="AKMADE")
    await site.call("RotateAccessKey", AccessKey="AKMADE")
    await site.call("SetAccessKeyPolicy", AccessKey="AKTEST", Policy="[]")
    assert [(row.action, row.resource, row.outcome, row.detail) for row in site.audit.rows] == [
        ("DisableKey", "AKMADE", "0", ""),
        ("DisableAccessKey", "AKMADE", "0", ""),
        ("RotateAccessKey", "AKMADE", "7003", ""),
        ("SetAccessKeyPolicy", "AKTEST", "7002", ""),
    ]


@pytest.mark.parametrize("action", CHANGES)
async def test_dry_run_changes_nothing(site: Site, action: str) -> None:
    await made(site)
    before = dict(site.key_store.keys)
    reply = await site.call(action, **CHANGES[action], DryRun=True)
    assert (reply.error_code, site.key_store.keys) == ("ErrorDryRun", before)


@pytest.mark.parametrize("action", CHANGES)
@pytest.mark.parametrize(
    ("down", "code"), [(StoreUnavailable("away"), "ServiceUnavailable"), (StoreTimeout("late"), "ServiceTimeout")]
)
async def test_store_that_fails_is_said_so(site: Site, action: str, down: Exception, code: str) -> None:
    await made(site)
    site.key_store.down = down
    reply = await site.call(action, **CHANGES[action])
    assert (reply.status, reply.error_code) == (500, code)
    assert site.audit.rows[-1].outcome == code


async def test_key_made_elsewhere_a_moment_ago_is_found(site: Site) -> None:
    await site.key_store.create("2000001", "AKMADE", "SKMADE", NOW)
    assert (await site.call("DisableAccessKey", AccessKey="AKMADE")).data["RetCode"] == 0


async def test_key_whose_row_vanished_is_7001(site: Site) -> None:
    await made(site)
    site.key_store.keys.clear()
    for action in ("RotateAccessKey", "DisableAccessKey", "SetAccessKeyPolicy"):
        assert (await site.call(action, **CHANGES[action])).data["RetCode"] == 7001


async def test_other_processes_are_told_of_a_change(site: Site) -> None:
    told = []

    async def tell() -> None:
        told.append(1)

    pairs = keypairs.KeyPairs(site.key_store, site.key_ring, site.read_store, tell)
    row = await pairs.create("2000001", None, None)
    await pairs.set_policy("2000001", row.access_key, "[]", None)
    await pairs.rotate("2000001", row.access_key, 0, None)
    await pairs.disable("2000001", row.access_key, None)
    assert len(told) == 4
