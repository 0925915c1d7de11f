"""codec.pushauth: the MD5 and the legacy HMAC of publish URLs (contract, section 8)."""

import hmac
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import pushauth
from openkls.codec.pushauth import PushVerdict, check_hmac, check_md5, read_hmac_keys, sign_hmac, sign_md5

ACCEPTED, EXPIRED, MISMATCH, BAD_PARAMS = PushVerdict
T = 1560096712
K = "4f88e741140240e2"
E = 1436976000
SECRETS = {"AK": ("TESTSECRET",)}
BARE = f"signature=WMWhRUQ7r4+WzdRUlFGB7pJkl4g=&accesskey=AK&expire={E}"
FULL = f"signature=35HI6wPR2wQr0OVy/wTTqYeDPUE=&accesskey=AK&expire={E}&nonce=abc&public=0&vdoid=12345"


def test_verdicts_are_the_break_codes():
    assert [int(verdict) for verdict in PushVerdict] == [200, 425, 426, 428]


# -- MD5


def test_md5_vector_of_the_contract():
    assert sign_md5("123456", "stream", T) == f"t={T}&k={K}"
    assert check_md5(["123456"], "stream", f"t={T}&k={K}", T) is ACCEPTED
    assert check_md5(["123456"], "stream", f"k={K}&vhost=push.demo.local&t={T}", 0) is ACCEPTED


def test_md5_is_valid_up_to_its_second_and_expired_after():
    assert check_md5(["123456"], "stream", f"t={T}&k={K}", T) is ACCEPTED
    assert check_md5(["123456"], "stream", f"t={T}&k={K}", T + 0.001) is EXPIRED


def test_any_of_the_keys_verifies_md5_so_that_keys_can_rotate():
    assert check_md5(["new", "123456", "other"], "stream", f"t={T}&k={K}", 0) is ACCEPTED
    assert check_md5(["new"], "stream", f"t={T}&k={K}", 0) is MISMATCH
    assert check_md5([], "stream", f"t={T}&k={K}", 0) is MISMATCH


def test_class_14_an_empty_key_verifies_nothing():
    assert check_md5([""], "stream", sign_md5("", "stream", T), 0) is MISMATCH
    assert check_hmac({"AK": ("",)}, sign_hmac("AK", "", E, {}), 0) is MISMATCH


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"t={T}",
        f"k={K}",
        f"t=&k={K}",
        f"t={T}&k=",
        f"t=+{T}&k={K}",
        f"t=-{T}&k={K}",
        f"t={T}.0&k={K}",
        f"t=0x5cfd&k={K}",
        f"t=%20{T}&k={K}",
        f"t={T}%0A&k={K}",
        f"t=%D9%A1&k={K}",
        f"T={T}&K={K}",
        f"t={T}&t={T}&k={K}",
        f"t={T}&k={K}&k={K}",
        f"t={T}&%74={T}&k={K}",
        f"t={T}&k={K}&x=1&x=2",
        f"t={'9' * 5000}&k={K}",
    ],
)
def test_md5_parameters_missing_malformed_or_repeated_are_428(query):
    assert check_md5(["123456"], "stream", query, 0) is BAD_PARAMS


def test_expiry_of_ten_digits_is_read_and_eleven_refused():
    at, beyond = 10**pushauth.MAX_EXPIRY_DIGITS - 1, 10**pushauth.MAX_EXPIRY_DIGITS
    assert check_md5(["x"], "s", sign_md5("x", "s", at), T) is ACCEPTED
    assert check_md5(["x"], "s", sign_md5("x", "s", beyond), T) is BAD_PARAMS
    assert check_hmac(SECRETS, sign_hmac("AK", "TESTSECRET", at, {}), T) is ACCEPTED
    assert check_hmac(SECRETS, sign_hmac("AK", "TESTSECRET", beyond, {}), T) is BAD_PARAMS


def test_no_digit_moves_from_the_streams_name_into_the_expiry():
    signature = sign_md5("x", "cam1", T).partition("&k=")[2]
    assert sign_md5("x", "cam", int(f"1{T}")).endswith(signature)  # the text that is hashed is the same
    assert check_md5(["x"], "cam", f"t=1{T}&k={signature}", T) is BAD_PARAMS
    assert check_md5(["x"], "cam11", f"t={str(T)[1:]}&k={signature}", T) is EXPIRED


def test_parameters_at_the_count_limit_are_read_and_one_more_refused():
    extra = [f"p{n}=1" for n in range(pushauth.MAX_PARAMETERS - 2)]
    assert check_md5(["123456"], "stream", "&".join([f"t={T}&k={K}", *extra]), 0) is ACCEPTED
    assert check_md5(["123456"], "stream", "&".join([f"t={T}&k={K}", *extra, "q=1"]), 0) is BAD_PARAMS


@pytest.mark.parametrize("k", [K[:-1], K.upper(), K + "0", "ключ", "%ff", "\ud800", K.replace("4f", "4e")])
def test_a_wrong_k_of_any_shape_is_426(k):
    assert check_md5(["123456"], "stream", f"t={T}&k={k}", 0) is MISMATCH


def test_order_is_428_then_425_then_426():
    assert check_md5(["123456"], "stream", f"t=1&t=1&k={K}", T) is BAD_PARAMS
    assert check_md5(["123456"], "stream", "t=1&k=wrong", T) is EXPIRED
    assert check_hmac(SECRETS, "signature=wrong&accesskey=AK&expire=x", T) is BAD_PARAMS
    assert check_hmac(SECRETS, "signature=wrong&accesskey=AK&expire=1", T) is EXPIRED


@given(st.text(min_size=1), st.text(), st.integers(0, 10**10 - 1), st.text(max_size=3))
def test_signed_md5_is_accepted_and_no_other_stream_is(key, stream, expiry, more):
    query = sign_md5(key, stream, expiry)
    assert check_md5([key], stream, query, 0) is ACCEPTED
    if more:
        assert check_md5([key], stream + more, query, 0) is MISMATCH
        assert check_md5([key + more], stream, query, 0) is MISMATCH or key + more + stream == key + stream + more


# -- HMAC


def test_hmac_vectors_of_the_contract():
    assert check_hmac(SECRETS, FULL, E) is ACCEPTED
    assert check_hmac(SECRETS, BARE, E) is ACCEPTED
    assert sign_hmac("AK", "TESTSECRET", E, {}) == BARE.replace("4+W", "4%2BW").replace("4g=", "4g%3D")


def test_hmac_may_come_percent_encoded_and_in_any_order():
    pairs = dict(pair.split("=", 1) for pair in FULL.split("&"))
    query = "&".join(f"{name}={quote(pairs[name], safe='')}" for name in sorted(pairs, reverse=True))
    assert check_hmac(SECRETS, query, E) is ACCEPTED


def test_hmac_is_valid_up_to_its_second_and_expired_after():
    assert check_hmac(SECRETS, BARE, E) is ACCEPTED
    assert check_hmac(SECRETS, BARE, E + 1) is EXPIRED


@pytest.mark.parametrize(
    "query",
    [
        FULL.replace("nonce=abc", "nonce=abd"),
        FULL.replace("public=0", "public=1"),
        FULL + "&preset=1",
        FULL.replace("&public=0", ""),
        BARE.replace("WMW", "wMW"),
        BARE.replace(str(E), str(E + 1)),
        BARE.replace("AK", "OTHER"),
        BARE.replace("WMW", "Ж"),
    ],
)
def test_anything_changed_under_the_hmac_is_426(query):
    assert check_hmac({**SECRETS, "OTHER": ("TESTSECRET2",)}, query, E) is MISMATCH
    assert check_hmac({}, query, E) is MISMATCH


@pytest.mark.parametrize(
    "query",
    [
        "",
        BARE.replace("accesskey=AK", "accesskey="),
        BARE.replace("&accesskey=AK", ""),
        BARE.replace(f"expire={E}", "expire="),
        BARE.replace(f"expire={E}", "expire=soon"),
        f"accesskey=AK&expire={E}",
        f"signature=&accesskey=AK&expire={E}",
        BARE + "&accesskey=AK",
    ],
)
def test_hmac_parameters_missing_malformed_or_repeated_are_428(query):
    assert check_hmac(SECRETS, query, E) is BAD_PARAMS


@pytest.mark.parametrize("routing", ["vhost=push.demo.local", "domain=push.demo.local"])
def test_routing_parameter_may_be_signed_or_not(routing):
    assert check_hmac(SECRETS, f"{FULL}&{routing}", E) is ACCEPTED
    name, _, value = routing.partition("=")
    assert check_hmac(SECRETS, sign_hmac("AK", "TESTSECRET", E, {name: value, "nonce": "1"}), E) is ACCEPTED
    assert check_hmac(SECRETS, f"{FULL}&other=1&{routing}", E) is MISMATCH


def test_hmac_keys_of_the_configuration_are_access_key_and_secret():
    assert read_hmac_keys(["A:one", "B:two:three", "A:four"]) == {"A": ("one", "four"), "B": ("two:three",)}
    rotated = read_hmac_keys(["AK:new", "AK:TESTSECRET"])
    assert check_hmac(rotated, FULL, E) is ACCEPTED


@pytest.mark.parametrize("key", ["", "secretwithoutcolon", ":secret", "access:"])
def test_hmac_key_of_another_form_is_refused_without_being_shown(key):
    with pytest.raises(ValueError, match=r"keys\[1\]") as caught:
        read_hmac_keys(["A:one", key])
    assert "secret" not in str(caught.value).replace("<accesskey>:<secret>", "")


ENCODABLE = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
FILLED = ENCODABLE.filter(bool)


@given(
    ENCODABLE.filter(bool), ENCODABLE.filter(bool), st.integers(0, 10**10 - 1), st.dictionaries(ENCODABLE, ENCODABLE)
)
def test_signed_hmac_is_accepted_and_none_under_another_secret(access_key, secret, expiry, parameters):
    for reserved in ("signature", "accesskey", "expire"):
        parameters.pop(reserved, None)
    query = sign_hmac(access_key, secret, expiry, parameters)
    assert check_hmac({access_key: (secret,)}, query, 0) is ACCEPTED
    assert check_hmac({access_key: (secret + "x",)}, query, 0) is MISMATCH


def test_class_21_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []
    constant_time = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or constant_time(a, b))
    check_md5(["a", "b"], "s", f"t={T}&k={K}", 0)
    check_hmac({"AK": ("a", "b")}, BARE, 0)
    assert len(compared) == 4


@given(st.text())
def test_any_query_gives_a_verdict(query):
    assert check_md5(["x"], "s", query, T) is not ACCEPTED
    assert check_hmac(SECRETS, query, T) is not ACCEPTED
