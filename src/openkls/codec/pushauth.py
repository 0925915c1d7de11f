"""Push authentication by URL parameters (contract, section 8): MD5 and the legacy HMAC, checked and made.

Rule: pure functions; time is an argument. The verdict is a break code, in the contract's order: 428 before 425 before
426, so that an expired URL is told as expired even when its signature is wrong as well.

The codec gives plain numbers because domain's break codes are a sibling's: the caller turns them into its own.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from hashlib import md5
from typing import Final
from urllib.parse import quote, unquote

MAX_PARAMETERS: Final = 64  # the documented ones are seven; encoders add a few of their own
# Up to the year 2286; 13 digits are milliseconds, a slip better told than obeyed. It is also what keeps the MD5 of
# `key + stream + t` unambiguous: the last digit of a stream's name can't be moved over to make a later `t`.
MAX_EXPIRY_DIGITS: Final = 10

_EXPIRY: Final = re.compile(rf"[0-9]{{1,{MAX_EXPIRY_DIGITS}}}")
# Parameters that name the domain. Signers sign the URL without them or with them: both are accepted.
_ROUTING: Final = frozenset(("vhost", "domain"))
_HMAC_FRAME: Final = frozenset(("signature", "accesskey", "expire"))


class PushVerdict(IntEnum):
    """The break code with which a publish's authentication ends."""

    ACCEPTED = 200
    EXPIRED = 425
    MISMATCH = 426
    BAD_PARAMS = 428


def check_md5(keys: Sequence[str], stream: str, query: str, now: float) -> PushVerdict:
    """Judge ``t=<expiry>&k=<signature>`` of a publish URL.

    ``keys`` are the domain's, any of which may verify (an empty one never does); ``stream`` is the name without its
    query; ``query`` is the raw text behind the question mark; ``now`` in Unix seconds.
    """
    parameters = _read_parameters(query)
    expiry, said = parameters.get("t", ""), parameters.get("k", "")
    if not said or not _EXPIRY.fullmatch(expiry):
        return PushVerdict.BAD_PARAMS
    if int(expiry) < now:
        return PushVerdict.EXPIRED
    matches = [hmac.compare_digest(_octets(said), _md5(key, stream, expiry)) for key in keys if key]
    return PushVerdict.ACCEPTED if any(matches) else PushVerdict.MISMATCH


def check_hmac(secrets: Mapping[str, Sequence[str]], query: str, now: float) -> PushVerdict:
    """Judge ``signature=&accesskey=&expire=`` of a publish URL.

    ``secrets`` maps access keys to their secrets, as `read_hmac_keys` gives them; ``query`` is the raw text behind
    the question mark, where ``+`` is itself (the signature is base64); ``now`` in Unix seconds.
    """
    parameters = _read_parameters(query)
    said, access_key = parameters.get("signature", ""), parameters.get("accesskey", "")
    expiry = parameters.get("expire", "")
    if not said or not access_key or not _EXPIRY.fullmatch(expiry):
        return PushVerdict.BAD_PARAMS
    if int(expiry) < now:
        return PushVerdict.EXPIRED
    signed = {name: value for name, value in parameters.items() if name not in _HMAC_FRAME}
    matches = [
        hmac.compare_digest(_octets(said), _hmac_sha1(secret, expiry, reading))
        for secret in secrets.get(access_key, ())
        if secret
        for reading in _hmac_readings(signed)
    ]
    return PushVerdict.ACCEPTED if any(matches) else PushVerdict.MISMATCH


def read_hmac_keys(keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read the ``keys`` of a publish domain with auth ``hmac``: each is ``<accesskey>:<secret>``.

    Returns access key -> secrets (several, for rotation). Raises ValueError that tells the position, never the text.
    """
    secrets: dict[str, tuple[str, ...]] = {}
    for position, key in enumerate(keys):
        access_key, _, secret = key.partition(":")
        if not access_key or not secret:
            raise ValueError(f"keys[{position}] of a domain with auth hmac must be <accesskey>:<secret>")
        secrets[access_key] = (*secrets.get(access_key, ()), secret)
    return secrets


def sign_md5(key: str, stream: str, expiry: int) -> str:
    """Return the query ``t=<expiry>&k=<signature>``; ``expiry`` in Unix seconds."""
    return f"t={expiry}&k={_md5(key, stream, str(expiry)).decode()}"


def sign_hmac(access_key: str, secret: str, expiry: int, parameters: Mapping[str, str]) -> str:
    """Return the query ``signature=&accesskey=&expire=`` followed by the further parameters, percent-encoded."""
    signature = _hmac_sha1(secret, str(expiry), dict(parameters)).decode()
    pairs = {"signature": signature, "accesskey": access_key, "expire": str(expiry), **parameters}
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs.items())


def _read_parameters(query: str) -> dict[str, str]:
    """Decode a query; nothing (hence bad parameters) where a name comes twice or there are too many."""
    parameters: dict[str, str] = {}
    pairs = query.split("&", MAX_PARAMETERS)
    for pair in pairs:
        name, _, value = pair.partition("=")
        name = unquote(name)
        if name in parameters or len(pairs) > MAX_PARAMETERS:
            return {}
        if pair:
            parameters[name] = unquote(value)
    return parameters


def _hmac_readings(signed: dict[str, str]) -> Iterator[dict[str, str]]:
    yield signed
    if not _ROUTING.isdisjoint(signed):
        yield {name: value for name, value in signed.items() if name not in _ROUTING}


def _md5(key: str, stream: str, expiry: str) -> bytes:
    # the scheme is the vendor's; its strength is the key's, not that of MD5
    return md5(_octets(key + stream + expiry), usedforsecurity=False).hexdigest()[8:24].encode()


def _hmac_sha1(secret: str, expiry: str, signed: dict[str, str]) -> bytes:
    text = "GET\n" + expiry + "\n" + "&".join(f"{name}={value}" for name, value in sorted(signed.items()))
    return b64encode(hmac.digest(_octets(secret), _octets(text), "sha1"))


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
