"""Asking customers' servers whether a publish may begin (contract, 8: external; security class 16).

Rule: whatever such a server does, its publish is let in or refused within ASK_SECONDS, and nobody else waits for it;
what it is asked, its URL and what it says never reach a log.

Theory of operation. Each question is a POST on a connection of its own: one that was kept would now and then be closed
under a question, and a publish be refused for it. The socket factory sees every address that is about to be connected
to, whether the URL said it, or the name's resolution did: there private ones are refused, so that neither a name nor
its change between look-up and use leads into the network behind. The status line and the head are all that is read of
an answer. ``stop`` ends what is under way by calling its deadline in.
"""

import asyncio
import hmac
import ipaddress
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from openkls.domain.ports import PushAnswer, PushFacts, PushServer

log = logging.getLogger("openkls.media.pushhook")

# Contract, 8: from the question to the head of its answer, resolution and handshakes included.
ASK_SECONDS: Final = 2.0
# Questions under way at once, of all servers and of one. A server that hangs holds its questions for ASK_SECONDS: with
# fewer for one than for all it does not stop the others' publishes. 64 in 2 s are 32 publishes a second of one domain.
ASKS_LIMIT: Final = 512
ASKS_PER_SERVER_LIMIT: Final = 64
# Of an answer's head; a line or a header beyond is no answer.
HEAD_LINE_LIMIT_BYTES: Final = 8 * 1024
HEADERS_LIMIT: Final = 64
# What aiohttp reads ahead of a body that nobody wants.
READ_AHEAD_BYTES: Final = 4 * 1024
# A server that fails is told of in the log so often, not at every publish.
WARN_SECONDS: Final = 60.0

TIMESTAMP_HEADER: Final = "X-OpenKLS-Timestamp"
SIGNATURE_HEADER: Final = "X-OpenKLS-Signature"

# RFC 6052, 2.1: what a network without IPv4 shows an IPv4 address as.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_FAILURES: Final = frozenset((PushAnswer.LATE, PushAnswer.UNREACHABLE, PushAnswer.BROKEN, PushAnswer.PRIVATE))


class PushHooks:
    """Customers' servers, asked over HTTP; one for all admissions of a process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._asking: set[asyncio.Timeout] = set()
        self._asking_of: Counter[str] = Counter()
        self._warned_at: dict[str, float] = {}
        self._stopped = False
        self.answers: Counter[PushAnswer] = Counter()
        """What came of the questions, since the start."""

    def __len__(self) -> int:
        """Questions under way."""
        return len(self._asking)

    async def ask(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        """PushAuthority. Raises CancelledError when the service ends meanwhile: nobody is left to be told."""
        answer = PushAnswer.BUSY
        if len(self._asking) < ASKS_LIMIT and self._asking_of[server.url] < ASKS_PER_SERVER_LIMIT:
            answer = await self._ask(server, facts)
        elif not self._asking_of[server.url]:
            del self._asking_of[server.url]
        self.answers[answer] += 1
        if answer in _FAILURES:
            self._warn(server, answer)
        return answer

    def stop(self) -> None:
        """End every question under way, and any that is yet to be asked. Idempotent."""
        self._stopped = True
        for deadline in self._asking:
            if not deadline.expired():
                deadline.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Stop, and close what is open. Idempotent."""
        self.stop()
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _ask(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        deadline = asyncio.timeout(ASK_SECONDS)
        self._asking.add(deadline)
        self._asking_of[server.url] += 1
        try:
            async with deadline:
                if self._stopped:
                    raise asyncio.CancelledError
                return await self._post(server, facts)
        except TimeoutError:
            if self._stopped:
                raise asyncio.CancelledError from None
            return PushAnswer.LATE
        finally:
            self._asking.discard(deadline)
            self._asking_of[server.url] -= 1
            if not self._asking_of[server.url]:
                del self._asking_of[server.url]

    async def _post(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        body = build_question(facts)
        headers = {"Content-Type": "application/json"}
        if server.keys:
            timestamp = str(int(self._clock()))
            headers[TIMESTAMP_HEADER] = timestamp
            headers[SIGNATURE_HEADER] = build_signatures(server.keys, timestamp, body)
        try:
            async with self._session(server.private).post(
                server.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return PushAnswer.ACCEPTED if response.status == 200 else PushAnswer.REFUSED
        except aiohttp.ClientConnectorError as error:
            return PushAnswer.PRIVATE if isinstance(error.os_error, _PrivateAddress) else PushAnswer.UNREACHABLE
        except (aiohttp.ClientError, OSError, ValueError):
            return PushAnswer.BROKEN

    def _session(self, private: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(private)
        if session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # ASKS_LIMIT is the limit
                force_close=True,
                socket_factory=None if private else _open_public_socket,
            )
            session = self._sessions[private] = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": "OpenKLS"},
                skip_auto_headers=("Accept-Encoding",),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ASK_SECONDS is the deadline
                auto_decompress=False,
                trust_env=False,
                read_bufsize=READ_AHEAD_BYTES,
                max_line_size=HEAD_LINE_LIMIT_BYTES,
                max_field_size=HEAD_LINE_LIMIT_BYTES,
                max_headers=HEADERS_LIMIT,
            )
        return session

    def _warn(self, server: PushServer, answer: PushAnswer) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned_at.get(server.url, -WARN_SECONDS) >= WARN_SECONDS:
            self._warned_at[server.url] = now
            url = urlsplit(server.url)
            log.warning(
                "the external server %s://%s %s: the publishes it is asked about are refused",
                url.scheme,
                url.netloc,
                answer,
            )


def build_question(facts: PushFacts) -> bytes:
    """The JSON that a customer's server is sent, in ASCII."""
    return json.dumps(
        {
            "UniqueName": facts.unique_name,
            "App": facts.app,
            "Pubdomain": facts.pubdomain,
            "Stream": facts.stream,
            "PubParam": facts.pub_param,
            "ClientIp": facts.client_ip,
        }
    ).encode("ascii")


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
