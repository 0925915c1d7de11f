"""What the other processes of the cluster show, and what this one shows them.

Rule: an API process answers from what is here, and waits for nobody; what another process shows is gone when its lease
is, and while the ephemeral ports do not answer it stays for STALE_SECONDS.

Theory of operation. A process shows its streams whenever one began or ended, and every POST_SECONDS while it has
streams or viewers, as their readings change; one that has neither only renews its lease. A large node's snapshot is
made less often, so that making it costs at most POST_SHARE of the time. The others read what is new when they are told
so, and every FOLLOW_SECONDS. So a reading is at most 3 + 2 s old, plus the way. Rows are made out of a snapshot when
somebody asks for its app, once.

A viewer may be faster than the snapshot that shows its stream. One who asks for a name that nobody shows has Redis
asked once whether somebody holds it, and waits for the snapshot if so. Of viewers who come by the thousand for what is
not live a few are asked for, the others are told at once.

Readings are most of a snapshot, and only lists show them. A process that answers none reads what has changed of the
names alone, and looks when it is told that they have.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from openkls.control.failures import Failures
from openkls.control.snapshot import Names, Readings, RemoteStream, Watched, build_snapshot
from openkls.domain.errors import ClusterUnavailable
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.ports import Link, Part, Posted, SnapshotsPort
from openkls.domain.rates import Rates
from openkls.domain.registry import Registry
from openkls.domain.viewers import NO_SHARES, Audience, PullProtocol, Shares, Viewers

log = logging.getLogger("openkls.control.peers")

POST_SECONDS = 3.0
# Between two snapshots, though much has changed.
POST_LEAST_SECONDS = 0.5
POST_SHARE = 0.05
LOOK_SECONDS = 0.25
FOLLOW_SECONDS = 2.0
FOLLOW_LEAST_SECONDS = 0.25
# From a claim to the snapshot here: POST_LEAST_SECONDS, LOOK_SECONDS, FOLLOW_LEAST_SECONDS, and the way.
HEAR_SECONDS = 2.0
# Those who wait for that, and how often Redis is asked.
HEARERS_LIMIT = 64
ASKS_PER_SECOND = 50
# A Redis is restarted, or fails over, within that time; what was live a minute ago is no answer any more.
STALE_SECONDS = 60.0
# Those that show nothing right after an outage have perhaps not come to it yet.
RESTORE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The live streams and viewers of one app in all other processes."""

    streams: dict[str, RemoteStream] = field(default_factory=dict)
    watched: dict[str, list[Watched]] = field(default_factory=dict)

    def audience(self, stream: str, protocol: PullProtocol, domain_ids: frozenset[str] | None) -> Audience:
        """As Viewers.audience."""
        online, bps = 0, 0.0
        for row in self.watched.get(stream, ()):
            if row.protocol is protocol and (domain_ids is None or row.domain_id in domain_ids):
                online += row.online
                bps += row.bps
        return Audience(online, bps)

    def shares(self, stream: str) -> Shares:
        """As Viewers.shares."""
        rows = self.watched.get(stream)
        if rows is None:
            return NO_SHARES
        online = dict.fromkeys(PullProtocol, 0)
        for row in rows:
            online[row.protocol] += row.online
        bps = float(sum([row.bps for row in rows]))
        return Shares(online[PullProtocol.RTMP], online[PullProtocol.HTTP_FLV], online[PullProtocol.HLS], bps)


NOWHERE = Elsewhere()


class Peers:
    """The other processes as this one, ``boot_id`` on ``node``, knows them."""

    def __init__(
        self,
        port: SnapshotsPort,
        link: Link,
        registry: Registry,
        viewers: Viewers,
        boot_id: str,
        node: str,
        has_lists: bool,
        tell_shown: Callable[[bool], Awaitable[object]],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        is_held: Callable[[StreamName], Awaitable[bool]] | None = None,
        failures: Failures | None = None,
    ) -> None:
        """``has_lists``: ``app`` is asked, so that readings are read too. ``tell_shown`` tells the others that there is
        something new to read, and whether names are. ``is_held`` asks whether any process has claimed a name, and
        raises ClusterUnavailable. ``failures`` are shown to the others."""
        self._failures = failures or Failures()
        self._posted_failures = 0
        self._port = port
        self._link = link
        self._registry = registry
        self._viewers = viewers
        self._boot_id = boot_id
        self._node = node
        self._parts = (Part.NAMES, Part.READINGS) if has_lists else (Part.NAMES,)
        self._tell_shown = tell_shown
        self._clock = clock
        self._monotonic = monotonic
        self._numbers: dict[str, dict[Part, int]] = {}
        self._names: dict[str, Names] = {}
        self._readings: dict[str, Readings] = {}
        self._changes = 0
        self._merged: dict[tuple[str, str], tuple[int, Elsewhere]] = {}
        self._followed_at = monotonic()
        self._follow_now = asyncio.Event()
        self._is_held = is_held
        self._followed = asyncio.Event()
        self._hearers = 0
        self._asks = Rates()
        self._post_now = False
        self._relay = ""
        self._number = 0
        self._own_names = Posted(0, b"")
        self._empty = False
        self._posted_changes = -1
        self._next_post = 0.0
        self._rest_seconds = POST_LEAST_SECONDS
        self.posted = 0
        self.malformed = 0
        """Snapshots that could not be read, since the start."""
        link.on_up(self._restore)

    def __len__(self) -> int:
        """How many other processes show something."""
        return len(self._numbers)

    @property
    def age_seconds(self) -> float:
        """How long ago the others' snapshots were looked at; above a few seconds lists are not what they should be."""
        return self._monotonic() - self._followed_at

    # -- what the others show

    async def app(self, unique_name: str, app: str) -> Elsewhere:
        """The live streams and viewers of an app in all other processes."""
        changes, merged = self._merged.get((unique_name, app), (-1, NOWHERE))
        if changes == self._changes:
            return merged
        changes, merged = self._changes, Elsewhere()
        for readings in tuple(self._readings.values()):
            try:
                shown = await readings.app(unique_name, app)
            except msgspec.DecodeError:
                self.malformed += 1
                continue
            for stream in shown.streams:
                known = merged.streams.get(stream.key.stream)
                # Two of one name are about to be one: the older one wins.
                if known is None or stream.facts.session_id < known.facts.session_id:
                    merged.streams[stream.key.stream] = stream
            for row in shown.watched:
                merged.watched.setdefault(row.stream, []).append(row)
        self._merged[unique_name, app] = changes, merged
        return merged

    def apps(self) -> set[tuple[str, str]]:
        """The apps, each with its space, of which another process shows a stream or a viewer."""
        return {each for readings in self._readings.values() for each in readings.apps()}

    def processes(self) -> list[Readings]:
        """What each other process shows."""
        return list(self._readings.values())

    def lists(self, key: StreamKey) -> bool:
        """Whether another process was last seen to publish the key."""
        with contextlib.suppress(msgspec.DecodeError):
            return any(names.publishes(key) for names in self._names.values())
        return False

    def find(self, name: StreamName) -> str | None:
        """Whereabouts.find."""
        with contextlib.suppress(msgspec.DecodeError):
            for names in self._names.values():
                if names.relay and names.has(name):
                    return names.relay
        return None

    async def hears_of(self, name: StreamName) -> bool:
        """Whereabouts.hears_of."""
        if self.find(name) is not None:
            return True
        if self._is_held is None or self._hearers >= HEARERS_LIMIT:
            return False
        if self._asks.take((), ASKS_PER_SECOND, 1.0, self._monotonic()):
            return False
        self._hearers += 1
        try:
            if not await self._is_held(name):
                return False
            async with asyncio.timeout(HEAR_SECONDS):
                while self.find(name) is None:
                    await self._followed.wait()
        except (ClusterUnavailable, TimeoutError):
            return False
        finally:
            self._hearers -= 1
        return True

    def show_relay(self, address: str) -> None:
        """Show the others where this process's streams are relayed from, from the next snapshot on."""
        self._relay = address
        self._post_now = True

    def follow_soon(self, names_changed: bool = True) -> None:
        """Have ``run`` look at what the others show, if there may be something in it for this process."""
        if names_changed or Part.READINGS in self._parts:
            self._follow_now.set()

    async def follow(self) -> None:
        """Look at what the others show. Raises ClusterUnavailable."""
        try:
            own = {Part.NAMES: self._own_names.number, Part.READINGS: self._number}
            found = await self._port.newer(self._parts, {**self._numbers, self._boot_id: own})
        except ClusterUnavailable:
            if self._numbers and self.age_seconds > STALE_SECONDS:
                self._forget(list(self._numbers))
            raise
        self._followed_at = self._monotonic()
        found.pop(self._boot_id, None)
        for boot_id, parts in found.items():
            try:
                self._learn(boot_id, parts)
            except msgspec.DecodeError as error:
                self.malformed += 1
                log.error("the snapshot of process %s cannot be read: %s", boot_id, error)
                self._forget([boot_id])
        # Each event wakes those who wait for it, and is followed by another.
        self._followed.set()
        self._followed = asyncio.Event()
        if self._link.up_seconds >= RESTORE_SECONDS:
            self._forget([boot_id for boot_id in self._numbers if boot_id not in found])

    def _learn(self, boot_id: str, parts: dict[Part, Posted]) -> None:
        if Part.NAMES in parts:
            self._names[boot_id] = Names(parts[Part.NAMES].payload)
        if Part.READINGS in parts:
            self._readings[boot_id] = Readings(parts[Part.READINGS].payload)
            self._changes += 1
        self._numbers.setdefault(boot_id, {}).update((part, posted.number) for part, posted in parts.items())

    def _forget(self, gone: list[str]) -> None:
        for boot_id in gone:
            for known in (self._numbers, self._names, self._readings):
                known.pop(boot_id, None)
        if gone:
            self._changes += 1
            self._merged.clear()

    # -- what this one shows

    async def post(self) -> None:
        """Show what is new, or renew the lease. Raises ClusterUnavailable."""
        now = self._monotonic()
        due = now >= self._next_post
        changed = self._post_now or self._registry.changes != self._posted_changes
        if not due and not (changed and now >= self._next_post - POST_SECONDS + self._rest_seconds):
            return
        self._next_post = now + POST_SECONDS
        failures = self._failures.total
        empty = not len(self._registry) and not self._viewers.groups() and failures == self._posted_failures
        if empty and self._empty and not changed and await self._port.renew(self._boot_id, self._number):
            return
        self._post_now = False
        changes = self._registry.changes
        parts = await build_snapshot(
            self._boot_id,
            self._node,
            self._registry,
            self._viewers,
            int(self._clock()),
            now,
            self._relay,
            self._failures.counts(),
        )
        took_seconds = self._monotonic() - now
        self._rest_seconds = min(POST_SECONDS, max(POST_LEAST_SECONDS, took_seconds / POST_SHARE))
        # Of two boots of one process's life no number is the same twice.
        self._number = max(self._number + 1, int(self._clock() * 1000))
        names = self._own_names
        if parts[Part.NAMES] != names.payload:
            names = Posted(self._number, parts[Part.NAMES])
        await self._port.post(
            self._boot_id, {Part.NAMES: names, Part.READINGS: Posted(self._number, parts[Part.READINGS])}
        )
        names_changed, self._own_names = names is not self._own_names, names
        self.posted += 1
        self._empty = empty
        self._posted_failures = failures
        # One that holds its name and has not begun yet changes without the registry's knowing.
        self._posted_changes = changes if self._all_started() else -1
        await self._tell_shown(names_changed)

    def _all_started(self) -> bool:
        return all(session.started for session in self._registry.sessions())

    def _restore(self) -> None:
        self._next_post = 0.0
        self._post_now = True
        self.follow_soon()

    # -- the loops

    async def run(self) -> None:
        """Show and look, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show())
            group.create_task(self._look())

    async def _show(self) -> None:
        while True:
            await self._guarded(self.post)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        while True:
            await self._guarded(self.follow)
            await asyncio.sleep(FOLLOW_LEAST_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FOLLOW_SECONDS - FOLLOW_LEAST_SECONDS):
                    await self._follow_now.wait()
            self._follow_now.clear()

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except ClusterUnavailable:
            pass
        except Exception:  # a loop that ended would hide this process's streams, or the others'
            log.exception("%s failed", step.__name__)

    async def withdraw(self) -> None:
        """Show nothing any more: this process ends."""
        with contextlib.suppress(ClusterUnavailable):
            await self._port.withdraw(self._boot_id)
