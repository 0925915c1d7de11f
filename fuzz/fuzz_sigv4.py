"""Fuzz target: signed requests and push authentication.

The input is a request in lines: method, path, query, then headers; whatever follows an empty line is the body.
"""

from openkls.codec import ProtocolError, pushauth, sigv4

_DATE = "20261122T153900Z"
_SECRET = "secret"  # of the seeds only


def seeds() -> list[bytes]:
    """Requests that verify: by header, presigned, with a body; and a signed publish URL's query."""
    signed = []
    for method, query, body in (
        ("GET", "Action=GetBlacklist&Stream=s%201", b""),
        ("POST", "b=2&a=+", b'{"App":"live"}'),
    ):
        request = sigv4.SignedRequest(method, "/", query, [("Host", "kls.test")], body)
        added = sigv4.sign(request, "AK", _SECRET, "cn-beijing-6", "kls", _DATE)
        signed.append(_lines(method, query, [("Host", "kls.test"), *added.items()], body))
    request = sigv4.SignedRequest("GET", "/", "Action=GetBlacklist", [("Host", "kls.test")])
    query = sigv4.presign(request, "AK", _SECRET, "cn-beijing-6", "kls", _DATE, 600)
    signed.append(_lines("GET", query, [("Host", "kls.test")], b""))
    signed.append(b"GET\n/\n" + pushauth.sign_hmac("AK", _SECRET, 1436976000, {"nonce": "1"}).encode())
    signed.append(b"GET\n/\n" + pushauth.sign_md5(_SECRET, "stream", 1560096712).encode())
    return signed


def _lines(method: str, query: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    head = [method, "/", query, *(f"{name}: {value}" for name, value in headers)]
    return "\n".join(head).encode() + b"\n\n" + body


def fuzz_one(data: bytes) -> None:
    """Any request gives a claim that a secret nobody has does not verify, or a ProtocolError."""
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("utf-8", "surrogateescape").split("\n")
    method, path, query = [*lines, "", "", ""][:3]
    headers = [(name, value) for name, _, value in (line.partition(":") for line in lines[3:])]
    request = sigv4.SignedRequest(method, path, query, headers, body)
    for check in (
        lambda: pushauth.check_md5(["a key"], path, query, 0),
        lambda: pushauth.check_hmac({"AK": ("another",)}, query, 0),
    ):
        assert check() is not pushauth.PushVerdict.ACCEPTED
    try:
        claim = sigv4.read_claim(request)
    except ProtocolError:
        return
    sigv4.is_timely(claim, 1795361940)
    sigv4.verify(request, claim, _SECRET)
    assert not sigv4.verify(request, claim, "a secret nobody has")
