"""What a request claims: who it is from, and when it was signed.

Rule: nothing is judged here but the date; the text a claim was read from is remembered in a cache of a bounded size, as
a client's requests of one second differ in little but query and signature.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from openkls.codec.amzdate import build_amz_date, parse_amz_date
from openkls.codec.errors import ProtocolError
from openkls.codec.sigv4.canonical import (
    ALGORITHM,
    MAX_CACHED_CLAIMS,
    TERMINATOR,
    SignedRequest,
    check_count,
    decode,
    header_value,
    split_query,
)

MAX_SKEW_SECONDS: Final = 900  # "Pls in 15mins"
MAX_EXPIRES_SECONDS: Final = 604_800  # seven days, SigV4's own limit for presigned requests
MAX_SIGNED_HEADERS: Final = 64  # a name repeated 1,600 times in 8 KB would repeat its value as often into a hash

_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_SCOPE_DATE: Final = re.compile(r"[0-9]{8}")
_EXPIRES: Final = re.compile(r"[0-9]{1,6}")
_SIGNATURE_FIELD: Final = "Signature="
_ANY_SIGNATURE: Final = "0" * 64


class MissingAccesskey(ProtocolError):
    """No Authorization and no X-Amz-Credential, or no access key in it."""


class MissingTimestamp(ProtocolError):
    """Neither X-Amz-Date nor Date."""


class MissingSignature(ProtocolError):
    """No signature, or an Authorization (or presigned query) that is malformed in another place."""


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


def read_claim(request: SignedRequest) -> Claim:
    """Read the Authorization header, or else the presigned query of a GET.

    Raises, in this order: ProtocolError with a ``limit`` for too many query parameters, MissingAccesskey,
    MissingTimestamp, MissingSignature. Neither the key nor the date nor the signature is judged here.
    """
    check_count(request.query)
    header = header_value(request.headers, "authorization")
    if header is not None:
        date = header_value(request.headers, "x-amz-date") or header_value(request.headers, "date")
        if not date:
            _require_credential(_authorization_fields(header))
            raise MissingTimestamp("a signed request needs an X-Amz-Date or a Date header")
        return Claim(parse_authorization(header), date)
    fields, repeated = _presigned_fields(split_query(request.query))
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
            fields.setdefault(name, decode(value, plus_is_space=True).decode("utf-8", "surrogateescape"))
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
