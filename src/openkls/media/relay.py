"""Streams that another process of the cluster publishes, for those who watch them here.

Rule: one pull for each stream and process, however many ask; it ends soon after the last of them. A relay is no
publish: the registry knows nothing of it, and a publish of the name here takes its hub over.

Theory of operation. A relay is a task that pulls the stream from the relay port of the process that publishes it
(`media.relay_port`), and pushes what comes into a hub of its own here. It says when it has caught up with what a late
viewer starts from; until then those who asked wait. Times are the source's, unchanged.

The source says how the stream ends. It was cut: so are the viewers here, at once. It is over: so it is here, unless it
is known to go on in yet another process. The publisher left and may come back: viewers here wait as they do there, and
follow it to wherever it comes back. A connection that is lost, or has been silent though the source speaks at least
every ALIVE_SECONDS, says nothing of the stream: it is made again, as soon as may be and then less and less often,
within the grace that viewers wait for a publisher. What comes twice by that is left out.

Those who wait for a publisher that left this process are brought to where it has come back, in the same way.
"""

import asyncio
import contextlib
import logging
from enum import Enum
from typing import Final

import aiohttp
from yarl import URL

from openkls.codec import ProtocolError, flv
from openkls.codec.rtmp.events import MediaReceived
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.ports import Whereabouts
from openkls.domain.quality import Quality
from openkls.media.doors import Doors
from openkls.media.hub import Hub
from openkls.media.ingest import Ingest
from openkls.media.polling import gather_ms
from openkls.media.relay_words import CONTROL, TOKEN_HEADER, Word, build_path, parse_control

log = logging.getLogger("openkls.media.relay")

# How long somebody waits for a stream to come from elsewhere; players give up after as long or longer.
OPEN_SECONDS: Final = 5.0
# Those who wait, of all streams; each is a connection that is parked.
ASKERS_LIMIT: Final = 1000
# Streams pulled at once; each costs its bandwidth between the processes, and here a cache like a publisher's.
RELAYS_LIMIT: Final = 1000
# Between processes of one network; more is an overloaded one, and the next attempt comes soon.
CONNECT_SECONDS: Final = 2.0
# A source says at least that it is alive; twice missed, and it is given up.
ALIVE_SECONDS: Final = 2.0
SILENCE_SECONDS: Final = 5.0
# From the last viewer's end; a player that opens its stream anew is back by then.
IDLE_SECONDS: Final = 10.0
SWEEP_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 0.1
RETRY_LONGEST_SECONDS: Final = 1.0
# After an opening that failed nobody asks for the stream again for so long, doubled at each failure.
REST_SECONDS: Final = 0.5
REST_LONGEST_SECONDS: Final = 8.0
RESTS_LIMIT: Final = 10_000
# What is read ahead of the parser; a tag that is not whole yet waits in it, up to flv.MAX_TAG_BYTES.
READ_AHEAD_BYTES: Final = 256 * 1024

_WRAP: Final = 1 << 32


class End(Enum):
    """How a pull ended."""

    LOST = "lost"
    ABSENT = "not published there"
    OVER = "over"
    CUT = "cut"


class Relay:
    """One stream that is pulled."""

    def __init__(self, relays: "Relays", name: StreamName) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.hub: Hub | None = None
        self.address = ""
        """Where it is pulled from, or was last."""
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done when viewers may join, or when there will be nothing to join."""
        self.waiting = False
        """The publisher left and may come back: nobody joins meanwhile."""
        self.watched_at = loop.time()
        self._relays = relays
        self._loop = loop
        self._lost_at: float | None = None
        self._session_id = ""
        self._ingest = Ingest(Quality())
        self._lasts: dict[int, int] = {}
        """The last time of each type of message that was pushed."""
        self._again: set[int] = set()
        """The types of which what comes may have come before."""
        self._answer: aiohttp.ClientResponse | None = None
        self.task = loop.create_task(self._run(), name=f"relay of {'/'.join(name)}")
        self.task.add_done_callback(self._done)

    @property
    def began(self) -> bool:
        """Whether it ever carried the stream."""
        return bool(self._session_id)

    @property
    def joinable(self) -> Hub | None:
        """The hub, if viewers may join it now."""
        return self.hub if self.ready.done() and not self.waiting else None

    def end(self, cut: bool = False) -> None:
        """End it, and the viewers here. Idempotent."""
        hub, self.hub = self.hub, None
        self.task.cancel()
        self._settle()
        if hub is not None:
            self._relays.hubs.end_relayed(hub, cut)

    def move(self) -> None:
        """Leave the source, as the stream has been published elsewhere."""
        if self._answer is not None:
            self._answer.close()

    def _taken(self) -> None:
        """The hub is another's."""
        self.hub = None
        self.task.cancel()
        self._settle()

    def _settle(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    # -- the pull

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception:
            log.exception("the relay of %s failed", "/".join(self.name))
            self.end()

    def _done(self, _: object) -> None:
        self._settle()
        self._relays.forget(self)

    async def _follow(self) -> None:
        """Pull until it is over, from wherever the stream is."""
        pause_seconds = 0.0
        while True:
            self.address = self._relays.whereabouts.find(self.name) or self.address
            if not self.address or self._relays.published_here(self.name):
                return
            end = await self._pull(self.address)
            now = self._loop.time()
            if end is End.CUT:
                self.end(cut=True)
                return
            if end is End.OVER:
                elsewhere = self._relays.whereabouts.find(self.name)
                if elsewhere in (None, self.address):
                    self.end()
                    return
            if end is End.ABSENT and self.hub is None:
                return
            if self._lost_at is None:
                self._lost_at, pause_seconds = now, 0.0
                self._relays.losses += self.hub is not None
            if now - self._lost_at >= self._patience_seconds():
                log.info("the relay of %s from %s ends: %s", "/".join(self.name), self.address, end.value)
                self.end()
                return
            pause_seconds = min(RETRY_LONGEST_SECONDS, max(RETRY_SECONDS, 2 * pause_seconds))
            await asyncio.sleep(pause_seconds)

    def _patience_seconds(self) -> float:
        if self.hub is None:
            # Those who ask are told before they give up by themselves.
            return OPEN_SECONDS / 2
        return self._relays.grace_seconds(self.name)

    async def _pull(self, address: str) -> End:
        """Pull from one process; how that ended."""
        try:
            async with self._relays.ask(address, self.name) as answer:
                if answer.status != 200:
                    if answer.status != 404:
                        log.error("process %s refuses relays: %d; is [cluster] token the same?", address, answer.status)
                    return End.ABSENT
                self._answer = answer
                reader = flv.FlvReader()
                self._again = set(self._lasts)
                async for data in answer.content.iter_any():
                    for tag in reader.feed(data):
                        end = self._take(tag, reader)
                        if end is not None:
                            return end
        except (aiohttp.ClientError, TimeoutError, OSError, ProtocolError) as error:
            log.info("relay of %s: %s is lost: %s", "/".join(self.name), address, str(error) or type(error).__name__)
        finally:
            self._answer = None
        return End.LOST

    def _take(self, tag: flv.Tag, reader: flv.FlvReader) -> End | None:
        if tag.type_id == CONTROL:
            return self._hear(tag.payload, reader)
        if self.hub is None or not tag.payload or self._came_before(tag):
            return None
        message = MediaReceived(*tag)
        self.hub.push(self._ingest.take(message, self._loop.time()), message)
        return None

    def _came_before(self, tag: flv.Tag) -> bool:
        """Whether it was pushed before the connection was lost; metadata is in force since then."""
        if tag.type_id in self._again:
            step_ms = (tag.timestamp - self._lasts[tag.type_id] + _WRAP // 2) % _WRAP - _WRAP // 2
            if step_ms <= 0 or tag.type_id == flv.SCRIPT:
                return True
            self._again.discard(tag.type_id)
        self._lasts[tag.type_id] = tag.timestamp
        return False

    def _hear(self, payload: bytes, reader: flv.FlvReader) -> End | None:
        said = parse_control(payload)
        if said is None:
            return None
        match said.word:
            case Word.BEGUN:
                return self._begin(*said.details)
            case Word.CAUGHT_UP:
                self._again.clear()
                self._lost_at = None
                if self.hub is not None:
                    self.hub.expect(reader.has_audio, reader.has_video)
                self._settle()
            case Word.WAITING:
                self.waiting = True
                if self.hub is not None and not self.hub.wait():
                    return End.OVER
            case Word.OVER:
                return End.OVER
            case Word.CUT:
                return End.CUT
        return None

    def _begin(self, session_id: str, pubdomain: str) -> End | None:
        hubs = self._relays.hubs
        if self._relays.published_here(self.name):
            return End.OVER
        key = StreamKey(self.name.unique_name, pubdomain, self.name.app, self.name.stream)
        merge_ms = gather_ms(self._relays.doors.merge_ms_of(key))
        if self.hub is None:
            self.hub = hubs.relay(key, merge_ms, self._taken)
            self._relays.opened += 1
            log.info("relay of %s from %s began", "/".join(self.name), self.address)
        elif session_id != self._session_id:
            self._lasts.clear()
            self._again.clear()
            hubs.relay_on(self.hub, key, merge_ms)
        self._session_id = session_id
        self.waiting = False
        return None


class Relays:
    """The relays of a process. Belongs to one event loop."""

    def __init__(self, doors: Doors, whereabouts: Whereabouts, token: str) -> None:
        self.doors = doors
        self.hubs = doors.hubs
        self.whereabouts = whereabouts
        self._token = token
        self._relays: dict[StreamName, Relay] = {}
        self._rests: dict[StreamName, tuple[float, float]] = {}
        """Until when a stream that could not be opened is not asked for, and for how long it was not."""
        self._askers = 0
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._session: aiohttp.ClientSession | None = None
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self.opened = 0
        """Relays that came to carry a stream, since the start."""
        self.losses = 0
        """Connections to a source that were lost, since the start."""
        self.refused = 0
        """Viewers turned away because too many waited, or too much was pulled, since the start."""

    def __len__(self) -> int:
        """Streams that are pulled, or about to be."""
        return len(self._relays)

    def running(self, name: StreamName) -> Hub | None:
        """The hub of a stream that is relayed here already."""
        relay = self._relays.get(name)
        return None if relay is None else relay.joinable

    async def open(self, name: StreamName) -> Hub | None:
        """The hub of a stream that is published elsewhere, once there is something to start from; None when that
        did not come within OPEN_SECONDS, or is not to be. Raises nothing."""
        relay = self._relays.get(name)
        if relay is None:
            relay = self._start(name)
        if relay is None or self._askers >= ASKERS_LIMIT:
            self.refused += relay is not None
            return self.hubs.find(name)
        self._askers += 1
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await asyncio.shield(relay.ready)
        except TimeoutError:
            return None
        finally:
            self._askers -= 1
        if self._stopped:
            return None
        # Its publisher may have come here meanwhile.
        return self.hubs.find(name) or relay.joinable

    def _start(self, name: StreamName) -> Relay | None:
        if self._stopped or self._loop.time() < self._rests.get(name, (0.0, 0.0))[0]:
            return None
        if len(self._relays) >= RELAYS_LIMIT:
            self.refused += 1
            return None
        relay = self._relays[name] = Relay(self, name)
        return relay

    def stop(self) -> None:
        """Open nothing more; those who wait are told."""
        self._stopped = True
        for relay in self._relays.values():
            if not relay.ready.done():
                relay.end()

    async def close(self) -> None:
        """End all relays."""
        self.stop()
        self._sweeper.cancel()
        relays = tuple(self._relays.values())
        for relay in relays:
            relay.end()
        await asyncio.gather(*(relay.task for relay in relays), return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    # -- what a relay asks

    def ask(self, address: str, name: StreamName) -> "contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]":
        """The source's answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=READ_AHEAD_BYTES,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
                ),
            )
        url = URL(f"http://{address}{build_path(name)}", encoded=True)
        return self._session.get(url, headers={TOKEN_HEADER: self._token}, allow_redirects=False)

    def published_here(self, name: StreamName) -> bool:
        """Whether this process publishes the stream, and so relays it to nobody."""
        return self.doors.registry.holder(name) is not None or self.hubs.find(name) is not None

    def grace_seconds(self, name: StreamName) -> float:
        """How long viewers of a stream wait for its publisher."""
        return self.doors.grace_seconds_of(name)

    def forget(self, relay: Relay) -> None:
        """A relay has ended."""
        if self._relays.get(relay.name) is relay:
            del self._relays[relay.name]
        if relay.began or self._stopped:
            self._rests.pop(relay.name, None)
            return
        _, rested_seconds = self._rests.pop(relay.name, (0.0, 0.0))
        rest_seconds = min(REST_LONGEST_SECONDS, max(REST_SECONDS, 2 * rested_seconds))
        if len(self._rests) >= RESTS_LIMIT:
            del self._rests[next(iter(self._rests))]
        self._rests[relay.name] = self._loop.time() + rest_seconds, rest_seconds

    # -- each half second

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        now = self._loop.time()
        for relay in tuple(self._relays.values()):
            self._look_after(relay, now)
        for name in self.hubs.waiting():
            if name not in self._relays and self.whereabouts.find(name):
                self._start(name)
        for name, (until, rest_seconds) in tuple(self._rests.items()):
            if now > until + rest_seconds:
                del self._rests[name]

    def _look_after(self, relay: Relay, now: float) -> None:
        if relay.hub is None:
            return
        if relay.hub.is_watched:
            relay.watched_at = now
        elif now - relay.watched_at > IDLE_SECONDS:
            relay.end()
            return
        if relay.waiting and self.whereabouts.find(relay.name) not in (None, relay.address):
            relay.move()
