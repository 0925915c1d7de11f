"""Writing down what callers did. Rule: a change that was made stays made, whether or not its row could be written.

A row that could not be written is counted, and its facts are in the log, so that they are somewhere.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from openkls.domain.audit import AuditEntry, AuditQuery, RefusedQuota
from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import AuditPort

log = logging.getLogger("openkls.control.audit")


@dataclass(slots=True)
class Deed:
    """A change that a caller asks for, and its row: written with the change, in one transaction, or never."""

    entry: AuditEntry
    written: bool = False
    """The change was made."""


class AuditTrail:
    """The audit trail of this process's callers."""

    def __init__(self, port: AuditPort, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self._monotonic = monotonic
        self.quota = RefusedQuota()
        self.written = 0
        self.lost = 0
        """Rows that could not be written, since the start."""

    async def read(self, query: AuditQuery) -> list[AuditEntry]:
        """The newest rows first. Raises StoreUnavailable."""
        return await self._port.read(query)

    async def count(self, account_id: str, most: int) -> int:
        """How many rows an account has, counted up to ``most``. Raises StoreUnavailable."""
        return await self._port.count(account_id, most)

    async def record(self, entry: AuditEntry, reached: bool) -> None:
        """Write a row; ``reached`` tells whether the call got as far as its action, and so is never left out. Raises
        nothing."""
        if not reached and not self.quota.allows(entry.author.access_key, self._monotonic()):
            return
        try:
            await self._port.append(entry)
        except StoreUnavailable as error:
            self.lost += 1
            author = entry.author
            log.error(
                "request %s: its audit row may be missing (%s): %s of %s by %s from %s: %s %s",
                author.request_id,
                error,
                entry.action,
                entry.resource,
                author.access_key,
                author.address,
                entry.outcome,
                entry.detail,
            )
        else:
            self.written += 1
