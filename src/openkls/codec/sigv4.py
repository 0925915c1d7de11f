"""AWS Signature Version 4 (contract, section 2): what a request claims, whether the claim holds, and signing our own.

Rule: pure functions; time is an argument, and no secret is in an error or a returned value.

Theory of operation. The API asks in the contract's order (section 4): `read_claim` (access key there? date there?
signature there?), then it looks the key up, then `is_timely`, then it compares region and service itself, then
`verify`. Text is what a server decodes from the wire with UTF-8 and surrogateescape, so that any byte survives.
Real clients disagree about the canonical query, so it has several readings; each covers every byte of the query, hence
a request that verifies under any of them is the request that was signed.

This runs for every request, and a client's requests of one second differ in little but query and signature: what
stays is remembered in caches of a bounded size, by the very text it was read from (`_read_unsigned`, `_signed_at`,
`_begin_mac`). Filling them with rubbish makes others no slower than they would be without.
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
MAX_SKEW_SECONDS: Final = 900  # "Pls in 15mins"
MAX_EXPIRES_SECONDS: Final = 604_800  # seven days, SigV4's own limit for presigned requests
MAX_SIGNED_HEADERS: Final = 64  # a name repeated 1,600 times in 8 KB would repeat its value as often into a hash
MAX_QUERY_PARAMETERS: Final = 1_024  # decoding, encoding and sorting are paid before the caller is known
MAX_CACHED_KEYS: Final = 512  # one a day for each key and scope in use
MAX_CACHED_CLAIMS: Final = 512  # one for each client and kind of request; of at most a header's 8 KB each

# (I) What a body-less request may have signed for a content-length it does not send: SDKs whose HTTP library
# drops the header of a GET, among them the document's own samples.
ABSENT_CONTENT_LENGTHS: Final = ("", "0")

_UNRESERVED: Final = "-_.~"  # RFC 3986, 2.3, beside letters and digits
_PLAIN: Final = re.compile(r"[A-Za-z0-9\-_.~]*")
# A query that decoding and encoding leave as it is, but for the order.
_PLAIN_QUERY: Final = re.compile("{0}={0}(?:&{0}={0})*+".format(r"[A-Za-z0-9\-_.~]*+"))
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_SCOPE_DATE: Final = re.compile(r"[0-9]{8}")
_EXPIRES: Final = re.compile(r"[0-9]{1,6}")
_SIGNATURE_PARAMETER: Final = "X-Amz-Signature"
_SIGNATURE_FIELD: Final = "Signature="
_ANY_SIGNATURE: Final = "0" * 64
_EMPTY_HASH: Final = sha256(b"").hexdigest()


class MissingAccesskey(ProtocolError):
    """No Authorization and no X-Amz-Credential, or no access key in it."""


class MissingTimestamp(ProtocolError):
    """Neither X-Amz-Date nor Date."""


class MissingSignature(ProtocolError):
    """No signature, or an Authorization (or presigned query) that is malformed in another place."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as received or to be sent: ``path`` and ``query`` raw (no question mark), headers in their order."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of an Authorization header. ``date`` is the scope's ``YYYYMMDD``; ``signed_headers`` is verbatim but
    lower-cased, in the client's order, duplicates kept (the Go SDK signs ``host;host``)."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says it is from and when. ``amz_date`` is the raw text of the date; ``expires_seconds`` is
    None unless the request is presigned."""

    authorization: Authorization
    amz_date: str
    expires_seconds: int | None = None


# -- reading a claim --------------------------------------------------------------------------------------------


def read_claim(request: SignedRequest) -> Claim:
    """Read the Authorization header, or else the presigned query of a GET.

    Raises, in this order: ProtocolError with a ``limit`` for too many query parameters, MissingAccesskey,
    MissingTimestamp, MissingSignature. Neither the key nor the date nor the signature is judged here.
    """
    _check_count(request.query)
    header = header_value(request.headers, "authorization")
    if header is not None:
        date = header_value(request.headers, "x-amz-date") or header_value(request.headers, "date")
        if not date:
            _require_credential(_authorization_fields(header))
            raise MissingTimestamp("a signed request needs an X-Amz-Date or a Date header")
        return Claim(parse_authorization(header), date)
    fields, repeated = _presigned_fields(_split_query(request.query))
    _require_credential(fields)
    if not fields.get("Date"):
        raise MissingTimestamp("a presigned request needs X-Amz-Date in its query")
    authorization = _read_authorization(fields)
    expires = int(fields["Expires"]) if _EXPIRES.fullmatch(fields.get("Expires", "")) else 0
    if repeated or request.method != "GET" or not 1 <= expires <= MAX_EXPIRES_SECONDS:
        raise MissingSignature(
            "a presigned request is a GET that has each X-Amz parameter once"
            f" and an X-Amz-Expires of 1 to {MAX_EXPIRES_SECONDS} seconds"
        )
    return Claim(authorization, fields["Date"], expires)


def parse_authorization(header: str) -> Authorization:
    """Parse ``AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature=..``.

    Raises MissingAccesskey where there is no credential, MissingSignature where anything else is amiss.
    """
    before, _, signature = header.rstrip().partition(_SIGNATURE_FIELD)
    if _SIGNATURE.fullmatch(signature):
        return Authorization(*_read_unsigned(before), signature)
    return _read_header(header)


@lru_cache(MAX_CACHED_CLAIMS)
def _read_unsigned(before: str) -> tuple[str, str, str, str, tuple[str, ...]]:
    """Read a header up to its signature; any will do. Cached; raises as `parse_authorization`."""
    read = _read_header(before + _SIGNATURE_FIELD + _ANY_SIGNATURE)
    return read.access_key, read.date, read.region, read.service, read.signed_headers


def _read_header(header: str) -> Authorization:
    fields = _authorization_fields(header)
    _require_credential(fields)
    return _read_authorization(fields)


def _authorization_fields(header: str) -> dict[str, str]:
    """Split the header into its fields; one that comes twice becomes empty, hence malformed."""
    algorithm, _, rest = header.strip().partition(" ")
    fields = {"Algorithm": algorithm}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = "" if name in fields else value
    return fields


def _presigned_fields(pairs: list[str]) -> tuple[dict[str, str], bool]:
    """Return the X-Amz parameters without their prefix, and whether one came twice."""
    fields: dict[str, str] = {}
    repeated = False
    for pair in pairs:
        if pair.startswith("X-Amz-"):
            name, _, value = pair[6:].partition("=")
            repeated = repeated or name in fields
            fields.setdefault(name, _decode(value, plus_is_space=True).decode("utf-8", "surrogateescape"))
    return fields, repeated


def _require_credential(fields: dict[str, str]) -> None:
    if not fields.get("Credential", "").partition("/")[0]:
        raise MissingAccesskey("a signed request needs a Credential with an access key")


def _read_authorization(fields: dict[str, str]) -> Authorization:
    scope = fields["Credential"].split("/")
    names = fields.get("SignedHeaders", "").lower().split(";")
    signature = fields.get("Signature", "")
    if fields.get("Algorithm") != ALGORITHM:
        raise MissingSignature(f"the algorithm of a signed request is {ALGORITHM}")
    if len(scope) != 5 or scope[4] != TERMINATOR or not _SCOPE_DATE.fullmatch(scope[1]):
        raise MissingSignature(f"a Credential is <access key>/<YYYYMMDD>/<region>/<service>/{TERMINATOR}")
    if len(names) > MAX_SIGNED_HEADERS:
        raise MissingSignature(
            f"a request with {len(names)} signed headers; at most {MAX_SIGNED_HEADERS}", "MAX_SIGNED_HEADERS"
        )
    if "" in names or not _SIGNATURE.fullmatch(signature):
        raise MissingSignature("a signed request names its headers and has a signature of 64 hexadecimal digits")
    return Authorization(scope[0], scope[1], scope[2], scope[3], tuple(names), signature)


def header_value(headers: Sequence[tuple[str, str]], name: str) -> str | None:
    """Return a header's canonical value (inner white space collapsed, several joined by commas), None if absent.

    ``name`` is in lower case.
    """
    values = [" ".join(value.split()) for key, value in headers if key.lower() == name]
    return ",".join(values) if values else None


# -- judging a claim --------------------------------------------------------------------------------------------


def is_timely(claim: Claim, now: float) -> bool:
    """Whether the claim's date is readable, of its scope's day, and near enough to ``now`` (Unix seconds).

    Near enough is 15 minutes both ways, and up to the expiry after it for a presigned request.
    """
    signed_at = _signed_at(claim.amz_date, claim.authorization.date)
    if signed_at is None:
        return False
    latest = MAX_SKEW_SECONDS if claim.expires_seconds is None else claim.expires_seconds
    return signed_at - MAX_SKEW_SECONDS <= now <= signed_at + latest


@lru_cache(MAX_CACHED_CLAIMS)
def _signed_at(amz_date: str, scope_date: str) -> int | None:
    """Unix seconds of a date that is of its scope's day, None for another and for what is no date. Cached."""
    signed_at = parse_amz_date(amz_date)
    return signed_at if signed_at is not None and build_amz_date(signed_at)[:8] == scope_date else None


def verify(request: SignedRequest, claim: Claim, secret_key: str) -> bool:
    """Whether the claim's signature is the one the secret key gives. Compares in constant time.

    False also where ``host`` is not signed, a signed header is absent, or X-Amz-Content-Sha256 is not the body's.
    Not checked here: the date (`is_timely`), region and service. Raises ProtocolError for too many query parameters.
    """
    authorization = claim.authorization
    names = authorization.signed_headers
    body_hash = sha256(request.body).hexdigest() if request.body else _EMPTY_HASH
    said_hash = header_value(request.headers, "x-amz-content-sha256")
    if "host" not in names or said_hash not in (None, body_hash):
        return False
    _check_count(request.query)
    for header_lines in _canonical_headers(request, names):
        for query in _readings(request.query):
            canonical = _join_canonical(request.method, request.path, query, header_lines, names, body_hash)
            computed = _signature(canonical, secret_key, claim.amz_date, authorization)
            if hmac.compare_digest(computed, authorization.signature):
                return True
    return False


def _canonical_headers(request: SignedRequest, names: Sequence[str]) -> Iterator[str]:
    """Yield the readings of the signed headers' lines: none where one is absent, several for a content-length."""
    canonical: dict[str, str] = {}
    for name, value in request.headers:
        lowered = name.lower()
        if lowered in names:
            text = " ".join(value.split())
            canonical[lowered] = f"{canonical[lowered]},{text}" if lowered in canonical else text
    absent = {name for name in names if name not in canonical}
    if absent and (absent != {"content-length"} or request.body):
        return
    for length in ABSENT_CONTENT_LENGTHS if absent else ("",):
        yield "".join([f"{name}:{canonical.get(name, length)}\n" for name in names])


def _check_count(query: str) -> None:
    if query.count("&") >= MAX_QUERY_PARAMETERS:
        raise ProtocolError(
            f"a query of {query.count('&') + 1} parameters; at most {MAX_QUERY_PARAMETERS}", "MAX_QUERY_PARAMETERS"
        )


def _split_query(query: str) -> list[str]:
    return query.split("&") if query else []


def canonical_queries(query: str) -> list[str]:
    """Return the readings of a raw query, without X-Amz-Signature, each once, in the order they are tried.

    First decoded (``+`` is a space), encoded by RFC 3986 and sorted by name, then value; then with ``+`` as itself;
    then exactly as sent (curl before 8 signs it unsorted). Raises ProtocolError for too many parameters.
    """
    _check_count(query)
    return list(_readings(query))


def _readings(query: str) -> Iterator[str]:
    """Yield what `canonical_queries` returns, each at the price of its own making: the first nearly always verifies."""
    if _PLAIN_QUERY.fullmatch(query) and _SIGNATURE_PARAMETER not in query:
        ordered = "&".join(map("".join, sorted([pair.partition("=") for pair in query.split("&")])))
        yield ordered
        if query != ordered:
            yield query
        return
    pairs = [pair for pair in _split_query(query) if pair.partition("=")[0] != _SIGNATURE_PARAMETER]
    readings = [_encode_sorted(pairs, plus_is_space=True)]
    yield readings[0]
    if "+" in query:
        readings.append(_encode_sorted(pairs, plus_is_space=False))
        yield readings[1]
    raw = "&".join(pairs)
    if raw not in readings:
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
    return quote(_decode(text, plus_is_space), safe=_UNRESERVED)


def _decode(text: str, plus_is_space: bool) -> bytes:
    if plus_is_space:
        text = text.replace("+", " ")
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape"))


# -- the canonical request and its signature --------------------------------------------------------------------


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
    return _join_canonical(method, path, query, lines, signed_headers, body_hash)


def _join_canonical(
    method: str, path: str, query: str, header_lines: str, signed_headers: Sequence[str], body_hash: str
) -> str:
    return f"{method}\n{path or '/'}\n{query}\n{header_lines}\n{';'.join(signed_headers)}\n{body_hash}"


@lru_cache(MAX_CACHED_KEYS)
def signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """Derive the key that signs for one day, region and service. ``date`` is ``YYYYMMDD``. Cached."""
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key


def _signature(canonical: str, secret_key: str, amz_date: str, authorization: Authorization) -> str:
    begun = _begin_mac(secret_key, amz_date, authorization.date, authorization.region, authorization.service)
    mac = begun.copy()
    mac.update(sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest().encode())
    return mac.hexdigest()


@lru_cache(MAX_CACHED_CLAIMS)
def _begin_mac(secret_key: str, amz_date: str, date: str, region: str, service: str) -> hmac.HMAC:
    """Return the MAC of a string to sign up to the request's own hash, to be copied: that hash comes last. Cached."""
    scope = f"{date}/{region}/{service}/{TERMINATOR}"
    begin = f"{ALGORITHM}\n{_signed_date(amz_date)}\n{scope}\n".encode("utf-8", "surrogateescape")
    return hmac.new(signing_key(secret_key, date, region, service), begin, "sha256")


def _signed_date(text: str) -> str:
    """Return the date as the string to sign holds it: raw, but an HTTP date in the basic form (as botocore does)."""
    if text[:1].isalpha():
        unix_seconds = parse_amz_date(text)
        if unix_seconds is not None:
            return build_amz_date(unix_seconds)
    return text


# -- signing our own --------------------------------------------------------------------------------------------


def encode_query(parameters: Sequence[tuple[str, str]]) -> str:
    """Return the parameters as a query of RFC 3986 (a space is ``%20``), in their order."""
    return "&".join([f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for name, value in parameters])


def sign(
    request: SignedRequest, access_key: str, secret_key: str, region: str, service: str, amz_date: str
) -> dict[str, str]:
    """Return the headers to add to a request: X-Amz-Date and Authorization.

    Every header of the request is signed, so it holds Host and none that changes on the way. ``amz_date`` is
    `build_amz_date`'s text. Raises ValueError without Host.
    """
    headers = [*request.headers, ("X-Amz-Date", amz_date)]
    names = tuple(sorted({name.lower() for name, _ in headers}))
    if "host" not in names:
        raise ValueError("a request to be signed needs its Host header")
    unsigned = Authorization(access_key, amz_date[:8], region, service, names, "")
    signature = _sign_canonical(request, headers, unsigned, secret_key, amz_date, canonical_queries(request.query)[0])
    credential = f"{access_key}/{amz_date[:8]}/{region}/{service}/{TERMINATOR}"
    return {
        "X-Amz-Date": amz_date,
        "Authorization": f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signature}",
    }


def presign(
    request: SignedRequest,
    access_key: str,
    secret_key: str,
    region: str,
    service: str,
    amz_date: str,
    expires_seconds: int,
) -> str:
    """Return the whole query of the presigned request, signature included; only Host is signed beside the query.

    ``expires_seconds`` is 1 to `MAX_EXPIRES_SECONDS`. The request is a GET whose headers hold Host.
    """
    own = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{access_key}/{amz_date[:8]}/{region}/{service}/{TERMINATOR}"),
        ("X-Amz-Date", amz_date),
        ("X-Amz-Expires", str(expires_seconds)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    query = canonical_queries("&".join([*_split_query(request.query), encode_query(own)]))[0]
    unsigned = Authorization(access_key, amz_date[:8], region, service, ("host",), "")
    signature = _sign_canonical(request, request.headers, unsigned, secret_key, amz_date, query)
    return f"{query}&{_SIGNATURE_PARAMETER}={signature}"


def _sign_canonical(
    request: SignedRequest,
    headers: Sequence[tuple[str, str]],
    unsigned: Authorization,
    secret_key: str,
    amz_date: str,
    query: str,
) -> str:
    body_hash = sha256(request.body).hexdigest()
    canonical = canonical_request(request.method, request.path, query, headers, unsigned.signed_headers, body_hash)
    return _signature(canonical, secret_key, amz_date, unsigned)
