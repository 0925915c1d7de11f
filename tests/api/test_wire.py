"""Where Action, Version and parameters are found, and what envelopes look like."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openkls import model
from openkls.api import wire
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.codec.sigv4 import MAX_QUERY_PARAMETERS, SignedRequest
from openkls.domain.errors import GatewayError
from openkls.domain.ports import AccessKey
from support_api import HOST, Reply, Site

KEY = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
QUERY = "UniqueName=demo&App=live&Pubdomain=push.demo.local&Stream=s1"
JSON = json.dumps(KEY).encode()
FORM = QUERY.encode()
CHECK = "/?Action=CheckBlacklist&Version=2017-01-01"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def succeeded(reply: Reply) -> bool:
    assert model.conforms("CheckBlacklist", reply.json) == []
    return bool(reply.data["RetCode"] == 0)


# -- action and version -------------------------------------------------------------------------------------------

PLACES = [
    (f"/?Action=CheckBlacklist&Version=2017-01-01&{QUERY}", []),
    (f"/?{QUERY}", [("X-Action", "CheckBlacklist"), ("X-Version", "2017-01-01")]),
    (f"/?{QUERY}", [("X-Amz-Target", "kls.CheckBlacklist")]),
    (f"/?{QUERY}", [("x-amz-target", "kls.Nothing"), ("x-action", "CheckBlacklist")]),
    (f"/?Action=CheckBlacklist&{QUERY}", [("X-Version", "2017-01-01")]),
    (f"/api/CheckBlacklist/2017-01-01?{QUERY}", []),
    (f"/api/CheckBlacklist/2017-01-01/?{QUERY}", []),
    (f"/anything?Action=CheckBlacklist&Version=2017-01-01&{QUERY}", []),
]


@pytest.mark.parametrize(("target", "headers"), PLACES)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_action_and_version_are_found_in_every_place(
    site: Site, method: str, target: str, headers: list[tuple[str, str]]
) -> None:
    assert succeeded(await site.send(site.signed(method, target, headers=headers)))


@pytest.mark.parametrize(
    "body",
    [
        FORM + b"&Action=CheckBlacklist&Version=2017-01-01",
        json.dumps({**KEY, "Action": "CheckBlacklist", "Version": "2017-01-01"}).encode(),
    ],
)
async def test_action_and_version_are_found_in_the_body(site: Site, body: bytes) -> None:
    assert succeeded(await site.send(site.signed("POST", "/", body)))


@pytest.mark.parametrize(
    ("target", "headers", "body"),
    [
        ("/?Action=CheckBlacklist&Version=2017-01-01", [("X-Action", "No"), ("X-Version", "No")], {}),
        ("/api/No/No?Action=CheckBlacklist&Version=2017-01-01", [], {"Action": "No"}),
        ("/api/No/No", [("X-Action", "CheckBlacklist"), ("X-Version", "2017-01-01")], {"Action": "No"}),
        ("/api/No/2017-01-01", [("X-Amz-Target", "kls.CheckBlacklist")], {"Action": "No"}),
        ("/api/CheckBlacklist/2017-01-01", [], {"Action": "No", "Version": "No"}),
        ("/", [("X-Action", "CheckBlacklist"), ("X-Amz-Target", "kls.No")], {"Action": "No", "Version": "No"}),
    ],
)
async def test_places_are_asked_in_the_contracts_order(
    site: Site, target: str, headers: list[tuple[str, str]], body: dict[str, str]
) -> None:
    assert succeeded(await site.send(site.signed("POST", target, json.dumps(KEY | body).encode(), headers)))


@pytest.mark.parametrize(
    "target", ["/?Action=&Version=2017-01-01", "/?Version=2017-01-01", "/api//2017-01-01", "/api/?Version=2017-01-01"]
)
async def test_empty_action_is_a_missing_one(site: Site, target: str) -> None:
    assert (await site.send(site.signed("GET", target))).error_code == "MissingParameter"


@pytest.mark.parametrize("target", ["ec2.CheckBlacklist", "kls.", "CheckBlacklist", "KLS.CheckBlacklist"])
async def test_amz_target_of_another_form_names_nothing(site: Site, target: str) -> None:
    reply = await site.send(site.signed("GET", "/", headers=[("X-Amz-Target", target)]))
    assert reply.error_code == "MissingParameter"


async def test_alias_of_the_realtime_pub_list_is_understood(site: Site) -> None:
    target = "/?Action=RealtimePubStreamsInfo&Version=2017-01-01&UniqueName=demo&App=live&Pubdomain=push.demo.local"
    reply = await site.send(site.signed("GET", target))
    assert model.conforms("ListRealtimePubStreamsInfo", reply.json) == []


@pytest.mark.parametrize("version", ["2016-01-01", "2017-1-1", "2017-01-01 "])
async def test_other_versions_are_refused(site: Site, version: str) -> None:
    reply = await site.send(site.signed("GET", "/?Action=CheckBlacklist&Version=" + version.replace(" ", "%20")))
    assert reply.error_code == "InvalidActionOrVersion"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_method_that_no_action_has_is_refused(site: Site, method: str) -> None:
    assert (await site.send(site.signed(method, f"{CHECK}&{QUERY}"))).error_code == "InvalidActionOrVersion"


# -- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", None])
@pytest.mark.parametrize("body", [JSON, b" \r\n" + JSON])
async def test_json_body_is_known_by_its_first_byte(site: Site, content_type: str | None, body: bytes) -> None:
    headers = [("Content-Type", content_type)] if content_type else []
    assert succeeded(await site.send(site.signed("POST", CHECK, body, headers)))


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", None])
async def test_form_body_is_read(site: Site, content_type: str | None) -> None:
    headers = [("Content-Type", content_type)] if content_type else []
    assert succeeded(await site.send(site.signed("POST", CHECK, FORM, headers)))


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"[1]",
        b'"x"',
        b"{",
        b'{"a":}',
        b'{"a":1} x',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"a=\xff",
        b"\x00\x01",
        b"a",
        b"a&b=1",
        b"{" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        b"a=b" + b"&a=b" * MAX_QUERY_PARAMETERS,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_body_that_is_no_object_and_no_form_is_refused(site: Site, body: bytes) -> None:
    assert (await site.send(site.signed("POST", CHECK, body))).error_code == "InvalidParameterValue"


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "multipart/form-data"])
async def test_body_of_another_type_than_it_says_is_refused(site: Site, content_type: str) -> None:
    reply = await site.send(site.signed("POST", CHECK, FORM, [("Content-Type", content_type)]))
    assert reply.error_code == "InvalidParameterValue"


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
async def test_post_without_parameters_in_its_body_takes_those_of_the_query(site: Site, body: bytes) -> None:
    assert succeeded(await site.send(site.signed("POST", f"{CHECK}&{QUERY}", body)))


async def test_form_of_as_many_fields_as_may_be_is_read(site: Site) -> None:
    body = FORM + b"&a=b" * (MAX_QUERY_PARAMETERS - 4)
    assert succeeded(await site.send(site.signed("POST", CHECK, body)))


async def test_body_goes_over_the_query(site: Site) -> None:
    await site.call("ForbidStream", **KEY)
    reply = await site.send(site.signed("POST", f"{CHECK}&{QUERY}&Stream=s2", b'{"Stream":"s1"}'))
    assert reply.data["CheckResult"] == 1


async def test_get_takes_nothing_from_its_body(site: Site) -> None:
    reply = await site.send(site.signed("GET", CHECK, JSON))
    assert reply.data["RetCode"] == 1000


async def test_of_a_name_that_comes_twice_the_last_counts(site: Site) -> None:
    await site.call("ForbidStream", **KEY)
    last = JSON[:-1] + b',"Stream":"s1"}'
    for method, target, body in (
        ("GET", f"{CHECK}&Stream=s2&{QUERY}", b""),
        ("POST", CHECK, b"Stream=s2&" + FORM),
        ("POST", CHECK, last.replace(b'"s1"', b'"s2"', 1)),
    ):
        assert (await site.send(site.signed(method, target, body))).data["CheckResult"] == 1


async def test_name_in_another_case_is_4999_and_an_unknown_one_is_ignored(site: Site) -> None:
    reply = await site.send(site.signed("GET", f"{CHECK}&{QUERY}".replace("App=", "app=")))
    assert reply.data["RetCode"] == 4999
    extras = "&Service=kls&Region=cn-beijing-6&Accesskey=AKTEST&SdkVersion=1&Language=zh-CN"
    assert succeeded(await site.send(site.signed("GET", f"{CHECK}&{QUERY}{extras}")))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "zstd"])
async def test_class_20_content_encoding_is_refused_unopened(site: Site, encoding: str) -> None:
    reply = await site.send(site.signed("POST", CHECK, JSON, [("Content-Encoding", encoding)]))
    assert reply.error_code == "InvalidParameterValue"


async def test_identity_encoding_is_none(site: Site) -> None:
    assert succeeded(await site.send(site.signed("POST", CHECK, JSON, [("Content-Encoding", "identity")])))


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_body_gives_parameters_or_the_documented_refusal(body: bytes) -> None:
    outcome: object
    try:
        outcome = wire.read_body(SignedRequest("POST", "/", "", (), body))
    except GatewayError as error:
        outcome = error.shape
    assert isinstance(outcome, dict) or outcome == "InvalidParameterValueType"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", ("/", "")),
        ("/?", ("/", "")),
        ("/a%2Fb?x=%41+&y", ("/a%2Fb", "x=%41+&y")),
        ("/?a=b?c=http://h/", ("/", "a=b?c=http://h/")),
        ("//x/y?z", ("//x/y", "z")),
        ("?a=b", ("/", "a=b")),
        ("*", ("*", "")),
        ("http://h", ("/", "")),
        ("http://h:80/", ("/", "")),
        ("http://h?a=b/c", ("/", "a=b/c")),
        ("HTTPS://h/p/q?a=//b", ("/p/q", "a=//b")),
        ("h:443", ("h:443", "")),
    ],
)
def test_target_is_split_without_a_byte_being_changed(target: str, expected: tuple[str, str]) -> None:
    assert wire.split_target(target) == expected


# -- envelopes ----------------------------------------------------------------------------------------------------


async def test_success_is_data_and_request_id_alone(site: Site) -> None:
    reply = await site.call("CheckBlacklist", **KEY)
    assert reply.json == {
        "Data": {"CheckResult": 0, "RetCode": 0, "RetMsg": "success"},
        "RequestId": reply.headers["x-amzn-requestid"],
    }
    assert UUID4.fullmatch(reply.json["RequestId"])
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "x-amzn-errortype" not in reply.headers


async def test_every_answer_has_a_request_id_of_its_own(site: Site) -> None:
    replies = [await site.call("CheckBlacklist", **KEY) for _ in range(20)]
    assert len({reply.json["RequestId"] for reply in replies}) == 20


async def test_success_is_json_whatever_is_accepted(site: Site) -> None:
    reply = await site.send(site.signed("GET", f"{CHECK}&{QUERY}", headers=[("Accept", "application/xml")]))
    assert succeeded(reply)


@pytest.mark.parametrize("accept", [None, "*/*", "text/xml", "application/xml"])
async def test_gateway_failure_is_xml_unless_json_is_accepted(site: Site, accept: str | None) -> None:
    headers = [("Accept", accept)] if accept else []
    reply = await site.send(site.signed("GET", "/", headers=headers))
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/xml; charset=utf-8"
    assert reply.headers["x-amzn-errortype"] == "MissingParameter"
    root = ElementTree.fromstring(reply.body)
    assert [(element.tag, element.text) for element in root.iter()] == [
        ("ErrorResponse", None),
        ("RequestId", reply.headers["x-amzn-requestid"]),
        ("Error", None),
        ("Type", "Sender"),
        ("Code", "MissingParameter"),
        ("Message", "The request is missing Action parameter."),
    ]


@pytest.mark.parametrize("accept", ["application/json", "text/html, application/json;q=0.9", "Application/JSON"])
async def test_gateway_failure_is_json_where_accept_holds_it(site: Site, accept: str) -> None:
    reply = await site.send(site.signed("GET", "/", headers=[("Accept", accept)]))
    assert reply.json["Error"]["Code"] == "MissingParameter"


@pytest.mark.parametrize("headers", [[], [("Accept", "application/json")]])
@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("<b>&amp;\"'", "<b>&amp;\"'"),
        ("a\0b\x1f", "a\ufffdb\ufffd"),
        ("]]>", "]]>"),
        ("中文", "中文"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 256),
        ("&" * 300, "&" * 256),
    ],
)
async def test_class_15_echoed_value_is_cut_and_escaped(
    site: Site, headers: list[tuple[str, str]], sent: str, shown: str
) -> None:
    escaped = "".join(f"%{byte:02X}" for byte in sent.encode())
    reply = await site.send(site.signed("GET", f"/?Action={escaped}&Version=1", headers=headers))
    expected = f"The action {shown} or version 1 is not valid for this web service"
    if headers:
        assert reply.json["Error"]["Message"] == expected
    else:
        assert ElementTree.fromstring(reply.body).findtext("Error/Message") == expected


async def test_bytes_that_are_no_utf8_are_echoed_as_replacement_characters(site: Site) -> None:
    request = site.signed("GET", "/?Action=%FF&Version=%C3%28", headers=[("Accept", "application/json")])
    reply = await site.send(request)
    assert reply.json["Error"]["Message"] == "The action \ufffd or version \ufffd( is not valid for this web service"


async def test_presigned_get_is_answered(site: Site) -> None:
    unsigned = SignedRequest("GET", "/", f"{CHECK[2:]}&{QUERY}", [("Host", HOST)])
    date = build_amz_date(int(site.now))
    query = sigv4.presign(unsigned, "AKTEST", "SKTEST", "cn-beijing-6", "kls", date, 60)
    request = SignedRequest("GET", "/", query, [("Host", HOST)])
    assert succeeded(await site.send(request))
    site.now += 61
    assert (await site.send(request)).error_code == "InvalidTimestamp"


async def test_further_region_is_accepted(site: Site) -> None:
    assert succeeded(await site.send(site.signed("GET", f"{CHECK}&{QUERY}", region="cn-shanghai-3")))


@pytest.mark.parametrize(
    ("seconds", "code"), [(-900, ""), (-901, "InvalidTimestamp"), (900, ""), (901, "InvalidTimestamp")]
)
async def test_class_23_skew_is_15_minutes_both_ways(site: Site, seconds: int, code: str) -> None:
    request = site.signed("GET", f"{CHECK}&{QUERY}")
    site.now += seconds
    assert (await site.send(request)).error_code == code


async def test_key_made_at_run_time_signs_until_it_is_disabled(site: Site) -> None:
    request = site.signed("GET", f"{CHECK}&{QUERY}", access_key="AKNEW", secret_key="SKNEW")
    assert (await site.send(request)).error_code == "InvalidAccesskey"
    site.services.keys.apply(AccessKey("AKNEW", "SKNEW", "2000001", True, 0, 1))
    assert succeeded(await site.send(request))
    site.services.keys.apply(AccessKey("AKNEW", "SKNEW", "2000001", False, 0, 2))
    assert (await site.send(request)).error_code == "InvalidAccesskey"
