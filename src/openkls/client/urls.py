"""Signed URLs to push to and to play from, for domains that demand it. ``expires_at`` is in Unix seconds."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from openkls.codec import pushauth

_FORMS = (".flv", ".m3u8")
_INDEX = "index.m3u8"


def sign_push_url(url: str, key: str, expires_at: int) -> str:
    """``rtmp://host/app/stream`` for a publish domain with auth ``md5``: ``t`` and ``k`` are added."""
    return _with_query(url, pushauth.sign_md5(key, _last(url), expires_at))


def sign_push_url_hmac(
    url: str, access_key: str, secret: str, expires_at: int, parameters: Mapping[str, str] | None = None
) -> str:
    """``rtmp://host/app/stream`` for a publish domain with auth ``hmac``.

    What is signed are the parameters of the URL's query and ``parameters`` together.
    """
    before, _, query = url.partition("?")
    signed = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)) | dict(parameters or {})
    return _with_query(before, pushauth.sign_hmac(access_key, secret, expires_at, signed))


def sign_play_url(url: str, key: str, expires_at: int) -> str:
    """A URL of RTMP, HTTP-FLV (``.flv``) or HLS (``.m3u8``) for a play domain with auth ``md5``."""
    stream = _last(url)
    if urlsplit(url).scheme in ("http", "https"):
        if stream == _INDEX:
            stream = _segments(url)[-2]
        else:
            stream = next((stream.removesuffix(form) for form in _FORMS if stream.endswith(form)), stream)
    return _with_query(url, pushauth.sign_md5(key, stream, expires_at))


def _last(url: str) -> str:
    return _segments(url)[-1]


def _segments(url: str) -> list[str]:
    return [unquote(part) for part in urlsplit(url).path.split("/")]


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"
