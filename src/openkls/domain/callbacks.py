"""What customers' servers are told: events, the ports that keep and send them, and when one is tried again.

Rule: synchronous; time and chance are arguments. An event is never changed after it was made.

Theory of operation. An event is written down in the transaction of the fact it tells of, so that it exists exactly if
the fact does. It waits in the outbox until its customer's server has accepted it, or until it is given up and is a dead
letter. Of a stream (UniqueName, App, Stream) the events are told one after the other, in the order of their facts:
only the first that waits is due, and a later one is not tried before the first is accepted or given up.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import parse_qsl

from openkls.domain.keys import StreamName

# Of one space: a server that is away for GIVE_UP_SECONDS while a stream a second begins and ends finds room.
WAITING_LIMIT: Final = 100_000
# Of one space: the oldest go.
DEAD_LIMIT: Final = 10_000
# How old an event is when it is tried for the last time.
GIVE_UP_SECONDS: Final = 24 * 3600
# Jitter comes on top: 1 s to 5 min.
RETRY_FIRST_SECONDS: Final = 1.0
RETRY_LONGEST_SECONDS: Final = 240.0
RETRY_JITTER: Final = 0.25

# Of PubParam's JSON, in characters of ASCII; it is held in memory for each live session of a space with callbacks.
PARAM_LIMIT: Final = 4096
PARAM_FIELDS_LIMIT: Final = 64
# What authenticates, by its name in lower case (security: redact).
SECRET_PARAMS: Final = frozenset(
    ("k", "signature", "token", "secret", "secret_key", "password", "x-amz-signature", "x-amz-security-token")
)
NO_PARAM: Final = "{}"


class Notify(StrEnum):
    """NotifyType. The first two are the vendor's; the others have the same form."""

    PUB_START = "PubStart"
    PUB_END = "PubEnd"
    PUB_REFUSE = "PubRefuse"
    FORBID_STREAM = "ForbidStream"
    RESUME_STREAM = "ResumeStream"


@dataclass(frozen=True, slots=True)
class Event:
    """A fact to be told. ``members`` are those of its JSON object, whose Stream, App and UniqueName are ``name``."""

    name: StreamName
    members: Mapping[str, str | int] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """An event as it is kept. Times are Unix seconds."""

    number: int
    """Its place: of one stream, a lower one is told first."""
    event_id: str
    name: StreamName
    body: str = field(repr=False)
    created_at: int
    """When it was written down, or retried by hand."""
    attempts: int = 0
    next_try: int | None = None
    """None while another of its stream is before it, and of a dead letter."""
    dead_at: int | None = None
    error: str = ""
    """What came of the last attempt."""


@dataclass(frozen=True, slots=True)
class SpaceCounts:
    """How many events of a space wait and are dead letters, and how many were refused for want of room, ever."""

    unique_name: str
    waiting: int
    dead: int
    refused: int


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """The server of a space. ``keys`` sign what it is told; ``private`` lets it have a private address."""

    url: str = field(repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)
    private: bool = False


class Outcome(StrEnum):
    """What came of telling a server; the text is for logs and lists."""

    ACCEPTED = "accepted"
    REFUSED = "answered another status than 2xx"
    LATE = "did not answer in time"
    UNREACHABLE = "could not be reached"
    BROKEN = "gave no HTTP answer"
    PRIVATE = "has a private address, and callback_private is not set"
    NO_TARGET = "is not there: the space has no callback_url"


# Whose answers cost time and connections: such a server is only looked at now and then.
AWAY: Final = frozenset((Outcome.LATE, Outcome.UNREACHABLE, Outcome.BROKEN, Outcome.PRIVATE))


@dataclass(frozen=True, slots=True)
class Told:
    """An outcome, and the status that was answered; 0 where there was none."""

    outcome: Outcome
    status: int = 0

    def __str__(self) -> str:
        return f"answered {self.status}" if self.status else str(self.outcome)


class OutboxPort(Protocol):
    """The events that wait, and the dead letters. Writing them down is not here: that is a part of writing the fact.
    As every durable port: StoreUnavailable, and every write may be repeated."""

    async def spaces(self) -> list[SpaceCounts]:
        """The spaces that ever had an event."""
        ...

    async def due(self, now: int, room: Mapping[str, int]) -> list[Callback]:
        """Of each space in ``room``, so many events at most that are due: new ones, then by the time of their try."""
        ...

    async def done(self, callback: Callback) -> None:
        """Forget an event that was accepted; the next of its stream is due."""
        ...

    async def put_off(self, callback: Callback, next_try: int, error: str) -> None:
        """Note a failed attempt."""
        ...

    async def give_up(self, callback: Callback, now: int, error: str) -> None:
        """Make it a dead letter, the oldest beyond DEAD_LIMIT gone; the next of its stream is due."""
        ...

    async def listed(self, dead: bool, after: int, limit: int) -> Sequence[Callback]:
        """Those that wait, or the dead letters, above the number ``after``, in order."""
        ...

    async def retry(self, number: int, now: int) -> bool:
        """Have an event tried now: a dead letter, which waits again as if it were new, or one whose turn it is. False
        when there is none, or no room."""
        ...

    async def retry_all(self, now: int) -> int:
        """``retry`` for all; returns for how many."""
        ...

    async def drop(self, number: int) -> bool:
        """Forget an event; False when there is none."""
        ...

    async def purge(self, before: int) -> int:
        """Forget the dead letters that were given up before ``before``; returns how many."""
        ...

    async def lead(self, owner: str, now: int, seconds: int) -> bool:
        """Be, or stay, the one process that tells, until ``now`` + ``seconds``; False while another is."""
        ...

    async def resign(self, owner: str) -> None:
        """Lead no longer. Idempotent."""
        ...


class CallbackSender(Protocol):
    """Tells customers' servers."""

    async def send(self, target: CallbackTarget, callback: Callback) -> Told:
        """Tell a server of an event; answers within 5 s, and raises nothing of the server's making."""
        ...


def retry_delay_seconds(attempts: int, chance: float) -> float:
    """How long to wait after so many failed attempts; ``chance`` from 0 to 1 spreads those that failed together."""
    doubled: float = RETRY_FIRST_SECONDS * 2 ** min(attempts - 1, 16)
    return min(RETRY_LONGEST_SECONDS, doubled) * (1 + RETRY_JITTER * chance)


def read_pub_param(*queries: str) -> str:
    """PubParam: the parameters of a publish URL as the text of a JSON object, without those that authenticate. Of one
    that is there twice the last counts; what goes beyond PARAM_LIMIT is left out. Queries are raw."""
    found: dict[str, str] = {}
    length = len(NO_PARAM)
    for query in queries:
        for name, value in _fields(query):
            if name.lower() in SECRET_PARAMS:
                continue
            # A comma with each, also with the first.
            cost = len(json.dumps({name: value})) - len(NO_PARAM) + len(", ")
            if length + cost > PARAM_LIMIT:
                continue
            length += cost
            found[name] = value
    return json.dumps(found)


def _fields(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=PARAM_FIELDS_LIMIT)
    except ValueError:  # too many fields
        return []
