"""An outbox in memory and a sender that does what the test says, for the rules of control.callbacks.

Rule: the outbox keeps the promises of OutboxPort but durability; ``down`` is raised instead of working.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from openkls.domain.callbacks import DEAD_LIMIT, Callback, CallbackTarget, Outcome, SpaceCounts, Told
from openkls.domain.keys import StreamName


class MemoryOutbox:
    """OutboxPort."""

    def __init__(self) -> None:
        self.rows: dict[int, Callback] = {}
        self.down: Exception | None = None
        self.leader = ""
        self.lease_until = 0
        self.calls: list[str] = []
        self._number = 0

    def add(self, stream: str, now: int, unique_name: str = "demo") -> Callback:
        """What a fact's write does."""
        self._number += 1
        name = StreamName(unique_name, "live", stream)
        made = Callback(self._number, f"id{self._number}", name, "{}", now)
        self.rows[made.number] = made
        self._promote(name)
        return self.rows[made.number]

    async def _begin(self, method: str) -> None:
        self.calls.append(method)
        await asyncio.sleep(0)
        if self.down is not None:
            raise self.down

    def _promote(self, name: StreamName) -> None:
        waiting = [row for row in self.rows.values() if row.name == name and row.dead_at is None]
        for place, row in enumerate(sorted(waiting, key=lambda row: row.number)):
            if place == 0 and row.next_try is None:
                self.rows[row.number] = replace(row, next_try=0)
            elif place and row.next_try is not None:
                self.rows[row.number] = replace(row, next_try=None)

    async def spaces(self) -> list[SpaceCounts]:
        await self._begin("spaces")
        names = sorted({row.name.unique_name for row in self.rows.values()})
        of = {name: [row for row in self.rows.values() if row.name.unique_name == name] for name in names}
        return [
            SpaceCounts(name, sum(row.dead_at is None for row in rows), sum(row.dead_at is not None for row in rows), 0)
            for name, rows in of.items()
        ]

    async def due(self, now: int, room: Mapping[str, int]) -> list[Callback]:
        await self._begin("due")
        found: list[Callback] = []
        for name, many in room.items():
            rows = [
                row
                for row in self.rows.values()
                if row.name.unique_name == name and row.next_try is not None and row.next_try <= now
            ]
            rows.sort(key=lambda row: (row.next_try, row.number))
            found += rows[:many]
        return found

    async def done(self, callback: Callback) -> None:
        await self._begin("done")
        self.rows.pop(callback.number, None)
        self._promote(callback.name)

    async def put_off(self, callback: Callback, next_try: int, error: str) -> None:
        await self._begin("put_off")
        if callback.number in self.rows:
            row = self.rows[callback.number]
            self.rows[callback.number] = replace(row, attempts=callback.attempts + 1, next_try=next_try, error=error)

    async def give_up(self, callback: Callback, now: int, error: str) -> None:
        await self._begin("give_up")
        if callback.number in self.rows:
            row = self.rows[callback.number]
            self.rows[callback.number] = replace(row, next_try=None, dead_at=now, error=error)
            self._promote(callback.name)
        assert sum(row.dead_at is not None for row in self.rows.values()) <= DEAD_LIMIT

    async def listed(self, dead: bool, after: int, limit: int) -> list[Callback]:
        rows = [row for row in self.rows.values() if (row.dead_at is not None) is dead and row.number > after]
        return sorted(rows, key=lambda row: row.number)[:limit]

    async def retry(self, number: int, now: int) -> bool:
        raise NotImplementedError

    async def retry_all(self, now: int) -> int:
        raise NotImplementedError

    async def drop(self, number: int) -> bool:
        raise NotImplementedError

    async def purge(self, before: int) -> int:
        await self._begin("purge")
        old = [row.number for row in self.rows.values() if row.dead_at is not None and row.dead_at < before]
        for number in old:
            del self.rows[number]
        return len(old)

    async def lead(self, owner: str, now: int, seconds: int) -> bool:
        await self._begin("lead")
        if self.leader != owner and self.lease_until > now:
            return False
        self.leader, self.lease_until = owner, now + seconds
        return True

    async def resign(self, owner: str) -> None:
        await self._begin("resign")
        if self.leader == owner:
            self.lease_until = 0


class Post:
    """CallbackSender: notes what is sent and answers as ``answers`` says of the url, else 200."""

    def __init__(self) -> None:
        self.answers: dict[str, Told | Exception | None] = {}
        """None hangs for ``hang_seconds``, then is LATE."""
        self.hang_seconds = 5.0
        self.sent: list[tuple[float, str, int]] = []
        """When (the loop's time), to which url, and which number."""
        self.under_way: list[StreamName] = []
        self.overlaps: list[int] = []
        """Events that were sent while another of their stream was."""
        self.most: dict[str, int] = {}
        """The most attempts that were ever under way, of each url and, "", of all."""
        self._now: dict[str, int] = {}

    def numbers(self, url: str | None = None) -> list[int]:
        return [number for _, to, number in self.sent if url in (None, to)]

    def times(self, number: int) -> list[float]:
        return [at for at, _, which in self.sent if which == number]

    async def send(self, target: CallbackTarget, callback: Callback) -> Told:
        if callback.name in self.under_way:  # an exception here would be taken for a server's
            self.overlaps.append(callback.number)
        self.sent.append((asyncio.get_running_loop().time(), target.url, callback.number))
        self.under_way.append(callback.name)
        for key in ("", target.url):
            self._now[key] = self._now.get(key, 0) + 1
            self.most[key] = max(self.most.get(key, 0), self._now[key])
        try:
            answer = self.answers.get(target.url, Told(Outcome.ACCEPTED, 200))
            if answer is None:
                await asyncio.sleep(self.hang_seconds)
                return Told(Outcome.LATE)
            await asyncio.sleep(0.001)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.under_way.remove(callback.name)
            for key in ("", target.url):
                self._now[key] -= 1
