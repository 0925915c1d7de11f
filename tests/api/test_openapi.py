"""The OpenAPI document is served, and a running service's answers are what it says."""

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from openkls import model
from openkls.model.openapi import document
from support_api import HOST, Reply, Site
from support_openapi import faults

ASK = f"GET /openapi.json HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
DOOR = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
KEY = {**DOOR, "Stream": "流~1"}


async def served(site: Site) -> dict[str, Any]:
    reply = await site.send_raw(ASK)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    tree: dict[str, Any] = reply.json
    return tree


async def test_document_is_served_unsigned_and_is_the_models(site: Site) -> None:
    tree = await served(site)
    OpenAPIV31SpecValidator(tree).validate()
    assert tree == json.loads(json.dumps(document(model.load())))


async def test_document_has_a_request_id_of_its_own_each_time_and_the_same_bytes(site: Site) -> None:
    first, second = await site.send_raw(ASK), await site.send_raw(ASK)
    assert first.body == second.body
    assert first.headers["x-amzn-requestid"] != second.headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "/openapi.json"), ("GET", "/openapi.json/"), ("GET", "/openapi"), ("GET", "/openapi.json?Action=A")],
)
async def test_nothing_else_is_answered_unsigned(site: Site, method: str, target: str) -> None:
    reply = await site.send_raw(f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert reply.error_code == "MissingAccesskey"


async def test_signed_action_is_answered_on_that_path_too(site: Site) -> None:
    query = "Action=GetBlacklist&Version=2017-01-01&UniqueName=demo&App=live&Pubdomain=push.demo.local"
    reply = await site.send(site.signed("GET", f"/openapi.json?{query}"))
    assert reply.data["RetCode"] == 0


async def test_successes_fit_their_schemas(site: Site) -> None:
    tree = await served(site)
    day = int(site.now) // 86400 * 86400
    await site.record("old", int(site.now) - 100, int(site.now) - 50)
    site.publish("流~1")
    site.watch("流~1")

    async def good(action: str, **parameters: object) -> None:
        reply = await site.call(action, **parameters)
        assert reply.data["RetCode"] == 0
        assert faults(tree, action, reply.json) == []

    for kind in ({}, {"Type": "push"}, {"Type": "pull"}):
        await good("ListRealtimeStreamsInfo", UniqueName="demo", App="live", **kind)
    await good("ListRealtimePubStreamsInfo", **DOOR)
    await good("ListStreamDurations", **DOOR, StartUnixTime=day, EndUnixTime=day + 86400)
    await good("ForbidStream", **KEY, ForbidTillUnixTime=-1)
    await good("CheckBlacklist", **KEY)
    await good("GetBlacklist", **DOOR)
    await good("ResumeStream", **KEY)
    await site.record_refusal("流~1", int(site.now), 423)
    await good("ListHistoryPubStreamsInfo", **DOOR)
    await good("ListHistoryPubStreamsErrInfo", **DOOR)


@pytest.mark.parametrize("action", model.load().operations)
async def test_business_failures_fit_their_schemas(site: Site, action: str) -> None:
    tree = await served(site)
    members = model.load().operations[action].input.members
    whole = {name: member.example for name, member in members.items() if member.required}
    for parameters, code in (
        ({}, 1000),
        (whole | {"UniqueName": "not yours"}, 1002),
        (whole | {"UniqueName": "nobodys"}, 6406),
        (whole | {"App": "a/b"}, 1003),
    ):
        reply = await site.call(action, **parameters)
        assert reply.data["RetCode"] == code
        assert faults(tree, action, reply.json) == []


def errors_of(reply: Reply) -> dict[str, Any]:
    """A gateway failure's XML as the JSON that it stands for."""
    root = ElementTree.fromstring(reply.body)
    assert root.tag == "ErrorResponse"
    request_id, error = root
    return {request_id.tag: request_id.text, error.tag: {each.tag: each.text for each in error}}


@pytest.mark.parametrize("action", model.load().operations)
@pytest.mark.parametrize("accept", ["application/json", "*/*"])
async def test_gateway_failures_fit_their_schemas_in_both_envelopes(site: Site, action: str, accept: str) -> None:
    tree = await served(site)
    target, headers = f"/?Action={action}&Version=2017-01-01", [("Accept", accept)]
    for request, code, status in (
        (site.signed("GET", target, headers=headers, secret_key="SKOTHER"), "SignatureNotMatch", 400),
        (site.signed("GET", target, headers=headers, access_key="AK<b>"), "InvalidAccesskey", 400),
        (site.signed("GET", target, headers=headers, service="ec2"), "ServiceUnavailable", 404),
        (site.signed("POST", target, b"x" * (1 << 20 | 1), headers), "RequestTooLarge", 413),
        (site.signed("POST", target, b"[1]", headers), "InvalidParameterValue", 400),
    ):
        reply = await site.send(request)
        assert (reply.error_code, reply.status) == (code, status)
        answer = reply.json if accept == "application/json" else errors_of(reply)
        assert answer["Error"]["Code"] == code
        assert faults(tree, action, answer, status) == []
