"""Telling a customer's server of an event: CallbackSender (security class 16).

Rule: one POST, no redirect, 2xx accepts. Within SEND_SECONDS there is an outcome, whatever the server does; what is
sent, its URL and what it says never reach a log. Order and repetition are control.callbacks' to know.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from openkls.control.callbacks import SEND_SECONDS
from openkls.domain.callbacks import Callback, CallbackTarget, Outcome, Told
from openkls.hooks.targets import Fault, Targets, build_signed_headers

EVENT_ID_HEADER: Final = "X-OpenKLS-Event-Id"

_FAULTS: Final = {
    Fault.UNREACHABLE: Outcome.UNREACHABLE,
    Fault.BROKEN: Outcome.BROKEN,
    Fault.PRIVATE: Outcome.PRIVATE,
}


class CallbackHooks:
    """Customers' servers, told over HTTP; one for all events of a process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._targets = Targets()

    async def send(self, target: CallbackTarget, callback: Callback) -> Told:
        """CallbackSender."""
        body = callback.body.encode("ascii")
        headers = {EVENT_ID_HEADER: callback.event_id} | build_signed_headers(target.keys, self._clock(), body)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                status = await self._targets.post(target.url, body, headers, private=target.private)
        except TimeoutError:
            return Told(Outcome.LATE)
        if isinstance(status, Fault):
            return Told(_FAULTS[status])
        return Told(Outcome.ACCEPTED if 200 <= status < 300 else Outcome.REFUSED, status)

    async def close(self) -> None:
        """Close what is open. Idempotent."""
        await self._targets.close()
