"""The asyncio client. Rule: it sends and waits; what is sent and what it means is the core's to say."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from openkls.client.core import (
    ANSWER_BYTES_MAX,
    REGION_DEFAULT,
    RETRIES_DEFAULT,
    TIMEOUT_SECONDS,
    Answer,
    Call,
    Core,
    Failed,
    Pages,
    Request,
)
from openkls.client.credentials import find_credentials, find_endpoint
from openkls.client.methods import AsyncMethods
from openkls.client.tables import Action
from openkls.client.wire import answer_of, failed, too_late, too_long, trusts_environment, url_of

T = TypeVar("T")


class AsyncClient(AsyncMethods):
    """One account's way to one service; keeps its connections, so use it as an async context manager or ``aclose`` it.

    Every action is a method: `list_realtime_streams_info` and so on. Tasks of one event loop may share it.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        region: str = REGION_DEFAULT,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: int = RETRIES_DEFAULT,
        bucket: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """``endpoint`` is ``http://host[:port]`` or https; without it OPENKLS_ENDPOINT, else this machine.

        Without a key pair: OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY, else ./.kscore.cfg, else /etc/kscore.cfg.
        ``timeout_seconds`` bounds an attempt, ``retries`` are the attempts after the first. ``bucket`` names the
        allowance of calls to draw on where it is not the account's common one, such as ``top``. ``transport``,
        ``clock`` and ``sleep`` take the place of the network and of time. Raises UsageError.
        """
        self._core = Core(
            find_endpoint(endpoint), find_credentials(access_key, secret_key), region, max(0, retries), bucket
        )
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            timeout=timeout_seconds, trust_env=trusts_environment(self._core), transport=transport
        )

    def __repr__(self) -> str:
        return f"AsyncClient({self._core.base!r}, {self._core.credentials.access_key!r})"

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connections up. Idempotent."""
        await self._http.aclose()

    async def fetch(self, action: str, parameters: Mapping[str, object], result: type[T]) -> T:
        """Call an action by its name; ``Data`` of its answer as ``result``. Raises KlsError."""
        return (await self.make(action, parameters)).result(result)

    async def rows(self, action: str, parameters: Mapping[str, object], page: type[Any]) -> AsyncIterator[Any]:
        """The rows of all pages of an action, each page as ``page``. Raises KlsError."""
        pages = Pages(action, parameters)
        while pages.parameters is not None:
            found = await self.fetch(action, pages.parameters, page)
            for row in found.result:
                yield row
            pages.turn(found.total, len(found.result))

    async def call(self, action: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        """Call an action by its name with parameters by theirs; ``Data`` of its answer.

        Parameters that are None are left out; values are the service's to judge. Raises KlsError for every failure.
        """
        return (await self.make(action, parameters)).data()

    async def send(self, action: str, parameters: Mapping[str, object]) -> Answer:
        """Call an action; its answer whatever it says. Raises UsageError, and NoAnswer if there is none."""
        return (await self.make(action, parameters)).last_answer()

    def presigned_url(self, action: str, parameters: Mapping[str, object], expires_seconds: int = 600) -> str:
        """A URL that makes this call when it is opened, by whoever has it, for at most seven days."""
        return self._core.presign(action, parameters, self._clock(), expires_seconds)

    async def make(self, action: str | Action, parameters: Mapping[str, object]) -> Call:
        """Call an action, with all the attempts that it takes; the call, which knows its answer. Raises UsageError."""
        call = Call(self._core, action, parameters)
        while True:
            outcome = await self._exchange(call.sign(self._clock()))
            again = call.judge(outcome, self._clock())
            if again is None:
                return call
            if again.pause_seconds is not None:
                await self._sleep(again.pause_seconds)

    async def _exchange(self, request: Request) -> Answer | Failed:
        url, content = url_of(self._core, request), request.body or None
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._http.stream(request.method, url, headers=request.headers, content=content) as response,
            ):
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        return too_long(response.status_code)
                return answer_of(response, bytes(body))
        except TimeoutError:
            return too_late(self._core, self._timeout_seconds)
        except httpx.HTTPError as error:
            return failed(self._core, error, self._timeout_seconds)
