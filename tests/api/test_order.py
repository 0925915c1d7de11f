"""The order of checks (contract, 4): a request wrong in several ways is answered for the first of them."""

from collections.abc import Collection
from itertools import pairwise

import pytest

from openkls.api import pipeline
from openkls.codec.amzdate import build_amz_date
from openkls.codec.sigv4 import MAX_QUERY_PARAMETERS, SignedRequest, encode_query
from openkls.domain.ports import AccessKey
from support_api import VERSION, Reply, Site

# Each fault, in the contract's order, and what it alone is answered with.
FAULTS = {
    "size": "RequestTooLarge",
    "no access key": "MissingAccesskey",
    "no date": "MissingTimestamp",
    "no signature": "MissingSignature",
    "unknown access key": "InvalidAccesskey",
    "late": "InvalidTimestamp",
    "service": "ServiceUnavailable",
    "region": "UnavailableRegion",
    "signature": "SignatureNotMatch",
    "account": "UnavailableAccountID",
    "action": "InvalidActionOrVersion",
    "body": "InvalidParameterValue",
    "policy": "InvalidAuthenticationCode",
    "rate": "LimitExceeded",
    "parameters": 1003,
    "ownership": 6406,
    "not opened": "InvalidAuthenticationCode",
    "dry run": "ErrorDryRun",
    "the action's own": 4001,
}
STEP_OF = {
    "size": "check_size",
    "no access key": "read_claim",
    "no date": "read_claim",
    "no signature": "read_claim",
    "unknown access key": "find_key",
    "late": "check_time",
    "service": "check_scope",
    "region": "check_scope",
    "signature": "check_signature",
    "account": "check_account",
    "action": "find_operation",
    "body": "read_parameters",
    "policy": "check_policy",
    "not full rights": "check_full_rights",
    "rate": "check_rate",
    "parameters": "check_parameters",
    "ownership": "check_ownership",
    "not opened": "check_opened",
    "dry run": "check_dry_run",
}
NAMES = list(FAULTS)


def build(site: Site, faults: Collection[str]) -> SignedRequest:
    """A POST of ListStreamDurations, all parameters in the query, wrong in the given ways; the site is made so too."""
    if "account" in faults:
        site.services.keys.disabled_accounts.add("2000001")
    if "policy" in faults:
        site.services.keys.apply(AccessKey("AKNOTHING", "SKTEST", "2000001", True, 0, 1, policy="[]"))
    if "rate" in faults:
        site.rates.enforced = True
        while not site.rates.take(("2000001", "ListStreamDurations", ""), 50, 60, site.ticks):
            pass
    space = "theirs" if "ownership" in faults else "closed" if "not opened" in faults else "demo"
    bounds = (site.now, site.now - 86400) if "the action's own" in faults else (site.now - 86400, site.now)
    parameters = {
        "Action": "ListNothing" if "action" in faults else "ListStreamDurations",
        "Version": VERSION,
        "UniqueName": space,
        "App": "li/ve" if "parameters" in faults else "live",
        "Pubdomain": f"push.{space}.local",
        "StartUnixTime": str(int(bounds[0])),
        "EndUnixTime": str(int(bounds[1])),
    }
    if space == "demo":
        parameters["Pubdomain"] = "push.demo.local"
    if "dry run" in faults:
        parameters["DryRun"] = "true"
    query = encode_query(list(parameters.items()))
    signed = site.signed(
        "POST",
        f"/?{query}",
        access_key="AKNOBODY" if "unknown access key" in faults else "AKNOTHING" if "policy" in faults else "AKTEST",
        region="mars" if "region" in faults else "cn-beijing-6",
        service="ec2" if "service" in faults else "kls",
        amz_date=build_amz_date(int(site.now) - 901 if "late" in faults else int(site.now)),
        body=b"[1]" if "body" in faults else b"{}",
    )
    if "size" in faults:
        query += "&a=b" * MAX_QUERY_PARAMETERS
    headers = dict(signed.headers) | {"Accept": "application/json"}
    if "signature" in faults:
        flipped = "0" if headers["Authorization"][-1] != "0" else "1"
        headers["Authorization"] = headers["Authorization"][:-1] + flipped
    if "no signature" in faults:
        headers["Authorization"] = headers["Authorization"].partition(", Signature=")[0]
    if "no date" in faults:
        del headers["X-Amz-Date"]
    if "no access key" in faults:
        del headers["Authorization"]
    return SignedRequest(signed.method, signed.path, query, list(headers.items()), signed.body)


def outcome(reply: Reply) -> str | int:
    return reply.error_code or reply.data["RetCode"]


@pytest.mark.parametrize("fault", NAMES)
async def test_fault_alone_is_answered_for(site: Site, fault: str) -> None:
    assert outcome(await site.send(build(site, {fault}))) == FAULTS[fault]


@pytest.mark.parametrize(("first", "second"), list(pairwise(NAMES)))
async def test_of_two_adjacent_faults_the_first_is_answered_for(site: Site, first: str, second: str) -> None:
    assert outcome(await site.send(build(site, {first, second}))) == FAULTS[first]


@pytest.mark.parametrize("fault", NAMES)
async def test_fault_is_answered_for_before_all_that_come_later(site: Site, fault: str) -> None:
    assert outcome(await site.send(build(site, NAMES[NAMES.index(fault) :]))) == FAULTS[fault]


async def test_request_without_a_fault_succeeds(site: Site) -> None:
    assert outcome(await site.send(build(site, ()))) == 0


def test_every_step_of_the_table_is_in_this_order() -> None:
    steps = list(dict.fromkeys(STEP_OF.values()))
    assert [step.__name__ for step in pipeline.STEPS] == steps


async def test_missing_action_comes_before_an_unreadable_body(site: Site) -> None:
    reply = await site.send(site.signed("POST", "/", b"[1]"))
    assert reply.error_code == "MissingParameter"


async def test_missing_version_comes_before_an_unknown_action(site: Site) -> None:
    reply = await site.send(site.signed("GET", "/?Action=ListNothing", headers=[("Accept", "application/json")]))
    assert reply.json["Error"]["Message"] == "The request is missing Version parameter."
