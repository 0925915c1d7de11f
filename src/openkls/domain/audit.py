"""Who changed what, when, and with which outcome. Rule: an entry holds names and codes, never a secret; once written
it is never changed.
"""

from dataclasses import dataclass

# What a caller sends of a name goes into an entry cut to what a well-formed one may have (contract, 5).
PART_LIMIT = 256
# Calls turned away before they reached their action change nothing, and rates do not bound them: more rows than this
# of one key in one minute say nothing new, and would let one key fill the disk (security class 18).
REFUSED_ROWS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change. ``access_key`` is ``cli`` for the command line; ``address`` then is the system's user."""

    access_key: str
    address: str
    request_id: str = ""


# A change by the process itself, and by whoever does not say.
NOBODY = Author("", "")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or one attempt at it."""

    at: int
    """Unix seconds."""
    account_id: str
    """Whose keys or streams these are."""
    author: Author
    action: str
    """The API's action, or what was done to a key pair or an account."""
    resource: str
    """``UniqueName/Pubdomain/App/Stream``, an access key, or an account's id."""
    outcome: str
    """``0`` for done, else the RetCode or the error code that was answered."""
    detail: str = ""
    number: int = 0
    """The row's own, ascending; 0 until it is written."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """The newest ``limit`` entries behind the first ``offset``, not older than ``since`` (Unix seconds), of one action,
    author or account where asked."""

    since: int = 0
    action: str | None = None
    access_key: str | None = None
    limit: int = 100
    account_id: str | None = None
    offset: int = 0


def legible(text: str) -> str:
    """A name as a caller sent it, fit for an entry: cut to PART_LIMIT, without control characters."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:PART_LIMIT])


class RefusedQuota:
    """How many refused calls of a key are written down, in fixed minutes. ``now`` is monotonic seconds.

    Only keys that verified are counted, so that there are no more of them than keys.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[str, int] = {}
        self.suppressed = 0
        """Rows not written because of the quota, since the start."""

    def allows(self, access_key: str, now: float) -> bool:
        """Whether this refusal is written down; counts it either way."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        count = self._counts.get(access_key, 0)
        if count >= REFUSED_ROWS_PER_MINUTE:
            self.suppressed += 1
            return False
        self._counts[access_key] = count + 1
        return True
