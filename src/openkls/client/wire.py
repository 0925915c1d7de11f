"""What both fronts share of httpx: how a client is made, and what its faults mean."""

from typing import Final

import httpx

from openkls.client.core import ANSWER_BYTES_MAX, Answer, Core, Failed, Fault, Request

# A proxy of the environment cannot reach this machine's own loopback.
_LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def trusts_environment(core: Core) -> bool:
    """Whether proxies and certificates that the environment names are for this endpoint."""
    return core.hostname not in _LOOPBACK_HOSTS


def url_of(core: Core, request: Request) -> str:
    """The URL of a request, whose target goes over the wire as it was signed."""
    return core.base + request.target


def answer_of(response: httpx.Response, body: bytes) -> Answer:
    """What the core reads."""
    return Answer(response.status_code, body, {name.lower(): value for name, value in response.headers.items()})


def too_long(status: int) -> Failed:
    """An answer longer than any of the service's."""
    return Failed(Fault.TOO_LONG, f"an answer of more than {ANSWER_BYTES_MAX} bytes", status)


def too_late(core: Core, timeout_seconds: float) -> Failed:
    """No whole answer in time."""
    return Failed(Fault.TIMEOUT, f"{core.base} did not answer within {timeout_seconds:g} s")


def failed(core: Core, error: httpx.HTTPError, timeout_seconds: float) -> Failed:
    """What a fault of httpx means for the call."""
    if isinstance(error, _NOT_SENT):
        return Failed(Fault.REFUSED, f"{core.base} cannot be reached: {error or type(error).__name__}")
    if isinstance(error, httpx.TimeoutException):
        return too_late(core, timeout_seconds)
    return Failed(Fault.RESET, f"{core.base} broke off: {error or type(error).__name__}")
