"""Several processes, one Redis, one store, in any interleaving: what holds for the whole cluster (security class 17).

Theory of operation. Three processes run on one loop whose time the machine turns, over the in-memory twins. Each call
of an ephemeral or durable port stops before its work and after it; hypothesis decides which goes on, fails undone or
done, or is late beyond its deadline. Messages of the bus wait until they are delivered, in any order, or lost.

Half of the runs are calm: calls and messages are delayed, messages are lost, processes die, encoders come, go and fall
silent, but whatever is asked is answered in time. Then there is never a second publisher of a name, never a publisher
that a ban made before it asked forbids, and never a name held for nobody. In the other half links break, partition,
hang and Redis comes back empty: then the same holds five seconds after the last of it, and the right one has survived.

The last test is one of the machine: seeded faults, each of which it must find.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from openkls import config
from openkls.cluster import MemoryCluster
from openkls.control import admit
from openkls.control.admit import Admission, Refused
from openkls.control.claims import RENEW_SECONDS, RESTORE_SECONDS, Claims
from openkls.control.forbid import TILL_CUT_ONLY, TILL_DEFAULT
from openkls.control.ids import new_session_id
from openkls.control.reconcile import SYNC_SECONDS
from openkls.control.signals import Signals
from openkls.domain.blacklist import Ban
from openkls.domain.errors import BusinessError, ClusterUnavailable, StoreTimeout, StoreUnavailable
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.ports import LEASE_SECONDS, Hold
from openkls.domain.registry import SILENT_SECONDS
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session
from support_control import EPOCH, House, Line, VirtualLoop, ask, at_once
from support_ports import MemoryBlacklist, MemoryHistory, MemoryKeys

ACCOUNTS = (
    config.Account(
        id="2000001",
        space=(config.Space(unique_name="demo", publish_domains=("push.demo.local", "push2.demo.local")),),
    ),
)
DOORS = ("push.demo.local", "push.demo.local", "push.demo.local", "push2.demo.local")
STREAMS = ("s1", "s1", "s1", "s2")
KEYS = [StreamKey("demo", door, "live", stream) for door in DOORS[2:] for stream in STREAMS[2:]]
PROCESSES = 3
REDIS_DEADLINE_SECONDS = 0.5
STORE_DEADLINE_SECONDS = 2.0
PROBE_SECONDS = 0.5


class Encoder:
    """A connection that asked one process to publish once."""

    def __init__(self, process: "Process", port: int, stream: str, version: int) -> None:
        self.process = process
        self.port = port
        self.stream = stream
        self.version = version
        """Of the newest ban when it asked."""
        self.kicks: list[BreakCode] = []
        self.left = False
        self.judged = False
        self.was_silent = False
        self._silent_since: float | None = None
        self.task: asyncio.Task[Session | Refused]

    def kick(self, code: BreakCode) -> None:
        self.kicks.append(code)

    def catch_up(self) -> None:
        """Nothing waits to be read."""

    def silent_seconds(self) -> float:
        return 0.0 if self._silent_since is None else self.process.loop.now - self._silent_since

    def talk(self, talks: bool) -> None:
        self.was_silent |= not talks
        if talks:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = self.process.loop.now

    @property
    def session(self) -> Session | None:
        if not self.task.done() or self.task.cancelled():
            return None
        outcome = self.task.result()
        return outcome if isinstance(outcome, Session) else None

    @property
    def live(self) -> bool:
        return self.session is not None and not self.kicks and not self.left and not self.process.dead


class TwinLink:
    """domain.ports.Link."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._calls: list[Callable[[], None]] = []
        self.partitioned = False
        self._up_since: float | None = loop.now - 1000

    @property
    def up(self) -> bool:
        return self._up_since is not None

    @property
    def up_seconds(self) -> float:
        return 0.0 if self._up_since is None else self._loop.now - self._up_since

    def on_up(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def go_down(self) -> None:
        self._up_since = None

    async def probe(self) -> None:
        while True:
            if not self.up and not self.partitioned:
                self._up_since = self._loop.now
                for call in self._calls:
                    call()
            await asyncio.sleep(PROBE_SECONDS)


class Patient:
    """Ports behind a line that are given up when they are late: the ephemeral ones behind a link, or the durable."""

    def __init__(self, port: object, line: Line, link: TwinLink | None) -> None:
        self._port = port
        self._line = line
        self._link = link

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        work = getattr(self._port, method)

        async def call(*arguments: Any) -> Any:
            if self._link is not None and not self._link.up:
                raise ClusterUnavailable("the link is down")
            try:
                async with asyncio.timeout(REDIS_DEADLINE_SECONDS if self._link else STORE_DEADLINE_SECONDS):
                    await self._line.turn(method, "asked")
                    result = at_once(work(*arguments))
                    await self._line.turn(method, "done")
                    return result
            except (TimeoutError, StoreUnavailable) as error:
                if self._link is None:
                    raise StoreTimeout("late") from error
                self._link.go_down()
                raise ClusterUnavailable("late") from error

        return call


class Process:
    """One boot of a node."""

    def __init__(self, world: "Cluster", node: int, boot: int) -> None:
        self.world = world
        self.loop = world.loop
        self.node = f"node-{node}"
        self.dead = False
        self.inbox: list[bytes] = []
        self.rows: Counter[int] = Counter()
        self.requests: list[asyncio.Task[Any]] = []
        self.line, self.store_line = Line(), Line()
        self.link = TwinLink(self.loop)
        parts = world.parts
        house = House(
            *(Patient(port, self.store_line, None) for port in (world.history, world.bans, world.keys)),
            accounts=ACCOUNTS,
            wall=self.wall,
            monotonic=self.loop.time,
            boot_id=f"boot-{boot}",
            node_id=self.node,
        )
        self.house, self.registry, self.reconcile = house, house.registry, house.reconcile
        port: Any = Patient(world.twin, self.line, self.link)
        self.claims: Claims = parts.get("claims", Claims)(
            port, self.link, house.registry, house.endings, self.node, self.wall, self.loop.time
        )
        self.signals: Signals = parts.get("signals", Signals)(
            Patient(self, self.line, self.link),
            port,
            house.forbids,
            house.registry,
            house.reconcile.sync_soon,
            lambda: None,
            lambda key: False,
            self.wall,
        )
        house.forbids.others = self.signals
        self.link.on_up(house.reconcile.sync_soon)
        self.admission: Admission = parts.get("admission", Admission)(
            house.directory,
            house.registry,
            house.journal,
            house.endings,
            f"boot-{boot}",
            "127.0.0.1",
            self.wall,
            self.loop.time,
            None,
            self.claims,
            house.reconcile.newer_bans,
        )
        self._close = house.journal.close
        house.journal.close = self.close  # type: ignore[method-assign]
        self.line.healthy = self.store_line.healthy = True
        self.loop.run(house.reconcile.start())
        self.line.healthy = self.store_line.healthy = False
        sync = house.reconcile._every(SYNC_SECONDS, house.reconcile.sync, house.reconcile._sync_now)
        self.loops = [
            self.loop.create_task(work) for work in (house.journal.run(), self.claims.run(), self.link.probe(), sync)
        ]
        self.loop.settle()

    async def tell(self, message: bytes) -> None:
        """BusPort.tell, behind the line."""
        for process in self.world.processes:
            if process.link.up and not process.dead:
                process.inbox.append(message)

    def wall(self) -> float:
        return EPOCH + self.loop.now

    def close(self, row: HistoryRow) -> None:
        self.rows[row.facts.client_port] += 1
        self._close(row)

    def request(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self.requests.append(task)
        self.loop.settle()
        return task

    def hear(self, pick: int) -> None:
        message = self.inbox.pop(pick % len(self.inbox))
        self.loop.call(lambda: self.signals.hear(message))

    def bury(self) -> None:
        """Nothing of it goes on."""
        self.dead = True
        for turn in [*self.line.waiting, *self.store_line.waiting]:
            turn.go.cancel()
        while not all(task.done() for task in [*self.loops, *self.requests]):
            for task in [*self.loops, *self.requests]:
                task.cancel()
            self.loop.settle()
        for task in self.requests:
            if not task.cancelled():
                assert isinstance(task.exception(), BusinessError | None)


class Cluster(RuleBasedStateMachine):
    """All processes beside what their encoders were told."""

    parts: Mapping[str, Any] = {}
    only_calm: bool | None = None

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.history, self.bans, self.keys = MemoryHistory(), MemoryBlacklist(), MemoryKeys()
        self.twin: MemoryCluster = self.parts.get("twin", MemoryCluster)(self.loop.time)
        self.processes: list[Process] = []
        self.encoders: list[Encoder] = []
        self.boots = 0
        self.calm = True
        self.ids = 0

    @initialize(calm=st.booleans())
    def boot(self, calm: bool) -> None:
        # What is drawn must not depend on chance: of two sessions of one millisecond the later is the higher here.
        admit.new_session_id = self._session_id_at
        self.calm = calm if self.only_calm is None else self.only_calm
        for node in range(PROCESSES):
            self._boot(node)

    def _session_id_at(self, now: float) -> str:
        self.ids += 1
        return f"{int(now * 1000):012x}{self.ids:020x}"

    def _boot(self, node: int) -> None:
        self.boots += 1
        process = Process(self, node, self.boots)
        if node < len(self.processes):
            self.processes[node] = process
        else:
            self.processes.append(process)

    # -- encoders and owners

    @rule(node=st.integers(0, PROCESSES - 1), door=st.sampled_from(DOORS), stream=st.sampled_from(STREAMS))
    def publish(self, node: int, door: str, stream: str) -> None:
        process = self.processes[node]
        encoder = Encoder(process, len(self.encoders) + 1, stream, self.bans.version)
        work = process.admission.admit(ask(stream, door, port=encoder.port), encoder)
        encoder.task = process.request(work)
        self.encoders.append(encoder)

    @rule(node=st.integers(0, PROCESSES - 1), stream=st.sampled_from(STREAMS))
    def begin(self, node: int, stream: str) -> None:
        """A publish that is answered at once."""
        self.publish(node, DOORS[0], stream)
        self._answer(self.processes[node])

    @precondition(lambda self: self.encoders)
    @rule(pick=st.integers(0, 5))
    def leave(self, pick: int) -> None:
        encoder = self._encoder(pick)
        if encoder.process.dead or encoder.left:
            return
        encoder.left = True
        if encoder.session is None:
            encoder.task.cancel()
            self.loop.settle()
        else:
            self._finish(encoder.session, encoder.process)

    @precondition(lambda self: self.encoders)
    @rule(pick=st.integers(0, 5), talks=st.booleans())
    def talk_or_fall_silent(self, pick: int, talks: bool) -> None:
        self._encoder(pick).talk(talks)

    @rule(node=st.integers(0, PROCESSES - 1), key=st.sampled_from(KEYS), seconds=st.sampled_from([0, 0, 2, 60]))
    def forbid(self, node: int, key: StreamKey, seconds: int) -> None:
        process = self.processes[node]
        till = int(process.wall()) + seconds if seconds else TILL_DEFAULT
        process.request(process.house.forbids.forbid(key, till))

    @rule(node=st.integers(0, PROCESSES - 1), key=st.sampled_from(KEYS))
    def cut_only(self, node: int, key: StreamKey) -> None:
        process = self.processes[node]
        process.request(process.house.forbids.forbid(key, TILL_CUT_ONLY))

    @rule(node=st.integers(0, PROCESSES - 1), key=st.sampled_from(KEYS))
    def resume(self, node: int, key: StreamKey) -> None:
        process = self.processes[node]
        process.request(process.house.forbids.resume(key))

    @rule(node=st.integers(0, PROCESSES - 1), stream=st.sampled_from(STREAMS), door=st.sampled_from(DOORS))
    def forbid_what_was_never_heard_of(self, node: int, stream: str, door: str) -> None:
        """A ban whose messages are lost, and a publish elsewhere before anything is read again."""
        key = StreamKey("demo", door, "live", stream)
        self.forbid(node, key, 0)
        self._answer(self.processes[node])
        for process in self.processes:
            process.inbox.clear()
        self.publish((node + 1) % PROCESSES, door, stream)
        self._answer(self.processes[(node + 1) % PROCESSES])

    # -- the store, Redis, the bus and time

    @precondition(lambda self: self._turns())
    @rule(pick=st.integers(0, 99))
    def answer(self, pick: int) -> None:
        turns = self._turns()
        turns[pick % len(turns)].go.set_result(None)
        self.loop.settle()

    @rule(node=st.integers(0, PROCESSES - 1))
    def answer_all(self, node: int) -> None:
        self._answer(self.processes[node])

    @rule(node=st.integers(0, PROCESSES - 1), pick=st.integers(0, 5))
    def hear(self, node: int, pick: int) -> None:
        if self.processes[node].inbox:
            self.processes[node].hear(pick)

    @rule(node=st.integers(0, PROCESSES - 1))
    def lose_messages(self, node: int) -> None:
        self.processes[node].inbox.clear()

    @rule(seconds=st.sampled_from([0.1, 0.4, 1.0, SILENT_SECONDS, LEASE_SECONDS + 2]))
    def pass_time(self, seconds: float) -> None:
        if self.calm:
            with self._answering():
                self.loop.advance(seconds)
        else:
            self.loop.advance(seconds)

    @rule()
    def come_to_a_renewal(self) -> None:
        """Claims are being renewed when something else happens."""
        with self._answering():
            self.loop.advance(RENEW_SECONDS - 0.1)
        self.loop.advance(0.2)

    @precondition(lambda self: not self.calm and self._turns())
    @rule(pick=st.integers(0, 99))
    def fail(self, pick: int) -> None:
        turns = self._turns()
        turn = turns[pick % len(turns)]
        turn.go.set_exception(StoreUnavailable("down") if turn.stage == "asked" else StoreTimeout("late"))
        self.loop.settle()

    @precondition(lambda self: not self.calm)
    @rule(node=st.integers(0, PROCESSES - 1))
    def partition(self, node: int) -> None:
        process = self.processes[node]
        process.link.partitioned = True
        process.link.go_down()
        process.inbox.clear()

    @precondition(lambda self: not self.calm)
    @rule(node=st.integers(0, PROCESSES - 1))
    def join_again(self, node: int) -> None:
        self.processes[node].link.partitioned = False

    @precondition(lambda self: not self.calm)
    @rule()
    def lose_redis(self) -> None:
        """It is killed, and comes back empty."""
        self.twin.flush()
        for process in self.processes:
            process.link.go_down()
            process.inbox.clear()

    @precondition(lambda self: not self.calm)
    @rule(first=st.integers(0, PROCESSES - 1), stream=st.sampled_from(STREAMS), late=st.integers(0, PROCESSES - 1))
    def outage_with_two_of_a_name(self, first: int, stream: str, late: int) -> None:
        """Redis dies under a live stream, a second one is admitted elsewhere, and it comes back empty."""
        self.begin(first, stream)
        older = self.encoders[-1]
        alone = list(self._live().values()) == [[older]]
        self.loop.advance(0.1)
        for process in self.processes:
            process.link.partitioned = True
            process.link.go_down()
        self.begin(late, stream)
        self.twin.flush()
        judged = alone and older.live and self.encoders[-1].live and not self._is_busy()
        # The later one is heard first.
        for process in (self.processes[late], *self.processes):
            process.link.partitioned = False
            with self._answering():
                self.loop.advance(PROBE_SECONDS)
        self.calm_down()
        assert older.live or not judged or self._was_banned(older), "the wrong one survived"

    @precondition(lambda self: not self.calm)
    @rule(first=st.integers(0, PROCESSES - 1), stream=st.sampled_from(STREAMS), late=st.integers(0, PROCESSES - 1))
    def come_new_before_the_old_is_back(self, first: int, stream: str, late: int) -> None:
        """Redis comes back empty, and is asked for the name of a live stream before that one claims it again."""
        self.begin(first, stream)
        older = self.encoders[-1]
        alone = list(self._live().values()) == [[older]]
        self.lose_redis()
        for process in self.processes:
            process.link.partitioned = process is not self.processes[late]
        judged = alone and older.live and not self._is_busy()
        with self._answering():
            self.loop.advance(PROBE_SECONDS)
        self.begin(late, stream)
        self.calm_down()
        assert older.live or not judged or self._was_banned(older), "the wrong one survived"

    @rule(node=st.integers(0, PROCESSES - 1), key=st.sampled_from(KEYS))
    def forbid_and_hear(self, node: int, key: StreamKey) -> None:
        """What was told of a ban is heard everywhere, before anything is read again."""
        for process in self.processes:
            process.inbox.clear()
        if not all(process.link.up for process in self.processes) or self._turns():
            return
        with self._answering():
            self.forbid(node, key, 0)
            while any(process.inbox for process in self.processes):
                for process in self.processes:
                    if process.inbox:
                        process.hear(0)
            asked = self.processes[node].requests[-1]
            if asked.done() and asked.exception() is None:  # not so for a second one within a second
                live = self._live().get(key.name, [])
                assert not any(encoder.session and encoder.session.key == key for encoder in live), "not cut"

    @rule(node=st.integers(0, PROCESSES - 1), commits=st.integers(0, 99))
    def kill_and_restart(self, node: int, commits: int) -> None:
        """kill -9, with some of what was on its way arriving; its data folder starts again, as the same node."""
        dead = self.processes[node]
        for position, turn in enumerate([*dead.line.waiting, *dead.store_line.waiting]):
            if commits >> position % 7 & 1 and not turn.go.done():
                turn.go.set_result(None)
        self.loop.settle()
        self.check_all()
        dead.bury()
        self._boot(node)

    @rule()
    def calm_down(self) -> None:
        """Everything works again, for as long as it takes to be of one mind."""
        for encoder in self.encoders:
            encoder.talk(True)
        survivors = self._survivors_due()
        with self._answering():
            for process in self.processes:
                process.link.partitioned = False
            # The lease of whoever died may have to end first; an outage has ended by the first probe.
            self.loop.advance(PROBE_SECONDS + RESTORE_SECONDS)
            while any(process.inbox for process in self.processes):
                for process in self.processes:
                    if process.inbox:
                        process.hear(0)
            for encoder in self.encoders:
                encoder.was_silent = False
            self.check_one_publisher_of_each_name()
            self.check_no_forbidden_publisher()
            for encoder in survivors:
                assert encoder.live or self._was_banned(encoder), "the wrong one survived"
            for name, live in self._live().items():
                claim = self.twin._claim(name)
                assert claim is not None, "a live stream whose name nobody holds"
                assert (claim.owner, claim.token) == self._holding(live[0]), "a live stream whose name another holds"
            self.check_that_nothing_is_held_for_nobody()

    # -- what must hold

    @invariant()
    def check_all(self) -> None:
        assert not self.loop.faults, "an exception reached the loop"
        for process in self.processes:
            assert not any(task.done() for task in process.loops), "a loop ended"
            assert all(count == 1 for count in process.rows.values()), "a session has two rows"
        for encoder in self.encoders:
            if encoder.session is not None and not encoder.live and not encoder.process.dead:
                assert encoder.process.rows[encoder.port] == 1, "a session that is over has no row"
        if self.calm:
            self.check_one_publisher_of_each_name()
            self.check_that_bans_are_known_at_the_start()
            if not self._turns():
                self.check_that_nothing_is_held_for_nobody()

    def check_one_publisher_of_each_name(self) -> None:
        for live in self._live().values():
            assert len([encoder for encoder in live if not encoder.was_silent]) <= 1, "two publishers of one name"

    def check_that_bans_are_known_at_the_start(self) -> None:
        for encoder in self.encoders:
            if encoder.judged or encoder.session is None:
                continue
            encoder.judged = True
            ban = self.bans.bans.get(encoder.session.key)
            if ban is not None and ban.version <= encoder.version:
                assert not encoder.live or not ban.active(EPOCH + self.loop.now), "a forbidden publish was let in"

    def check_no_forbidden_publisher(self) -> None:
        for live in self._live().values():
            for encoder in live:
                assert encoder.session is not None
                assert not self._is_forbidden(encoder.session.key), "a forbidden stream is live"

    def check_that_nothing_is_held_for_nobody(self) -> None:
        """Names given up are free at once, but for those of a process that died."""
        live = {encoder.process.node: set() for encoder in self.encoders}  # type: dict[str, set[StreamName]]
        for process in self.processes:
            live[process.node] = {session.key.name for session in process.registry.sessions()}
            live[process.node] |= {
                StreamName("demo", "live", encoder.stream)
                for encoder in self.encoders
                if encoder.process is process and not encoder.task.done()
            }
        died = {encoder.process.node for encoder in self.encoders if encoder.process.dead}
        for name in (StreamName("demo", "live", "s1"), StreamName("demo", "live", "s2")):
            claim = self.twin._claim(name)
            if claim is not None and self.calm and claim.owner not in died:
                assert name in live[claim.owner], "a name is held for nobody"

    def teardown(self) -> None:
        admit.new_session_id = new_session_id
        for process in self.processes:
            process.bury()
        self.loop.bury()

    # -- what the rules share

    def _live(self) -> dict[StreamName, list[Encoder]]:
        live = defaultdict(list)
        for encoder in self.encoders:
            if encoder.live and encoder.session is not None:
                live[encoder.session.key.name].append(encoder)
        return live

    def _survivors_due(self) -> list[Encoder]:
        """Of the names with several publishers: who has to be the one that is left."""
        due: list[Encoder] = []
        if self._is_busy():
            return []
        for name, live in self._live().items():
            claim = self.twin._claim(name)
            if any(encoder.was_silent for encoder in live):
                continue
            if claim is None:
                oldest = min(live, key=self._session_id)
                due.append(oldest)
            elif claim.contest_until <= self.loop.now and claim.expires > self.loop.now + 2 * PROBE_SECONDS:
                due += [encoder for encoder in live if self._holding(encoder) == (claim.owner, claim.token)]
        return due

    def _was_banned(self, encoder: Encoder) -> bool:
        """Whether it may have been cut by an owner, perhaps by a ban that is over."""
        return encoder.session is not None and encoder.session.key in self.bans.bans

    def _is_busy(self) -> bool:
        """Whether something is under way that may cut somebody."""
        tasks = [task for process in self.processes for task in process.requests]
        return not all(task.done() for task in tasks) or any(process.inbox for process in self.processes)

    def _session_id(self, encoder: Encoder) -> str:
        assert encoder.session is not None
        return encoder.session.facts.session_id

    def _holding(self, encoder: Encoder) -> tuple[str, str]:
        return encoder.process.node, self._session_id(encoder)

    def _is_forbidden(self, key: StreamKey) -> bool:
        ban: Ban | None = self.bans.bans.get(key)
        return ban is not None and ban.active(EPOCH + self.loop.now)

    def _turns(self) -> list[Any]:
        return [
            turn
            for process in self.processes
            for turn in [*process.line.waiting, *process.store_line.waiting]
            if not turn.go.done()
        ]

    def _answer(self, process: Process) -> None:
        for line in (process.line, process.store_line):
            line.healthy = True
            for turn in line.waiting:
                if not turn.go.done():
                    turn.go.set_result(None)
        self.loop.settle()
        process.line.healthy = process.store_line.healthy = False

    @contextlib.contextmanager
    def _answering(self) -> Any:
        lines = [line for process in self.processes for line in (process.line, process.store_line)]
        for line in lines:
            line.heal()
        self.loop.settle()
        yield
        for line in lines:
            line.healthy = False

    def _finish(self, session: Session, process: Process) -> None:
        endings = process.house.endings
        self.loop.call(lambda: endings.finish(session, BreakCode.SUCCESS, Reason.CLOSED, process.wall()))

    def _encoder(self, pick: int) -> Encoder:
        return self.encoders[-1 - pick % min(6, len(self.encoders))]


def run(machine: type[Cluster], max_examples: int, **more: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


@pytest.mark.parametrize("calm", [True, False])
def test_security_17_storm_over_a_cluster_holds_the_invariants(calm: bool) -> None:
    run(type("Storm", (Cluster,), {"only_calm": calm}), max_examples=150)


# -- tests of the test -----------------------------------------------------------------------------------------------


class AsksNobody(Claims):
    """Takes the name without the cluster's consent."""

    async def take(self, session: Session) -> bool:
        return True


class AsksTooLate(Admission):
    """Takes its answer for granted that came in before the ban."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts[:-1], None)


class KeepsItsClaims(Claims):
    """Gives nothing back."""

    def leave(self, session: Session) -> None:
        pass


class NeverRenews(Claims):
    """Lets its leases lapse."""

    async def _renew(self, sessions: Any) -> None:
        pass


class IgnoresItsLoss(Claims):
    """Lets its session live though another holds the name."""

    def _end(self, session: Session) -> None:
        pass


class RevivesWhatItGaveBack(Claims):
    """Gives back at once, also while a renewal is on its way."""

    def leave(self, session: Session) -> None:
        given = self._give_back({session.key.name: (0.0, {session.facts.session_id})})
        self.giving = asyncio.gather(given, return_exceptions=True)


class ForgetsTheContest(Claims):
    """Lets new claims after an outage stand against older sessions."""

    async def take(self, session: Session) -> bool:
        with contextlib.suppress(ClusterUnavailable):
            return await self._port.take(session.key.name, self._owner, session.facts.session_id, 0.0)
        return True


class TellsNobody(Signals):
    """Keeps a ban to itself."""

    async def tell_ban(self, ban: Ban) -> None:
        pass


class GrantsTwice(MemoryCluster):
    """Looks and then takes, in two steps that others come between."""

    async def take(self, name: StreamName, owner: str, token: str, contest_seconds: float = 0.0) -> bool:
        found = self._claim(name)
        granted = await super().take(name, owner, token, contest_seconds)
        return granted or (found is not None and found.token < token and self._clock() % 1 == 0)


class FreesAnybodys(MemoryCluster):
    """Deletes without comparing."""

    async def release(self, owner: str, tokens: Mapping[StreamName, frozenset[str]]) -> None:
        for name in tokens:
            self._claims.pop(name, None)


class LetsTheYoungerWin(MemoryCluster):
    """Compares the wrong way round."""

    async def hold(self, owner: str, holds: Mapping[StreamName, Hold], contest_seconds: float) -> list[StreamName]:
        for name, hold in holds.items():
            found = self._claim(name)
            if found is not None and self._clock() < found.contest_until and hold.token > found.token:
                del self._claims[name]
        return await super().hold(owner, holds, contest_seconds)


class NeverYields(MemoryCluster):
    """Keeps the first of two that claim again, whichever it is."""

    async def hold(self, owner: str, holds: Mapping[StreamName, Hold], contest_seconds: float) -> list[StreamName]:
        return await super().hold(owner, holds, 0.0)


@pytest.mark.parametrize(
    ("part", "seeded"),
    [
        ("claims", AsksNobody),
        ("admission", AsksTooLate),
        ("claims", KeepsItsClaims),
        ("claims", NeverRenews),
        ("claims", IgnoresItsLoss),
        ("claims", RevivesWhatItGaveBack),
        ("claims", ForgetsTheContest),
        ("signals", TellsNobody),
        ("twin", GrantsTwice),
        ("twin", FreesAnybodys),
        ("twin", LetsTheYoungerWin),
        ("twin", NeverYields),
    ],
)
def test_the_machine_finds_a_seeded_fault(part: str, seeded: type) -> None:
    machine = type("Seeded", (Cluster,), {"parts": {part: seeded}})
    with pytest.raises(AssertionError):
        run(
            machine,
            max_examples=1500,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
        )
