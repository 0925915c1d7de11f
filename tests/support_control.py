"""The use cases on a loop whose time the test turns, over ports whose every answer the test gives.

Rule: nothing here waits for real time; what runs next is decided by the test alone.

Theory of operation. ``VirtualLoop.settle`` runs everything that can run without time passing and without a port
answering; ``advance`` lets time pass, timer by timer. Behind a ``Line`` each call of a port stops twice: before its
work ("asked") and after it ("done"), so that it can fail undone, fail done, be late, or lose its caller in between.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from openkls import config
from openkls.control.admit import Admission, PublishAsk
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.control.forbid import Forbids
from openkls.control.journal import Journal
from openkls.control.keyring import KeyRing
from openkls.control.reconcile import Reconcile
from openkls.domain.blacklist import Blacklist
from openkls.domain.errors import StoreTimeout, StoreUnavailable
from openkls.domain.ports import PushAnswer, PushAuthority, PushFacts, PushServer
from openkls.domain.registry import Registry
from support_ports import MemoryBlacklist, MemoryHistory, MemoryKeys

T = TypeVar("T")
EPOCH = 1_700_000_000
ACCOUNTS = (
    config.Account(
        id="2000001",
        key=(config.Key(access_key="AKFILE", secret_key="of the file"),),
        space=(
            config.Space(
                unique_name="demo",
                apps=("live",),
                publish_domains=("push.demo.local", "localhost", "127.0.0.1"),
                publish_domain=(
                    config.PublishDomain(name="md5.demo.local", auth="md5", keys=("old", "123456")),
                    config.PublishDomain(name="hmac.demo.local", auth="hmac", keys=("AK1:TESTSECRET",)),
                    config.PublishDomain(
                        name="ext.demo.local",
                        auth="external",
                        keys=("hook key",),
                        external_url="http://hooks.example/ask?token=secret",
                    ),
                ),
            ),
        ),
    ),
)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own. ``faults`` holds what reached its exception handler."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.faults: list[dict[str, Any]] = []
        super().__init__()
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run until nothing more can happen at this time."""
        while self._ready or (self._scheduled and self._scheduled[0].when() <= self.now):  # type: ignore[attr-defined]
            self.call_soon(self.stop)
            self.run_forever()

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every timer on the way."""
        end = self.now + seconds
        self.settle()
        while self._scheduled and self._scheduled[0].when() <= end:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
            self.settle()
        self.now = end

    def call(self, act: Callable[[], T]) -> T:
        """Call ``act`` from within the loop, then settle."""

        async def run() -> T:
            return act()

        return self.run(run())

    def bury(self) -> None:
        """Cancel whatever is left, and close."""
        for _ in range(3):  # a task may want to say goodbye to something that is cancelled as well
            for task in asyncio.all_tasks(self):
                task.cancel()
            self.settle()
        self.close()

    def run(self, steps: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that needs no time and no answer to its end."""
        task = self.create_task(steps)
        self.settle()
        return task.result()


class Turn:
    """A call of a port that waits to be told how to go on."""

    def __init__(self, method: str, stage: str, go: asyncio.Future[None]) -> None:
        self.method = method
        self.stage = stage
        self.go = go

    def __repr__(self) -> str:
        return f"{self.method} {self.stage}"


class Line:
    """What stands between a process and its store. ``healthy`` lets everything through at once."""

    def __init__(self) -> None:
        self.healthy = False
        self.waiting: list[Turn] = []

    async def turn(self, method: str, stage: str) -> None:
        if self.healthy:
            return
        turn = Turn(method, stage, asyncio.get_running_loop().create_future())
        self.waiting.append(turn)
        try:
            await turn.go
        finally:
            self.waiting.remove(turn)

    def deliver(self, pick: int) -> None:
        """Let one of the waiting calls go on."""
        self.waiting[pick % len(self.waiting)].go.set_result(None)

    def fail(self, pick: int) -> None:
        """Make one of the waiting calls fail: undone when it was only asked for, done and late otherwise."""
        turn = self.waiting[pick % len(self.waiting)]
        turn.go.set_exception(StoreUnavailable("down") if turn.stage == "asked" else StoreTimeout("late"))

    def heal(self) -> None:
        """Let everything through, also what waits."""
        self.healthy = True
        for turn in self.waiting:
            turn.go.set_result(None)


class Behind:
    """A port behind a line: the same methods."""

    def __init__(self, port: object, line: Line) -> None:
        self._port = port
        self._line = line

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        work = getattr(self._port, method)

        async def call(*arguments: Any) -> Any:
            await self._line.turn(method, "asked")
            result = at_once(work(*arguments))
            await self._line.turn(method, "done")
            return result

        return call


def at_once(steps: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that suspends only to be polite (``asyncio.sleep(0)``)."""
    while True:
        try:
            steps.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


class Judge:
    """A customer's server behind a line: says ``answer`` when it is told to go on, is late when told to fail."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.answer = PushAnswer.ACCEPTED
        self.asked: list[tuple[PushServer, PushFacts]] = []

    async def ask(self, server: PushServer, facts: PushFacts) -> PushAnswer:
        self.asked.append((server, facts))
        try:
            await self.line.turn("ask", "asked")
        except StoreUnavailable:
            return PushAnswer.LATE
        return self.answer


class House:
    """One process of the service but for its sockets: everything in control, wired as the real one is.

    ``parts`` replaces classes by others of the same make; ``wall`` gives Unix seconds, ``monotonic`` its own.
    """

    def __init__(
        self,
        history: Any,
        bans: Any,
        keys: Any,
        *,
        accounts: Iterable[config.Account],
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        boot_id: str = "boot-1",
        node_id: str = "node-1",
        parts: dict[str, type] | None = None,
        authority: PushAuthority | None = None,
    ) -> None:
        parts = parts or {}
        accounts = tuple(accounts)
        self.wall = wall
        self.directory = Directory(accounts)
        self.blacklist: Blacklist = parts.get("blacklist", Blacklist)()
        self.registry: Registry = parts.get("registry", Registry)(self.blacklist)
        self.journal: Journal = parts.get("journal", Journal)(history)
        self.endings: Endings = parts.get("endings", Endings)(self.registry, self.journal)
        self.admission: Admission = parts.get("admission", Admission)(
            self.directory, self.registry, self.journal, self.endings, boot_id, "127.0.0.1", wall, monotonic, authority
        )
        self.forbids: Forbids = parts.get("forbids", Forbids)(bans, self.blacklist, self.registry, self.endings, wall)
        self.key_ring = KeyRing(accounts)
        self.reconcile = Reconcile(
            history, bans, keys, self.forbids, self.blacklist, self.registry, self.key_ring, boot_id, node_id, 90, wall
        )


def ask(
    stream: str = "s1",
    door: str = "push.demo.local",
    app: str = "live",
    query: str = "",
    port: int = 50000,
    client_ip: str = "192.0.2.7",
) -> PublishAsk:
    """What an encoder asks for at a publish domain."""
    return PublishAsk(app, "", f"rtmp://{door}:1935/{app}", stream, query, client_ip, port)


class Still:
    """A house on a virtual loop, its twins, and the line between them."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.line = Line()
        self.line.healthy = True
        self.history, self.bans, self.keys = MemoryHistory(), MemoryBlacklist(), MemoryKeys()
        self.judge = Judge(self.line)
        self.house = self.build()
        self.feeding = self.loop.create_task(self.house.journal.run())

    def build(self, boot_id: str = "boot-1", **more: Any) -> House:
        """Another process on the same store."""
        return House(
            Behind(self.history, self.line),
            Behind(self.bans, self.line),
            Behind(self.keys, self.line),
            accounts=ACCOUNTS,
            wall=lambda: EPOCH + self.loop.now,
            monotonic=self.loop.time,
            boot_id=boot_id,
            authority=self.judge,
            **more,
        )


class Clock:
    """Unix seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = float(EPOCH)

    def __call__(self) -> float:
        return self.now
