"""Who is logged in: sessions in memory, by tokens that only browsers have.

Rule: a session holds no secret, and lives no longer than the key it was opened with.

Theory of operation. A token is 256 random bits; what is kept is its hash, so that a look-up tells nothing by its time
and a picture of the memory opens nothing. Whether a session holds is decided at each use, never by a sweep: it is
neither idle nor too old, its key is there, enabled and still has the secret it was opened with, its account is not
disabled. A session that no longer holds is ended by whoever finds out, and its event streams with it. Too many of one
key, or in all, and the one that has been used longest ago ends: an owner can always log in.
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Final

from openkls.control.keyring import Credential

# A day, however much it is used: a token that was stolen is of no use tomorrow.
LIFETIME_SECONDS: Final = 24 * 3600.0
# Some 2 KB each. A key is somebody's browsers, or a small team's.
SESSIONS_PER_KEY_LIMIT: Final = 20
SESSIONS_LIMIT: Final = 1_000
TOKEN_BYTES: Final = 32
# A browser's cookie is 43 characters; what is longer is not hashed.
TOKEN_CHARACTERS_LIMIT: Final = 128


class End(StrEnum):
    """Why a session is over; the code an event stream ends with."""

    LOGGED_OUT = "LoggedOut"
    EXPIRED = "SessionExpired"
    KEY_ENDED = "KeyEnded"
    ACCOUNT_DISABLED = "UnavailableAccountID"
    DISPLACED = "SessionDisplaced"
    SERVICE_STOPPING = "ServiceStopping"


@dataclass(slots=True, eq=False)
class Session:
    """One login. ``began`` and ``used`` are monotonic seconds."""

    access_key: str
    account_id: str
    hashed: bytes = field(repr=False)
    """Its token's hash."""
    csrf_token: str = field(repr=False)
    fingerprint: bytes = field(repr=False)
    """Of the secret it was opened with, under a key of this process's own."""
    began: float
    used: float
    streams: int = 0
    """Event streams open now."""
    ended_by: End | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)


class Sessions:
    """The sessions of this process."""

    def __init__(
        self,
        find_key: Callable[[str], Credential | None],
        is_disabled: Callable[[str], bool],
        monotonic: Callable[[], float],
        idle_seconds: float,
    ) -> None:
        self._find_key = find_key
        self._is_disabled = is_disabled
        self._monotonic = monotonic
        self._idle_seconds = idle_seconds
        self._fingerprint_key = secrets.token_bytes(TOKEN_BYTES)
        self._by_hash: dict[bytes, Session] = {}
        self.displaced = 0
        """Sessions that ended because there were too many."""

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._by_hash)

    def open(self, credential: Credential) -> tuple[str, Session]:
        """A new session of a key that has proved itself, and the token that is its only name."""
        now = self._monotonic()
        self._make_room(credential.access_key)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        session = Session(
            credential.access_key,
            credential.account_id,
            hashed=_hash(token),
            csrf_token=secrets.token_urlsafe(TOKEN_BYTES),
            fingerprint=self._fingerprint(credential),
            began=now,
            used=now,
        )
        self._by_hash[session.hashed] = session
        return token, session

    def find(self, token: str) -> tuple[Session, Credential] | None:
        """The session of a token, with its key as it is now; None when there is none that holds. It counts as used."""
        if len(token) > TOKEN_CHARACTERS_LIMIT:
            return None
        session = self._by_hash.get(_hash(token))
        if session is None:
            return None
        credential = self.credential_of(session)
        if credential is None:
            return None
        session.used = self._monotonic()
        return session, credential

    def credential_of(self, session: Session) -> Credential | None:
        """The session's key as it is now; None when the session does not hold (any more), which then is over."""
        if session.ended_by is not None:
            return None
        now = self._monotonic()
        if now - session.used >= self._idle_seconds or now - session.began >= LIFETIME_SECONDS:
            self.end(session, End.EXPIRED)
            return None
        credential = self._find_key(session.access_key)
        if (
            credential is None
            or credential.account_id != session.account_id
            or not hmac.compare_digest(self._fingerprint(credential), session.fingerprint)
        ):
            self.end(session, End.KEY_ENDED)
            return None
        if self._is_disabled(session.account_id):
            self.end(session, End.ACCOUNT_DISABLED)
            return None
        return credential

    def end(self, session: Session, why: End) -> None:
        """End a session, and with it its event streams. Idempotent."""
        if session.ended_by is None:
            session.ended_by = why
            session.over.set()
            del self._by_hash[session.hashed]

    def end_all(self, why: End) -> None:
        """End every session."""
        for session in list(self._by_hash.values()):
            self.end(session, why)

    def _make_room(self, access_key: str) -> None:
        for session in list(self._by_hash.values()):
            self.credential_of(session)
        for rivals, limit in (
            (
                [session for session in self._by_hash.values() if session.access_key == access_key],
                SESSIONS_PER_KEY_LIMIT,
            ),
            (list(self._by_hash.values()), SESSIONS_LIMIT),
        ):
            if len(rivals) >= limit:
                self.end(min(rivals, key=lambda session: session.used), End.DISPLACED)
                self.displaced += 1

    def _fingerprint(self, credential: Credential) -> bytes:
        return hmac.digest(self._fingerprint_key, credential.secret_key.encode("utf-8", "surrogateescape"), "sha256")


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
