"""What must hold of a cluster whatever fails, as questions to what publishers have seen and what is written.

Rule: nothing here touches a service. Each function returns what is wrong, a line each; nothing is good. Times are Unix
seconds of the tests' own clock; those in rows are of a node's, which may differ from it by ``skew``.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A node that is behind may let in an encoder that has given up, of which nobody hears.
LATE_SECONDS = 8.0
# A publisher hears of its end a moment after its successor has been let in, perhaps.
OVERLAP_SECONDS = 2.0
# A ban whose message was lost is read from the store every 2 s. A publish that is under way then is cut if let in.
BAN_HEARD_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Publish:
    """One publish as its encoder saw it. Not started and over: refused, or never answered."""

    node: str
    stream: str
    asked_at: float
    port: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    refused: str = ""
    """The server's words, when it said no before any start."""

    @property
    def live(self) -> bool:
        """Acknowledged, and its connection is whole."""
        return self.started_at is not None and self.ended_at is None

    @property
    def asked_from(self) -> int:
        """The earliest time that its row may have."""
        return math.floor(self.asked_at)

    @property
    def asked_to(self) -> float:
        """The latest."""
        if self.started_at is not None or self.ended_at is None:
            return self.started_at or time.time()
        return self.ended_at if self.refused else self.ended_at + LATE_SECONDS

    def __str__(self) -> str:
        times = f"asked at {self.asked_at:.3f}, live from {self.started_at} to {self.ended_at}"
        return f"{self.stream} at {self.node} from port {self.port}, {times}"


@dataclass(frozen=True, slots=True)
class Row:
    """A session as it is in the store: open, or in history, accepted or refused."""

    session_id: str
    node: str
    stream: str
    port: int
    pub_time: int
    fin_time: int | None
    accepted: bool = True

    @property
    def is_open(self) -> bool:
        """Whether it is live as far as the store knows."""
        return self.fin_time is None


@dataclass(slots=True, eq=False)
class Ban:
    """A ban that the service has acknowledged, from then until it was to be lifted or to end."""

    stream: str
    since: float
    until: float = float("inf")


def history_faults(publishes: Iterable[Publish], rows: Sequence[Row], skew: float = 0.0) -> list[str]:
    """Each acknowledged publish has one row, in the right place; a refused one none; and there are no others."""
    faults = [f"session {row} is there {n} times" for row, n in Counter(r.session_id for r in rows).items() if n > 1]
    by_peer: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        if row.accepted:
            by_peer[row.node, row.stream, row.port].append(row)
        if row.fin_time is not None and row.fin_time < row.pub_time:
            faults.append(f"{row} ends before it begins")
    explained: set[int] = set()
    for publish in publishes:
        # Another may have had the same port before or after: a row's time is when its encoder asked, in whole seconds.
        of_peer = by_peer.get((publish.node, publish.stream, publish.port), [])
        mine = [row for row in of_peer if publish.asked_from - skew <= row.pub_time <= publish.asked_to + skew]
        explained |= {id(row) for row in mine}
        opened = sum(row.is_open for row in mine)
        if publish.started_at is not None:
            if len(mine) != 1:
                faults.append(f"{publish} was acknowledged and has {len(mine)} rows: {mine}")
            elif opened != publish.live:
                faults.append(f"{publish} is {'live' if publish.live else 'over'}, its row says otherwise: {mine}")
        elif publish.ended_at is not None and (opened or len(mine) > (not publish.refused)):
            faults.append(f"{publish} was not let in ({publish.refused or 'no answer'}) and has {mine}")
    faults += [f"{row} is nobody's" for of_peer in by_peer.values() for row in of_peer if id(row) not in explained]
    return faults


def name_faults(publishes: Iterable[Publish], excused: Sequence[tuple[float, float]] = ()) -> list[str]:
    """No two publishers of one name at once, but for times in which the cluster cannot know (``excused``)."""
    by_name: dict[str, list[Publish]] = defaultdict(list)
    for publish in publishes:
        if publish.started_at is not None:
            by_name[publish.stream].append(publish)
    now = time.time()
    faults = []
    for same in by_name.values():
        same.sort(key=lambda publish: publish.started_at or 0.0)
        for place, first in enumerate(same):
            for second in same[place + 1 :]:
                start, end = second.started_at or 0.0, min(first.ended_at or now, second.ended_at or now)
                together = end - start - sum(max(0.0, min(end, to) - max(start, since)) for since, to in excused)
                if together > OVERLAP_SECONDS:
                    faults.append(f"for {together:.1f} s both were live: {first} and {second}")
    return faults


def ban_faults(
    publishes: Iterable[Publish], bans: Iterable[Ban], excused: Sequence[tuple[float, float]] = ()
) -> list[str]:
    """No publish asked for while its name is forbidden is let in, but for times in which word of a ban may be late
    (``excused``); and none ever lives on."""
    now = time.time()
    faults = []
    for ban in bans:
        for publish in publishes:
            if publish.stream != ban.stream or publish.started_at is None:
                continue
            told = f"{publish}, {{}} though forbidden from {ban.since} to {ban.until}"
            is_excused = any(since <= publish.asked_at <= to for since, to in excused)
            if ban.since <= publish.asked_at and publish.started_at < ban.until and not is_excused:
                faults.append(told.format("was let in"))
            heard_by = max(ban.since, publish.started_at) + BAN_HEARD_SECONDS
            if publish.started_at < ban.until and min(publish.ended_at or now, ban.until) > heard_by:
                faults.append(told.format("lived on"))
    return faults


def list_faults(node: str, publishes: Iterable[Publish], listed: Iterable[str]) -> list[str]:
    """What a node lists is what is live, each once."""
    live, shown = Counter(publish.stream for publish in publishes if publish.live), Counter(listed)
    return [] if live == shown else [f"{node} lists {dict(shown)}; live are {dict(live)}"]
