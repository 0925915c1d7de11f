"""Headers judged one by one: hosts, schemes, proxies, pages."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from openkls.console import guards

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))


def headers(*pairs: tuple[str, str]) -> guards.Headers:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("a.test", "a.test"),
        ("A.Test.:8080", "a.test"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[1.2.3.4:5]", None),
        ("::1", None),
        (".", None),
        ("a.test:", None),
        ("a.test:123456", None),
        ("a test", None),
        ("a.test/", None),
        ("a.test\n", None),
        ("", None),
    ],
)
def test_host_is_read_without_port_case_and_dot(text: str, host: str | None) -> None:
    assert guards.asked_host(headers(("Host", text))) == host


@given(st.text())
def test_any_host_is_read_or_is_none(text: str) -> None:
    host = guards.asked_host(headers(("Host", text)))
    assert host is None or (host == host.lower() and not set(host) & set("<>\"'` /\\@"))


def test_host_that_is_absent_or_twice_is_none() -> None:
    assert guards.asked_host(headers()) is None
    assert guards.asked_host(headers(("Host", "localhost"), ("host", "localhost"))) is None


@pytest.mark.parametrize(
    ("is_tls", "peer", "words", "scheme"),
    [
        (True, "192.0.2.1", [], "https"),
        (True, "192.0.2.1", ["http"], "https"),
        (False, "192.0.2.1", ["https"], "http"),
        (False, "10.1.2.3", ["https"], "https"),
        (False, "::ffff:10.1.2.3", ["https"], "https"),
        (False, "10.1.2.3", ["HTTPS , https"], "https"),
        (False, "10.1.2.3", ["https", "http"], "http"),
        (False, "10.1.2.3", ["wss"], "http"),
        (False, "10.1.2.3", [], "http"),
        (False, "", ["https"], "http"),
    ],
)
def test_scheme_is_the_connections_or_a_trusted_proxys_word(
    is_tls: bool, peer: str, words: list[str], scheme: str
) -> None:
    given_headers = headers(*(("X-Forwarded-Proto", word) for word in words))
    assert guards.asked_scheme(is_tls, peer, given_headers, PROXIES) == scheme


@pytest.mark.parametrize(
    ("host", "client_ip", "peer", "is_private"),
    [
        ("localhost", "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::1", "::1", True),
        ("::1", "::ffff:127.0.0.1", "::ffff:127.0.0.1", True),
        ("localhost", "192.0.2.1", "192.0.2.1", False),
        ("a.test", "127.0.0.1", "127.0.0.1", False),
        ("192.0.2.1", "127.0.0.1", "127.0.0.1", False),
        ("localhost", "192.0.2.1", "10.0.0.1", False),
        ("localhost", "", "", False),
    ],
)
def test_plain_http_is_private_between_this_machine_and_itself(
    host: str, client_ip: str, peer: str, is_private: bool
) -> None:
    assert guards.is_private("http", host, client_ip, peer, headers(), PROXIES) is is_private
    assert guards.is_private("https", host, client_ip, peer, headers(), PROXIES)


def test_what_came_through_a_proxy_is_private_by_a_trusted_ones_word_alone() -> None:
    forwarded = headers(("X-Forwarded-For", "127.0.0.1"))
    assert not guards.is_private("http", "localhost", "127.0.0.1", "127.0.0.1", forwarded, PROXIES)
    assert guards.is_private("http", "localhost", "127.0.0.1", "::1", forwarded, PROXIES)
