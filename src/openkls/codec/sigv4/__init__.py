"""AWS Signature Version 4 (contract, section 2): what a request claims, whether the claim holds, and signing our own.

Rule: pure functions; time is an argument, and no secret is in an error or a returned value.

Theory of operation. The API asks in the contract's order (section 4): `read_claim` (access key there? date there?
signature there?), then it looks the key up, then `is_timely`, then it compares region and service itself, then
`verify`. Text is what a server decodes from the wire with UTF-8 and surrogateescape, so that any byte survives.
Real clients disagree about the canonical query, so it has several readings; each covers every byte of the query, hence
a request that verifies under any of them is the request that was signed.

This runs for every request, and a client's requests of one second differ in little but query and signature: what
stays is remembered in caches of a bounded size, by the very text it was read from. Filling them with rubbish makes
others no slower than they would be without.
"""

from openkls.codec.sigv4.canonical import (
    ALGORITHM,
    MAX_CACHED_CLAIMS,
    MAX_CACHED_KEYS,
    MAX_QUERY_PARAMETERS,
    TERMINATOR,
    SignedRequest,
    canonical_queries,
    canonical_request,
    header_value,
    signing_key,
    string_to_sign,
)
from openkls.codec.sigv4.claim import (
    MAX_EXPIRES_SECONDS,
    MAX_SIGNED_HEADERS,
    MAX_SKEW_SECONDS,
    Authorization,
    Claim,
    MissingAccesskey,
    MissingSignature,
    MissingTimestamp,
    is_timely,
    parse_authorization,
    read_claim,
)
from openkls.codec.sigv4.signing import encode_query, presign, sign
from openkls.codec.sigv4.verifying import ABSENT_CONTENT_LENGTHS, verify

__all__ = [
    "ABSENT_CONTENT_LENGTHS",
    "ALGORITHM",
    "MAX_CACHED_CLAIMS",
    "MAX_CACHED_KEYS",
    "MAX_EXPIRES_SECONDS",
    "MAX_QUERY_PARAMETERS",
    "MAX_SIGNED_HEADERS",
    "MAX_SKEW_SECONDS",
    "TERMINATOR",
    "Authorization",
    "Claim",
    "MissingAccesskey",
    "MissingSignature",
    "MissingTimestamp",
    "SignedRequest",
    "canonical_queries",
    "canonical_request",
    "encode_query",
    "header_value",
    "is_timely",
    "parse_authorization",
    "presign",
    "read_claim",
    "sign",
    "signing_key",
    "string_to_sign",
    "verify",
]
