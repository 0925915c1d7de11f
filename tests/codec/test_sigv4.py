"""codec.sigv4 and codec.amzdate: signatures of real clients, of botocore and of our own (contract, section 2)."""

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, amzdate, sigv4
from openkls.codec.amzdate import parse_amz_date
from openkls.codec.sigv4 import (
    Authorization,
    Claim,
    MissingAccesskey,
    MissingSignature,
    MissingTimestamp,
    SignedRequest,
    is_timely,
    parse_authorization,
    read_claim,
    verify,
)

CAPTURES = json.loads((Path(__file__).parents[1] / "vectors/sigv4-captures.json").read_text(encoding="utf-8"))
ACCESS, SECRET = CAPTURES["access_key"], CAPTURES["secret_key"]
NOW = 1795361940  # 2026-11-22T15:39:00Z
DATE = "20261122T153900Z"
SCOPE = "20261122/cn-beijing-6/kls/aws4_request"
HEX = "ab" * 32
GOOD = f"AWS4-HMAC-SHA256 Credential=AK/{SCOPE}, SignedHeaders=host;x-amz-date, Signature={HEX}"


def captured(entry) -> SignedRequest:
    path, _, query = entry["target"].partition("?")
    headers = [(name, value) for name, value in entry["headers"]]
    return SignedRequest(entry["method"], path, query, headers, entry["body"].encode())


VECTORS = [
    pytest.param(captured(entry), id=f"{number}-{entry['client']}") for number, entry in enumerate(CAPTURES["requests"])
]


def holds(request: SignedRequest, secret: str = SECRET) -> bool:
    return verify(request, read_claim(request), secret)


def with_header(request: SignedRequest, name: str, value: str | None) -> SignedRequest:
    kept = [(key, old) for key, old in request.headers if key.lower() != name.lower()]
    return replace(request, headers=kept if value is None else [*kept, (name, value)])


def own(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "Action=GetBlacklist&Version=2017-01-01",
    headers: tuple[tuple[str, str], ...] = (("Host", "kls.test:8080"),),
    body: bytes = b"",
    amz_date: str = DATE,
) -> SignedRequest:
    request = SignedRequest(method, path, query, headers, body)
    added = sigv4.sign(request, ACCESS, SECRET, "cn-beijing-6", "kls", amz_date)
    return replace(request, headers=[*headers, *added.items()])


def by_hand(signed_headers: str, headers: list[tuple[str, str]], lines: str, query: str = "", sent: str = "", **parts):
    """Sign a canonical request given as text, the way a client with its own ideas does."""
    body = parts.get("body", b"")
    date, signed_date = parts.get("date", DATE), parts.get("signed_date", parts.get("date", DATE))
    canonical = f"GET\n/\n{query}\n{lines}\n{signed_headers}\n{sha256(body).hexdigest()}"
    to_sign = f"AWS4-HMAC-SHA256\n{signed_date}\n{SCOPE}\n{sha256(canonical.encode()).hexdigest()}"
    key = sigv4.signing_key(SECRET, "20261122", "cn-beijing-6", "kls")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    value = f"AWS4-HMAC-SHA256 Credential={ACCESS}/{SCOPE}, SignedHeaders={signed_headers}, Signature={signature}"
    return SignedRequest(
        "GET", "/", sent, [*headers, (parts.get("date_header", "X-Amz-Date"), date), ("Authorization", value)], body
    )


# -- the captures of real clients


def test_there_are_22_captures():
    assert len(VECTORS) == 22


@pytest.mark.parametrize("request_", VECTORS)
def test_capture_verifies_at_its_own_time(request_):
    claim = read_claim(request_)
    assert claim.authorization.access_key == ACCESS
    assert (claim.authorization.region, claim.authorization.service) == ("cn-beijing-6", "kls")
    assert is_timely(claim, parse_amz_date(claim.amz_date))
    assert verify(request_, claim, SECRET)


@pytest.mark.parametrize("request_", VECTORS)
def test_capture_with_anything_changed_does_not_verify(request_):
    assert not holds(request_, SECRET + "x")
    assert not holds(request_, "")
    assert not holds(replace(request_, method="PUT"))
    assert not holds(replace(request_, path=request_.path + "x"))
    assert not holds(replace(request_, query=request_.query + "&Extra=1"))
    for position in range(0, len(request_.body), 7):
        changed = bytearray(request_.body)
        changed[position] ^= 1
        assert not holds(replace(request_, body=bytes(changed)))
    assert not holds(replace(request_, body=request_.body + b" "))
    for name in read_claim(request_).authorization.signed_headers:
        assert not holds(with_header(request_, name, sigv4.header_value(request_.headers, name) + "x"))
        if name != "x-amz-date":
            assert not holds(with_header(request_, name, None))


@pytest.mark.parametrize("request_", VECTORS)
def test_capture_with_a_query_value_changed_does_not_verify(request_):
    pairs = request_.query.split("&") if request_.query else []
    for position, pair in enumerate(pairs):
        for changed in (pair + "x", pair.replace("=", "x=")):
            others = [*pairs[:position], changed, *pairs[position + 1 :]]
            assert not holds(replace(request_, query="&".join(others)))
        assert not holds(replace(request_, query="&".join(pairs[:position] + pairs[position + 1 :])))


@pytest.mark.parametrize("request_", VECTORS)
def test_capture_with_another_scope_or_signature_does_not_verify(request_):
    claim = read_claim(request_)
    signed = claim.authorization
    last = "0" if signed.signature[-1] != "0" else "1"
    others = [replace(signed, date="20261123"), replace(signed, region="cn-shanghai-3"), replace(signed, service="iam")]
    for other in [*others, replace(signed, signature=signed.signature[:-1] + last)]:
        assert not verify(request_, replace(claim, authorization=other), SECRET)


# -- dialects of clients that are not among the captures


def test_signed_headers_are_taken_verbatim_with_duplicates():
    # the Go SDK signs host twice
    request = by_hand("host;host;x-amz-date", [("Host", "a:1")], f"host:a:1\nhost:a:1\nx-amz-date:{DATE}\n")
    assert read_claim(request).authorization.signed_headers == ("host", "host", "x-amz-date")
    assert holds(request)


def test_header_values_are_trimmed_collapsed_and_joined():
    headers = [("Host", " a:1 "), ("X-Many", "one   two"), ("x-many", "\tthree ")]
    assert holds(by_hand("host;x-amz-date;x-many", headers, f"host:a:1\nx-amz-date:{DATE}\nx-many:one two,three\n"))


def test_date_with_offset_of_the_node_sdk_is_signed_as_sent():
    date = "20261122T153900+00:00"
    request = by_hand("host;x-amz-date", [("Host", "a")], f"host:a\nx-amz-date:{date}\n", date=date)
    assert holds(request)
    assert is_timely(read_claim(request), NOW)


def test_http_date_may_stand_in_and_is_signed_in_the_basic_form():
    date = "Sun, 22 Nov 2026 15:39:00 GMT"
    lines = f"date:{date}\nhost:a\n"
    request = by_hand("date;host", [("Host", "a")], lines, date=date, signed_date=DATE, date_header="Date")
    assert holds(request)
    assert is_timely(read_claim(request), NOW)


def test_date_that_cannot_be_read_is_signed_as_sent_and_untimely():
    request = by_hand("date;host", [("Host", "a")], "date:today\nhost:a\n", date="today", date_header="Date")
    assert holds(request)
    assert not is_timely(read_claim(request), NOW)


@pytest.mark.parametrize("length", sigv4.ABSENT_CONTENT_LENGTHS)
def test_content_length_may_be_signed_and_absent_without_a_body(length):
    lines = f"content-length:{length}\nhost:a\nx-amz-date:{DATE}\n"
    request = by_hand("content-length;host;x-amz-date", [("Host", "a")], lines)
    assert holds(request)
    assert holds(with_header(request, "Content-Length", length))
    assert not holds(with_header(request, "Content-Length", "7"))


def test_content_length_must_be_there_with_a_body():
    lines = f"content-length:\nhost:a\nx-amz-date:{DATE}\n"
    assert not holds(by_hand("content-length;host;x-amz-date", [("Host", "a")], lines, body=b"{}"))


def test_any_other_signed_header_must_be_there():
    lines = f"content-length:\nhost:a\nx-amz-date:{DATE}\nx-other:\n"
    assert not holds(by_hand("content-length;host;x-amz-date;x-other", [("Host", "a")], lines))


def test_host_must_be_signed():
    assert not holds(by_hand("x-amz-date", [("Host", "a")], f"x-amz-date:{DATE}\n"))


def test_content_hash_is_compared_and_not_believed():
    request = own(method="POST", body=b"{}")
    assert holds(request)
    right = sha256(b"{}").hexdigest()
    assert holds(with_header(request, "X-Amz-Content-Sha256", right))
    for wrong in (HEX, "UNSIGNED-PAYLOAD", "", right.upper()):
        assert not holds(with_header(request, "X-Amz-Content-Sha256", wrong))


# curl before 8 signs the query as sent; other clients keep a plus sign or turn it into a space
@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("b=2&a=1", "a=1&b=2"),
        ("b=2&a=1", "b=2&a=1"),
        ("s=a+b", "s=a%20b"),
        ("s=a+b", "s=a%2Bb"),
        ("s=a+b", "s=a+b"),
        ("s=%e4%b8%ad/~", "s=%E4%B8%AD%2F~"),
        ("a=&a&b==", "a=&a=&b=%3D"),
        ("a=2&a=1&a=", "a=&a=1&a=2"),
        ("a-=1&a=2", "a=2&a-=1"),
        ("&a=1&&", "a=1"),
        ("x=%zz%4", "x=%25zz%254"),
        ("s=中", "s=%E4%B8%AD"),
        ("", ""),
    ],
)
def test_query_verifies_under_each_of_its_readings(sent, signed):
    assert signed in sigv4.canonical_queries(sent)
    assert holds(by_hand("host;x-amz-date", [("Host", "a")], f"host:a\nx-amz-date:{DATE}\n", query=signed, sent=sent))


def test_query_has_three_readings_at_most_each_once():
    assert sigv4.canonical_queries("b=+&a=1") == ["a=1&b=%20", "a=1&b=%2B", "b=+&a=1"]
    assert sigv4.canonical_queries("a=1&b=2") == ["a=1&b=2"]
    assert sigv4.canonical_queries(f"a=1&X-Amz-Signature={HEX}&b=2") == ["a=1&b=2"]


def test_bytes_that_are_no_utf8_survive_in_path_query_and_headers():
    stray = b"\xff".decode("utf-8", "surrogateescape")
    request = own(path=f"/{stray}", query=f"a={stray}", headers=(("Host", f"h{stray}"),))
    assert sigv4.canonical_queries(f"a={stray}")[0] == "a=%FF"
    assert holds(request)
    assert not holds(replace(request, path="/?"))


def test_canonical_request_has_six_parts():
    text = sigv4.canonical_request("GET", "", "a=1", [("Host", "h")], ["host", "x-none"], HEX)
    assert text == f"GET\n/\na=1\nhost:h\nx-none:\n\nhost;x-none\n{HEX}"


def test_string_to_sign_is_what_the_signature_is_the_mac_of():
    canonical = sigv4.canonical_request("GET", "", "a=1", [("Host", "h")], ["host"], HEX)
    text = sigv4.string_to_sign(canonical, "20260131T235959Z", "20260131", "r", "kls")
    hashed = sha256(canonical.encode()).hexdigest()
    assert text == f"AWS4-HMAC-SHA256\n20260131T235959Z\n20260131/r/kls/aws4_request\n{hashed}"
    key = sigv4.signing_key("secret", "20260131", "r", "kls")
    request = sigv4.SignedRequest("GET", "/", "a=1", [("Host", "h")])
    headers = [*request.headers, ("X-Amz-Date", "20260131T235959Z")]
    empty = sha256(b"").hexdigest()
    canonical = sigv4.canonical_request("GET", "/", "a=1", headers, ["host", "x-amz-date"], empty)
    text = sigv4.string_to_sign(canonical, "20260131T235959Z", "20260131", "r", "kls")
    signed = sigv4.sign(request, "AK", "secret", "r", "kls", "20260131T235959Z")["Authorization"]
    assert signed.endswith(hmac.new(key, text.encode(), "sha256").hexdigest())


def test_signing_key_is_the_one_of_the_aws_documentation():
    key = sigv4.signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam")
    assert key.hex() == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"


def test_class_21_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []
    constant_time = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(len(a)) or constant_time(a, b))
    request = own(query="b=+&a=1")
    claim = read_claim(request)
    wrong = replace(claim, authorization=replace(claim.authorization, signature=HEX))
    assert not verify(request, wrong, SECRET)
    assert compared == [64, 64, 64]


# -- reading the claim


def test_authorization_is_read_into_its_parts():
    parts = ("AK", "20261122", "cn-beijing-6", "kls", ("host", "x-amz-date"), HEX)
    assert parse_authorization(GOOD) == Authorization(*parts)
    assert parse_authorization(GOOD.replace(", ", ",")) == Authorization(*parts)
    assert parse_authorization(f"  {GOOD.replace('host;', 'Host;')} ") == Authorization(*parts)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "AWS4-HMAC-SHA256",
        "Basic QUs6c2VjcmV0",
        GOOD.replace("Credential=", "Credentials="),
        GOOD.replace(f"Credential=AK/{SCOPE}", "Credential="),
        GOOD.replace("=AK/", "=/"),
        GOOD.replace("SignedHeaders", f"Credential=AK/{SCOPE}, SignedHeaders"),
    ],
)
def test_authorization_without_an_access_key_is_missing_accesskey(header):
    with pytest.raises(MissingAccesskey):
        parse_authorization(header)


@pytest.mark.parametrize(
    "header",
    [
        GOOD.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        GOOD.replace("HMAC-SHA256 ", "HMAC-SHA256  x,")[1:],
        GOOD.replace("/aws4_request", ""),
        GOOD.replace("aws4_request", "aws5_request"),
        GOOD.replace("/kls", "/k/ls"),
        GOOD.replace("20261122", "2026112"),
        GOOD.replace("20261122", "2026112x"),
        GOOD.replace("20261122", "٢٠٢٦١١٢٢"),
        GOOD.replace("SignedHeaders=host;x-amz-date", "SignedHeaders="),
        GOOD.replace("host;", "host;;"),
        GOOD.replace("SignedHeaders", "Signed"),
        GOOD.replace("Signature", "Sig"),
        GOOD[:-1],
        GOOD + "0",
        GOOD.replace(HEX, HEX.upper()),
        GOOD.replace(HEX, "zz" * 32),
        f"{GOOD}, Signature={HEX}",
        f"{GOOD}, {GOOD}",
    ],
)
def test_authorization_malformed_elsewhere_is_missing_signature(header):
    with pytest.raises(MissingSignature):
        parse_authorization(header)


def test_signed_headers_at_the_count_limit_are_read_and_one_more_refused():
    at = GOOD.replace("host;x-amz-date", ";".join(["host"] * sigv4.MAX_SIGNED_HEADERS))
    assert len(parse_authorization(at).signed_headers) == sigv4.MAX_SIGNED_HEADERS
    with pytest.raises(MissingSignature) as caught:
        parse_authorization(at.replace("host;", "host;host;", 1))
    assert caught.value.limit == "MAX_SIGNED_HEADERS"


def test_class_20_query_parameters_at_the_count_limit_are_read_and_one_more_refused():
    at = "&".join(["a=1"] * sigv4.MAX_QUERY_PARAMETERS)
    assert holds(own(query=at))
    for refusing in (read_claim, lambda request: verify(request, Claim(parse_authorization(GOOD), DATE), SECRET)):
        with pytest.raises(ProtocolError) as caught:
            refusing(SignedRequest("GET", "/", at + "&a=1", [("Host", "a"), ("X-Amz-Date", DATE)]))
        assert caught.value.limit == "MAX_QUERY_PARAMETERS"


def test_claim_is_checked_in_the_order_access_key_date_signature():
    def claim(*headers):
        return read_claim(SignedRequest("GET", "/", "", headers))

    bad = GOOD.replace("Signature=", "Sig=")
    with pytest.raises(MissingAccesskey):
        claim()
    with pytest.raises(MissingAccesskey):
        claim(("authorization", "AWS4-HMAC-SHA256 Signature=1"))
    with pytest.raises(MissingTimestamp):
        claim(("Authorization", bad))
    with pytest.raises(MissingTimestamp):
        claim(("Authorization", GOOD), ("X-Amz-Date", " "))
    with pytest.raises(MissingSignature):
        claim(("Authorization", bad), ("X-Amz-Date", DATE))
    with pytest.raises(MissingSignature):
        claim(("Authorization", GOOD), ("Authorization", GOOD), ("X-Amz-Date", DATE))
    assert claim(("Authorization", GOOD), ("X-Amz-Date", DATE), ("Date", "x")).amz_date == DATE
    assert claim(("Authorization", GOOD), ("Date", "x")).amz_date == "x"


def test_no_error_shows_the_signature_or_the_key():
    with pytest.raises(MissingSignature) as caught:
        parse_authorization(GOOD.replace("kls", "k/ls"))
    assert HEX not in str(caught.value)
    assert "AK/" not in str(caught.value)


def claim_at(date: str, scope_date: str = "20261122", expires: int | None = None) -> Claim:
    return Claim(Authorization("AK", scope_date, "r", "s", ("host",), HEX), date, expires)


def test_class_23_skew_of_15_minutes_both_ways_is_timely_and_a_second_more_is_not():
    assert sigv4.MAX_SKEW_SECONDS == 900
    claim = claim_at(DATE)
    assert is_timely(claim, NOW - 900)
    assert is_timely(claim, NOW + 900)
    assert not is_timely(claim, NOW - 901)
    assert not is_timely(claim, NOW + 901)


def test_class_23_scope_date_must_be_the_date_signed():
    assert not is_timely(claim_at(DATE, "20261121"), NOW)
    assert is_timely(claim_at("20261123T000001Z", "20261123"), NOW + 30_000)
    assert not is_timely(claim_at("20261123T000001Z", "20261122"), NOW + 30_000)


def test_date_that_cannot_be_read_is_untimely():
    assert not is_timely(claim_at("yesterday"), NOW)


def test_presigned_claim_is_timely_until_it_expires():
    claim = claim_at(DATE, expires=3600)
    assert is_timely(claim, NOW - 900)
    assert is_timely(claim, NOW + 3600)
    assert not is_timely(claim, NOW - 901)
    assert not is_timely(claim, NOW + 3601)
    assert not is_timely(claim_at(DATE, expires=60), NOW + 61)


# -- presigned requests


def presigned(expires: int = 600, query: str = "Action=GetBlacklist&Stream=%E4%B8%AD") -> SignedRequest:
    request = SignedRequest("GET", "/", query, [("Host", "kls.test")])
    return replace(
        request, query=sigv4.presign(request, ACCESS, SECRET, "cn-beijing-6", "kls", DATE, expires_seconds=expires)
    )


def test_presigned_request_of_our_own_verifies():
    request = presigned()
    claim = read_claim(request)
    assert (claim.amz_date, claim.expires_seconds, claim.authorization.access_key) == (DATE, 600, ACCESS)
    assert verify(request, claim, SECRET)
    assert not holds(replace(request, query=request.query.replace("Expires=600", "Expires=601")))
    assert not holds(replace(request, query=request.query + "&Extra=1"))
    assert not holds(with_header(request, "Host", "other.test"))


def test_presigned_request_may_have_no_query_of_its_own():
    assert holds(presigned(query=""))


def test_authorization_header_goes_before_a_presigned_query():
    request = presigned()
    with pytest.raises(MissingAccesskey):
        read_claim(with_header(request, "Authorization", "Basic x"))


@pytest.mark.parametrize("expires", [1, sigv4.MAX_EXPIRES_SECONDS])
def test_presigned_expiry_within_seven_days_is_read(expires):
    assert read_claim(presigned(expires)).expires_seconds == expires


@pytest.mark.parametrize("expires", ["0", str(sigv4.MAX_EXPIRES_SECONDS + 1), "-1", "", "x", "9" * 5000, "+5", "1.5"])
def test_presigned_expiry_beyond_seven_days_or_malformed_is_missing_signature(expires):
    request = presigned()
    with pytest.raises(MissingSignature):
        read_claim(replace(request, query=request.query.replace("Expires=600", f"Expires={expires}")))


def test_presigned_query_is_checked_in_the_order_access_key_date_signature():
    request = presigned()
    with pytest.raises(MissingAccesskey):
        read_claim(replace(request, query=request.query.replace("X-Amz-Credential", "x-amz-credential")))
    with pytest.raises(MissingTimestamp):
        read_claim(replace(request, query=request.query.replace("X-Amz-Date", "D").replace("X-Amz-Sig", "S")))
    for part in ("X-Amz-Algorithm", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"):
        with pytest.raises(MissingSignature):
            read_claim(replace(request, query=request.query.replace(part, "X-Other")))
    with pytest.raises(MissingSignature):
        read_claim(replace(request, query=request.query + "&X-Amz-Date=" + DATE))
    with pytest.raises(MissingSignature):
        read_claim(replace(request, method="POST"))


# -- our own signing


def test_sign_adds_date_and_authorization():
    request = own()
    assert [name for name, _ in request.headers] == ["Host", "X-Amz-Date", "Authorization"]
    assert read_claim(request).authorization.signed_headers == ("host", "x-amz-date")
    assert holds(request)


def test_sign_needs_a_host():
    with pytest.raises(ValueError, match="Host"):
        own(headers=(("Accept", "*/*"),))


def test_encoded_query_is_rfc_3986():
    assert sigv4.encode_query([("b", "a b+~/中"), ("a", "")]) == "b=a%20b%2B~%2F%E4%B8%AD&a="


# -- against botocore

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.text("ab +%~&=/-_.", max_size=8)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=6)
HEADER_VALUE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20) | st.text(
    "a \t", max_size=9
)
HEADERS = st.dictionaries(st.sampled_from(["X-One", "x-two", "Accept", "Content-Type"]), HEADER_VALUE, max_size=3)


def botocore_signed(method, url, headers, body, *, auth=SigV4Auth, **options) -> SignedRequest:
    aws = AWSRequest(method, url, headers={"Host": urlsplit(url).netloc, **headers}, data=body)
    auth(Credentials(ACCESS, SECRET), "kls", "cn-beijing-6", **options).add_auth(aws)
    parts = urlsplit(aws.url)
    return SignedRequest(method, parts.path, parts.query, list(aws.headers.items()), body)


@given(st.sampled_from(["GET", "POST"]), PAIRS, HEADERS, st.binary(max_size=60), TEXT, st.data())
def test_what_botocore_signs_verifies_and_nothing_else(method, pairs, headers, body, extra, data):
    url = f"http://127.0.0.1:8080/?{sigv4.encode_query(pairs)}"
    request = botocore_signed(method, url, headers, body)
    claim = read_claim(request)
    assert verify(request, claim, SECRET)
    assert is_timely(claim, parse_amz_date(claim.amz_date))
    other = data.draw(PAIRS)
    assume(sorted(other) != sorted(pairs))
    assert not verify(replace(request, query=sigv4.encode_query(other)), claim, SECRET)
    assert not verify(replace(request, body=body + b"\0"), claim, SECRET)
    for name, value in headers.items():
        assert not verify(with_header(request, name, value + "x"), claim, SECRET)
    # HMAC fills a short key up with zeros, so that NULs at a secret's end make no difference (RFC 2104).
    assert not verify(request, claim, SECRET + (extra.strip("\0") or "x"))


@given(PAIRS, st.randoms())
def test_order_and_spelling_of_the_query_do_not_matter(pairs, rng):
    request = own(query=sigv4.encode_query(pairs))
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    spelled = sigv4.encode_query(shuffled).replace("%20", "+")
    assert holds(replace(request, query=spelled))


@given(PAIRS)
def test_what_botocore_presigns_verifies(pairs):
    url = f"http://127.0.0.1:8080/?{sigv4.encode_query(pairs)}"
    request = botocore_signed("GET", url, {}, b"", auth=SigV4QueryAuth, expires=60)
    claim = read_claim(request)
    assert claim.expires_seconds == 60
    assert verify(request, claim, SECRET)
    assert not verify(replace(request, query=request.query + "&z=1"), claim, SECRET)


@given(PAIRS, HEADERS, st.binary(max_size=60))
def test_we_sign_what_botocore_signs(pairs, headers, body):
    url = f"http://127.0.0.1:8080/api/X/2017-01-01?{sigv4.encode_query(pairs)}"
    theirs = dict(botocore_signed("POST", url, headers, body).headers)
    sent = (("Host", "127.0.0.1:8080"), *headers.items())
    request = SignedRequest("POST", "/api/X/2017-01-01", sigv4.encode_query(pairs), sent, body)
    assert sigv4.sign(request, ACCESS, SECRET, "cn-beijing-6", "kls", theirs["X-Amz-Date"]) == {
        name: theirs[name] for name in ("X-Amz-Date", "Authorization")
    }


@given(PAIRS, st.integers(1, sigv4.MAX_EXPIRES_SECONDS))
def test_presigned_round_trip_keeps_the_parameters(pairs, expires):
    request = presigned(expires, sigv4.encode_query(pairs))
    assert holds(request)
    kept = [pair for pair in parse_qsl(request.query, keep_blank_values=True) if not pair[0].startswith("X-Amz-")]
    assert sorted(kept) == sorted(pairs) or any(name.startswith("X-Amz-") for name, _ in pairs) or ("", "") in pairs


WIRE = st.text(st.characters(exclude_categories=("Cs",)) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))


@given(WIRE, WIRE, WIRE, st.sampled_from([GOOD, GOOD.replace("host", "date;host"), ""]), st.binary(max_size=20))
def test_arbitrary_requests_verify_not_or_are_protocol_errors(text, query, date, header, body):
    for value in (text, header):
        request = SignedRequest("GET", text, query, [("Authorization", value), ("Date", date), ("Host", text)], body)
        try:
            claim = read_claim(request)
        except ProtocolError:
            continue
        assert not verify(request, claim, SECRET)
        assert isinstance(is_timely(claim, NOW), bool)


@given(st.text(), st.lists(st.sampled_from(list("Credential=/,;SigHeaders AWS4-HMC256"))).map("".join))
def test_arbitrary_authorizations_are_parsed_or_protocol_errors(text, alike):
    for header in (text, alike, f"AWS4-HMAC-SHA256 Credential={text}, {alike}"):
        try:
            parsed = parse_authorization(header)
        except (MissingAccesskey, MissingSignature):
            continue
        assert 1 <= len(parsed.signed_headers) <= sigv4.MAX_SIGNED_HEADERS


# -- dates


@pytest.mark.parametrize(
    "text",
    [
        DATE,
        "20261122T153900+00:00",
        "20261122T153900+0000",
        "2026-11-22T15:39:00Z",
        "2026-11-22T15:39:00+00:00",
        "Sun, 22 Nov 2026 15:39:00 GMT",
    ],
)
def test_date_of_each_form_is_read(text):
    assert parse_amz_date(text) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20261122",
        "20261122T153900",
        "20261122T153900z",
        " " + DATE,
        DATE + "\n",
        "20261122T153900+08:00",
        "20261322T153900Z",
        "20260022T153900Z",
        "20260229T000000Z",
        "21000229T000000Z",
        "20260431T000000Z",
        "20261100T153900Z",
        "20261122T243900Z",
        "20261122T156000Z",
        "20261122T153960Z",
        "19691231T235959Z",
        "٢٠٢٦1122T153900Z",
        "2026-1122T153900Z",
        "2026-11-22T15:3900Z",
        "20261122T153900.0Z",
        "1795361940",
        "Sun, 22 Nov 2026 15:39:00 +0000",
        "Sun, 31 Nov 2026 15:39:00 GMT",
        "Sunday, 22-Nov-26 15:39:00 GMT",
        "9" * 10000,
    ],
)
def test_date_of_no_form_is_none(text):
    assert parse_amz_date(text) is None


@given(st.integers(0, amzdate.MAX_UNIX_SECONDS))
def test_dates_agree_with_the_calendar(unix_seconds):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix_seconds)
    assert amzdate.build_amz_date(unix_seconds) == moment.strftime("%Y%m%dT%H%M%SZ").rjust(16, "0")
    assert parse_amz_date(amzdate.build_amz_date(unix_seconds)) == unix_seconds
    assert parse_amz_date(moment.strftime("%a, %d %b %Y %H:%M:%S GMT")) == unix_seconds


@pytest.mark.parametrize(
    ("unix_seconds", "text"), [(0, "19700101T000000Z"), (amzdate.MAX_UNIX_SECONDS, "99991231T235959Z")]
)
def test_first_and_last_second_can_be_said_and_none_beyond(unix_seconds, text):
    assert amzdate.build_amz_date(unix_seconds) == text
    beyond = -1 if unix_seconds == 0 else unix_seconds + 1
    with pytest.raises(ValueError, match="1970"):
        amzdate.build_amz_date(beyond)


@given(st.text())
def test_arbitrary_dates_are_read_or_none(text):
    assert parse_amz_date(text) is None or parse_amz_date(text) >= 0
