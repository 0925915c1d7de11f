"""HLS sessions: when somebody who fetches playlists is a viewer. Rule: time is an argument, and no session has a timer.

Theory of operation. The master playlist hands out an id that carries its own proof: a nonce, the second it was issued
and an HMAC over both, the stream's name and the play domain (`SessionIds`). Nothing is remembered for it until a media
playlist is asked for with it. From the second such request on the session is a viewer (contract, 7); it ends three
target durations after its last. A session waits in the bucket of the second its end falls in; requests only move
the end, and the sweep of a bucket puts those that have moved on into a later one. So a request costs no bookkeeping,
and a sweep looks at a session once in three target durations.

A session that ended may come back with its id: a player that was paused asks for the playlist it knows, not for the
master. It may for SESSION_RETURN_SECONDS after the id was issued, so that an id is no key for ever.
"""

import base64
import binascii
import hmac
from enum import Enum
from typing import Final, NamedTuple

from openkls.domain.keys import StreamName
from openkls.domain.viewers import Group, PullProtocol, Viewers
from openkls.domain.window import ByteRate

# Two: whoever opens a playlist once to look at it (a probe, a crawler) is no viewer (contract, 7).
COUNTED_FROM_REQUEST: Final = 2
# RFC 8216, 6.3.4: a player asks again after one target duration at most, half of one when nothing was new.
END_AFTER_TARGETS: Final = 3
# Longer than a pause; short against the life of a key.
SESSION_RETURN_SECONDS: Final = 12 * 3600
# As many as an address may have connections by default; a session takes some 500 bytes.
SESSIONS_PER_ADDRESS_LIMIT: Final = 1000
SESSIONS_LIMIT: Final = 100_000

NONCE_BYTES: Final = 12
_TIME_BYTES: Final = 5
_MAC_BYTES: Final = 16
_ID_CHARACTERS: Final = (NONCE_BYTES + _TIME_BYTES + _MAC_BYTES) * 4 // 3


class Pass(NamedTuple):
    """What a genuine session id says. ``issued_at`` in Unix seconds."""

    nonce: bytes
    issued_at: int


class SessionIds:
    """Issues and verifies session ids; no state beyond the key."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, name: StreamName, domain_id: str, nonce: bytes, now: float) -> str:
        """A new id for one stream through one play domain. ``nonce``: NONCE_BYTES of randomness; ``now`` in Unix
        seconds."""
        claim = nonce + int(now).to_bytes(_TIME_BYTES, "big")
        return base64.urlsafe_b64encode(claim + self._mac(claim, name, domain_id)).decode("ascii")

    def verify(self, text: str, name: StreamName, domain_id: str) -> Pass | None:
        """Read an id that was issued for this stream and play domain; None for any other text."""
        if len(text) != _ID_CHARACTERS:
            return None
        try:
            whole = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            return None
        claim, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(claim, name, domain_id)):
            return None
        return Pass(claim[:NONCE_BYTES], int.from_bytes(claim[NONCE_BYTES:], "big"))

    def _mac(self, claim: bytes, name: StreamName, domain_id: str) -> bytes:
        # No name holds a control character (contract, 5), so that the parts cannot run into each other.
        bound = claim + "\0".join((*name, domain_id)).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, bound, "sha256")[:_MAC_BYTES]


class Outcome(Enum):
    """What becomes of a request for a media playlist."""

    SERVED = "served"
    EXPIRED = "expired"
    """The session had ended, and its id is too old to return with."""
    ADDRESS_FULL = "address full"
    FULL = "full"


class _Session:
    __slots__ = ("address", "ends_at", "group", "name", "nonce", "over", "requests")

    def __init__(self, name: StreamName, nonce: bytes, address: str) -> None:
        self.name = name
        self.nonce = nonce
        self.address = address
        self.requests = 0
        self.ends_at = 0.0
        self.group: Group | None = None
        self.over = False


class HlsSessions:
    """The sessions of this process. Times are monotonic seconds unless they say otherwise."""

    def __init__(
        self, viewers: Viewers, limit: int = SESSIONS_LIMIT, per_address: int = SESSIONS_PER_ADDRESS_LIMIT
    ) -> None:
        self.limit = limit
        self.per_address = per_address
        self.refused_full = 0
        self.refused_by_address = 0
        self._viewers = viewers
        self._by_name: dict[StreamName, dict[bytes, _Session]] = {}
        self._addresses: dict[str, int] = {}
        self._due: dict[int, list[_Session]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Sessions that have not ended, counted as viewers or not yet."""
        return self._count

    def admits(self, name: StreamName, shown: Pass, unix_now: float) -> bool:
        """Whether an id still opens: its session goes on, or it is young enough to begin or come back with."""
        return shown.nonce in self._by_name.get(name, ()) or unix_now - shown.issued_at <= SESSION_RETURN_SECONDS

    def request(
        self,
        name: StreamName,
        domain_id: str,
        shown: Pass,
        address: str | None,
        sent: ByteRate,
        target_seconds: float,
        now: float,
        unix_now: float,
    ) -> Outcome:
        """A media playlist is asked for. ``address`` is what sessions are capped by, None for one that is not; ``sent``
        is where the bytes of this stream and play domain are added: what the viewer's group shows from here on."""
        if not self.admits(name, shown, unix_now):
            return Outcome.EXPIRED
        session = self._by_name.get(name, {}).get(shown.nonce)
        if session is None:
            if self._count >= self.limit:
                self.refused_full += 1
                return Outcome.FULL
            if address is not None and self._addresses.get(address, 0) >= self.per_address:
                self.refused_by_address += 1
                return Outcome.ADDRESS_FULL
            session = self._begin(name, shown.nonce, address or "")
        session.requests += 1
        first = not session.ends_at
        session.ends_at = now + END_AFTER_TARGETS * target_seconds
        if first:
            self._schedule(session)
        if session.requests == COUNTED_FROM_REQUEST:
            session.group = self._viewers.join(name, PullProtocol.HLS, domain_id, now)
        if session.group is not None:
            session.group.sent = sent
        return Outcome.SERVED

    def sweep(self, now: float) -> None:
        """End the sessions whose time has come; to be called about once a second."""
        for second in [second for second in self._due if second <= now]:
            for session in self._due.pop(second):
                if session.over:
                    continue
                if session.ends_at <= now:
                    self._end(session)
                else:
                    self._schedule(session)

    def drop(self, name: StreamName) -> None:
        """End all sessions of a stream, at once."""
        for session in tuple(self._by_name.get(name, {}).values()):
            self._end(session)

    def _begin(self, name: StreamName, nonce: bytes, address: str) -> _Session:
        session = _Session(name, nonce, address)
        self._by_name.setdefault(name, {})[nonce] = session
        self._addresses[address] = self._addresses.get(address, 0) + 1
        self._count += 1
        return session

    def _schedule(self, session: _Session) -> None:
        self._due.setdefault(int(session.ends_at) + 1, []).append(session)

    def _end(self, session: _Session) -> None:
        session.over = True
        self._count -= 1
        count = self._addresses[session.address] - 1
        if count:
            self._addresses[session.address] = count
        else:
            del self._addresses[session.address]
        siblings = self._by_name[session.name]
        del siblings[session.nonce]
        if not siblings:
            del self._by_name[session.name]
        if session.group is not None:
            self._viewers.leave(session.name, session.group)
