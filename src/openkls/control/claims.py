"""The names this process holds in the whole cluster.

Rule: the registry says what is held; Redis is told, and told again, until it says the same. Whoever finds another's
claim where its own should be ends its session.

Theory of operation. The cluster's claim of a name is taken before the local one, and belongs to the process: among its
own sessions its registry decides. Every RENEW_SECONDS all claims are renewed in one call, which also claims again what
Redis has lost and tells what somebody else holds. Names given up go back at once; giving back and renewing take turns
in one task, so that no renewal revives a claim that was given back. Tokens keep a late goodbye from freeing the claim
of a successor.

While the ephemeral ports do not answer, names are decided by the registry alone. When they answer again everything is
claimed again at once: a claim that survived wins; of several that are made again the oldest session's does, within
RESTORE_SECONDS, in which also new claims yield to older sessions and renewals come every second.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable

from openkls.control.finish import Endings
from openkls.domain.errors import ClusterUnavailable
from openkls.domain.keys import StreamName
from openkls.domain.ports import LEASE_SECONDS, ClaimsPort, Hold, Link
from openkls.domain.registry import Registry, is_silent
from openkls.domain.session import BreakCode, Reason, Session

log = logging.getLogger("openkls.control.claims")

RENEW_SECONDS = 3.0
RESTORE_SECONDS = 5.0
RESTORE_RENEW_SECONDS = 1.0


class Claims:
    """The cluster's claims of one process, whose lasting name is ``owner``."""

    def __init__(
        self,
        port: ClaimsPort,
        link: Link,
        registry: Registry,
        endings: Endings,
        owner: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._link = link
        self._registry = registry
        self._endings = endings
        self._owner = owner
        self._clock = clock
        self._monotonic = monotonic
        self._leaving: dict[StreamName, tuple[float, set[str]]] = {}
        self._renew_at = 0.0
        self._wake = asyncio.Event()
        self.lost = 0
        """Sessions ended because another process held their name, since the start."""
        self.unasked = 0
        """Names taken by the registry alone, as nobody could be asked, since the start."""
        endings.ended = self.leave
        link.on_up(self._restore)

    async def take(self, session: Session) -> bool:
        """Claim the session's name; False when another process holds it. True also while nobody can be asked."""
        contest_seconds = max(0.0, RESTORE_SECONDS - self._link.up_seconds)
        try:
            return await self._port.take(session.key.name, self._owner, session.facts.session_id, contest_seconds)
        except ClusterUnavailable:
            self.unasked += 1
            return True

    def leave(self, session: Session) -> None:
        """Give the session's name back, soon: unless another session of this process holds it by then."""
        name = session.key.name
        _, tokens = self._leaving.setdefault(name, (self._monotonic(), set()))
        tokens.add(session.facts.session_id)
        self._wake.set()

    async def run(self) -> None:
        """Renew and give back, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._renew_at - self._monotonic())):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.step()
            except Exception:  # a loop that ended would leave this process's names to others
                log.exception("the claims could not be renewed")

    async def step(self) -> None:
        """Give back what is to be given back, and renew what is due."""
        now = self._monotonic()
        due = now >= self._renew_at
        if due:
            restoring = self._link.up_seconds < RESTORE_SECONDS
            self._renew_at = now + (RESTORE_RENEW_SECONDS if restoring else RENEW_SECONDS)
        leaving, self._leaving = self._leaving, {}
        try:
            await self._give_back(leaving)
            # Only now: what has ended meanwhile must not be claimed again.
            await self._renew(self._registry.sessions() if due else self._holders(leaving))
        except ClusterUnavailable:
            for name, (since, tokens) in leaving.items():
                if now - since < LEASE_SECONDS:  # else it has lapsed by itself
                    later = self._leaving.get(name)
                    self._leaving[name] = since, tokens | (later[1] if later else set())

    async def _give_back(self, leaving: dict[StreamName, tuple[float, set[str]]]) -> None:
        free = {name: frozenset(tokens) for name, (_, tokens) in leaving.items() if not self._registry.holder(name)}
        if free:
            await self._port.release(self._owner, free)

    async def _renew(self, sessions: Iterable[Session]) -> None:
        held = {session.key.name: session for session in sessions}
        if not held:
            return
        holds = {name: Hold(session.facts.session_id, is_silent(session)) for name, session in held.items()}
        lost = await self._port.hold(self._owner, holds, RESTORE_SECONDS)
        if lost:
            log.warning("%d names of this node are held by another now; their sessions end", len(lost))
        for name in lost:
            self._end(held[name])

    def _holders(self, names: Iterable[StreamName]) -> list[Session]:
        return [holder for name in names if (holder := self._registry.holder(name)) is not None]

    def _end(self, session: Session) -> None:
        """Its name is another's: end it, unless it ended by itself meanwhile."""
        if not self._registry.holds(session):
            return
        # One that yields because its peer was silent is over like any other whose peer went away.
        silent = is_silent(session)
        code = BreakCode.SUCCESS if silent else BreakCode.ALREADY_EXISTS
        reason = Reason.TAKEN_OVER if silent else Reason.CLAIM_LOST
        self.lost += 1
        log.info("session %s ends: its name is held by another node", session.facts.session_id)
        self._registry.evict(session.key, code)
        try:
            session.publisher.kick(code)
        except Exception:
            log.exception("session %s: could not be kicked", session.facts.session_id)
        self._endings.finish(session, code, reason, self._clock())

    def _restore(self) -> None:
        self._renew_at = 0.0
        self._wake.set()
