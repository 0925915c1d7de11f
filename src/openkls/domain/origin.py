"""Where a connection comes from, and how many may come from there.

Rule: a hop is believed only if a trusted proxy reported it; who is let in is counted, and counted out again.

A proxy adds the address it was called from to the end of X-Forwarded-For; everything before the first trusted proxy's
own entry is the client's invention.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A chain of trusted proxies is shorter; a header may have thousands of entries, and its reading is paid for by us.
HOPS_LIMIT: Final = 32


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The last address on the way from the client to ``peer`` that is not a trusted proxy's.

    ``forwarded`` is X-Forwarded-For, its last entry the nearest. Where an entry is no address, or all are trusted, the
    farthest address known is the answer. IPv6 forms of IPv4 addresses are written as those.
    """
    if not trusted:
        return peer
    farthest = _parse_address(peer)
    if farthest is None:
        return peer
    for text in reversed(forwarded.rsplit(",", HOPS_LIMIT)[-HOPS_LIMIT:]):
        if not any(farthest in network for network in trusted):
            break
        reported = _parse_address(text)
        if reported is None:
            break
        farthest = reported
    return str(farthest)


class AddressCap:
    """At most ``limit`` connections of one address; loopback and trusted proxies, behind whom are many, are exempt
    (design, ``[limits]``)."""

    def __init__(self, limit: int, trusted: Sequence[Network] = ()) -> None:
        self.limit = limit
        self._trusted = trusted
        self._counts: dict[str, int] = {}
        self.refused = 0
        """Connections refused since the start."""

    def enter(self, address: str) -> bool:
        """Count a connection in; False (and not counted) when the address has as many as it may."""
        count = self._counts.get(address, 0)
        if count >= self.limit and not self._is_exempt(address):
            self.refused += 1
            return False
        self._counts[address] = count + 1
        return True

    def leave(self, address: str) -> None:
        """Count a connection out that entered."""
        count = self._counts[address] - 1
        if count:
            self._counts[address] = count
        else:
            del self._counts[address]

    def _is_exempt(self, address: str) -> bool:
        parsed = _parse_address(address)
        return parsed is not None and (parsed.is_loopback or any(parsed in network for network in self._trusted))


def _parse_address(text: str) -> Address | None:
    """An address, with a port or without, IPv6 in brackets or without; None when it is none."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
