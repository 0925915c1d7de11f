"""A POST to a customer's server: where it may lead, what is signed, what is read (security class 16).

Rule: no deadline and no limit of its own: whoever posts has both. The URL, what is sent and what is said never reach a
log from here.

Theory of operation. Each POST has a connection of its own: one that was kept would now and then be closed under a
request, and the request be lost. The socket factory sees every address that is about to be connected to, whether the
URL said it, or the name's resolution did: there private ones are refused, so that neither a name nor its change
between look-up and use leads into the network behind. No redirect is followed and no proxy of the environment used. The
status line and the head are all that is read of an answer.
"""

import hmac
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import aiohttp

# Of an answer's head; a line or a header beyond is no answer.
HEAD_LINE_LIMIT_BYTES: Final = 8 * 1024
HEADERS_LIMIT: Final = 64
# What aiohttp reads ahead of a body that nobody wants.
READ_AHEAD_BYTES: Final = 4 * 1024

TIMESTAMP_HEADER: Final = "X-OpenKLS-Timestamp"
SIGNATURE_HEADER: Final = "X-OpenKLS-Signature"

# RFC 6052, 2.1: what a network without IPv4 shows an IPv4 address as.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class Fault(StrEnum):
    """Why a server gave no status."""

    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    """What came is no HTTP answer, or the URL is none."""
    PRIVATE = "private"
    """It has a private address, and may not."""


class Targets:
    """Connections to customers' servers."""

    def __init__(self) -> None:
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> int | Fault:
        """POST a JSON body; the status of the answer. ``private`` lets the server have a private address."""
        try:
            async with self._session(private).post(
                url, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False
            ) as response:
                return response.status
        except aiohttp.ClientConnectorError as error:
            return Fault.PRIVATE if isinstance(error.os_error, _PrivateAddress) else Fault.UNREACHABLE
        except (aiohttp.ClientError, OSError, ValueError):
            return Fault.BROKEN

    async def close(self) -> None:
        """Close what is open. Idempotent."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def _session(self, private: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(private)
        if session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # whoever posts has the limit
                force_close=True,
                socket_factory=None if private else _open_public_socket,
            )
            session = self._sessions[private] = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": "OpenKLS"},
                skip_auto_headers=("Accept-Encoding",),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # whoever posts has the deadline
                auto_decompress=False,
                trust_env=False,
                read_bufsize=READ_AHEAD_BYTES,
                max_line_size=HEAD_LINE_LIMIT_BYTES,
                max_field_size=HEAD_LINE_LIMIT_BYTES,
                max_headers=HEADERS_LIMIT,
            )
        return session


def build_signed_headers(keys: Sequence[str], now: float, body: bytes) -> dict[str, str]:
    """The headers by which a server knows, with any of ``keys``, that the body is ours and of now; none without."""
    if not keys:
        return {}
    timestamp = str(int(now))
    return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: build_signatures(keys, timestamp, body)}


def build_signatures(keys: Sequence[str], timestamp: str, body: bytes) -> str:
    """The signature header: for each key ``sha256=`` and the hexadecimal HMAC-SHA256 of the timestamp, a full stop and
    the body, joined by commas. Whoever knows one of the keys can verify it, so that keys can be changed one by one."""
    signed = timestamp.encode("ascii") + b"." + body
    return ",".join(f"sha256={hmac.digest(key.encode(), signed, 'sha256').hex()}" for key in keys)


def is_public(text: str) -> bool:
    """Whether an IP address is one of the open internet: not private, loopback, link-local, shared, multicast or
    reserved, nor an IPv6 address that stands for such an IPv4 one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            within = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        address = within or address
    odd = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not odd


class _PrivateAddress(OSError):
    """Not connected to: the address is none of the open internet."""


def _open_public_socket(where: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = where
    if not is_public(address[0]):
        # The same text for every address: of several failures with one text aiohttp shows the first as it is.
        raise _PrivateAddress("a private address")
    return socket.socket(family, kind, protocol)
