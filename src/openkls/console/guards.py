"""Whether a request may be the console's at all: by which name, how secretly, and from which page it comes.

Rule: pure functions over headers; a header that is there twice is as good as wrong. What no page can make a browser say
(Host, Origin, Sec-Fetch-Site) proves nothing of who is no browser: a session's token is asked for beside it.

Theory of operation. Host: a page of somebody else's whose name was turned to this machine's address (DNS rebinding) is
to a browser of one origin with the console; it shows in Host, which therefore must be an address, localhost, or a name
that the configuration lists. Origin and Sec-Fetch-Site: pages on other ports of the same host are of the same site, so
that SameSite cookies come with their requests; both headers tell them from the console's own page.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from multidict import CIMultiDictProxy

from openkls.config import Network, is_alias

Headers = CIMultiDictProxy[str]

# RFC 3986, 3.2.2, without what no browser sends: an address in brackets, or a name or IPv4 address; and a port.
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_.-]{1,254}))(?::([0-9]{1,5}))?", re.IGNORECASE)
_LOOPBACK_NAME: Final = "localhost"
# What proxies say they are proxies by.
_PROXY_HEADERS: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


def asked_host(headers: Headers) -> str | None:
    """The host that is asked for, lower case, without port, final dot and brackets; None when it is no host."""
    values = headers.getall("Host", [])
    found = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    bracketed, name = found.group(1), found.group(2)
    host = (bracketed or name).lower()
    if bracketed is not None:
        return host if _parse(host) is not None else None
    return host.removesuffix(".") or None


def is_known(host: str, hosts: Sequence[str]) -> bool:
    """Whether the console may be asked for by this name: an address, localhost, or one that is listed."""
    return is_alias(host) or host in hosts


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether the other end of the connection is a proxy whose word is taken."""
    address = _parse(peer)
    return address is not None and any(address in network for network in trusted)


def asked_scheme(is_tls: bool, peer: str, headers: Headers, trusted: Sequence[Network]) -> str:
    """``https`` or ``http``: the connection's, or what a trusted proxy says that it was asked by."""
    if is_tls:
        return "https"
    if not is_trusted(peer, trusted):
        return "http"
    words = ",".join(headers.getall("X-Forwarded-Proto", [])).lower().split(",")
    # Through several proxies all the way has to be encrypted.
    return "https" if all(word.strip() == "https" for word in words) else "http"


def is_private(scheme: str, host: str, client_ip: str, peer: str, headers: Headers, trusted: Sequence[Network]) -> bool:
    """Whether a secret may be typed in here: over HTTPS, or on this machine alone. A connection from loopback by
    another name, or through a proxy that is not a trusted one, is somebody else's."""
    if scheme == "https":
        return True
    if not is_trusted(peer, trusted) and any(name in headers for name in _PROXY_HEADERS):
        return False
    return is_loopback(client_ip) and (host == _LOOPBACK_NAME or is_loopback(host))


def is_loopback(text: str) -> bool:
    """Whether this is an address of this machine's own."""
    address = _parse(text)
    return address is not None and address.is_loopback


def is_own_page(headers: Headers, scheme: str, changes: bool) -> bool:
    """Whether a request comes from the console's own page, or from no page at all. ``changes`` is whether it could do
    anything: then it is never one that a browser was led to."""
    sites = headers.getall("Sec-Fetch-Site", [])
    if sites and sites != ["same-origin"] and (changes or sites != ["none"]):
        return False
    origins = [origin.lower() for origin in headers.getall("Origin", [])]
    return not origins or origins == [f"{scheme}://{headers.get('Host', '')}".lower()]


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
