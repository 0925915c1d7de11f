"""Who may connect."""

import asyncio
import ipaddress

import pytest

from openkls.media.doors import AddressCap, Connections


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


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_connections_tell_when_all_are_gone_and_when_not() -> None:
    connections: Connections[str] = Connections()
    assert await connections.gone(0)
    connections.add("a")
    assert not await connections.gone(0.01)
    for connection in connections:
        connections.discard(connection)
        connections.discard(connection)
    assert await asyncio.wait_for(connections.gone(1), 1)


def test_cap_lets_in_any_number_from_a_trusted_proxy() -> None:
    cap = AddressCap(1, (ipaddress.ip_network("192.0.2.0/24"),))
    assert [cap.enter("192.0.2.7") for _ in range(3)] == [True] * 3
    assert [cap.enter("198.51.100.7") for _ in range(2)] == [True, False]
    assert cap.enter("no address")
    assert not cap.enter("no address")
    assert [cap.is_exempt(address) for address in ("127.0.0.1", "192.0.2.1", "198.51.100.1")] == [True, True, False]
