"""Whose address a request has, and how many connections an address may have."""

from ipaddress import ip_network

import pytest

from openkls.domain.origin import HOPS_LIMIT, AddressCap, client_address

TRUSTED = tuple(ip_network(text) for text in ("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"))
HOPS = [
    # The peer, X-Forwarded-For, the client's address.
    ("203.0.113.9", "", "203.0.113.9"),
    ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
    ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
    ("127.0.0.1", "", "127.0.0.1"),
    ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
    ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
    ("11.0.0.1", "198.51.100.7", "11.0.0.1"),
    ("127.0.0.1", "192.0.2.1, 198.51.100.7", "198.51.100.7"),
    ("127.0.0.1", "192.0.2.1,198.51.100.7,10.0.0.2", "198.51.100.7"),
    ("127.0.0.1", "10.9.9.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
    ("127.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("127.0.0.1", "unknown", "127.0.0.1"),
    ("127.0.0.1", "192.0.2.1, unknown", "127.0.0.1"),
    ("127.0.0.1", "192.0.2.1, _hidden, 10.0.0.2", "10.0.0.2"),
    ("127.0.0.1", "192.0.2.1,,", "127.0.0.1"),
    ("127.0.0.1", " 198.51.100.7 ", "198.51.100.7"),
    ("127.0.0.1", "198.51.100.7:50123", "198.51.100.7"),
    ("127.0.0.1", "2001:db8:2::7", "2001:db8:2::7"),
    ("127.0.0.1", "[2001:DB8:2::7]", "2001:db8:2::7"),
    ("127.0.0.1", "[2001:db8:2::7]:50123", "2001:db8:2::7"),
    ("127.0.0.1", "[2001:db8:2::7", "2001:db8:2::7"),
    ("127.0.0.1", "198.51.100.7, 2001:db8:1::5", "198.51.100.7"),
    ("2001:db8:1::9", "198.51.100.7", "198.51.100.7"),
    ("2001:db8:2::9", "198.51.100.7", "2001:db8:2::9"),
    ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
    ("::ffff:203.0.113.9", "198.51.100.7", "203.0.113.9"),
    ("127.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
    ("127.0.0.1", "198.51.100.300", "127.0.0.1"),
    ("127.0.0.1", "198.51.100.7 10.0.0.2", "127.0.0.1"),
    ("", "198.51.100.7", ""),
    ("/run/socket", "198.51.100.7", "/run/socket"),
]


@pytest.mark.parametrize(("peer", "forwarded", "client"), HOPS)
def test_client_is_the_last_address_that_no_trusted_proxy_has(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == client


@pytest.mark.parametrize(("proxies", "client"), [(HOPS_LIMIT - 1, "198.51.100.7"), (HOPS_LIMIT, "10.0.0.1")])
def test_hops_followed_are_bounded(proxies: int, client: str) -> None:
    forwarded = ", ".join(["198.51.100.7"] + ["10.0.0.1"] * proxies)
    assert client_address("127.0.0.1", forwarded, TRUSTED) == client


def test_header_is_not_read_when_nobody_is_trusted() -> None:
    assert client_address("127.0.0.1", "198.51.100.7", ()) == "127.0.0.1"


def test_class_11_cap_lets_in_the_limit_and_not_one_more() -> None:
    cap = AddressCap(2)
    assert [cap.enter("192.0.2.7") for _ in range(3)] == [True, True, False]
    assert cap.enter("192.0.2.8")
    assert cap.refused == 1
    cap.leave("192.0.2.7")
    assert cap.enter("192.0.2.7")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_cap_exempts_loopback(address: str) -> None:
    cap = AddressCap(1)
    assert all(cap.enter(address) for _ in range(3))
    for _ in range(3):
        cap.leave(address)
    assert not cap._counts


@pytest.mark.parametrize("address", ["", "unix", "fe80::1%eth0", "127.0.0.1.example"])
def test_cap_holds_for_what_is_no_loopback_address(address: str) -> None:
    cap = AddressCap(1)
    assert [cap.enter(address), cap.enter(address)] == [True, False]


def test_class_18_cap_remembers_nobody_who_has_left() -> None:
    cap = AddressCap(1)
    for number in range(1000):
        address = f"192.0.2.{number}"
        cap.enter(address)
        cap.enter(address)
        cap.leave(address)
    assert not cap._counts


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:1::5"])
def test_cap_exempts_trusted_proxies(address: str) -> None:
    cap = AddressCap(1, TRUSTED)
    assert all(cap.enter(address) for _ in range(3))
    assert [cap.enter("11.1.2.3"), cap.enter("11.1.2.3")] == [True, False]
