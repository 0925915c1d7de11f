"""The hubs of a process, by name: those of its publishers, those that wait for one who left, and those of streams that
are relayed from another process.

Rule: the registry decides who publishes; a hub follows its session. A hub waits only while somebody waits for it, and
never after a forbid. Of one name there is one hub at a time, whichever kind it is.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.viewers import Viewers
from openkls.media.hub import Hub, Lags


class _Relayed(NamedTuple):
    hub: Hub
    key: StreamKey
    on_taken: Callable[[], None]


class Hubs:
    """Opens, finds and closes hubs. Belongs to one event loop."""

    def __init__(self, viewers: Viewers, loop: asyncio.AbstractEventLoop) -> None:
        self._viewers = viewers
        self._loop = loop
        self._hubs: dict[StreamName, Hub] = {}
        self._waiting: dict[StreamName, tuple[Hub, StreamKey, asyncio.TimerHandle]] = {}
        self._relayed: dict[StreamName, _Relayed] = {}
        self.lags = Lags()
        self.resumed = 0
        """Streams that were published again while somebody waited."""

    def open(self, name: StreamName, merge_ms: int) -> Hub:
        """Begin a stream, in the hub of those who wait for it, or watch it by a relay, if there are any. One that is
        still there under the name ends first."""
        former = self._hubs.get(name)
        if former is not None:
            former.end(cut=False)
        hub = self._leave_waiting(name) or self._leave_relayed(name)
        if hub is None:
            hub = Hub(name, self._viewers, merge_ms, self._loop, self.lags)
        else:
            hub.resume(merge_ms)
            self.resumed += 1
        self._hubs[name] = hub
        return hub

    def __len__(self) -> int:
        """Streams that are published here."""
        return len(self._hubs)

    def find(self, name: StreamName) -> Hub | None:
        """The hub of a stream that is published here; one that waits is not live."""
        return self._hubs.get(name)

    def close(self, hub: Hub, cut: bool) -> None:
        """End a stream. Idempotent; never touches a successor of the same name."""
        if self._hubs.get(hub.name) is hub:
            del self._hubs[hub.name]
        hub.end(cut)

    def suspend(self, hub: Hub, key: StreamKey, grace_seconds: float) -> None:
        """End a stream whose publisher, of this key, may come back: those who watch it wait so long for it."""
        if self._hubs.get(hub.name) is not hub:
            return
        if grace_seconds <= 0 or not hub.wait():
            self.close(hub, cut=False)
            return
        del self._hubs[hub.name]
        hub.on_deserted = self._give_up
        self._waiting[hub.name] = hub, key, self._loop.call_later(grace_seconds, self._give_up, hub)

    def waiting(self) -> list[StreamName]:
        """The streams whose publishers left and may come back, here or elsewhere."""
        return list(self._waiting)

    def cut(self, key: StreamKey) -> bool:
        """End a stream of exactly this key that is relayed here or waits for its publisher, its viewers at once; False
        when there is none."""
        relayed = self._relayed.get(key.name)
        if relayed is not None and relayed.key == key:
            relayed.on_taken()
            self.end_relayed(relayed.hub, cut=True)
            return True
        waiting = self._waiting.get(key.name)
        if waiting is None or waiting[1] != key:
            return False
        self._leave_waiting(key.name)
        waiting[0].end(cut=True)
        return True

    # -- what another process publishes

    def relay(self, key: StreamKey, merge_ms: int, on_taken: Callable[[], None]) -> Hub:
        """The hub of a stream that another process publishes, that of those who wait for it if there are any.
        ``on_taken`` is called when the hub is the relay's no more: it is published here, or was forbidden. Nothing of
        the name may be published here."""
        assert key.name not in self._hubs
        hub = self._leave_waiting(key.name)
        if hub is None:
            hub = Hub(key.name, self._viewers, merge_ms, self._loop, self.lags)
        else:
            hub.move()
            hub.resume(merge_ms)
            self.resumed += 1
        self._relayed[key.name] = _Relayed(hub, key, on_taken)
        return hub

    def relayed(self, name: StreamName) -> Hub | None:
        """The hub of a stream that is relayed here."""
        found = self._relayed.get(name)
        return None if found is None else found.hub

    def relay_on(self, hub: Hub, key: StreamKey, merge_ms: int) -> None:
        """Another publish of the name goes on in the hub of its relay."""
        found = self._relayed[hub.name]
        self._relayed[hub.name] = found._replace(key=key)
        hub.wait()
        hub.resume(merge_ms)
        self.resumed += 1

    def end_relayed(self, hub: Hub, cut: bool) -> None:
        """End a relayed stream here. Idempotent; never touches a successor of the same name."""
        found = self._relayed.get(hub.name)
        if found is not None and found.hub is hub:
            del self._relayed[hub.name]
            hub.end(cut)

    def _leave_relayed(self, name: StreamName) -> Hub | None:
        found = self._relayed.pop(name, None)
        if found is None:
            return None
        found.on_taken()
        found.hub.wait()
        return found.hub

    def _give_up(self, hub: Hub) -> None:
        self._leave_waiting(hub.name)
        hub.end(cut=False)

    def _leave_waiting(self, name: StreamName) -> Hub | None:
        waiting = self._waiting.pop(name, None)
        if waiting is None:
            return None
        hub, _, timer = waiting
        timer.cancel()
        return hub
