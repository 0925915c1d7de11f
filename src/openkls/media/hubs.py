"""The hubs of a process, by name: live ones, and those that wait for a publisher who left.

Rule: the registry decides who publishes; a hub follows its session. A hub waits only while somebody waits for it, and
never after a forbid.
"""

import asyncio

from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.viewers import Viewers
from openkls.media.hub import Hub


class Hubs:
    """Opens, finds and closes hubs. Belongs to one event loop."""

    def __init__(self, viewers: Viewers, loop: asyncio.AbstractEventLoop) -> None:
        self._viewers = viewers
        self._loop = loop
        self._hubs: dict[StreamName, Hub] = {}
        self._waiting: dict[StreamName, tuple[Hub, StreamKey, asyncio.TimerHandle]] = {}
        self.resumed = 0
        """Streams that were published again while somebody waited."""

    def open(self, name: StreamName, merge_ms: int) -> Hub:
        """Begin a stream, in the hub of those who wait for it if there are any. One that is still there under the name
        ends first."""
        former = self._hubs.get(name)
        if former is not None:
            former.end(cut=False)
        waited = self._leave_waiting(name)
        if waited is None:
            hub = Hub(name, self._viewers, merge_ms, self._loop)
        else:
            hub = waited
            hub.resume(merge_ms)
            self.resumed += 1
        self._hubs[name] = hub
        return hub

    def find(self, name: StreamName) -> Hub | None:
        """The hub of a live stream; one that waits is not live."""
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

    def cut(self, key: StreamKey) -> bool:
        """End a stream that waits for a publisher of exactly this key, its viewers at once; False when none does."""
        waiting = self._waiting.get(key.name)
        if waiting is None or waiting[1] != key:
            return False
        self._leave_waiting(key.name)
        waiting[0].end(cut=True)
        return True

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
