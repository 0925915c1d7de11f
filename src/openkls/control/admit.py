"""Whether a publish may begin (design, flow (a) 2 and 3).

Rule: the claim is one synchronous step, made as of the moment it is made, however long a customer's server was waited
for before it; after the one await that follows it, the session must still hold its name.

In a cluster its claim is taken first and the local one after it; whoever fails the second gives the first back. A ban
that was made elsewhere may not have been heard of here, so the store is asked for newer ones while the session is being
recorded: whoever forbids from then on finds the session in the registry.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from openkls.control.claims import Claims
from openkls.control.directory import Directory, Door
from openkls.control.finish import Endings
from openkls.control.ids import new_session_id
from openkls.control.journal import Journal
from openkls.control.pushdoor import PublishAsk, Refused, judge
from openkls.domain.keys import StreamKey
from openkls.domain.ports import PushAuthority
from openkls.domain.quality import Quality
from openkls.domain.refusals import ROWS_PER_MINUTE, RefusalQuota
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode, HistoryRow, Publisher, Reason, Session, SessionFacts

__all__ = ["Admission", "Knocks", "PublishAsk", "Refused"]

log = logging.getLogger("openkls.control.admit")

# A store that is late does not stop broadcasters: beyond this the row waits in the journal.
OPEN_DEADLINE_SECONDS = 1.0
# A malformed name goes into its error row cut to what a well-formed one may have (contract, 5).
NAME_LIMIT = 256


@dataclass(slots=True)
class Knocks:
    """Counters of admissions since the start."""

    admitted: int = 0
    refused: int = 0
    unknown_domain: int = 0
    late_opens: int = 0


class Admission:
    """Admits publishes of this process, whose ``boot_id`` and reported address ``node`` go into every row."""

    def __init__(
        self,
        directory: Directory,
        registry: Registry,
        journal: Journal,
        endings: Endings,
        boot_id: str,
        node: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        authority: PushAuthority | None = None,
        claims: Claims | None = None,
        newer_bans: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``claims`` are the cluster's; ``newer_bans`` takes in those that the store has and raises nothing."""
        self._directory = directory
        self._registry = registry
        self._journal = journal
        self._endings = endings
        self._boot_id = boot_id
        self._node = node
        self._clock = clock
        self._monotonic = monotonic
        self._authority = authority
        self._claims = claims
        self._newer_bans = newer_bans
        self.quota = RefusalQuota()
        self.knocks = Knocks()

    async def admit(self, ask: PublishAsk, publisher: Publisher) -> Session | Refused:
        """Claim the name asked for and record the session. A Session returned holds its name and has ``started``
        set: the caller answers Publish.Start without awaiting anything first. Every refusal has been recorded."""
        door = self._directory.publish_door(ask.tc_url, ask.app_query, ask.query)
        if door is None:
            self.knocks.unknown_domain += 1
            return self._refused(Refused(BreakCode.BAD_PARAMS, "unknown publish domain"))
        refused = await judge(ask, door, self._authority, self._clock())
        now = self._clock()
        session = Session(self._facts(ask, door, now), publisher, Quality(self._monotonic()))
        if refused is None and self._claims is not None:
            refused = await self._claim_in_cluster(self._claims, session, now)
            now = self._clock()
        if refused is None:
            claim = self._registry.claim(session, now)
            if claim.displaced is not None:
                self._displace(claim.displaced, now)
            if claim.refusal is None:
                return await self._open(session)
            if self._claims is not None:
                self._claims.leave(session)
            refused = Refused(claim.refusal, "the name is taken or forbidden")
        self._endings.failures.count(session.facts.key, door.space.has_app(session.facts.key.app))
        self._record(session.facts, refused)
        return self._refused(refused)

    async def _claim_in_cluster(self, claims: Claims, session: Session, now: float) -> Refused | None:
        code = self._registry.refusal(session.key, now)
        if code is not None:  # Redis need not be asked
            return Refused(code, "the name is taken or forbidden")
        try:
            granted = await claims.take(session)
        except asyncio.CancelledError:
            claims.leave(session)
            raise
        return None if granted else Refused(BreakCode.ALREADY_EXISTS, "the name is taken on another node")

    async def _open(self, session: Session) -> Session | Refused:
        try:
            if self._newer_bans is None:
                opened = await self._journal.open(session.facts, OPEN_DEADLINE_SECONDS)
            else:
                opened = await self._open_knowing(session, self._newer_bans)
            if not opened:
                self.knocks.late_opens += 1
        except asyncio.CancelledError:
            # Nobody is left to hold the name: the peer has gone, or the service ends.
            self._endings.finish(session, BreakCode.SUCCESS, Reason.CLOSED, self._clock())
            raise
        if not self._registry.holds(session):
            # Whoever took the name ended the session, and with it wrote its row: an error row, as it never started.
            code = session.evicted_with or BreakCode.FORBIDDEN
            return self._refused(Refused(code, "lost its name while it was being recorded"))
        session.started = True
        session.quality.begin(self._monotonic())
        self.knocks.admitted += 1
        return session

    async def _open_knowing(self, session: Session, newer_bans: Callable[[], Awaitable[None]]) -> bool:
        """Record the session while the bans are read: what comes of a late store is the same for both."""
        reading = asyncio.ensure_future(newer_bans())
        try:
            opened = await self._journal.open(session.facts, OPEN_DEADLINE_SECONDS)
            await asyncio.wait([reading], timeout=OPEN_DEADLINE_SECONDS if opened else 0)
        finally:
            reading.cancel()
        return opened

    def _displace(self, session: Session, now: float) -> None:
        try:
            session.publisher.kick(BreakCode.SUCCESS)
        except Exception:
            # Its name has been taken already: a connection that will not close must not stop its successor.
            log.exception("session %s: could not be kicked", session.facts.session_id)
        self._endings.finish(session, BreakCode.SUCCESS, Reason.TAKEN_OVER, now)

    def _record(self, facts: SessionFacts, refused: Refused) -> None:
        name = "/".join(facts.key.name)
        if self.quota.allows(facts.key, facts.client_ip, self._monotonic()):
            self._journal.close(HistoryRow(facts, facts.pub_time, refused.code, Reason.REFUSED, accepted=False))
            log.info("publish of %s from %s refused: %d, %s", name, facts.client_ip, refused.code, refused.cause)
        elif self.quota.suppressed_this_minute == 1:  # one line a minute, whoever knocks how often
            log.warning(
                "%s is pushed from %s more than %d times a minute and refused; this and further refusals of the "
                "minute are only counted",
                name,
                facts.client_ip,
                ROWS_PER_MINUTE,
            )

    def _refused(self, refused: Refused) -> Refused:
        self.knocks.refused += 1
        return refused

    def _facts(self, ask: PublishAsk, door: Door, now: float) -> SessionFacts:
        key = self._directory.key(door, ask.app, ask.stream)
        return SessionFacts(
            session_id=new_session_id(now),
            key=StreamKey(key.unique_name, key.pubdomain, _printable(ask.app), _printable(ask.stream)),
            client_ip=ask.client_ip,
            client_port=ask.client_port,
            node=self._node,
            boot_id=self._boot_id,
            pub_time=int(now),
        )


def _printable(name: str) -> str:
    return "".join(char for char in name[:NAME_LIMIT] if char.isprintable())
