"""ForbidStream and ResumeStream (design, flow (c)).

Rule: the ban is durable first; then, with no await in between, it is in the blacklist and the stream is cut; then the
other processes are told, before the caller is.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from openkls.control.audit import Deed
from openkls.control.finish import Endings
from openkls.domain.blacklist import FORBID_DEFAULT_SECONDS, Ban, Blacklist
from openkls.domain.errors import BusinessError, StoreUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.ports import BlacklistPort
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode, Reason, Session

log = logging.getLogger("openkls.control.forbid")

# Values of ForbidTillUnixTime that are no time (contract, 6).
TILL_DEFAULT = 0
TILL_CUT_ONLY = 1
TILL_PERMANENT = -1


class Others(Protocol):
    """The other processes of the cluster."""

    async def tell_ban(self, ban: Ban) -> None:
        """Have them take a durable row in; raises nothing."""
        ...

    async def cut(self, key: StreamKey) -> int:
        """Have whoever publishes it cut it; 0, or 8501 when nobody said so in time, or 8502 when nobody does."""
        ...


class Forbids:
    """Forbids and resumes streams: of this process, and of the cluster where there are ``others``."""

    def __init__(
        self,
        store: BlacklistPort,
        blacklist: Blacklist,
        registry: Registry,
        endings: Endings,
        clock: Callable[[], float] = time.time,
        cut_waiting: Callable[[StreamKey], object] = lambda key: None,
    ) -> None:
        """``cut_waiting`` ends, at once, those who wait for a publisher of this key that left."""
        self._store = store
        self._blacklist = blacklist
        self._registry = registry
        self._endings = endings
        self._clock = clock
        self._cut_waiting = cut_waiting
        self.others: Others | None = None

    async def forbid(self, key: StreamKey, till: int = TILL_DEFAULT, deed: Deed | None = None) -> None:
        """Cut the stream and keep it off until ``till`` (Unix seconds, or one of the TILL values); a ban is written
        down as ``deed`` says. Raises BusinessError 4001, 3802, 8200, 8501, 8502."""
        now = int(self._clock())
        if till == TILL_CUT_ONLY:
            if not self.cut(key):
                ret_code = 8502 if self.others is None else await self.others.cut(key)
                if ret_code:
                    raise BusinessError(ret_code)
            return
        if till < TILL_PERMANENT or TILL_CUT_ONLY < till <= now:
            raise BusinessError(4001, "ForbidTillUnixTime is past")
        longest = now + FORBID_DEFAULT_SECONDS
        end = min(till, longest) if till > TILL_CUT_ONLY else longest
        if self._blacklist.full(key.unique_name, now) and not self._blacklist.forbids(key, now):
            raise BusinessError(8200, "the space holds as many bans as it may")
        try:
            ban = await self._store.forbid(key, now, end, till == TILL_PERMANENT, deed.entry if deed else None)
        except StoreUnavailable as error:
            raise BusinessError(8200, str(error)) from error
        if ban is None:
            raise BusinessError(3802)
        if deed is not None:
            deed.written = True
        await self._apply_everywhere(ban)

    async def resume(self, key: StreamKey, deed: Deed | None = None) -> None:
        """Let the stream publish again, written down as ``deed`` says. Raises BusinessError 8201, 8200."""
        try:
            ban = await self._store.resume(key, int(self._clock()), deed.entry if deed else None)
        except StoreUnavailable as error:
            raise BusinessError(8200, str(error)) from error
        if ban is None:
            raise BusinessError(8201)
        if deed is not None:
            deed.written = True
        await self._apply_everywhere(ban)

    async def _apply_everywhere(self, ban: Ban) -> None:
        try:
            self.apply(ban)
        finally:
            if self.others is not None:
                await self.others.tell_ban(ban)

    def apply(self, ban: Ban) -> None:
        """Take a durable row in and cut what it forbids; rows may come twice and in any order. Raises
        BusinessError 8501."""
        if not self._blacklist.apply(ban) or ban.resumed:
            return
        self._cut_waiting(ban.key)
        holder = self._registry.holder(ban.key.name)
        # A short ban may be over before it is known here: whoever began before its end is cut all the same.
        if holder is not None and holder.facts.pub_time < ban.till:
            self.cut(ban.key)

    def cut(self, key: StreamKey) -> Session | None:
        """End the live session of exactly this key with 423, and its viewers; None when there is none. Raises
        BusinessError 8501 when its connection could not be closed: the session is over all the same."""
        session = self._registry.evict(key, BreakCode.FORBIDDEN)
        if session is None:
            self._cut_waiting(key)
            return None
        try:
            session.publisher.kick(BreakCode.FORBIDDEN)
        except Exception as error:
            log.exception("session %s: could not be kicked", session.facts.session_id)
            raise BusinessError(8501) from error
        finally:
            self._endings.finish(session, BreakCode.FORBIDDEN, Reason.FORBIDDEN, self._clock())
        return session
