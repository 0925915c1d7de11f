"""Attack classes of the API that have no file of their own; each is named in its test.

Others: 13 test_blacklist, 15 test_wire, 19 and the fuzzer e2e/test_soak_and_fuzz, 20 test_listener and test_wire,
21 test_backoff, 23 test_wire.
"""

import asyncio
import contextlib
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from openkls import config
from openkls.api import wire
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.codec.sigv4 import MAX_QUERY_PARAMETERS, SignedRequest, encode_query
from support_api import HOST, NOW, REGION, Site, read_reply

KEY = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
APP = {name: value for name, value in KEY.items() if name != "Stream"}
CHECK = "/?Action=CheckBlacklist&Version=2017-01-01"
QUERY = encode_query(list(KEY.items()))
SCRIPT = "<script>alert(1)</script>"

# -- 13: path traversal -------------------------------------------------------------------------------------------

PATHS = ["..", "../../etc/passwd", "/etc/passwd", "%2e%2e%2f", "..\\..\\x", "a\0b"]


@pytest.mark.parametrize("action", ["GetBlacklist", "ListRealtimePubStreamsInfo", "ListHistoryPubStreamsInfo"])
@pytest.mark.parametrize("name", PATHS)
async def test_class_13_app_that_could_be_a_path_is_refused(site: Site, action: str, name: str) -> None:
    assert (await site.call(action, **(APP | {"App": name}))).data["RetCode"] == 1003


@pytest.mark.parametrize("name", PATHS)
async def test_class_13_space_and_domain_that_could_be_paths_are_refused(site: Site, name: str) -> None:
    assert (await site.call("GetBlacklist", **(APP | {"UniqueName": name}))).data["RetCode"] == 1002
    assert (await site.call("GetBlacklist", **(APP | {"Pubdomain": name}))).data["RetCode"] == 4000


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/../../etc/passwd", "//etc"])
async def test_class_13_path_of_a_request_reads_no_file(site: Site, path: str) -> None:
    reply = await site.send(site.signed("GET", path))
    assert reply.status == 400
    assert b"root:" not in reply.body


# -- 14: default credentials --------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret_key", ["", "AKTEST", "secret", "...", "SKTEST "])
async def test_class_14_signature_of_an_empty_or_guessed_secret_is_refused(site: Site, secret_key: str) -> None:
    reply = await site.send(site.signed("GET", f"{CHECK}&{QUERY}", secret_key=secret_key))
    assert reply.error_code == "SignatureNotMatch"


@pytest.mark.parametrize("access_key", ["AKEXAMPLE", "admin", "root", "AKTES", "aktest", "AKTEST2"])
async def test_class_14_keys_that_nobody_made_are_unknown(site: Site, access_key: str) -> None:
    reply = await site.send(site.signed("GET", f"{CHECK}&{QUERY}", access_key=access_key))
    assert reply.error_code == "InvalidAccesskey"


@pytest.mark.parametrize(("access_key", "secret_key"), [("AKEXAMPLE", "right"), ("AKX", ""), ("AKX", "...")])
def test_class_14_placeholders_of_the_examples_are_refused_at_the_start(
    tmp_path: Path, access_key: str, secret_key: str
) -> None:
    file = tmp_path / "openkls.toml"
    key = f'[[account]]\nid = "1"\n[[account.key]]\naccess_key = "{access_key}"\nsecret_key = "{secret_key}"\n'
    file.write_text(key)
    with pytest.raises(config.ConfigError, match=r"account\.key"):
        config.load(file, {})


# -- 15: scripts in names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "code"), [("UniqueName", 1002), ("App", 1003), ("Stream", 1004), ("Pubdomain", 4000)])
async def test_class_15_name_with_a_script_is_refused_and_not_echoed(site: Site, name: str, code: int) -> None:
    reply = await site.call("CheckBlacklist", **(KEY | {name: SCRIPT}))
    assert reply.data["RetCode"] == code
    assert b"<script" not in reply.body


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_class_15_echoed_script_is_text_in_a_typed_answer(site: Site, accept: str) -> None:
    target = "/?" + encode_query([("Action", SCRIPT), ("Version", "2017-01-01")])
    reply = await site.send(site.signed("GET", target, headers=[("Accept", accept)]))
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-type"] in (wire.JSON_TYPE, wire.XML_TYPE)
    if accept == "application/json":
        assert SCRIPT in json.loads(reply.body)["Error"]["Message"]
    else:
        assert b"<script" not in reply.body
        assert SCRIPT in (ElementTree.fromstring(reply.body).findtext("Error/Message") or "")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n",
    ],
)
async def test_class_15_every_answer_forbids_sniffing(site: Site, data: bytes) -> None:
    assert (await site.send_raw(data)).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["callback", "jsonp", "cb", "_callback"])
async def test_class_15_there_is_no_jsonp(site: Site, name: str) -> None:
    reply = await site.send(site.signed("GET", f"{CHECK}&{QUERY}&{name}=evil"))
    assert reply.headers["content-type"] == wire.JSON_TYPE
    assert reply.json["Data"]["RetCode"] == 0
    assert b"evil" not in reply.body


# -- 19: lists under churn ----------------------------------------------------------------------------------------


async def test_class_19_lists_are_whole_while_streams_come_and_go(site: Site) -> None:
    over = False

    async def churn() -> None:
        number = 0
        while not over:
            session = site.publish(f"churn-{number}")
            await asyncio.sleep(0)
            site.registry.evict(session.facts.key, 200)
            number += 1

    site.publish("steady")
    churning = asyncio.create_task(churn())
    try:
        for _ in range(50):
            for action, names in (("ListRealtimeStreamsInfo", {"Type": "push"}), ("ListRealtimePubStreamsInfo", APP)):
                data = (await site.call(action, **({"UniqueName": "demo", "App": "live"} | names))).data
                rows = data["Streams" if "Streams" in data else "Result"]
                streams = [row["Stream"] for row in rows]
                assert data["RetCode"] == 0
                assert data["Count"] == len(streams) == len(set(streams))
                assert "steady" in streams
    finally:
        over = True
        await churning


# -- 20: body bombs -----------------------------------------------------------------------------------------------


async def test_class_20_gigabyte_in_chunks_is_cut_soon_after_its_limit(site: Site) -> None:
    gigabyte, piece, sent = 2**30, b"10000\r\n" + b"x" * 65536 + b"\r\n", 0
    reader, writer = await asyncio.open_connection(*site.address)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    asked = asyncio.create_task(read_reply(reader))
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            while sent < gigabyte and not asked.done():
                writer.write(piece)
                await writer.drain()
                sent += 65536
        reply = await asked
    writer.close()
    assert (reply.status, reply.error_code) == (413, "RequestTooLarge")
    # The rest lies in the system's buffers on both sides.
    assert sent < 32 * wire.BODY_LIMIT_BYTES


@pytest.mark.parametrize("body", [b'{"a":' * 150_000, b"[" * 1_000_000, b'{"Stream":' + b"[" * 500_000])
async def test_class_20_deep_json_is_refused(site: Site, body: bytes) -> None:
    reply = await site.send(site.signed("POST", CHECK, body))
    assert reply.error_code == "InvalidParameterValue"


async def test_class_20_hundred_thousand_parameters_are_refused(site: Site) -> None:
    names = "&".join(f"p{number}=" for number in range(100_000))
    assert (await site.send(site.signed("POST", CHECK, names.encode()))).error_code == "InvalidParameterValue"
    assert (await site.send_raw(f"GET /?{names} HTTP/1.1\r\nHost: h\r\n\r\n".encode())).status == 413
    many = json.dumps({**KEY, **{f"p{number}": 0 for number in range(50_000)}}).encode()
    assert (await site.send(site.signed("POST", CHECK, many))).data["RetCode"] == 0


@pytest.mark.parametrize(("count", "code"), [(MAX_QUERY_PARAMETERS, ""), (MAX_QUERY_PARAMETERS + 1, "RequestTooLarge")])
async def test_class_20_parameters_at_their_limit_are_read_and_one_more_is_refused(
    site: Site, count: int, code: str
) -> None:
    target = f"{CHECK}&{QUERY}"
    target += "&a=" * (count - target.count("&") - 1)
    request = site.signed("GET", f"{CHECK}&{QUERY}") if code else site.signed("GET", target)
    spoiled = SignedRequest("GET", "/", target[2:], request.headers, b"")
    assert (await site.send(spoiled)).error_code == code


# -- 23: clock skew -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew", "code"), [(-900, ""), (900, ""), (-901, "InvalidTimestamp"), (901, "InvalidTimestamp")]
)
async def test_class_23_request_dated_15_minutes_off_is_taken_and_a_second_more_is_not(
    site: Site, skew: int, code: str
) -> None:
    request = site.signed("GET", f"{CHECK}&{QUERY}", amz_date=build_amz_date(NOW + skew))
    assert (await site.send(request)).error_code == code


@pytest.mark.parametrize("scope_day", ["20261121", "20261123", "20251122"])
async def test_class_23_scope_of_another_day_than_the_date_is_refused(site: Site, scope_day: str) -> None:
    date = build_amz_date(NOW)
    unsigned = SignedRequest("GET", "/", f"{CHECK[2:]}&{QUERY}", [("Host", HOST)])
    added = sigv4.sign(unsigned, "AKTEST", "SKTEST", REGION, "kls", date)
    assert date[:8] in added["Authorization"]
    added["Authorization"] = added["Authorization"].replace(date[:8], scope_day)
    request = SignedRequest("GET", "/", unsigned.query, [("Host", HOST), *added.items()])
    assert (await site.send(request)).error_code == "InvalidTimestamp"


@pytest.mark.parametrize(("age", "code"), [(60, ""), (61, "InvalidTimestamp"), (-900, ""), (-901, "InvalidTimestamp")])
async def test_class_23_presigned_address_holds_from_15_minutes_before_to_its_end(
    site: Site, age: int, code: str
) -> None:
    unsigned = SignedRequest("GET", "/", f"{CHECK[2:]}&{QUERY}", [("Host", HOST)])
    query = sigv4.presign(unsigned, "AKTEST", "SKTEST", REGION, "kls", build_amz_date(NOW - age), 60)
    assert (await site.send(SignedRequest("GET", "/", query, [("Host", HOST)]))).error_code == code
