"""The one ending of a publish. Rule: whatever ends a session calls ``finish``; the first call writes its only row."""

from collections.abc import Callable

from openkls.control.failures import Failures
from openkls.control.journal import Journal
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session


class Endings:
    """Ends sessions: frees the name if it is still theirs, and writes the row."""

    def __init__(self, registry: Registry, journal: Journal) -> None:
        self._registry = registry
        self._journal = journal
        self.failures = Failures()
        """The publishes that failed, those refused at the door too."""
        self.ended: Callable[[Session], None] | None = None
        """Told of every session that has ended; must not raise."""

    def finish(self, session: Session, code: BreakCode, reason: Reason, now: float) -> bool:
        """End a session at ``now`` (Unix seconds); False when it had ended before. Idempotent, never awaits.

        A session that was claimed but never told Publish.Start is a refused publish, not a session: its row is an
        error row, and its open row goes. Unless it ended with 200, as its own peer left: that is nobody's refusal.
        """
        if session.ended:
            return False
        session.ended = True
        self._registry.release(session)
        facts = session.facts
        fin_time = max(facts.pub_time, int(now)) if session.started else facts.pub_time
        accepted = session.started or code is BreakCode.SUCCESS
        if code is not BreakCode.SUCCESS:
            self.failures.count(facts.key)
        self._journal.close(HistoryRow(facts, fin_time, code, reason, accepted))
        if self.ended is not None:
            self.ended(session)
        return True
