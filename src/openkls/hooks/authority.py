"""Asking customers' servers whether a publish may begin (contract, 8: external; security class 16).

Rule: whatever such a server does, its publish is let in or refused within ASK_SECONDS, and nobody else waits for it;
what it is asked, its URL and what it says never reach a log.

Theory of operation. Each question is a POST (targets.py), bounded in number and in time here. ``stop`` ends what is
under way by calling its deadline in.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from openkls.domain.ports import PushAnswer, PushFacts, PushServer
from openkls.hooks.targets import Fault, Targets, build_signed_headers

log = logging.getLogger("openkls.hooks.authority")

# Contract, 8: from the question to the head of its answer, resolution and handshakes included.
ASK_SECONDS: Final = 2.0
# Questions under way at once, of all servers and of one. A server that hangs holds its questions for ASK_SECONDS: with
# fewer for one than for all it does not stop the others' publishes. 64 in 2 s are 32 publishes a second of one domain.
ASKS_LIMIT: Final = 512
ASKS_PER_SERVER_LIMIT: Final = 64
# A server that fails is told of in the log so often, not at every publish.
WARN_SECONDS: Final = 60.0

_FAULTS: Final = {
    Fault.UNREACHABLE: PushAnswer.UNREACHABLE,
    Fault.BROKEN: PushAnswer.BROKEN,
    Fault.PRIVATE: PushAnswer.PRIVATE,
}
_FAILURES: Final = frozenset((PushAnswer.LATE, *_FAULTS.values()))


class PushHooks:
    """Customers' servers, asked over HTTP; one for all admissions of a process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._targets = Targets()
        self._asking: set[asyncio.Timeout] = set()
        self._asking_of: Counter[str] = Counter()
        self._warned_at: dict[str, float] = {}
        self._stopped = False
        self.answers: Counter[PushAnswer] = Counter()
        """What came of the questions, since the start."""

    def __len__(self) -> int:
        """Questions under way."""
        return len(self._asking)

    async def ask(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        """PushAuthority. Raises CancelledError when the service ends meanwhile: nobody is left to be told."""
        answer = PushAnswer.BUSY
        if len(self._asking) < ASKS_LIMIT and self._asking_of[server.url] < ASKS_PER_SERVER_LIMIT:
            answer = await self._ask(server, facts)
        elif not self._asking_of[server.url]:
            del self._asking_of[server.url]
        self.answers[answer] += 1
        if answer in _FAILURES:
            self._warn(server, answer)
        return answer

    def stop(self) -> None:
        """End every question under way, and any that is yet to be asked. Idempotent."""
        self._stopped = True
        for deadline in self._asking:
            if not deadline.expired():
                deadline.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Stop, and close what is open. Idempotent."""
        self.stop()
        await self._targets.close()

    async def _ask(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        deadline = asyncio.timeout(ASK_SECONDS)
        self._asking.add(deadline)
        self._asking_of[server.url] += 1
        try:
            async with deadline:
                if self._stopped:
                    raise asyncio.CancelledError
                return await self._post(server, facts)
        except TimeoutError:
            if self._stopped:
                raise asyncio.CancelledError from None
            return PushAnswer.LATE
        finally:
            self._asking.discard(deadline)
            self._asking_of[server.url] -= 1
            if not self._asking_of[server.url]:
                del self._asking_of[server.url]

    async def _post(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        body = build_question(facts)
        headers = build_signed_headers(server.keys, self._clock(), body)
        status = await self._targets.post(server.url, body, headers, private=server.private)
        if isinstance(status, Fault):
            return _FAULTS[status]
        return PushAnswer.ACCEPTED if status == 200 else PushAnswer.REFUSED

    def _warn(self, server: PushServer, answer: PushAnswer) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned_at.get(server.url, -WARN_SECONDS) >= WARN_SECONDS:
            self._warned_at[server.url] = now
            url = urlsplit(server.url)
            log.warning(
                "the external server %s://%s %s: the publishes it is asked about are refused",
                url.scheme,
                url.netloc,
                answer,
            )


def build_question(facts: PushFacts) -> bytes:
    """The JSON that a customer's server is sent, in ASCII."""
    return json.dumps(
        {
            "UniqueName": facts.unique_name,
            "App": facts.app,
            "Pubdomain": facts.pubdomain,
            "Stream": facts.stream,
            "PubParam": facts.pub_param,
            "ClientIp": facts.client_ip,
        }
    ).encode("ascii")
