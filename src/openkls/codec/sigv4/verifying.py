"""Whether a claim holds.

Rule: compared in constant time. Real clients disagree about the canonical query, so it has several readings.
"""

import hmac
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from openkls.codec.sigv4.canonical import (
    SignedRequest,
    check_count,
    header_value,
    join_canonical,
    readings,
    signature_of,
)
from openkls.codec.sigv4.claim import Claim

# (I) What a body-less request may have signed for a content-length it does not send: SDKs whose HTTP library
# drops the header of a GET, among them the document's own samples.
ABSENT_CONTENT_LENGTHS: Final = ("", "0")

_EMPTY_HASH: Final = sha256(b"").hexdigest()


def verify(request: SignedRequest, claim: Claim, secret_key: str) -> bool:
    """Whether the claim's signature is the one the secret key gives. Compares in constant time.

    False also where ``host`` is not signed, a signed header is absent, or X-Amz-Content-Sha256 is not the body's.
    Not checked here: the date (`is_timely`), region and service. Raises ProtocolError for too many query parameters.
    """
    authorization = claim.authorization
    names = authorization.signed_headers
    scope = authorization.date, authorization.region, authorization.service
    body_hash = sha256(request.body).hexdigest() if request.body else _EMPTY_HASH
    said_hash = header_value(request.headers, "x-amz-content-sha256")
    if "host" not in names or said_hash not in (None, body_hash):
        return False
    check_count(request.query)
    for header_lines in _canonical_headers(request, names):
        for query in readings(request.query):
            canonical = join_canonical(request.method, request.path, query, header_lines, names, body_hash)
            computed = signature_of(canonical, secret_key, claim.amz_date, *scope)
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
