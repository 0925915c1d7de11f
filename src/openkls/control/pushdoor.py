"""Whom a publish domain lets in: names, signatures, address lists, and the customer's own server.

Rule: nothing is claimed, recorded or remembered here. Everything but the question to a customer's server is
synchronous; the verdicts come in the contract's order, 428 before 425 before 426 (contract, 8).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from openkls.codec import pushauth
from openkls.config import Network, PublishDomain, parse_network
from openkls.control.directory import Door
from openkls.domain.ports import PushAnswer, PushAuthority, PushFacts, PushServer
from openkls.domain.session import BreakCode
from openkls.model import matches

# What is sent on to a customer's server of a publish URL's query. Tokens are some hundred characters; RTMP itself
# would carry 64 KiB.
PUB_PARAM_LIMIT: Final = 4096
# Address lists kept parsed, by their text: those of all domains of a large site.
LISTS_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class PublishAsk:
    """What an encoder asks for. Queries are raw, without the question mark."""

    app: str
    app_query: str
    tc_url: str
    stream: str
    query: str
    client_ip: str
    client_port: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a publish was refused."""

    code: BreakCode
    cause: str
    """For the log: finer than the code, and without anything secret."""


@dataclass(frozen=True, slots=True)
class AddressLists:
    """Who may push by address: a denied address never, and where somebody is allowed nobody else."""

    allow: tuple[Network, ...]
    deny: tuple[Network, ...]

    def admits(self, address: str) -> bool:
        """Whether the client at ``address`` may push. One that is no IP address may only where there are no lists."""
        if not self.allow and not self.deny:
            return True
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        # A socket that listens on IPv6 shows an IPv4 client as ::ffff:192.0.2.7.
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if any(ip in network for network in self.deny):
            return False
        return not self.allow or any(ip in network for network in self.allow)


@lru_cache(maxsize=LISTS_KEPT)
def read_address_lists(allow: tuple[str, ...], deny: tuple[str, ...]) -> AddressLists:
    """The lists of a publish domain, parsed; the configuration has refused what is no address or CIDR."""
    return AddressLists(_networks(allow), _networks(deny))


async def judge(ask: PublishAsk, door: Door, authority: PushAuthority | None, now: float) -> Refused | None:
    """Everything that does not depend on who else is live. Suspends only where the domain has a server to ask."""
    refused = examine(ask, door, now)
    if refused is not None or door.domain.auth != "external":
        return refused
    if len(ask.query) > PUB_PARAM_LIMIT:
        return Refused(BreakCode.BAD_PARAMS, f"a query of {len(ask.query)} characters is too long to be sent on")
    if authority is None:
        return Refused(BreakCode.SIGNATURE, "nobody is there to ask the external server")
    domain = door.domain
    server = PushServer(domain.external_url, domain.keys, domain.external_private)
    facts = PushFacts(
        door.space.unique_name,
        ask.app,
        door.pubdomain,
        ask.stream,
        ask.query,
        ask.client_ip,
    )
    answer = await authority.ask(server, facts)
    if answer is PushAnswer.ACCEPTED:
        return None
    return Refused(BreakCode.SIGNATURE, f"the external server {answer}")


def examine(ask: PublishAsk, door: Door, now: float) -> Refused | None:
    """What can be told without asking anybody: 428, then 425, then 426."""
    if not matches("App", ask.app) or not door.space.has_app(ask.app):
        return Refused(BreakCode.BAD_PARAMS, "app malformed or not in the space's list")
    if not matches("Stream", ask.stream):
        return Refused(BreakCode.BAD_PARAMS, "stream name malformed")
    domain = door.domain
    code = _signature(domain, ask, now)
    lists = read_address_lists(domain.allow, domain.deny)
    if code in (BreakCode.SUCCESS, BreakCode.SIGNATURE) and not lists.admits(ask.client_ip):
        return Refused(BreakCode.SIGNATURE, "address denied, or not among those allowed")
    if code is not BreakCode.SUCCESS:
        return Refused(code, f"push authentication {domain.auth}")
    return None


def _signature(domain: PublishDomain, ask: PublishAsk, now: float) -> BreakCode:
    if domain.auth == "md5":
        return BreakCode(pushauth.check_md5(domain.keys, ask.stream, ask.query, int(now)))
    if domain.auth == "hmac":
        return BreakCode(pushauth.check_hmac(pushauth.read_hmac_keys(domain.keys), ask.query, int(now)))
    return BreakCode.SUCCESS


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(parse_network(text) for text in texts)
