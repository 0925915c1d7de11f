"""Signed calls of the OpenAPI over HTTP, synchronous.

Rule: what an action is called by, and where its parameters go, comes from the service model; a secret key is in no
error and no representation.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from openkls import model
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date

SERVICE = "kls"
REGION_DEFAULT = "cn-beijing-6"
TIMEOUT_SECONDS = 10.0
# Ours: the service counts the calls of a named bucket apart from the account's others.
BUCKET_HEADER = "X-OpenKLS-Bucket"
# 100,000 rows of ListStreamDurations, the longest answer there is, are about 12 MB.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
# What an error tells of an answer that is in no envelope: enough to see whose page it is.
EXCERPT_CHARACTERS = 200
# A proxy of the environment cannot reach this machine's own loopback.
_LOOPBACK_HOSTS = frozenset(("localhost", "127.0.0.1", "::1"))


class CallFailed(Exception):
    """The service answered with a failure.

    ``status`` is HTTP's. A business failure has status 200 and ``ret_code``; a gateway failure has ``ret_code``
    None and the error's name in ``code``. ``message`` is the service's text, ``request_id`` finds the call in its log.
    """

    def __init__(self, status: int, ret_code: int | None, code: str, message: str, request_id: str = "") -> None:
        name = code if ret_code is None else f"RetCode {ret_code}"
        super().__init__(f"{name}: {message}" + (f" (request {request_id})" if request_id else ""))
        self.status = status
        self.ret_code = ret_code
        self.code = code
        self.message = message
        self.request_id = request_id


class NoAnswer(CallFailed):
    """Nothing that could be read came back: refused, late, too long, not of the service. ``status`` is 0 when not even
    a status came. Whether the action was done is not known."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(status, None, "NoAnswer", message)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came. ``error_type`` is the header x-amzn-errortype, empty when there is none."""

    status: int
    body: bytes
    error_type: str = ""

    def whole(self) -> dict[str, Any]:
        """The whole JSON object. Raises NoAnswer when the body is none."""
        try:
            tree = json.loads(self.body)
        except ValueError:
            tree = None
        if not isinstance(tree, dict):
            excerpt = self.body[:EXCERPT_CHARACTERS].decode("utf-8", "replace")
            raise NoAnswer(f"HTTP status {self.status} and no JSON object, but: {excerpt!r}", self.status)
        return tree

    def data(self) -> dict[str, Any]:
        """``Data`` of a success. Raises CallFailed for a failure of either kind."""
        if self.status != httpx.codes.OK and self.error_type and not self.body.lstrip().startswith(b"{"):
            raise CallFailed(self.status, None, self.error_type, f"HTTP status {self.status}")
        tree = self.whole()
        request_id = str(tree.get("RequestId", ""))
        error = tree.get("Error")
        if isinstance(error, dict):
            raise CallFailed(self.status, None, str(error.get("Code", "")), str(error.get("Message", "")), request_id)
        data = tree.get("Data")
        ret_code = data.get("RetCode") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(ret_code, int):
            raise NoAnswer(f"HTTP status {self.status} and neither Data with a RetCode nor Error", self.status)
        if ret_code != 0:
            raise CallFailed(self.status, ret_code, "", str(data.get("RetMsg", "")), request_id)
        return data


class OpenApi:
    """One account's way to one service; keeps its connections, so use it as a context manager or ``close`` it."""

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        region: str = REGION_DEFAULT,
        timeout_seconds: float = TIMEOUT_SECONDS,
        bucket: str = "",
    ) -> None:
        """``endpoint`` is ``http://host[:port]`` or https; ``timeout_seconds`` bounds a call. ``bucket`` names the
        allowance of calls to draw on where it is not the account's common one, such as ``top``. Raises ValueError."""
        try:
            address = urlsplit(endpoint)
            host, port = address.hostname, address.port
        except ValueError as error:
            raise ValueError(f"the endpoint {endpoint!r} is no URL: {error}") from error
        if address.scheme not in ("http", "https") or not host or address.query or address.username:
            raise ValueError(f"the endpoint {endpoint!r} is not of the form http://host:port")
        if not access_key or not secret_key:
            raise ValueError("an access key and its secret key are needed")
        name = f"[{host}]" if ":" in host else host
        # As HTTP libraries write it: the scheme's own port is left out.
        default_port = {"http": 80, "https": 443}[address.scheme]
        self._host = name if port in (None, default_port) else f"{name}:{port}"
        self._base = f"{address.scheme}://{self._host}"
        self._path = address.path or "/"
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._timeout_seconds = timeout_seconds
        self._named_bucket = [(BUCKET_HEADER, bucket)] if bucket else []
        self._http = httpx.Client(timeout=timeout_seconds, trust_env=host not in _LOOPBACK_HOSTS)

    def __enter__(self) -> "OpenApi":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections up. Idempotent."""
        self._http.close()

    def call(self, action: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        """Call an action; ``Data`` of its answer.

        Parameters that are None are left out; names and values are the service's to judge. Raises KeyError for an
        action the model does not have, CallFailed for every failure.
        """
        return self.send(action, parameters).data()

    def send(self, action: str, parameters: Mapping[str, object]) -> Answer:
        """Call an action; its answer whatever it says. Raises KeyError as ``call`` does, NoAnswer if there is none."""
        operation = model.load().actions[action]
        given = {name: value for name, value in parameters.items() if value is not None}
        query = [("Action", operation.name), ("Version", model.load().version)]
        headers = [("Host", self._host), ("Accept", "application/json"), *self._named_bucket]
        body = b""
        if operation.method == "GET":
            query += [(name, str(value)) for name, value in given.items()]
        else:
            body = json.dumps(given, ensure_ascii=False).encode()
            headers.append(("Content-Type", "application/json"))
        text = sigv4.encode_query(query)
        request = sigv4.SignedRequest(operation.method, self._path, text, headers, body)
        signed = sigv4.sign(
            request, self._access_key, self._secret_key, self._region, SERVICE, build_amz_date(int(time.time()))
        )
        return self._exchange(request, [*headers, *signed.items()])

    def _exchange(self, request: sigv4.SignedRequest, headers: list[tuple[str, str]]) -> Answer:
        deadline = time.monotonic() + self._timeout_seconds
        url = f"{self._base}{request.path}?{request.query}"
        try:
            with self._http.stream(request.method, url, headers=headers, content=request.body or None) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise NoAnswer(f"an answer of more than {ANSWER_BYTES_MAX} bytes", response.status_code)
                    if time.monotonic() > deadline:
                        raise NoAnswer(f"{self._base} took longer than {self._timeout_seconds:g} s to answer")
                return Answer(response.status_code, bytes(body), response.headers.get("x-amzn-errortype", ""))
        except httpx.TimeoutException as error:
            raise NoAnswer(f"{self._base} did not answer within {self._timeout_seconds:g} s") from error
        except httpx.HTTPError as error:
            raise NoAnswer(f"{self._base} cannot be reached: {error}") from error
