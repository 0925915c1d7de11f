"""The request that an SDK would send for a call, signed now, for the API explorer to show.

Rule: the secret goes into the signature and nowhere else; nothing is sent. What is shown verifies as it stands for as
long as any signed request does (contract, 2), and so may whoever sees it send it.
"""

import json
import shlex
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.codec.errors import ProtocolError
from openkls.console.answers import Refusal
from openkls.control.keyring import Credential

SERVICE: Final = "kls"
METHODS: Final = ("GET", "POST")
# What a presigned request has in its query is not for a caller to choose.
_SIGNATURE_PREFIX: Final = "x-amz-"


def explain(
    method: str,
    action: str,
    version: str,
    parameters: Mapping[str, Any],
    origin: str,
    credential: Credential,
    region: str,
    now: float,
) -> dict[str, Any]:
    """Method, Url, Headers, Body, CanonicalRequest, StringToSign and Curl of a call at ``origin``, such as
    ``http://localhost:8080``. Raises Refusal."""
    if method not in METHODS:
        raise Refusal(HTTPStatus.BAD_REQUEST, "InvalidParameterValue", f"Method: one of {', '.join(METHODS)} expected")
    if not action or not version:
        raise Refusal(HTTPStatus.BAD_REQUEST, "MissingParameter", "Action and Version are expected in the query")
    pairs, body, headers = [("Action", action), ("Version", version)], b"", [("Accept", "application/json")]
    if method == "POST":
        body = json.dumps(parameters, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        headers.append(("Content-Type", "application/json"))
    else:
        pairs += [(name, _text(name, value)) for name, value in parameters.items()]
    headers.append(("Host", origin.partition("://")[2]))
    query = sigv4.encode_query(pairs)
    request = sigv4.SignedRequest(method, "/", query, headers, body)
    amz_date = build_amz_date(int(now))
    try:
        canonical, to_sign = _what_is_signed(request, region, amz_date)
        added = sigv4.sign(request, credential.access_key, credential.secret_key, region, SERVICE, amz_date)
    except ProtocolError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "InvalidParameterValue", str(error)) from error
    url, all_headers, text = f"{origin}/?{query}", {**dict(headers), **added}, body.decode()
    return {
        "Method": method,
        "Url": url,
        "Headers": all_headers,
        "Body": text,
        "CanonicalRequest": canonical,
        "StringToSign": to_sign,
        "Curl": _curl(method, url, all_headers, text),
    }


def _text(name: str, value: object) -> str:
    """A parameter as a query holds it."""
    if name.lower().startswith(_SIGNATURE_PREFIX):
        raise Refusal(HTTPStatus.BAD_REQUEST, "InvalidParameterValue", f"{name!r}: is the signature's own")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise Refusal(
        HTTPStatus.BAD_REQUEST, "InvalidParameterValue", f"{name!r}: a string, number or boolean expected for GET"
    )


def _what_is_signed(request: sigv4.SignedRequest, region: str, amz_date: str) -> tuple[str, str]:
    """The canonical request and the string to sign, as `sigv4.sign` makes them."""
    headers = [*request.headers, ("X-Amz-Date", amz_date)]
    names = tuple(sorted({name.lower() for name, _ in headers}))
    canonical = sigv4.canonical_request(
        request.method,
        request.path,
        sigv4.canonical_queries(request.query)[0],
        headers,
        names,
        sha256(request.body).hexdigest(),
    )
    return canonical, sigv4.string_to_sign(canonical, amz_date, amz_date[:8], region, SERVICE)


def _curl(method: str, url: str, headers: Mapping[str, str], body: str) -> str:
    words = ["curl", "-X", method]
    for name, value in headers.items():
        if name != "Host":  # curl's own, and the same
            words += ["-H", f"{name}: {value}"]
    if body:
        words += ["--data-raw", body]
    return shlex.join([*words, url])
