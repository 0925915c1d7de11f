"""HLS: on demand, from the streams that are live. Rule: no answer waits longer than SEGMENT_WAIT_SECONDS.

Theory of operation. The first playlist that is asked for of a stream makes a packager, a tap of its hub that starts
from the GOP cache; it goes when nobody has asked for anything of it for a while. Playlists, the master too, wait for
its first segment: then the master knows the codecs and the rate, and the media playlist after it is answered at once.

Who may watch is decided at the master playlist. The URL of the media playlist in it holds a session id (see
`domain.hls_sessions`) bound to stream and play domain; segments have names that nobody can guess. A forbidden stream's
packager vanishes with all of that; one whose publisher ended in order stays for a while, to be played to its end.

Numbers of segments go on from one packager of a name to the next, without a memory of the former: a packager begins
with the seconds since FIRST_SEQUENCE_EPOCH, and no stream makes a segment a second for long.
"""

import asyncio
import secrets
from collections.abc import Iterator
from enum import Enum
from http import HTTPStatus
from typing import Final, NamedTuple

from openkls.domain.hls_sessions import (
    END_AFTER_TARGETS,
    NONCE_BYTES,
    HlsSessions,
    Outcome,
    SessionIds,
)
from openkls.domain.keys import StreamName
from openkls.domain.viewers import PullProtocol
from openkls.media import playlists
from openkls.media.answers import Answer, refusal
from openkls.media.doors import Doors, Seated
from openkls.media.hub import Hub
from openkls.media.packager import PLAYLIST_TYPE, Edition, Packager, State

SEGMENT_WAIT_SECONDS: Final = 10.0
# A stream of which nothing can be carried so far: time for its other track to show up.
UNPLAYABLE_WAIT_SECONDS: Final = 1.0
# Without a request for this long a packager goes; longer than a player pauses to buffer.
IDLE_SECONDS: Final = 30.0
# Past the end of a stream; a window of six segments of 10 s.
AFTERLIFE_SECONDS: Final = 60.0
SWEEP_SECONDS: Final = 1.0
FIRST_SEQUENCE_EPOCH: Final = 1_767_225_600  # 2026-01-01; keeps the numbers below 2^31 for players that want that

MEDIA_NAME: Final = "live.m3u8"
SESSION_FIELD: Final = "session="


class _Verdict(Enum):
    READY = "ready"
    OVER = "over"
    TOO_LATE = "too late"
    UNPLAYABLE = "unplayable"
    STOPPING = "stopping"


_NOT_LIVE: Final = refusal(HTTPStatus.NOT_FOUND, "No such stream is live.")
_NO_SEGMENT: Final = refusal(HTTPStatus.NOT_FOUND, "There is no such segment, or not any more.")
_FOREIGN: Final = refusal(
    HTTPStatus.FORBIDDEN,
    "This URL is not valid, or not any more. Open the stream's master playlist, /<app>/<stream>.m3u8.",
)
_TOO_LATE: Final = refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    f"The stream made no segment within {SEGMENT_WAIT_SECONDS:.0f} seconds; it may have stalled or have no key frames.",
    "Retry-After: 5",
)
_STOPPING: Final = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The service stops.", "Retry-After: 5")
_OUTCOMES: Final = {
    Outcome.EXPIRED: _FOREIGN,
    Outcome.ADDRESS_FULL: refusal(
        HTTPStatus.TOO_MANY_REQUESTS, "Too many HLS sessions from this address.", "Retry-After: 10"
    ),
    Outcome.FULL: refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many HLS sessions.", "Retry-After: 10"),
}


class FoundSegment(NamedTuple):
    """A segment, and where a connection is noted that it waits to go out on."""

    answer: Answer
    readers: set[asyncio.Transport]


class Hls:
    """The packagers and sessions of a process. Belongs to one event loop."""

    def __init__(self, doors: Doors, sessions: HlsSessions, ids: SessionIds) -> None:
        self.sessions = sessions
        self._doors = doors
        self._ids = ids
        self._packagers: dict[StreamName, Packager] = {}
        self._former: dict[StreamName, Packager] = {}
        """Ended ones whose names have a new packager: only their segments are asked for."""
        self._tokens: dict[str, tuple[Packager, Edition]] = {}
        self._timer: asyncio.Handle | None = None
        self._stopping = False

    def __len__(self) -> int:
        """Streams that HLS is made of, or whose end can still be fetched."""
        return len(self._packagers) + len(self._former)

    def sent(self) -> Iterator[tuple[StreamName, int]]:
        """The bytes sent of each stream that is there, since its HLS was first asked for."""
        for packager in (*self._packagers.values(), *self._former.values()):
            for edition in packager.editions.values():
                yield packager.hub.name, edition.sent.total_bytes

    def start(self) -> None:
        """Begin to sweep."""
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def stop(self) -> None:
        """Let everything go; whoever waits is told. Idempotent."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for packager in (*self._packagers.values(), *self._former.values()):
            packager.vanish()

    # -- requests

    async def master(self, seated: Seated, folder: str) -> Answer:
        """The master playlist for a viewer who may watch; ``folder`` leads from its URL to the media playlist's."""
        packager = self._packager_of(seated.hub)
        verdict = await self._ready(packager)
        if verdict is not _Verdict.READY:
            return self._refusal(verdict, packager)
        name = packager.hub.name
        session = self._ids.issue(name, seated.domain_id, secrets.token_bytes(NONCE_BYTES), self._doors.clock())
        holder = self._doors.registry.holder(name)
        traits = packager.traits(None if holder is None else holder.quality)
        text = playlists.build_master(f"{folder}{MEDIA_NAME}?{SESSION_FIELD}{session}", traits)
        answer = Answer(HTTPStatus.OK, PLAYLIST_TYPE, text)
        self._count_sent(self._edition(packager, seated.domain_id), answer)
        return answer

    async def media(
        self, host: str, app: str, stream: str, session: str, address: str | None, counted: bool = True
    ) -> Answer:
        """The media playlist, for whoever shows a session id. ``address`` as for `HlsSessions.request`; not
        ``counted``: only looked at."""
        for seat in self._doors.directory.seats(host, app, stream):
            shown = self._ids.verify(session, seat.name, seat.domain_id)
            if shown is not None:
                break
        else:
            return _FOREIGN
        if not self.sessions.admits(seat.name, shown, self._doors.clock()):
            return _FOREIGN
        packager = self._find(seat.name)
        if packager is None:
            return _NOT_LIVE
        verdict = await self._ready(packager)
        if verdict is not _Verdict.READY:
            return self._refusal(verdict, packager)
        edition = self._edition(packager, seat.domain_id)
        if counted:
            outcome = self.sessions.request(
                seat.name,
                seat.domain_id,
                shown,
                address,
                edition.sent,
                packager.target_seconds,
                self._loop.time(),
                self._doors.clock(),
            )
            if outcome is not Outcome.SERVED:
                return _OUTCOMES[outcome]
        answer = packager.playlist(edition)
        if counted:
            self._count_sent(edition, answer)
        return answer

    def segment(self, app: str, stream: str, token: str, sequence: int, counted: bool = True) -> FoundSegment | Answer:
        """A segment by its name, or the answer that there is none."""
        found = self._tokens.get(token)
        if found is None:
            return _NO_SEGMENT
        packager, edition = found
        name = packager.hub.name
        if (name.app, name.stream) != (app, stream) or self._is_forbidden(packager):
            return _NO_SEGMENT
        answer = packager.segment(sequence)
        if answer is None:
            return _NO_SEGMENT
        packager.asked_at = self._loop.time()
        if counted:
            self._count_sent(edition, answer)
        return FoundSegment(answer, packager.readers)

    def holds(self, token: str) -> bool:
        """Whether segments of this name are made here."""
        return token in self._tokens

    # -- packagers

    def _find(self, name: StreamName) -> Packager | None:
        """The packager of a stream that is live or has just ended; made where there is none."""
        hub = self._doors.hubs.find(name)
        if hub is not None:
            return self._packager_of(hub)
        packager = self._packagers.get(name)
        return None if packager is None or self._is_forbidden(packager) else packager

    def _packager_of(self, hub: Hub) -> Packager:
        packager = self._packagers.get(hub.name)
        if packager is None or packager.hub is not hub:
            first = max(1, int(self._doors.clock()) - FIRST_SEQUENCE_EPOCH)
            if packager is not None:
                first = max(first, packager.next_sequence)
                self._retire(packager)
            holder = self._doors.registry.holder(hub.name)
            key = None if holder is None else holder.key
            packager = self._packagers[hub.name] = Packager(
                hub, key, self._loop, self._doors.clock, first, self._forget
            )
        return packager

    def _retire(self, packager: Packager) -> None:
        """A new publish of the name is asked for; of the one before the last nothing is kept."""
        older = self._former.pop(packager.hub.name, None)
        if older is not None:
            older.vanish()
        self._former[packager.hub.name] = packager

    def _edition(self, packager: Packager, domain_id: str) -> Edition:
        edition = packager.edition(domain_id)
        self._tokens[edition.token] = (packager, edition)
        packager.asked_at = self._loop.time()
        return edition

    async def _ready(self, packager: Packager) -> _Verdict:
        packager.asked_at = self._loop.time()
        if not packager.has_segments and packager.state is State.LIVE:
            await packager.changed(UNPLAYABLE_WAIT_SECONDS if packager.unplayable else SEGMENT_WAIT_SECONDS)
        if self._stopping:
            return _Verdict.STOPPING
        if packager.has_segments:
            return _Verdict.READY
        if packager.state is not State.LIVE:
            return _Verdict.OVER
        return _Verdict.UNPLAYABLE if packager.unplayable else _Verdict.TOO_LATE

    def _refusal(self, verdict: _Verdict, packager: Packager) -> Answer:
        if verdict is _Verdict.UNPLAYABLE:
            text = f"HLS cannot carry this stream's {packager.unplayable}; HTTP-FLV and RTMP can."
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
        return {_Verdict.OVER: _NOT_LIVE, _Verdict.TOO_LATE: _TOO_LATE, _Verdict.STOPPING: _STOPPING}[verdict]

    def _is_forbidden(self, packager: Packager) -> bool:
        """Whether the stream was forbidden after its publish had ended, when no hub was there to say so."""
        if packager.state is State.LIVE or packager.key is None:
            return packager.state is State.GONE
        if not self._doors.registry.forbids(packager.key, self._doors.clock()):
            return False
        packager.vanish()
        return True

    def _count_sent(self, edition: Edition, answer: Answer) -> None:
        edition.sent.add(self._loop.time(), len(answer.head) + len(answer.body))

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        now = self._loop.time()
        self.sessions.sweep(now)
        for packager in (*self._packagers.values(), *self._former.values()):
            if packager.state is State.LIVE:
                over = now - packager.asked_at > max(IDLE_SECONDS, 2 * END_AFTER_TARGETS * packager.target_seconds)
            else:
                over = now - packager.ended_at > AFTERLIFE_SECONDS
            if over:
                packager.vanish()

    def _forget(self, packager: Packager) -> None:
        """A packager has vanished."""
        name = packager.hub.name
        for edition in packager.editions.values():
            self._tokens.pop(edition.token, None)
            self._doors.endings.tally.sent(name, PullProtocol.HLS, edition.sent.total_bytes)
        former = self._former.get(name)
        if former is packager:
            del self._former[name]
        if self._packagers.get(name) is packager:
            del self._packagers[name]
            self.sessions.drop(name)
            if former is not None:
                former.vanish()
