"""The ports: what the use cases ask of a store, of the other processes of a cluster, and of a customer's server.

Rule of every durable port: a method either did its work durably, or raises ``StoreUnavailable`` (``StoreTimeout`` when
late) and may have done it; every write is idempotent, so the caller may try again. Times are Unix seconds.

Rule of every ephemeral port (claims, snapshots, bus, rates): what it keeps lives as long as its lease and may be gone
at any time; a method answers within its deadline, or raises ``ClusterUnavailable`` and may have done its work.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from openkls.domain.audit import NOBODY, AuditEntry, AuditQuery, Author
from openkls.domain.blacklist import Ban
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.session import HistoryRow, SessionFacts


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """A page of history: pushes of one app behind one publish domain that began within [start, end], both included.

    ``errors`` asks for refused publishes and for sessions ended by a code other than 200; without it, for every
    accepted session that has ended.
    """

    unique_name: str
    app: str
    pubdomain: str
    stream: str | None
    start: int
    end: int
    errors: bool
    ascending: bool
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """The rows of a page, ordered by (pub_time, session_id), and how many rows the query has in all."""

    rows: list[HistoryRow]
    total: int


@dataclass(frozen=True, slots=True)
class Span:
    """One accepted push, clipped by nobody; ``end`` is None while it is live."""

    stream: str
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair made at run time. ``secret_key`` is encrypted at rest and never logged."""

    access_key: str
    secret_key: str
    account_id: str
    enabled: bool
    created_at: int
    version: int
    policy: str | None = None
    """JSON of its statements; None is full rights in its account."""
    expires_at: int | None = None
    """The second from which it no longer signs; None is never."""

    def lives(self, now: float) -> bool:
        """Whether it may sign at ``now``."""
        return self.enabled and (self.expires_at is None or now < self.expires_at)

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key!r}, account_id={self.account_id!r}, enabled={self.enabled})"


@dataclass(frozen=True, slots=True)
class AccountSwitch:
    """Whether the keys of an account may sign. Accounts of the configuration file are switched by id, like others."""

    account_id: str
    disabled: bool
    version: int


@dataclass(frozen=True, slots=True)
class Boot:
    """One life of a process, as the store knows it."""

    boot_id: str
    started_at: int
    heartbeat_at: int


class HistoryPort(Protocol):
    """Publishes, open and finished."""

    async def begin_boot(self, boot_id: str, node_id: str, now: int) -> None:
        """Record that a process began; its first heartbeat."""
        ...

    async def heartbeat(self, boot_id: str, now: int) -> bool:
        """Record that the process lives, and with it all its sessions. False when it had been declared dead since the
        last time: it is known again, and its sessions are to be revived."""
        ...

    async def revive(self, sessions: Sequence[SessionFacts]) -> list[SessionFacts]:
        """Make those of these live sessions of this process live again that another one has ended with reason crash;
        returns them. Asked at the moment at which they live: what is written of them later comes later."""
        ...

    async def known_boots(self) -> list[Boot]:
        """The processes that have begun and are not known to have ended, the oldest first."""
        ...

    async def end_boot(self, boot_id: str) -> None:
        """Forget a process that ended cleanly; it must have no open session left."""
        ...

    async def close_lapsed(self, node_id: str, boot_id: str, lapsed_before: int) -> list[SessionFacts]:
        """End the sessions of dead processes with code 200, reason crash, at their last heartbeat (not before their
        own start), and forget those processes. Dead are: every other boot of ``node_id`` (its data folder is locked
        by the boot ``boot_id``, so no other one lives), and any boot whose last heartbeat is before
        ``lapsed_before``; never ``boot_id`` itself. Returns what was ended; each session is ended by one caller only.
        """
        ...

    async def open(self, facts: SessionFacts) -> None:
        """Record a live session, unless it is known already, live or finished."""
        ...

    async def close(self, row: HistoryRow) -> None:
        """Record that a session is over, whether or not it had been opened here; the first row of a session stays,
        unless that is the declaration of a process as dead that turns out to have lived."""
        ...

    async def purge(self, before: int) -> int:
        """Delete the finished rows that ended before ``before``; returns how many. Bounded batches, so that other
        writes get their turn."""
        ...

    async def page(self, query: HistoryQuery) -> HistoryPage:
        """Answer one page of history."""
        ...

    async def spans(
        self, unique_name: str, app: str, pubdomain: str, stream: str | None, start: int, end: int, limit: int
    ) -> list[Span]:
        """The accepted sessions, live ones too, that overlap [start, end): began before ``end`` and ended after
        ``start`` (or at it, for one of no length inside); by (start, session_id) ascending; at most ``limit`` + 1."""
        ...


class BlacklistPort(Protocol):
    """Bans. Every change gets the next version of one counter within its own transaction, so that commit order is
    version order; nothing is ever deleted. Every change writes ``entry``, where one is given, to the audit in its own
    transaction; what changes nothing writes none."""

    async def forbid(
        self, key: StreamKey, now: int, till: int, permanent: bool, entry: AuditEntry | None = None
    ) -> Ban | None:
        """Forbid until ``till``, refreshing an existing ban; None when a ban that holds was made within the very
        second ``now`` (nothing is changed then)."""
        ...

    async def resume(self, key: StreamKey, now: int, entry: AuditEntry | None = None) -> Ban | None:
        """Turn the ban that holds at ``now`` into a tombstone; None when there is none."""
        ...

    async def since(self, version: int) -> list[Ban]:
        """All rows above ``version``, in order of their versions."""
        ...


class KeysPort(Protocol):
    """Accounts and key pairs made at run time; changes are versioned like bans, on one counter of their own. Every
    change writes its audit row, ``by`` its author, in its own transaction; what changes nothing writes none."""

    async def create(
        self,
        account_id: str,
        access_key: str,
        secret_key: str,
        now: int,
        policy: str | None = None,
        by: Author = NOBODY,
    ) -> AccessKey:
        """Store a key pair (and its account when it is new). An access key that exists already: ValueError."""
        ...

    async def disable(self, access_key: str, now: int, by: Author = NOBODY) -> AccessKey | None:
        """Switch a key off for good; None when it does not exist. Idempotent."""
        ...

    async def rotate(
        self,
        access_key: str,
        new_access_key: str,
        new_secret_key: str,
        now: int,
        expires_at: int,
        by: Author = NOBODY,
    ) -> tuple[AccessKey, AccessKey] | None:
        """Store a successor with the same account and policy, and let the old key end at ``expires_at`` (never later
        than it would have). Returns (old, new); None when the old key does not exist; ValueError when it no longer
        signs, or when the new one exists already."""
        ...

    async def set_policy(self, access_key: str, policy: str | None, now: int, by: Author = NOBODY) -> AccessKey | None:
        """Give a key another policy; None when the key does not exist. Idempotent; the statements are not checked."""
        ...

    async def since(self, version: int) -> list[AccessKey]:
        """All keys changed above ``version``, disabled ones too, in order of their versions."""
        ...

    async def switch_account(self, account_id: str, disabled: bool, now: int, by: Author = NOBODY) -> AccountSwitch:
        """Let an account's keys sign no longer, or again. Idempotent; whether there is such an account elsewhere is
        not checked."""
        ...

    async def accounts_since(self, version: int) -> list[AccountSwitch]:
        """All accounts switched above ``version``, in order of their versions."""
        ...


class AuditPort(Protocol):
    """What was changed by whom: rows are added, and never changed or deleted."""

    async def append(self, entry: AuditEntry) -> None:
        """Write a row; it gets the next number. Not idempotent: a row written twice is there twice."""
        ...

    async def read(self, query: AuditQuery) -> list[AuditEntry]:
        """The newest rows first."""
        ...

    async def count(self, account_id: str, most: int) -> int:
        """How many rows an account has, counted up to ``most``."""
        ...


# -- the ephemeral ports of a cluster ---------------------------------------------------------------------------------

# A claim and a snapshot not renewed for so long are nobody's (issue: 10 s, and free elsewhere within 15 s).
LEASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Hold:
    """What a process says of a name that it holds: by which session, and whether that one's peer is silent, so that
    the name may be taken from it."""

    token: str
    silent: bool = False


class ClaimsPort(Protocol):
    """One publisher per name in the whole cluster. A claim belongs to an ``owner``, the lasting name of one process (a
    second process of that name may only follow its death), and carries the session's id as its token. Among the
    sessions of one owner its own registry decides, so an owner may always take over its own claim."""

    async def take(self, name: StreamName, owner: str, token: str, contest_seconds: float = 0.0) -> bool:
        """Claim the name for LEASE_SECONDS: granted when it is free, the owner's own, or held for a silent peer.
        For ``contest_seconds`` from now an older session that was admitted while nobody could ask may still win."""
        ...

    async def hold(self, owner: str, holds: Mapping[StreamName, Hold], contest_seconds: float) -> list[StreamName]:
        """Renew all these claims; returns the names that somebody else holds. One that nobody holds is claimed again,
        and may be contested for ``contest_seconds``: of two sessions that both claim a name again the lower token,
        which is the older session, wins."""
        ...

    async def release(self, owner: str, tokens: Mapping[StreamName, frozenset[str]]) -> None:
        """Give names back, each only if it is held by this owner with one of these tokens. Idempotent."""
        ...

    async def is_held(self, name: StreamName) -> bool:
        """Whether anybody holds the name."""
        ...


class Part(StrEnum):
    """The parts of a snapshot; who has no lists to answer needs no readings."""

    NAMES = "names"
    READINGS = "readings"


@dataclass(frozen=True, slots=True)
class Posted:
    """A part of a snapshot as it was posted; ``number`` differs from that of the part before it, unless that had the
    same payload."""

    number: int
    payload: bytes = field(repr=False)


class SnapshotsPort(Protocol):
    """What each process shows to the others, under a lease of LEASE_SECONDS."""

    async def post(self, boot_id: str, snapshot: Mapping[Part, Posted]) -> None:
        """Show this, all parts of it, instead of what was shown, and renew the lease."""
        ...

    async def renew(self, boot_id: str, number: int) -> bool:
        """Renew the lease of what is shown; False when that has not, or no longer, the readings ``number``."""
        ...

    async def withdraw(self, boot_id: str) -> None:
        """Show nothing any more. Idempotent."""
        ...

    async def newer(
        self, parts: Sequence[Part], known: Mapping[str, Mapping[Part, int]]
    ) -> dict[str, dict[Part, Posted]]:
        """Of every process that shows something, those of the ``parts`` whose number is not the ``known`` one."""
        ...


class BusPort(Protocol):
    """Messages to all processes of the cluster, the sender too; at most once each, and perhaps in another order."""

    async def tell(self, message: bytes) -> None:
        """Send a message to whoever listens."""
        ...

    async def listen(self, receive: Callable[[bytes], None], connected: Callable[[], None]) -> None:
        """Hand over every message until cancelled. ``connected`` is called whenever messages may have been missed:
        at the begin, and after every lost connection."""
        ...


class RatesPort(Protocol):
    """The calls that were accepted of late, by any process."""

    async def accept(self, caller: tuple[str, ...], requests: int, per_seconds: float) -> float:
        """As ``domain.rates.Rates.take``, by the cluster's own clock."""
        ...


class Link(Protocol):
    """Whether the ephemeral ports answer."""

    @property
    def up_seconds(self) -> float:
        """For how long they have; 0 while they do not."""
        ...

    def on_up(self, call: Callable[[], None]) -> None:
        """Call this whenever they answer again."""


class Whereabouts(Protocol):
    """Where in the cluster streams are published, as far as this process has heard."""

    def find(self, name: StreamName) -> str | None:
        """The relay address, ``host:port``, of the other process that publishes the name; None where nobody is known
        to. Answered from memory, and so perhaps seconds old."""
        ...

    async def hears_of(self, name: StreamName) -> bool:
        """Whether ``find`` knows the name, after a short wait where it does not and another process has only just begun
        to publish it. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class PushServer:
    """A customer's server that judges the publishes of a domain. ``keys`` sign what it is asked; ``private`` lets it
    have a private address."""

    url: str = field(repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)
    private: bool = False


@dataclass(frozen=True, slots=True)
class PushFacts:
    """What a customer's server is asked about (contract, 8). ``pub_param`` is the publish URL's raw query, which may
    hold secrets."""

    unique_name: str
    app: str
    pubdomain: str
    stream: str
    pub_param: str = field(repr=False)
    client_ip: str


class PushAnswer(StrEnum):
    """What came of asking a customer's server. Only ACCEPTED lets a publish in; the text is for logs."""

    ACCEPTED = "accepted"
    REFUSED = "refused it"
    """It answered with another status than 200."""
    LATE = "did not answer in time"
    UNREACHABLE = "could not be reached"
    BROKEN = "gave no HTTP answer"
    PRIVATE = "has a private address"
    BUSY = "has too many questions before it"


class PushAuthority(Protocol):
    """Customers' servers that decide who may publish (contract, 8: external)."""

    async def ask(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        """Ask the server whether this publish may begin; answers within 2 s whatever the server does, and raises
        nothing of the server's making."""
        ...
