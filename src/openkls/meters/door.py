"""`/metrics`: who may read it, and how it is answered (security class 21).

Rule: from loopback it is open, from anywhere else a token is asked for, and both are judged by whom the request comes
from in truth: the connection's peer, and behind trusted proxies the client they report.

A local proxy that nobody declared as trusted makes strangers look local: a request from loopback that says it was
passed on is not taken for a local one. Nor is one whose Host is a name of the internet: a page in a browser on this
machine can have its own name resolved to loopback (DNS rebinding) and read what it finds there.
"""

import hmac
import ipaddress
from http import HTTPStatus
from typing import Final

from aiohttp import web

from openkls.config import is_alias, normal_host
from openkls.meters.scrape import Scrape
from openkls.meters.sheet import CONTENT_TYPE

PATH: Final = "/metrics"
BEARER: Final = "bearer "
# What proxies add to what they pass on.
_PASSED_ON: Final = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
_NO_STORE: Final = {"Cache-Control": "no-store"}


class Door:
    """The site `/metrics` of the API's listener and of `[metrics] listen`."""

    def __init__(self, scrape: Scrape, token: str) -> None:
        """``token`` lets in whoever is not on loopback; with "" nobody else is."""
        self._scrape = scrape
        self._token = token.encode()

    async def __call__(
        self, request: web.BaseRequest, path: str, query: str, body: bytes | None, client_ip: str
    ) -> web.StreamResponse:
        """api.listener.Site."""
        if path != PATH:
            return say(HTTPStatus.NOT_FOUND, f"It is {PATH}, without more.")
        if request.method not in ("GET", "HEAD"):
            return say(HTTPStatus.METHOD_NOT_ALLOWED, "GET or HEAD expected.", Allow="GET, HEAD")
        if not is_local(request, client_ip):
            refusal = self._refusal(request.headers.getall("Authorization", []))
            if refusal is not None:
                self._scrape.refused[refusal.status] += 1
                return refusal
        text = b"" if request.method == "HEAD" else await self._scrape.text()
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE, **_NO_STORE})

    def _refusal(self, shown: list[str]) -> web.Response | None:
        if not self._token:
            return say(
                HTTPStatus.FORBIDDEN, "Metrics are open to loopback alone; for others set [metrics] token and show it."
            )
        if not shown:
            return say(
                HTTPStatus.UNAUTHORIZED,
                "From elsewhere than loopback the token of [metrics] is asked for: Authorization: Bearer <token>.",
                **{"WWW-Authenticate": 'Bearer realm="metrics"'},
            )
        said = shown[0].strip()
        given = said[len(BEARER) :].strip() if said[: len(BEARER)].lower() == BEARER else ""
        if len(shown) == 1 and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token):
            return None
        return say(HTTPStatus.FORBIDDEN, "This is not the token of [metrics].")


def is_local(request: web.BaseRequest, client_ip: str) -> bool:
    """Whether a request comes from this machine, and from no page of another."""
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return False
    within = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if not (within or address).is_loopback:
        return False
    if client_ip == request.remote and any(name in request.headers for name in _PASSED_ON):
        return False
    host = normal_host(request.headers.get("Host", ""))
    # A name of one word is none of the internet's.
    return is_alias(host) or "." not in host


def say(status: HTTPStatus, text: str, **headers: str) -> web.Response:
    """A short answer in words."""
    return web.Response(
        status=status,
        body=f"{text}\n".encode(),
        headers={"Content-Type": "text/plain; charset=utf-8", **_NO_STORE, **headers},
    )
