"""Where a request comes from, when proxies stand between. Rule: a hop is believed only if a trusted one reported it.

A proxy adds the address it was called from to the end of X-Forwarded-For; everything before the first trusted proxy's
own entry is the client's invention.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

from openkls.codec.sigv4 import header_value
from openkls.config import Network

# A chain of trusted proxies is shorter; a header may have thousands of entries, and its reading is paid for by us.
HOPS_LIMIT: Final = 32
_FORWARDED: Final = "x-forwarded-for"


def client_ip(peer: str, headers: Sequence[tuple[str, str]], trusted: Sequence[Network]) -> str:
    """The address a request comes from: its connection's, or what the trusted proxies (api.trusted_proxies) report."""
    return client_address(peer, header_value(headers, _FORWARDED) or "", trusted) if trusted else peer


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The last address on the way from the client to ``peer`` that is not a trusted proxy's.

    ``forwarded`` is X-Forwarded-For, its last entry the nearest. Where an entry is no address, or all are trusted, the
    farthest address known is the answer. IPv6 forms of IPv4 addresses are written as those.
    """
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


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
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
