"""Requests as they come and answers as they go: the envelopes, and where Action, Version and parameters are looked for.

Rule: nothing here judges a caller or a parameter; it reads what is there and writes what it is given. Texts come from
the service model. Contract, sections 1 and 3.
"""

import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from openkls import model
from openkls.api.services import Place
from openkls.codec.sigv4 import MAX_QUERY_PARAMETERS, Claim, SignedRequest, header_value
from openkls.control.keyring import Credential
from openkls.domain.errors import GatewayError

# Three names of 256 characters, four bytes each and percent-encoded, with a hundred domain ids still fit.
TARGET_LIMIT_BYTES: Final = 16 * 1024
# No action's parameters come near it (security class 20).
BODY_LIMIT_BYTES: Final = 1024 * 1024

JSON_TYPE: Final = "application/json; charset=utf-8"
XML_TYPE: Final = "application/xml; charset=utf-8"
_TARGET_PREFIX: Final = "kls."
_PATH_PREFIX: Final = "/api/"
# The two upper bits of the digit that says which UUID this is are 10.
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Way(Enum):
    """How who asks has proved who they are; it says which steps the call takes (pipeline.STEPS_OF)."""

    SIGNED = "signed"
    SESSION = "session"
    """Logged in; the credential is known from the beginning."""
    UNMETERED = "unmetered"
    """A session's too, made by the service itself at a pace of its own: held against no request rate."""


@dataclass(slots=True)
class Call:
    """One request on its way through the steps; each step fills in what it has found (pipeline.STEPS)."""

    request: SignedRequest
    request_id: str
    oversized: bool = False
    """The body is over BODY_LIMIT_BYTES and was not read."""
    client_ip: str = ""
    """Who asks."""
    way: Way = Way.SIGNED
    claim: Claim = field(init=False)
    credential: Credential = field(init=False)
    query: dict[str, str] = field(init=False)
    operation: model.Operation = field(init=False)
    raw: Mapping[str, object] = field(init=False)
    """The parameters as sent: strings of a query or form, or JSON values."""
    parameters: Mapping[str, Any] = field(init=False)
    """The parameters as the model reads them."""
    place: Place = field(init=False)
    reached: bool = False
    """All steps passed: the action was begun."""
    retry_after_seconds: int = 0
    """When the caller may come again; 0 says nothing of it."""
    closes: bool = False
    """The connection ends with the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``error_code`` is "" for HTTP 200."""

    status: int
    content_type: str
    body: bytes
    request_id: str
    error_code: str = ""
    ret_code: int = 0
    retry_after_seconds: int = 0
    """For the header Retry-After; 0 is none."""
    closes: bool = False
    """The connection ends with it."""


# -- reading ------------------------------------------------------------------------------------------------------


def new_request_id() -> str:
    """A RequestId: UUID version 4 (RFC 9562, 5.4); written out here, as `uuid.uuid4` takes twice the time."""
    digits = secrets.token_hex(16)
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def split_target(target: str) -> tuple[str, str]:
    """Path and query of a request target, both raw: a signature covers the very bytes (contract, 2).

    An absolute-form target, which clients send to a proxy (RFC 9112, 3.2.2), is read without its scheme and authority.
    """
    if not target.startswith("/"):
        authority = target.find("://") + 3
        if authority > 2:
            slash, mark = target.find("/", authority), target.find("?", authority)
            begin = min((found for found in (slash, mark) if found >= 0), default=len(target))
            target = target[begin:]
    path, _, query = target.partition("?")
    return path or "/", query


def read_pairs(text: str) -> dict[str, str]:
    """The parameters of a query or a form; of a name that comes twice the last counts, as in a JSON object."""
    parts = [pair.partition("=") for pair in text.split("&") if pair]
    if "%" in text or "+" in text:
        return {_unquote(name): _unquote(value) for name, _, value in parts}
    return {name: value for name, _, value in parts}


def _unquote(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    # Bytes that are no UTF-8 become U+FFFD, which no name may hold.
    return unquote(text) if "%" in text else text


def named_action(call: Call) -> tuple[str, str]:
    """Action and Version, each from the first place that has it, "" where none has (contract, 1)."""
    action, version = call.query.get("Action", ""), call.query.get("Version", "")
    if action and version:
        return action, version
    headers = call.request.headers
    # The old official Python SDK (1.3) sends them only here.
    action = action or header_value(headers, "x-action") or ""
    version = version or header_value(headers, "x-version") or ""
    target = header_value(headers, "x-amz-target") or ""
    if target.startswith(_TARGET_PREFIX):
        action, version = action or target[len(_TARGET_PREFIX) :], version or model.CONTRACT_VERSION
    path = call.request.path
    if path.startswith(_PATH_PREFIX):
        path_action, _, path_version = path[len(_PATH_PREFIX) :].rstrip("/").partition("/")
        action, version = action or _unquote(path_action), version or _unquote(path_version)
    if not (action and version) and call.request.method == "POST":
        body = _readable_body(call)
        action, version = action or _text(body, "Action"), version or _text(body, "Version")
    return action, version


def _readable_body(call: Call) -> Mapping[str, object]:
    """The body's parameters, none when it cannot be read: that is for a later step to say."""
    try:
        return read_body(call.request)
    except GatewayError:
        return {}


def _text(parameters: Mapping[str, object], name: str) -> str:
    value = parameters.get(name)
    return value if isinstance(value, str) else ""


def read_parameters(call: Call) -> Mapping[str, object]:
    """All parameters as sent: a GET's query; a POST's body over its query. Raises GatewayError."""
    if call.request.method == "POST" and call.request.body:
        return {**call.query, **read_body(call.request)}
    return call.query


def read_body(request: SignedRequest) -> Mapping[str, object]:
    """The parameters of a JSON or form body. Raises GatewayError InvalidParameterValueType.

    The first byte tells which it is (Postman leaves a form type on JSON); a body that begins like neither is a form
    only if nobody said it was anything else. Content-Encoding is refused: the signature is over what came.
    """
    unreadable = GatewayError("InvalidParameterValueType")
    if header_value(request.headers, "content-encoding") not in (None, "", "identity"):
        raise unreadable
    body = request.body.strip()
    content_type = (header_value(request.headers, "content-type") or "").lower()
    if body[:1] in (b"{", b"[", b'"') or content_type.startswith(("application/json", "multipart/")):
        return _read_json(body)
    if body.count(b"&") >= MAX_QUERY_PARAMETERS or any(pair and b"=" not in pair for pair in body.split(b"&")):
        raise unreadable
    try:
        return read_pairs(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise unreadable from error


def _read_json(body: bytes) -> Mapping[str, object]:
    try:
        value = _decode(body) if body else {}
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8; nested too deep
        raise GatewayError("InvalidParameterValueType") from error
    if not isinstance(value, dict):
        raise GatewayError("InvalidParameterValueType")
    return value


# -- answering ----------------------------------------------------------------------------------------------------


def success(data: dict[str, Any], request_id: str) -> Answer:
    """HTTP 200 with RetCode 0 in Data."""
    data["RetCode"] = 0
    data["RetMsg"] = "success"
    return _answer_data(data, request_id)


def business_failure(operation: model.Operation, ret_code: int, request_id: str) -> Answer:
    """HTTP 200 with a RetCode, its text, and the zeroed members that some actions document."""
    return _answer_data(model.load(operation.version).failure(operation, ret_code), request_id)


def _answer_data(data: dict[str, Any], request_id: str) -> Answer:
    body = _encode({"Data": data, "RequestId": request_id})
    return Answer(200, JSON_TYPE, body, request_id, ret_code=data["RetCode"])


def gateway_failure(error: GatewayError, request_id: str, accept: str | None) -> Answer:
    """The status and text of the model's error, as JSON where ``accept`` asks for it and as XML otherwise."""
    shape = model.load().gateway_errors[error.shape]
    message = shape.message(*(_legible(fact) for fact in error.facts))
    if accept is not None and "application/json" in accept.lower():
        fault = {"Type": shape.type, "Code": shape.code, "Message": message}
        body, content_type = _encode({"RequestId": request_id, "Error": fault}), JSON_TYPE
    else:
        text = (
            f"<ErrorResponse><RequestId>{request_id}</RequestId><Error><Type>{shape.type}</Type>"
            f"<Code>{shape.code}</Code><Message>{html.escape(message, quote=False)}</Message></Error></ErrorResponse>"
        )
        body, content_type = text.encode("utf-8"), XML_TYPE
    return Answer(shape.status, content_type, body, request_id, shape.code)


def _legible(text: str) -> str:
    """What a client sent, fit for XML 1.0 and UTF-8: control characters and stray bytes become U+FFFD."""
    return "".join([char if char.isprintable() else "\ufffd" for char in text])
