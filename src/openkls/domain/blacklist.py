"""Which streams are forbidden until when. Rule: expiry is decided by ``forbids(key, now)``, never by a sweep.

Theory of operation. Every change of a ban is a row with a version; versions are handed out by the store in commit
order. ``apply`` keeps the highest version of each key, so rows may come twice and in any order. A resumed ban stays
as a tombstone with its version; ``prune`` forgets what can no longer matter.
"""

from dataclasses import dataclass

from openkls.domain.keys import StreamKey

# Contract, 6: the default and the longest ban, and what a space may hold.
FORBID_DEFAULT_SECONDS = 90 * 86400
SPACE_BANS_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Ban:
    """One row of the blacklist. Times are Unix seconds."""

    key: StreamKey
    forbid_time: int
    till: int
    """The second from which the stream may publish again."""
    permanent: bool
    """Asked for with -1 and shown as -1; it ends after 90 days all the same."""
    resumed: bool
    version: int

    @property
    def shown_till(self) -> int:
        """ForbidTillUnixTime as GetBlacklist shows it."""
        return -1 if self.permanent else self.till

    def active(self, now: float) -> bool:
        """Whether the ban holds at ``now``."""
        return not self.resumed and now < self.till


class Blacklist:
    """The bans known to this process, by space and key."""

    def __init__(self) -> None:
        self._bans: dict[str, dict[StreamKey, Ban]] = {}

    def apply(self, ban: Ban) -> bool:
        """Take a row in, unless a newer one of its key is known; True when it was taken. Idempotent."""
        space = self._bans.setdefault(ban.key.unique_name, {})
        known = space.get(ban.key)
        if known is not None and known.version >= ban.version:
            return False
        space[ban.key] = ban
        return True

    def count(self) -> int:
        """How many are known, lapsed ones and tombstones too."""
        return sum(map(len, self._bans.values()))

    def forbids(self, key: StreamKey, now: float) -> bool:
        """Whether ``key`` may not publish at ``now`` (Unix seconds)."""
        return self.find(key, now) is not None

    def find(self, key: StreamKey, now: float) -> Ban | None:
        """The ban that holds for ``key`` at ``now``, if any."""
        ban = self._bans.get(key.unique_name, {}).get(key)
        return ban if ban is not None and ban.active(now) else None

    def listing(self, unique_name: str, pubdomain: str, app: str, now: float) -> list[Ban]:
        """The bans of one app behind one publish domain, the newest first (the later version on a tie)."""
        found = [
            ban
            for ban in self._bans.get(unique_name, {}).values()
            if ban.key.app == app and ban.key.pubdomain == pubdomain and ban.active(now)
        ]
        found.sort(key=lambda ban: (ban.forbid_time, ban.version), reverse=True)
        return found

    def full(self, unique_name: str, now: float) -> bool:
        """Whether a space holds SPACE_BANS_LIMIT bans at ``now``; counts only when it may be near, as it is asked
        at every ForbidStream."""
        space = self._bans.get(unique_name, {})
        if len(space) < SPACE_BANS_LIMIT:
            return False
        return sum(ban.active(now) for ban in space.values()) >= SPACE_BANS_LIMIT

    def prune(self, now: float, version: int) -> int:
        """Forget what no longer holds, up to ``version``; returns how many. No row up to that version may be on its
        way any more: a forgotten tombstone would let an older row of its key in again."""
        forgotten = 0
        for unique_name, space in list(self._bans.items()):
            over = [key for key, ban in space.items() if ban.version <= version and not ban.active(now)]
            for key in over:
                del space[key]
            forgotten += len(over)
            if not space:
                del self._bans[unique_name]
        return forgotten
