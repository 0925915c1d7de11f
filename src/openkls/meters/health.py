"""`/healthz` and `/readyz`: whether the process lives, and whether it is worth sending somebody to.

Rule: neither asks who asks, so neither says more than a few words, and asking often costs no more than asking once.

Theory of operation. That `/healthz` is answered at all is what it says: the loop turns. `/readyz` asks the store for
nothing, with a short deadline, and takes its writer's word for writing; of Redis the link knows. What was found holds
for FRESH_SECONDS for whoever asks.

A process that is not ready may well carry streams: publishers and viewers stay on it, and new ones are served. It is a
hint to whoever has another one to choose, never a reason to end it.
"""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.meters.door import say
from openkls.meters.parts import Parts

ALIVE_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"
# A store that takes longer for nothing is of no use to who waits for an answer.
STORE_SECONDS: Final = 1.0
FRESH_SECONDS: Final = 1.0

_METHODS: Final = ("GET", "HEAD")
_HEADERS: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Found(msgspec.Struct, frozen=True):
    """What was found; each is ``ok`` or says what is wrong."""

    ready: bool
    service: str
    """``ok`` or ``stopping``."""
    store: str
    """``ok``, ``late`` or ``unavailable``."""
    cluster: str
    """``ok``, ``unavailable``, or ``none`` where there is none."""


class Health:
    """The sites `/healthz` and `/readyz`."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        self.stopping = False
        """The service ends; set by whoever ends it."""
        self._parts = parts
        self._clock = clock
        self._asked_at = -FRESH_SECONDS
        self._asking: asyncio.Task[str] | None = None

    async def alive(
        self, request: web.BaseRequest, path: str, query: str, body: bytes | None, client_ip: str
    ) -> web.StreamResponse:
        """api.listener.Site, of `/healthz`."""
        if path != ALIVE_PATH or request.method not in _METHODS:
            return say(HTTPStatus.NOT_FOUND, f"GET {ALIVE_PATH} expected.")
        return say(HTTPStatus.OK, "ok")

    async def ready(
        self, request: web.BaseRequest, path: str, query: str, body: bytes | None, client_ip: str
    ) -> web.StreamResponse:
        """api.listener.Site, of `/readyz`."""
        if path != READY_PATH or request.method not in _METHODS:
            return say(HTTPStatus.NOT_FOUND, f"GET {READY_PATH} expected.")
        found = await self.find()
        status = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(status=status, body=msgspec.json.encode(found) + b"\n", headers=_HEADERS)

    async def find(self) -> Found:
        """Whether this process is worth sending somebody to."""
        redis = self._parts.redis
        cluster = "none" if redis is None else "ok" if redis.up else "unavailable"
        service = "stopping" if self.stopping else "ok"
        store = await self._ask_store()
        return Found(service == "ok" and store == "ok" and cluster != "unavailable", service, store, cluster)

    async def close(self) -> None:
        """End what is under way. Idempotent."""
        self.stopping = True
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await asyncio.wait((self._asking,))

    async def _ask_store(self) -> str:
        """One question at a time, of all who want to know."""
        if not self._parts.reconcile.store_reachable:
            return "unavailable"
        if self._asking is None or (self._asking.done() and self._clock() - self._asked_at >= FRESH_SECONDS):
            self._asking = asyncio.create_task(self._probe(), name="readyz")
        return await asyncio.shield(self._asking)

    async def _probe(self) -> str:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._parts.store.ping()
        except (TimeoutError, StoreTimeout):
            return "late"
        except StoreUnavailable:
            return "unavailable"
        finally:
            self._asked_at = self._clock()
        return "ok"
