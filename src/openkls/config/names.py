"""How hosts, addresses and networks are written. Rule: text in, value out; nothing here knows a section or key."""

import ipaddress
import re
from typing import NamedTuple

# An IPv4 address within ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
MAPPED_BITS = 96
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key and says what was expected."""


class Address(NamedTuple):
    """A host and a port to listen on; port 0 lets the system choose."""

    host: str
    port: int


def parse_address(text: str, key: str) -> Address:
    """``host:port`` or ``[v6]:port``; ``key`` is named in the ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f'{key}: got {text!r}, expected "host:port", such as "127.0.0.1:8080"')
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def parse_advertised(text: str, bound: Address) -> Address:
    """``[cluster] relay_advertise``, ``host`` or ``host:port``, of a relay port bound to ``bound``: what it leaves out
    is as bound."""
    host, _, port = text.rpartition(":")
    if text and (":" not in text or (text.startswith("[") and text.endswith("]"))):
        return Address(text.removeprefix("[").removesuffix("]"), bound.port)
    if not host or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise ConfigError(f'cluster.relay_advertise: got {text!r}, expected "host" or "host:port"')
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def join_address(address: Address) -> str:
    """``host:port``, as it is written in URLs."""
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def normal_host(text: str) -> str:
    """A host as domains are compared: lower case, without port and final dot, IPv6 without brackets."""
    host = text.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.removesuffix(".")


def parse_network(text: str) -> Network:
    """An address or CIDR of an address list; an IPv4 network in IPv6 notation is that of IPv4. Raises ValueError."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= MAPPED_BITS:
        address = network.network_address.ipv4_mapped
        if address is not None:
            return ipaddress.IPv4Network((address, network.prefixlen - MAPPED_BITS))
    return network


def is_alias(host: str) -> bool:
    """Whether a publish domain is another name for the space's first real one: ``localhost`` or an address."""
    return host == "localhost" or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
