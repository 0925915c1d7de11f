"""One publish, from its claim to its one history row.

Rule: ``SessionFacts`` never changes after the claim; ``Session`` is the live side of it and belongs to one event
loop. A session is ended exactly once: whoever sets ``ended`` first writes the row (control.finish).
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

from openkls.domain.keys import StreamKey
from openkls.domain.quality import Quality, Reading


class BreakCode(IntEnum):
    """Why a publish ended or was refused (contract, 8); the texts are in the service model."""

    SUCCESS = 200
    ALREADY_EXISTS = 422
    FORBIDDEN = 423
    EXPIRED = 425
    SIGNATURE = 426
    BAD_PARAMS = 428


class Reason(StrEnum):
    """Our own, finer account of an ending, kept beside the break code."""

    UNPUBLISH = "unpublish"
    CLOSED = "closed"
    """The peer closed or reset the connection."""
    IDLE = "idle"
    SHUTDOWN = "shutdown"
    CRASH = "crash"
    """Found open after its process had died; ended at that process's last heartbeat."""
    PROTOCOL_ERROR = "protocol_error"
    TAKEN_OVER = "taken_over"
    """Silent, and its encoder came back on a new connection."""
    FORBIDDEN = "forbidden"
    CLAIM_LOST = "claim_lost"
    """Another process of the cluster was found to hold the name."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known of a publish when it is claimed. Times are Unix seconds."""

    session_id: str
    """32 hexadecimal digits, sortable by time of creation (UUID version 7, RFC 9562)."""
    key: StreamKey
    client_ip: str
    client_port: int
    node: str
    """The address this node reports (config ``[server] node``)."""
    boot_id: str
    """The process that holds the session; a crash is found by it."""
    pub_time: int
    pub_param: str | None = field(default=None, compare=False, repr=False)
    """What callbacks tell of the publish URL (domain.callbacks); None where the space has none, and on other nodes."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A publish that is over. A refused one has ``accepted`` False and ``fin_time`` equal to its ``pub_time``."""

    facts: SessionFacts
    fin_time: int
    code: BreakCode
    reason: Reason
    accepted: bool = True
    end_ms: int = field(default=0, compare=False)
    """The end in Unix milliseconds, for callbacks; 0 where only its second is known, as in a row that was read."""


class Publisher(Protocol):
    """The connection behind a session, as the rules see it."""

    def kick(self, code: BreakCode) -> None:
        """Cut the publisher and, when the code is FORBIDDEN, its viewers, at once. Idempotent; never awaits."""

    def catch_up(self) -> None:
        """Take in what the peer has sent and nobody has read yet; that it has left is a part of it. Never awaits."""

    def silent_seconds(self) -> float:
        """Seconds since the last byte arrived from the peer."""


@dataclass(eq=False, slots=True)
class Session:
    """A live publish. ``eq=False``: two sessions are never equal, identity is what release() compares."""

    facts: SessionFacts
    publisher: Publisher
    quality: Quality = field(default_factory=Quality)
    ended: bool = False
    started: bool = False
    """The publisher was told Publish.Start: from here on the session is history, not a refusal."""
    evicted_with: BreakCode | None = None
    """Set when the session lost its name to somebody else: the code to tell its publisher."""

    @property
    def key(self) -> StreamKey:
        """The key the session publishes under."""
        return self.facts.key

    def read(self, now: float) -> Reading:
        """The quality of the push at ``now`` (monotonic seconds)."""
        return self.quality.read(now)

    def read_time(self, now: int) -> int:
        """When a reading asked for at ``now`` (Unix seconds) was made: then."""
        return now
