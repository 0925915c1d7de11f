"""Whether a publish may begin (design, flow (a) 2 and 3).

Rule: the claim is one synchronous step; after the one await that follows it, the session must still hold its name.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from openkls.codec import pushauth
from openkls.control.directory import Directory, Door
from openkls.control.finish import Endings
from openkls.control.ids import new_session_id
from openkls.control.journal import Journal
from openkls.domain.keys import StreamKey
from openkls.domain.quality import Quality
from openkls.domain.refusals import ROWS_PER_MINUTE, RefusalQuota
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode, HistoryRow, Publisher, Reason, Session, SessionFacts
from openkls.model import matches

log = logging.getLogger("openkls.control.admit")

# A store that is late does not stop broadcasters: beyond this the row waits in the journal.
OPEN_DEADLINE_SECONDS = 1.0
# A malformed name goes into its error row cut to what a well-formed one may have (contract, 5).
NAME_LIMIT = 256


@dataclass(frozen=True, slots=True)
class PublishAsk:
    """What an encoder asks for. Queries are raw, without the question mark."""

    app: str
    app_query: str
    tc_url: str
    stream: str
    query: str
    client_ip: str
    client_port: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a publish was refused."""

    code: BreakCode
    cause: str
    """For the log: finer than the code, and without anything secret."""


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
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._journal = journal
        self._endings = endings
        self._boot_id = boot_id
        self._node = node
        self._clock = clock
        self._monotonic = monotonic
        self.quota = RefusalQuota()
        self.knocks = Knocks()

    async def admit(self, ask: PublishAsk, publisher: Publisher) -> Session | Refused:
        """Claim the name asked for and record the session. A Session returned holds its name and has ``started``
        set: the caller answers Publish.Start without awaiting anything first. Every refusal has been recorded."""
        now = self._clock()
        door = self._directory.publish_door(ask.tc_url, ask.app_query, ask.query)
        if door is None:
            self.knocks.unknown_domain += 1
            return self._refused(Refused(BreakCode.BAD_PARAMS, "unknown publish domain"))
        session = Session(self._facts(ask, door, now), publisher, Quality(self._monotonic()))
        refused = self._examine(ask, door, now)
        if refused is None:
            claim = self._registry.claim(session, now)
            if claim.displaced is not None:
                self._displace(claim.displaced, now)
            if claim.refusal is None:
                return await self._open(session)
            refused = Refused(claim.refusal, "the name is taken or forbidden")
        self._record(session.facts, refused)
        return self._refused(refused)

    def _examine(self, ask: PublishAsk, door: Door, now: float) -> Refused | None:
        """Everything that does not depend on who else is live: 428, 425, 426 in the contract's order."""
        if not matches("App", ask.app) or not door.space.has_app(ask.app):
            return Refused(BreakCode.BAD_PARAMS, "app malformed or not in the space's list")
        if not matches("Stream", ask.stream):
            return Refused(BreakCode.BAD_PARAMS, "stream name malformed")
        domain = door.domain
        verdict = int(BreakCode.SUCCESS)
        if domain.auth == "md5":
            verdict = pushauth.check_md5(domain.keys, ask.stream, ask.query, int(now))
        elif domain.auth == "hmac":
            verdict = pushauth.check_hmac(pushauth.read_hmac_keys(domain.keys), ask.query, int(now))
        if verdict != BreakCode.SUCCESS:
            return Refused(BreakCode(verdict), f"push authentication {domain.auth}")
        return None

    async def _open(self, session: Session) -> Session | Refused:
        try:
            if not await self._journal.open(session.facts, OPEN_DEADLINE_SECONDS):
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
