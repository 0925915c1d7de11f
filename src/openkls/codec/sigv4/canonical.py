"""What a signature covers: the canonical request, and the MAC over it.

Rule: each reading of a query covers every byte of it, hence a request that verifies under any reading is the request
that was signed.
"""

import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from openkls.codec.amzdate import build_amz_date, parse_amz_date
from openkls.codec.errors import ProtocolError

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
MAX_QUERY_PARAMETERS: Final = 1_024  # decoding, encoding and sorting are paid before the caller is known
MAX_CACHED_KEYS: Final = 512  # one a day for each key and scope in use
MAX_CACHED_CLAIMS: Final = 512  # one for each client and kind of request; of at most a header's 8 KB each

UNRESERVED: Final = "-_.~"  # RFC 3986, 2.3, beside letters and digits
SIGNATURE_PARAMETER: Final = "X-Amz-Signature"
_PLAIN: Final = re.compile(r"[A-Za-z0-9\-_.~]*")
# A query that decoding and encoding leave as it is, but for the order.
_PLAIN_QUERY: Final = re.compile("{0}={0}(?:&{0}={0})*+".format(r"[A-Za-z0-9\-_.~]*+"))


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as received or to be sent: ``path`` and ``query`` raw (no question mark), headers in their order."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


def header_value(headers: Sequence[tuple[str, str]], name: str) -> str | None:
    """Return a header's canonical value (inner white space collapsed, several joined by commas), None if absent.

    ``name`` is in lower case.
    """
    values = [" ".join(value.split()) for key, value in headers if key.lower() == name]
    return ",".join(values) if values else None


# -- the query


def check_count(query: str) -> None:
    """Raises ProtocolError for too many query parameters."""
    if query.count("&") >= MAX_QUERY_PARAMETERS:
        raise ProtocolError(
            f"a query of {query.count('&') + 1} parameters; at most {MAX_QUERY_PARAMETERS}", "MAX_QUERY_PARAMETERS"
        )


def split_query(query: str) -> list[str]:
    """The pairs of a raw query, as they are."""
    return query.split("&") if query else []


def canonical_queries(query: str) -> list[str]:
    """Return the readings of a raw query, without X-Amz-Signature, each once, in the order they are tried.

    First decoded (``+`` is a space), encoded by RFC 3986 and sorted by name, then value; then with ``+`` as itself;
    then exactly as sent (curl before 8 signs it unsorted). Raises ProtocolError for too many parameters.
    """
    check_count(query)
    return list(readings(query))


def readings(query: str) -> Iterator[str]:
    """Yield what `canonical_queries` returns, each at the price of its own making: the first nearly always verifies."""
    if _PLAIN_QUERY.fullmatch(query) and SIGNATURE_PARAMETER not in query:
        ordered = "&".join(map("".join, sorted([pair.partition("=") for pair in query.split("&")])))
        yield ordered
        if query != ordered:
            yield query
        return
    pairs = [pair for pair in split_query(query) if pair.partition("=")[0] != SIGNATURE_PARAMETER]
    made = [_encode_sorted(pairs, plus_is_space=True)]
    yield made[0]
    if "+" in query:
        made.append(_encode_sorted(pairs, plus_is_space=False))
        yield made[1]
    raw = "&".join(pairs)
    if raw not in made:
        yield raw


def _encode_sorted(pairs: list[str], *, plus_is_space: bool) -> str:
    encoded = []
    for pair in pairs:
        if pair:
            name, _, value = pair.partition("=")
            encoded.append((_recode(name, plus_is_space), _recode(value, plus_is_space)))
    encoded.sort()
    return "&".join([f"{name}={value}" for name, value in encoded])


def _recode(text: str, plus_is_space: bool) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return quote(decode(text, plus_is_space), safe=UNRESERVED)


def decode(text: str, plus_is_space: bool) -> bytes:
    """Percent-decode."""
    if plus_is_space:
        text = text.replace("+", " ")
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape"))


# -- the request and its signature


def canonical_request(
    method: str,
    path: str,
    query: str,
    headers: Sequence[tuple[str, str]],
    signed_headers: Sequence[str],
    body_hash: str,
) -> str:
    """Return SigV4's canonical request. ``query`` is one reading of `canonical_queries`; ``body_hash`` in hex.

    An absent signed header has an empty value here; whether it may be absent is for `verify` to say.
    """
    lines = "".join([f"{name}:{header_value(headers, name) or ''}\n" for name in signed_headers])
    return join_canonical(method, path, query, lines, signed_headers, body_hash)


def join_canonical(
    method: str, path: str, query: str, header_lines: str, signed_headers: Sequence[str], body_hash: str
) -> str:
    """Return the canonical request of parts that are canonical."""
    return f"{method}\n{path or '/'}\n{query}\n{header_lines}\n{';'.join(signed_headers)}\n{body_hash}"


@lru_cache(MAX_CACHED_KEYS)
def signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """Derive the key that signs for one day, region and service. ``date`` is ``YYYYMMDD``. Cached."""
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key


def string_to_sign(canonical: str, amz_date: str, date: str, region: str, service: str) -> str:
    """Return the string that `signature_of` is the MAC of, to be shown; the arguments are its."""
    hashed = sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return _begin_string(amz_date, date, region, service) + hashed


def signature_of(canonical: str, secret_key: str, amz_date: str, date: str, region: str, service: str) -> str:
    """Return the signature of a canonical request in hex. ``amz_date`` is the raw text; ``date``, ``region`` and
    ``service`` are the scope's."""
    begun = _begin_mac(secret_key, amz_date, date, region, service)
    mac = begun.copy()
    mac.update(sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest().encode())
    return mac.hexdigest()


@lru_cache(MAX_CACHED_CLAIMS)
def _begin_mac(secret_key: str, amz_date: str, date: str, region: str, service: str) -> hmac.HMAC:
    """Return the MAC of a string to sign up to the request's own hash, to be copied: that hash comes last. Cached."""
    begin = _begin_string(amz_date, date, region, service).encode("utf-8", "surrogateescape")
    return hmac.new(signing_key(secret_key, date, region, service), begin, "sha256")


def _begin_string(amz_date: str, date: str, region: str, service: str) -> str:
    return f"{ALGORITHM}\n{_signed_date(amz_date)}\n{date}/{region}/{service}/{TERMINATOR}\n"


def _signed_date(text: str) -> str:
    """Return the date as the string to sign holds it: raw, but an HTTP date in the basic form (as botocore does)."""
    if text[:1].isalpha():
        unix_seconds = parse_amz_date(text)
        if unix_seconds is not None:
            return build_amz_date(unix_seconds)
    return text
