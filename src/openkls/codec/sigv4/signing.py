"""Signing our own requests. Rule: what is signed here verifies there (verifying)."""

from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import quote

from openkls.codec.sigv4.canonical import (
    ALGORITHM,
    SIGNATURE_PARAMETER,
    TERMINATOR,
    UNRESERVED,
    SignedRequest,
    canonical_queries,
    canonical_request,
    signature_of,
    split_query,
)


def encode_query(parameters: Sequence[tuple[str, str]]) -> str:
    """Return the parameters as a query of RFC 3986 (a space is ``%20``), in their order."""
    return "&".join([f"{quote(name, safe=UNRESERVED)}={quote(value, safe=UNRESERVED)}" for name, value in parameters])


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
    canonical = _canonical(request, headers, names, canonical_queries(request.query)[0])
    signature = signature_of(canonical, secret_key, amz_date, amz_date[:8], region, service)
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

    ``expires_seconds`` is 1 to 604,800 (MAX_EXPIRES_SECONDS). The request is a GET whose headers hold Host.
    """
    own = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{access_key}/{amz_date[:8]}/{region}/{service}/{TERMINATOR}"),
        ("X-Amz-Date", amz_date),
        ("X-Amz-Expires", str(expires_seconds)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    query = canonical_queries("&".join([*split_query(request.query), encode_query(own)]))[0]
    canonical = _canonical(request, request.headers, ("host",), query)
    signature = signature_of(canonical, secret_key, amz_date, amz_date[:8], region, service)
    return f"{query}&{SIGNATURE_PARAMETER}={signature}"


def _canonical(request: SignedRequest, headers: Sequence[tuple[str, str]], names: Sequence[str], query: str) -> str:
    body_hash = sha256(request.body).hexdigest()
    return canonical_request(request.method, request.path, query, headers, names, body_hash)
