"""The client without its network: what to send, what to make of what came back, and whether to send it again.

Rule: no I/O and no clock. A front takes a `Call`, sends what `sign` gives, tells `judge` what came of it, and does so
again for as long as `judge` says; then `answer` is the last word. sdk/conformance/README.md says what is done.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

import msgspec

from openkls.client import errors, failures
from openkls.client.credentials import Credentials
from openkls.client.tables import ACTIONS, CLIENT_VERSION, Action
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date, parse_amz_date

SERVICE: Final = "kls"
REGION_DEFAULT: Final = "cn-beijing-6"
TIMEOUT_SECONDS: Final = 10.0
RETRIES_DEFAULT: Final = 2
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
LONGEST_RETRY_AFTER_SECONDS: Final = 60
# 100,000 rows of ListStreamDurations, the longest answer there is, are about 12 MB.
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
# What an error tells of an answer that is in no envelope: enough to see whose page it is.
EXCERPT_CHARACTERS: Final = 200
# Ours: the service counts the calls of a named bucket apart from the account's others.
BUCKET_HEADER: Final = "X-OpenKLS-Bucket"
USER_AGENT: Final = f"openkls-python/{CLIENT_VERSION}"
# Of the gateway, so every action has it.
DRY_RUN: Final = "DryRun"

_OK: Final = 200
_CONFLICT: Final = 409
_SERVER_ERROR: Final = 500
_CUT_ONLY: Final = ("1", 1)
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
T = TypeVar("T")


class Fault(Enum):
    """How it came that there is no answer. Only what was refused has surely not been done."""

    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    TOO_LONG = "too long"


@dataclass(frozen=True, slots=True)
class Failed:
    """An exchange without an answer; ``status`` where at least that much came."""

    fault: Fault
    message: str
    status: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; the names of ``headers`` are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def error_type(self) -> str:
        """The header x-amzn-errortype, empty when there is none."""
        return self.headers.get("x-amzn-errortype", "")

    def whole(self) -> dict[str, Any]:
        """The whole JSON object. Raises NoAnswer when the body is none."""
        tree = _object(self.body)
        if tree is None:
            raise self.unreadable()
        return tree

    def unreadable(self) -> errors.NoAnswer:
        """What to raise for an answer that is of no form of the service's."""
        excerpt = self.body[:EXCERPT_CHARACTERS].decode("utf-8", "replace")
        return failures.no_answer(
            self.status, f"HTTP status {self.status} and no answer of KLS, but: {excerpt!r}", True
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What to send: ``target`` is path and query as signed, ``headers`` all that matter."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Again:
    """Send it again, after ``pause_seconds``; None: at once."""

    pause_seconds: float | None


class Core:
    """What all calls of one client have in common: its service, its key, its correction of the clock."""

    def __init__(
        self, endpoint: str, credentials: Credentials, region: str, retries: int = RETRIES_DEFAULT, bucket: str = ""
    ) -> None:
        """``endpoint`` is ``http://host[:port]`` or https. Raises UsageError."""
        try:
            address = urlsplit(endpoint)
            host, port = address.hostname, address.port
        except ValueError as error:
            raise errors.UsageError(f"the endpoint {endpoint!r} is no URL: {error}") from error
        if address.scheme not in ("http", "https") or not host or address.query or address.username:
            raise errors.UsageError(f"the endpoint {endpoint!r} is not of the form http://host:port")
        name = f"[{host}]" if ":" in host else host
        # As HTTP libraries write it: the scheme's own port is left out.
        default_port = {"http": 80, "https": 443}[address.scheme]
        self.hostname = host
        self.host = name if port in (None, default_port) else f"{name}:{port}"
        self.base = f"{address.scheme}://{self.host}"
        self.path = address.path or "/"
        self.credentials = credentials
        self.region = region
        self.retries = retries
        self.named_bucket = [(BUCKET_HEADER, bucket)] if bucket else []
        self.skew_seconds = 0

    def sign(self, method: str, query: str, body: bytes, now: float) -> Request:
        """A request with all its headers; ``now`` is what the client's clock says."""
        signed = [("Host", self.host), *self.named_bucket]
        if method == "POST":
            signed.append(("Content-Type", "application/json"))
        request = sigv4.SignedRequest(method, self.path, query, signed, body)
        pair = self.credentials
        date = build_amz_date(int(now) + self.skew_seconds)
        added = sigv4.sign(request, pair.access_key, pair.secret_key, self.region, SERVICE, date)
        headers = [*signed, ("Accept", "application/json"), ("User-Agent", USER_AGENT), *added.items()]
        return Request(method, f"{self.path}?{query}", headers, body)

    def presign(self, action: str, parameters: Mapping[str, object], now: float, expires_seconds: int) -> str:
        """The URL that makes a call when it is opened, by whoever has it; of every action a GET."""
        query = _query(_action(action), _given(_action(action), parameters))
        request = sigv4.SignedRequest("GET", self.path, query, [("Host", self.host)])
        pair = self.credentials
        date = build_amz_date(int(now) + self.skew_seconds)
        signed = sigv4.presign(request, pair.access_key, pair.secret_key, self.region, SERVICE, date, expires_seconds)
        return f"{self.base}{self.path}?{signed}"


class Call:
    """One call of an action, from its first attempt to its last. Raises UsageError for what cannot be asked."""

    def __init__(self, core: Core, action: str | Action, parameters: Mapping[str, object]) -> None:
        self._core = core
        self._action = _action(action)
        given = _given(self._action, parameters)
        by_query = self._action.method == "GET"
        try:
            self._query = _query(self._action, given if by_query else {})
            self._body = b"" if by_query else msgspec.json.encode(given)
        except (UnicodeEncodeError, TypeError, msgspec.MsgspecError) as error:
            raise errors.UsageError(f"the parameters of {self._action.name} cannot be written: {error}") from error
        cuts_only = self._action.name == "ForbidStream" and given.get("ForbidTillUnixTime") in _CUT_ONLY
        self._once = cuts_only or not self._action.repeatable
        self._attempts = 0
        self._corrected = False
        self.answer: Answer | None = None
        self._error: errors.KlsError | None = None
        self._data: dict[str, Any] = {}

    def sign(self, now: float) -> Request:
        """The next attempt."""
        return self._core.sign(self._action.method, self._query, self._body, now)

    def judge(self, outcome: Answer | Failed, now: float) -> Again | None:
        """What to do now: another attempt, or (None) nothing more. ``now`` is what the clock said at the outcome."""
        self.answer = outcome if isinstance(outcome, Answer) else None
        self._error = self._read(outcome)
        if self._error is None or isinstance(self._error, errors.BusinessError):
            return None
        if self._error.code == "InvalidTimestamp" and self._correct(outcome, now):
            return Again(None)
        self._attempts += 1
        if not self._error.retryable or self._attempts > self._core.retries:
            return None
        pause = random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self._attempts - 1)))  # noqa: S311
        asked = _retry_after(outcome)
        return None if asked > LONGEST_RETRY_AFTER_SECONDS else Again(max(pause, asked))

    def data(self) -> dict[str, Any]:
        """``Data`` of the last answer. Raises KlsError for a failure."""
        if self._error is not None:
            raise self._error
        return self._data

    def result(self, kind: type[T]) -> T:
        """``Data`` of the last answer as ``kind``. Raises KlsError, NoAnswer where it does not fit."""
        try:
            return msgspec.convert(self.data(), kind, strict=False)
        except msgspec.ValidationError as error:
            raise failures.no_answer(_OK, f"an answer that is not as the model says: {error}", False) from error

    def last_answer(self) -> Answer:
        """The last answer, whatever it says. Raises NoAnswer where there was none."""
        if self.answer is None:
            assert self._error is not None
            raise self._error
        return self.answer

    def _read(self, outcome: Answer | Failed) -> errors.KlsError | None:
        """The failure that an outcome is, None for a success."""
        if isinstance(outcome, Failed):
            again = outcome.fault is Fault.REFUSED or not self._once
            return failures.no_answer(outcome.status, outcome.message, again)
        tree = _object(outcome.body)
        if tree is None:
            tree = _xml(outcome.body)
        request_id, error, data = _text(tree, "RequestId"), tree.get("Error"), tree.get("Data")
        if isinstance(error, dict):
            code, status = _text(error, "Code"), outcome.status
            limited = status == _CONFLICT and code == "LimitExceeded"
            again = limited or (status >= _SERVER_ERROR and not self._once)
            return failures.gateway(status, code, _text(error, "Message"), request_id, again)
        ret_code = data.get("RetCode") if isinstance(data, dict) else None
        if outcome.status != _OK or not isinstance(ret_code, int) or not isinstance(data, dict):
            unread = outcome.unreadable()
            return failures.no_answer(unread.status, unread.message, not self._once)
        if ret_code != 0:
            return failures.business(_OK, ret_code, _text(data, "RetMsg"), request_id)
        self._data = data
        return None

    def _correct(self, outcome: Answer | Failed, now: float) -> bool:
        """Whether the service's clock is now known, and was not before in this call."""
        there = parse_amz_date(outcome.headers.get("date", "")) if isinstance(outcome, Answer) else None
        if self._corrected or there is None:
            return False
        self._corrected = True
        self._core.skew_seconds = there - int(now)
        return True


class Pages:
    """The pages of an action, one after the other; ``parameters`` are those of the next, None behind the last."""

    def __init__(self, action: str, parameters: Mapping[str, object]) -> None:
        paging = _action(action).paging
        if paging is None:
            raise errors.UsageError(f"{action} has no pages")
        asked = parameters.get("Limit")
        limit = asked if isinstance(asked, int) and asked > 0 else paging.default
        # The service would read another Limit as this one, and skip Marker times this one.
        self._limit = min(limit, paging.at_most)
        self._marker = 0
        self.parameters: dict[str, object] | None = {**parameters, "Marker": 0, "Limit": self._limit}

    def turn(self, total: int, rows: int) -> None:
        """A page had ``rows`` of ``total`` rows of all pages."""
        assert self.parameters is not None
        self._marker += 1
        over = rows == 0 or self._marker * self._limit >= total
        self.parameters = None if over else {**self.parameters, "Marker": self._marker}


def _action(name: str | Action) -> Action:
    if isinstance(name, Action):
        return name
    if name not in ACTIONS:
        raise errors.UsageError(f"there is no action {name!r}; known are {', '.join(ACTIONS)}")
    return ACTIONS[name]


def _given(action: Action, parameters: Mapping[str, object]) -> dict[str, object]:
    """Those that are not None, in the model's order."""
    unknown = [name for name in parameters if name not in action.parameters and name != DRY_RUN]
    if unknown:
        raise errors.UsageError(f"{action.name} has no parameter {unknown[0]!r}; known: {', '.join(action.parameters)}")
    found = [(name, parameters.get(name)) for name in (*action.parameters, DRY_RUN)]
    return {name: value for name, value in found if value is not None}


def _query(action: Action, given: Mapping[str, object]) -> str:
    """The canonical query: what is signed is what is sent."""
    pairs = [("Action", action.name), ("Version", action.version)]
    pairs += [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in given.items()]
    return sigv4.encode_query(sorted(pairs))


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _xml(body: bytes) -> dict[str, Any]:
    """The one form of XML that the service has, as its JSON would be; empty for everything else."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return {}
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - entities are refused above
    except (ElementTree.ParseError, ValueError):
        return {}
    error = root.find("Error")
    if root.tag != "ErrorResponse" or error is None:
        return {}
    return {
        "RequestId": root.findtext("RequestId", ""),
        "Error": {name: error.findtext(name, "") for name in ("Type", "Code", "Message")},
    }


def _text(tree: Mapping[str, Any], name: str) -> str:
    value = tree.get(name, "")
    return value if isinstance(value, str) else str(value)


def _retry_after(outcome: Answer | Failed) -> int:
    """Seconds that the service asked for; 0 when it did not, or in words that are no number."""
    said = outcome.headers.get("retry-after", "") if isinstance(outcome, Answer) else ""
    return int(said) if _SECONDS.fullmatch(said.strip()) else 0
