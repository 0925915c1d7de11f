"""codec.sigv4's short cuts: what is remembered, or read without decoding, is what the long way gives."""

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import sigv4
from openkls.codec.sigv4 import Authorization, Claim, MissingSignature, SignedRequest, canonical, claim

DATE = "20261122T153900Z"
BEGIN = "AWS4-HMAC-SHA256 Credential=AK/20261122/cn-beijing-6/kls/aws4_request, SignedHeaders=host;x-amz-date, "
HEADERS = (("Host", "h"), ("X-Amz-Date", DATE))
CACHED = (claim._read_unsigned, claim._signed_at, canonical._begin_mac, sigv4.signing_key)


def signed(query: str, secret: str = "SK") -> SignedRequest:
    request = SignedRequest("GET", "/", query, (HEADERS[0],))
    added = sigv4.sign(request, "AK", secret, "cn-beijing-6", "kls", DATE)
    return SignedRequest("GET", "/", query, (*request.headers, *added.items()))


@pytest.mark.parametrize("cached", CACHED)
def test_every_cache_is_bounded(cached) -> None:
    assert cached.cache_parameters()["maxsize"] == 512


def test_class_18_rubbish_does_not_grow_the_caches() -> None:
    for number in range(600):
        header = f"{BEGIN.replace('AK', f'AK{number}')}Signature={'0' * 64}"
        claim = Claim(sigv4.parse_authorization(header), f"{DATE}{number}")
        assert not sigv4.is_timely(claim, 0)
        assert not sigv4.verify(SignedRequest("GET", "/", "", HEADERS), claim, "SK")
    assert [cached.cache_info().currsize for cached in CACHED[:3]] == [512, 512, 512]


@given(st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=2, max_size=4))
def test_headers_that_begin_alike_keep_their_own_signatures(signatures: list[str]) -> None:
    for signature in signatures:
        read = sigv4.parse_authorization(f"{BEGIN}Signature={signature}")
        parts = ("AK", "20261122", "cn-beijing-6", "kls", ("host", "x-amz-date"))
        assert read == Authorization(*parts, signature)


@pytest.mark.parametrize("end", ["Signature=", "Signature=" + "0" * 63, "Signature=" + "G" * 64, "Signature", ""])
def test_remembered_begin_does_not_make_up_for_a_malformed_signature(end: str) -> None:
    sigv4.parse_authorization(f"{BEGIN}Signature={'0' * 64}")
    with pytest.raises(MissingSignature):
        sigv4.parse_authorization(BEGIN + end)


@pytest.mark.parametrize("joint", ["X", "Signature, ", "Signature=, ", f"Signature={'1' * 64}, "])
def test_field_whose_name_only_ends_alike_or_comes_twice_is_no_signature(joint: str) -> None:
    for _ in range(2):
        with pytest.raises(MissingSignature):
            sigv4.parse_authorization(f"{BEGIN}{joint}Signature={'0' * 64}")


def test_another_secret_never_verifies_after_the_right_one_has() -> None:
    request = signed("a=1")
    claim = sigv4.read_claim(request)
    for _ in range(2):
        assert sigv4.verify(request, claim, "SK")
        assert not sigv4.verify(request, claim, "SK2")


def first_reading(query: str) -> str:
    """By the book: decode, encode, sort by name, then value."""
    pairs = []
    for pair in query.split("&"):
        if pair and pair.partition("=")[0] != "X-Amz-Signature":
            name, _, value = pair.replace("+", " ").partition("=")
            pairs.append(tuple(quote(unquote_to_bytes(text.encode()), safe="-_.~") for text in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


# Signs below "=" in a name tell sorting by name from sorting by the whole pair.
queries = st.one_of(
    st.text("ab-.0Z=&", max_size=24),
    st.text("a1=&%2B+;é", max_size=16),
    st.lists(st.sampled_from(["a=1", "a-b=1", "a.1=2", "a=", "a", "=", "", "X-Amz-Signature=0", "b==", "c=%7E"])).map(
        "&".join
    ),
)


@given(queries)
def test_first_reading_is_by_the_book_and_no_reading_comes_twice(query: str) -> None:
    readings = sigv4.canonical_queries(query)
    assert readings[0] == first_reading(query)
    assert len(set(readings)) == len(readings)
    raw = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] != "X-Amz-Signature")
    assert raw in readings
