"""Every action in every way that a client has of asking for it (contract, 1)."""

import json
from collections.abc import Callable

import pytest

from openkls import model
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.codec.sigv4 import SignedRequest
from support_api import HOST, NOW, REGION, VERSION, Reply, Site, request_bytes

VALUES = {
    "UniqueName": "demo",
    "App": "live",
    "Pubdomain": "push.demo.local",
    "Stream": "流~1",
    "StartUnixTime": str(NOW // 86400 * 86400),
    "EndUnixTime": str(NOW // 86400 * 86400 + 86400),
}
FORM_TYPE = ("Content-Type", "application/x-www-form-urlencoded")
JSON_TYPE = ("Content-Type", "application/json")
# Names that the vendor's SDKs and pages use for the endpoint.
CLOUD_HOSTS = ("kls.api.ksyun.com", "kls.cn-beijing-6.api.ksyun.com")


def given(action: str) -> dict[str, str]:
    members = model.load().operations[action].input.members
    return {name: VALUES[name] for name, member in members.items() if member.required}


def encoded(action: str, **names: str) -> str:
    return sigv4.encode_query([*names.items(), *given(action).items()])


def query(site: Site, action: str) -> SignedRequest:
    return site.signed("GET", "/?" + encoded(action, Action=action, Version=VERSION))


def query_of_java(site: Site, action: str) -> SignedRequest:
    """The Java SDK leaves a form's type on a GET without a body."""
    return site.signed("GET", "/?" + encoded(action, Action=action, Version=VERSION), headers=[FORM_TYPE])


def query_of_a_post(site: Site, action: str) -> SignedRequest:
    return site.signed("POST", "/?" + encoded(action, Action=action, Version=VERSION))


def headers(site: Site, action: str) -> SignedRequest:
    """The old official Python SDK names the action nowhere else."""
    return site.signed("GET", "/?" + encoded(action), headers=[("X-Action", action), ("X-Version", VERSION)])


def amz_target(site: Site, action: str) -> SignedRequest:
    body = json.dumps(given(action)).encode()
    return site.signed("POST", "/", body, [JSON_TYPE, ("X-Amz-Target", f"kls.{action}")])


def path(site: Site, action: str) -> SignedRequest:
    return site.signed("GET", f"/api/{action}/{VERSION}?{encoded(action)}")


def path_with_json(site: Site, action: str) -> SignedRequest:
    return site.signed("POST", f"/api/{action}/{VERSION}", json.dumps(given(action)).encode(), [JSON_TYPE])


def json_body(site: Site, action: str) -> SignedRequest:
    body = json.dumps(given(action)).encode()
    return site.signed("POST", f"/?Action={action}&Version={VERSION}", body, [JSON_TYPE])


def json_body_of_postman(site: Site, action: str) -> SignedRequest:
    body = json.dumps(given(action)).encode()
    return site.signed("POST", f"/?Action={action}&Version={VERSION}", body, [FORM_TYPE])


def json_body_alone(site: Site, action: str) -> SignedRequest:
    body = json.dumps({"Action": action, "Version": VERSION, **given(action)}).encode()
    return site.signed("POST", "/", body, [JSON_TYPE])


def form_body(site: Site, action: str) -> SignedRequest:
    return site.signed("POST", f"/?Action={action}&Version={VERSION}", encoded(action).encode(), [FORM_TYPE])


def form_body_alone(site: Site, action: str) -> SignedRequest:
    return site.signed("POST", "/", encoded(action, Action=action, Version=VERSION).encode(), [FORM_TYPE])


def presigned(site: Site, action: str, method: str = "GET") -> SignedRequest:
    unsigned = SignedRequest("GET", "/", encoded(action, Action=action, Version=VERSION), [("Host", HOST)])
    date = build_amz_date(int(site.now))
    return SignedRequest(
        method, "/", sigv4.presign(unsigned, "AKTEST", "SKTEST", REGION, "kls", date, 60), [("Host", HOST)]
    )


WAYS: tuple[Callable[[Site, str], SignedRequest], ...] = (
    query,
    query_of_java,
    query_of_a_post,
    headers,
    amz_target,
    path,
    path_with_json,
    json_body,
    json_body_of_postman,
    json_body_alone,
    form_body,
    form_body_alone,
    presigned,
)


def check(action: str, reply: Reply) -> None:
    """Nothing is live or forbidden here."""
    assert reply.data["RetCode"] == (8201 if action == "ResumeStream" else 0), reply.data
    assert model.conforms(action, reply.json) == []


@pytest.mark.parametrize("action", model.load().operations)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_action_is_answered(site: Site, way: Callable[[Site, str], SignedRequest], action: str) -> None:
    check(action, await site.send(way(site, action)))


@pytest.mark.parametrize("action", model.load().operations)
@pytest.mark.parametrize("host", CLOUD_HOSTS)
async def test_action_is_answered_behind_http_proxy(site: Site, host: str, action: str) -> None:
    unsigned = SignedRequest("GET", "/", encoded(action, Action=action, Version=VERSION), [("Host", host)])
    added = sigv4.sign(unsigned, "AKTEST", "SKTEST", REGION, "kls", build_amz_date(int(site.now)))
    request = SignedRequest("GET", "/", unsigned.query, [("Host", host), *added.items()])
    check(action, await site.send_raw(request_bytes(request, f"http://{host}/?{request.query}")))


@pytest.mark.parametrize("action", model.load().operations)
async def test_presigned_post_is_no_signed_request(site: Site, action: str) -> None:
    assert (await site.send(presigned(site, action, "POST"))).error_code == "MissingSignature"
