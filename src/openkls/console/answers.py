"""Answers of the console, and what they tell a browser to allow.

Rule: every answer below /console has the headers of `sealed`; no answer may be framed, sniffed, kept (but for files
whose name changes with their content), or told about by a Referer.
"""

import html
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from openkls.control import ids

JSON_TYPE: Final = "application/json; charset=utf-8"
HTML_TYPE: Final = "text/html; charset=utf-8"
NO_STORE: Final = "no-store"
# A header is some kilobytes at most: proxies read no longer ones. Each name is there four times.
PLAY_NAMES_LIMIT: Final = 20

# What is no page needs nothing; a browser that is led to it shows it as text.
NOTHING_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"

_SEALS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    # For browsers that do not know frame-ancestors.
    "X-Frame-Options": "DENY",
    "Server": "OpenKLS",
}

_encode = msgspec.json.Encoder().encode


class Refusal(Exception):
    """A request that the console turns down; the text says what to do."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = tuple(headers)
        self.closes = False
        """The connection ends with the answer."""


def page_policy(host: str, play_port: int, play_names: Sequence[str]) -> str:
    """The Content-Security-Policy of the app: its own files, and media of the play port and the play domains.

    Names are without a scheme: on a page over HTTP that is HTTP and HTTPS, over HTTPS it is HTTPS, as a browser blocks
    anything else there. An IPv6 address cannot be written in a policy.
    """
    hosts = [host, *play_names[:PLAY_NAMES_LIMIT]]
    sources = dict.fromkeys(f"{name}:{play_port}" for name in hosts if ":" not in name)
    sources |= dict.fromkeys(name for name in hosts[1:] if ":" not in name)
    media = " ".join(["'self'", *sources])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src {media}; media-src blob: {media}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )


def sealed(response: web.StreamResponse, policy: str = NOTHING_POLICY, cache: str = NO_STORE) -> web.StreamResponse:
    """Put the headers on that every answer has."""
    response.headers.update(_SEALS)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Cache-Control"] = cache
    response.headers["x-amzn-RequestId"] = ids.request_id.get()
    return response


def answer_json(value: Any, status: int = HTTPStatus.OK) -> web.Response:
    """A value as JSON."""
    return web.Response(status=status, body=_encode(value), headers={"Content-Type": JSON_TYPE})


def answer_refusal(refusal: Refusal) -> web.Response:
    """``{"Error": {"Code", "Message"}, "RequestId"}``."""
    error = {"Code": refusal.code, "Message": str(refusal)}
    response = answer_json({"Error": error, "RequestId": ids.request_id.get()}, refusal.status)
    response.headers.extend(refusal.headers)
    if refusal.closes:
        response.force_close()
    return response


def answer_page(status: HTTPStatus, title: str, *paragraphs: str) -> web.Response:
    """A page without anything but text; every word is escaped. Texts between backquotes are code."""
    body = "".join(f"<p>{_with_code(paragraph)}</p>\n" for paragraph in paragraphs)
    page = (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{html.escape(title)}</title></head>\n'
        f"<body>\n<h1>{html.escape(title)}</h1>\n{body}</body>\n</html>\n"
    )
    return web.Response(status=status, body=page.encode("utf-8", "replace"), headers={"Content-Type": HTML_TYPE})


def _with_code(text: str) -> str:
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
