"""Publishers, bans, history, time and crashes in any interleaving (security class 17).

Theory of operation. One process of the service runs on a loop whose time stands still until a rule lets it pass, over
in-memory twins of the ports. Each call of a port is two scheduling points, and hypothesis decides which waiting call
goes on, fails before its work, fails after it, or is left waiting beyond its caller's patience; the question to a
customer's server is one more. The machine remembers what every encoder was told; after each step that is compared with
the registry, the blacklist and the rows written.
At the end the store answers again and every publish must have its one row.

The last tests are tests of the machine: seeded faults, each of which it must find.
"""

import asyncio
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
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
from openkls.control.admit import OPEN_DEADLINE_SECONDS, Admission, Refused
from openkls.control.finish import Endings
from openkls.control.forbid import TILL_CUT_ONLY, TILL_DEFAULT, TILL_PERMANENT, Forbids
from openkls.domain import refusals
from openkls.domain.blacklist import Ban, Blacklist
from openkls.domain.errors import BusinessError, StoreUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.registry import SILENT_SECONDS, Registry
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session
from support_control import EPOCH, Behind, House, Judge, Line, VirtualLoop, ask
from support_ports import MemoryBlacklist, MemoryHistory, MemoryKeys

ACCOUNTS = (
    config.Account(
        id="2000001",
        space=(
            config.Space(
                unique_name="demo",
                publish_domains=("push.demo.local", "push2.demo.local", "localhost"),
                publish_domain=(
                    config.PublishDomain(name="ext.demo.local", auth="external", external_url="http://hooks.example"),
                ),
            ),
            config.Space(unique_name="other", publish_domains=("push.other.local", "localhost")),
        ),
    ),
)
EXTERNAL = "ext.demo.local"
DOORS = (
    *("push.demo.local", "push.demo.local", "push2.demo.local", EXTERNAL, "localhost"),
    *("push.other.local", "nobody.local"),
)
STREAMS = ("s1", "s1", "s1", "s2", "bad name")
KEYS = [
    StreamKey("demo", "push.demo.local", "live", "s1"),
    StreamKey("demo", "push2.demo.local", "live", "s1"),
    StreamKey("demo", EXTERNAL, "live", "s1"),
    StreamKey("demo", "push.demo.local", "live", "s2"),
    StreamKey("other", "push.other.local", "live", "s1"),
]
# Most of what is done is done to one stream: that is where it meets itself.
key_asked = st.sampled_from([KEYS[0], KEYS[0], *KEYS])
# A process that dies young has nothing to lose.
CRASH_AFTER_STEPS = 12
# Few rows per minute, so that the quota is met.
ROWS_PER_MINUTE = 4


class Encoder:
    """A connection that asked to publish once. ``port`` is its number, and the client port of its row."""

    def __init__(self, port: int, door: str, loop: VirtualLoop) -> None:
        self.port = port
        self.door = door
        self._loop = loop
        self._silent_since: float | None = None
        self.kicks: list[BreakCode] = []
        self.broken = False
        self.left = False
        self.task: asyncio.Task[Session | Refused]

    def kick(self, code: BreakCode) -> None:
        self.kicks.append(code)
        if self.broken:
            raise OSError("the connection could not be closed")

    def catch_up(self) -> None:
        """Nothing waits to be read."""

    def silent_seconds(self) -> float:
        return 0.0 if self._silent_since is None else self._loop.now - self._silent_since

    def talk(self, talks: bool) -> None:
        self._silent_since = None if talks else self._loop.now

    @property
    def outcome(self) -> Session | Refused | None:
        """What it was told; None while it waits, and when it left before."""
        return self.task.result() if self.task.done() and not self.task.cancelled() else None

    @property
    def session(self) -> Session | None:
        """Its session once it was told Publish.Start."""
        return self.outcome if isinstance(self.outcome, Session) else None

    @property
    def live(self) -> bool:
        """Whether it believes itself live."""
        return self.session is not None and not self.kicks and not self.left


@dataclass
class Forbidding:
    """A ForbidStream under way, and who was live under its key when it was asked for."""

    key: StreamKey
    task: asyncio.Task[None]
    is_cut: bool
    """Asked for with 1: no ban."""
    targets: list[Encoder]
    judged: bool = False


class Told(Behind):
    """The blacklist's port, which remembers the newest version a ForbidStream was handed."""

    def __init__(self, port: object, line: Line) -> None:
        super().__init__(port, line)
        self.versions: dict[StreamKey, int] = defaultdict(int)

    async def forbid(self, *asked: object) -> Ban | None:
        ban: Ban | None = await self.__getattr__("forbid")(*asked)
        if ban is not None:
            self.versions[ban.key] = max(ban.version, self.versions[ban.key])
        return ban


@dataclass
class Process:
    """One boot of the service."""

    boot_id: str
    loop: VirtualLoop
    history: MemoryHistory
    bans: MemoryBlacklist
    keys: MemoryKeys
    parts: dict[str, type]
    encoders: list[Encoder] = field(default_factory=list)
    forbiddings: list[Forbidding] = field(default_factory=list)
    requests: list[asyncio.Task[Any]] = field(default_factory=list)
    rows: dict[int, list[HistoryRow]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.line = Line()
        self.told = Told(self.bans, self.line)
        house = House(
            Behind(self.history, self.line),
            self.told,
            Behind(self.keys, self.line),
            accounts=ACCOUNTS,
            wall=self.wall,
            monotonic=self.loop.time,
            boot_id=self.boot_id,
            parts=self.parts,
            authority=Judge(self.line),
        )
        self.blacklist, self.registry, self.endings = house.blacklist, house.registry, house.endings
        self.admission, self.forbids, self.reconcile = house.admission, house.forbids, house.reconcile
        self.journal = house.journal
        self._close = self.journal.close
        self.journal.close = self.close  # type: ignore[method-assign]
        self.feeding = self.loop.create_task(self.journal.run())

    def wall(self) -> float:
        return EPOCH + self.loop.now

    def close(self, row: HistoryRow) -> None:
        """Journal.close, noted down: the port forgives a second row of a session, this test does not."""
        self.rows[row.facts.client_port].append(row)
        self._close(row)

    def ask(self, work: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self.requests.append(task)
        self.loop.settle()
        return task


class Interleavings(RuleBasedStateMachine):
    """The service beside what its encoders and its owner were told."""

    parts: dict[str, type] = {}  # noqa: RUF012 - replaced whole by the tests of the machine

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.history, self.bans, self.keys = MemoryHistory(), MemoryBlacklist(), MemoryKeys()
        self.ports = 0
        self.boots = 0

    @initialize()
    def boot(self) -> None:
        self.boots += 1
        self.steps = 0
        self.versions: dict[StreamKey, int] = {}
        self.process = Process(f"boot-{self.boots}", self.loop, self.history, self.bans, self.keys, type(self).parts)
        self.process.line.healthy = True
        self.loop.run(self.process.reconcile.start())
        self.process.line.healthy = False

    # -- what encoders do

    @rule(door=st.sampled_from(DOORS), stream=st.sampled_from(STREAMS))
    def publish(self, door: str, stream: str) -> None:
        self.ports += 1
        encoder = Encoder(self.ports, door, self.loop)
        encoder.task = self.process.ask(self.process.admission.admit(ask(stream, door, port=self.ports), encoder))
        self.process.encoders.append(encoder)

    @rule(door=st.sampled_from(DOORS[:5]))
    def begin(self, door: str) -> None:
        """A publish that the store is quick to note down."""
        self.publish(door, "s1")
        self.answer_all()

    @precondition(lambda self: any(encoder.live for encoder in self.process.encoders))
    @rule(door=st.sampled_from(DOORS[:5]))
    def come_back(self, door: str) -> None:
        """An encoder whose network went away comes back on a new connection."""
        gone = next(encoder for encoder in self.process.encoders if encoder.live)
        gone.talk(False)
        self.loop.advance(SILENT_SECONDS)
        assert gone.session is not None
        self.publish(door, gone.session.key.stream)

    @precondition(lambda self: self.process.encoders)
    @rule(pick=st.integers(0, 99))
    def leave(self, pick: int) -> None:
        """The peer goes; one that still waits for its answer takes its admission with it."""
        encoder = self._encoder(pick)
        encoder.left = True
        session = encoder.session
        if session is None:
            encoder.task.cancel()
            self.loop.settle()
        else:
            self._finish(session, Reason.CLOSED)

    @precondition(lambda self: self.process.encoders)
    @rule(pick=st.integers(0, 99), reason=st.sampled_from([Reason.UNPUBLISH, Reason.IDLE, Reason.PROTOCOL_ERROR]))
    def finish_again(self, pick: int, reason: Reason) -> None:
        encoder = self._encoder(pick)
        if encoder.session is not None:
            encoder.left = True
            self._finish(encoder.session, reason)
            self._finish(encoder.session, reason)

    @precondition(lambda self: self.process.encoders)
    @rule(pick=st.integers(0, 99), talks=st.booleans())
    def talk_or_fall_silent(self, pick: int, talks: bool) -> None:
        self._encoder(pick).talk(talks)

    @precondition(lambda self: self.process.encoders)
    @rule(pick=st.integers(0, 99), broken=st.booleans())
    def break_or_mend_the_cut(self, pick: int, broken: bool) -> None:
        self._encoder(pick).broken = broken

    # -- what owners do

    @rule(key=key_asked, seconds=st.sampled_from([1, 2, 5, 60, 10**9]))
    def forbid_for_a_while(self, key: StreamKey, seconds: int) -> None:
        self._forbid(key, int(self.process.wall()) + seconds)

    @rule(key=key_asked, till=st.sampled_from([TILL_CUT_ONLY, TILL_DEFAULT, TILL_PERMANENT]))
    def forbid(self, key: StreamKey, till: int) -> None:
        self._forbid(key, till)

    @rule(key=key_asked)
    def resume(self, key: StreamKey) -> None:
        self.process.ask(self.process.forbids.resume(key))

    @rule(key=key_asked)
    def forbid_for_less_than_the_store_takes(self, key: StreamKey) -> None:
        self._forbid(key, int(self.process.wall()) + 1)
        self._answer_the_newest(1)
        self.loop.advance(1.0)
        self._answer_the_newest(1)

    @rule(key=key_asked, steps=st.integers(0, 2))
    def forbid_and_resume_cross(self, key: StreamKey, steps: int) -> None:
        """A ban is written and its answer still on its way while somebody resumes, and perhaps has been told so."""
        self._forbid(key, TILL_DEFAULT)
        self._answer_the_newest(1)
        self.process.ask(self.process.forbids.resume(key))
        self._answer_the_newest(steps)

    @precondition(lambda self: any(not task.done() for task in self.process.requests))
    @rule(pick=st.integers(0, 99))
    def cancel_a_request(self, pick: int) -> None:
        open_tasks = [task for task in self.process.requests if not task.done()]
        open_tasks[pick % len(open_tasks)].cancel()
        self.loop.settle()

    # -- what the service, its store and time do

    @rule()
    def sync(self) -> None:
        self.process.ask(self.process.reconcile.sync())

    @rule()
    def beat(self) -> None:
        self.process.ask(self.process.reconcile.beat())

    @rule()
    def prune(self) -> None:
        self.process.reconcile.prune()

    @precondition(lambda self: self.process.line.waiting)
    @rule(pick=st.integers(0, 99))
    def answer(self, pick: int) -> None:
        self.process.line.deliver(pick)
        self.loop.settle()

    @precondition(lambda self: self.process.line.waiting)
    @rule()
    def answer_all(self) -> None:
        self.process.line.heal()
        self.loop.settle()
        self.process.line.healthy = False

    @precondition(lambda self: self.process.line.waiting)
    @rule(pick=st.integers(0, 99))
    def fail(self, pick: int) -> None:
        self.process.line.fail(pick)
        self.loop.settle()

    @rule(seconds=st.sampled_from([0.2, OPEN_DEADLINE_SECONDS, 2.0, 6.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        self.loop.advance(seconds)

    @precondition(lambda self: self.steps > CRASH_AFTER_STEPS)
    @rule(commits=st.integers(0, 99))
    def crash_and_restart(self, commits: int) -> None:
        """kill -9, with some of what was on its way to the store arriving."""
        dead = self.process
        for position, turn in enumerate(list(dead.line.waiting)):
            if commits >> position % 7 & 1:
                turn.go.set_result(None)
        self.loop.settle()
        self.check_all()
        told = self._sessions_over_or_live(dead)
        known = set(self.history.rows) | set(self.history.live)
        lost = [encoder for encoder, session in told if session.facts.session_id not in known]
        assert len(lost) <= len(dead.journal), "a row may be lost only while it waits in memory"
        self._bury(dead)
        self.boot()
        assert set(self.history.rows) == known, "what the store knew is history, once"
        assert not self.history.live
        self._check_bans_are_known()

    # -- what must hold after every step

    @invariant()
    def check_all(self) -> None:
        self.steps += 1
        self.check_that_what_is_live_is_true()
        self.check_rows()
        self.check_forbiddings()
        self.check_that_memory_follows_the_store()
        assert not self.loop.faults, "an exception reached the loop"
        assert not self.process.feeding.done(), "the journal goes on whatever happens"

    def check_that_what_is_live_is_true(self) -> None:
        process, now = self.process, self.process.wall()
        live = [encoder.session for encoder in process.encoders if encoder.session is not None and encoder.live]
        assert all(count == 1 for count in Counter(session.key.name for session in live).values()), "two of one name"
        assert not any(process.blacklist.forbids(session.key, now) for session in live), "a forbidden stream is live"
        held = list(process.registry.sessions())
        assert not any(process.blacklist.forbids(session.key, now) for session in held)
        assert {id(session) for session in held if session.started} == {id(session) for session in live}
        opening = [encoder for encoder in process.encoders if not encoder.task.done()]
        assert {session.facts.client_port for session in held if not session.started} <= {
            encoder.port for encoder in opening
        }, "a name is held by nobody"
        by_app = [session for space in ("demo", "other") for session in process.registry.sessions_of(space, "live")]
        assert sorted(map(id, by_app)) == sorted(map(id, held)), "the index by app is not the registry"
        assert all(session.ended is False for session in held)

    def check_rows(self) -> None:
        process = self.process
        suppressed = 0
        for encoder in process.encoders:
            rows = process.rows[encoder.port]
            if encoder.live:
                assert not rows, "a live session has a closed row"
            elif not encoder.task.done():
                assert len(rows) <= 1, "at most the error row of one that was cut while it was opened"
            elif isinstance(encoder.outcome, Refused):
                assert not encoder.kicks or encoder.outcome.code in encoder.kicks
                if encoder.outcome.cause == "unknown publish domain":
                    assert not rows, "an unknown domain writes nothing"
                    continue
                suppressed += not rows
                assert len(rows) <= 1
                assert all((row.accepted, row.code) == (False, encoder.outcome.code) for row in rows)
            elif encoder.session is not None:
                assert [row.accepted for row in rows] == [True], "a session that is over has one row"
                assert rows[0].fin_time >= rows[0].facts.pub_time
            elif rows or encoder.door != EXTERNAL:
                # One that left while its server was asked has held nothing, and has no row.
                assert len(rows) == 1, "one that left while it was opened has one row"
                assert rows[0].accepted or rows[0].code == BreakCode.FORBIDDEN
        assert suppressed == process.admission.quota.suppressed, "a refusal without a row is counted"
        submitted = [row for rows in process.rows.values() for row in rows]
        waiting = [row for row in submitted if row.facts.session_id not in self.history.rows]
        assert len(waiting) <= len(process.journal), "a row is neither written nor waiting"
        for row in submitted:
            assert self.history.rows.get(row.facts.session_id, row) == row

    def check_forbiddings(self) -> None:
        process, now = self.process, self.process.wall()
        for forbidding in process.forbiddings:
            if forbidding.judged or not forbidding.task.done():
                continue
            forbidding.judged = True
            error = None if forbidding.task.cancelled() else forbidding.task.exception()
            assert error is None or isinstance(error, BusinessError)
            code = error.ret_code if isinstance(error, BusinessError) else 0
            if forbidding.task.cancelled() or code not in (0, 8501):
                continue
            newest = self.bans.bans.get(forbidding.key)
            if forbidding.is_cut or (newest is not None and newest.version == process.told.versions[forbidding.key]):
                assert not any(encoder.live for encoder in forbidding.targets), "ForbidStream said yes and cut nobody"
        for key, version in process.told.versions.items():
            newest = self.bans.bans[key]
            if newest.version == version and newest.active(now):
                assert process.blacklist.forbids(key, now), "a ban that was asked for is not known"

    def check_that_memory_follows_the_store(self) -> None:
        for key in KEYS:
            known = self.process.blacklist.find(key, self.process.wall())
            durable = self.bans.bans.get(key)
            if known is not None:
                assert durable is not None, "a ban that is not durable"
                assert known.version <= durable.version
            row = self.process.blacklist._bans.get(key.unique_name, {}).get(key)
            if row is not None:
                assert row.version >= self.versions.get(key, 0), "an older row came back"
                self.versions[key] = row.version

    def teardown(self) -> None:
        try:
            if self.boots and sys.exception() is None:  # what has failed already is not judged again
                self._check_the_end()
        finally:
            self.loop.bury()

    def _check_the_end(self) -> None:
        process = self.process
        process.line.heal()
        self.loop.settle()
        for encoder in process.encoders:
            encoder.task.cancel()
        self.loop.settle()
        for session in list(process.registry.sessions()):
            self._encoder_of(session).left = True
            self._finish(session, Reason.SHUTDOWN)
        self.loop.advance(10.0)  # the journal's longest pause
        self.check_all()
        self.loop.run(process.reconcile.sync())
        self._check_bans_are_known()
        assert len(process.journal) == 0
        assert not self.history.live
        for rows in process.rows.values():
            for row in rows:
                assert self.history.rows[row.facts.session_id] == row
        self.loop.run(self.history.end_boot(process.boot_id))
        self._bury(process)

    def _check_bans_are_known(self) -> None:
        now = self.process.wall()
        for key in KEYS:
            ban = self.bans.bans.get(key)
            assert self.process.blacklist.forbids(key, now) == (ban is not None and ban.active(now))

    def _bury(self, process: Process) -> None:
        """End the tasks of a dead process; nothing they do arrives anywhere."""
        process.line.healthy = False
        tasks = [process.feeding, *process.requests]
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            self.loop.settle()
        for task in tasks:
            if not task.cancelled():
                assert isinstance(task.exception(), BusinessError | StoreUnavailable | None)

    def _forbid(self, key: StreamKey, till: int) -> None:
        process = self.process
        targets = [
            encoder
            for encoder in process.encoders
            if encoder.live and encoder.session is not None and encoder.session.key == key
        ]
        task = process.ask(process.forbids.forbid(key, till))
        process.forbiddings.append(Forbidding(key, task, till == TILL_CUT_ONLY, targets))

    def _answer_the_newest(self, times: int) -> None:
        for _ in range(times):
            if self.process.line.waiting:
                self.process.line.deliver(-1)
                self.loop.settle()

    def _finish(self, session: Session, reason: Reason) -> None:
        process = self.process
        self.loop.call(partial(process.endings.finish, session, BreakCode.SUCCESS, reason, process.wall()))

    def _sessions_over_or_live(self, process: Process) -> list[tuple[Encoder, Session]]:
        return [(encoder, encoder.session) for encoder in process.encoders if encoder.session is not None]

    def _encoder(self, pick: int) -> Encoder:
        # the latest ones: those of long ago are over
        return self.process.encoders[-1 - pick % min(6, len(self.process.encoders))]

    def _encoder_of(self, session: Session) -> Encoder:
        return next(encoder for encoder in self.process.encoders if encoder.session is session)


def run(machine: type[Interleavings], max_examples: int, **more: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


def test_security_17_storm_of_publishes_bans_and_crashes_holds_the_invariants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusals, "ROWS_PER_MINUTE", ROWS_PER_MINUTE)
    run(Interleavings, max_examples=150)


# -- tests of the test -----------------------------------------------------------------------------------------------


class CheckThenAct(Admission):
    """Asks, waits for the store, then takes: the order that let forbidden publishers live (design, flow (a) 2)."""

    async def _open(self, session: Session) -> Session | Refused:
        self._registry.release(session)
        await self._journal.open(session.facts, OPEN_DEADLINE_SECONDS)
        self._registry._holders[session.key.name] = session
        self._registry._by_app.setdefault((session.key.unique_name, session.key.app), {})[session.key.name] = session
        session.started = True
        return session


class NeverLooksBack(Admission):
    """Does not ask after the await whether it still holds the name."""

    async def _open(self, session: Session) -> Session | Refused:
        await self._journal.open(session.facts, OPEN_DEADLINE_SECONDS)
        session.started = True
        return session


class LeavesItsClaim(Admission):
    """Does not give the name back when it is cancelled."""

    async def _open(self, session: Session) -> Session | Refused:
        await self._journal.open(session.facts, OPEN_DEADLINE_SECONDS)
        if not self._registry.holds(session):
            return Refused(session.evicted_with or BreakCode.FORBIDDEN, "")
        session.started = True
        return session


class EndsTwice(Endings):
    """Writes a row at every ending."""

    def finish(self, session: Session, code: BreakCode, reason: Reason, now: float) -> bool:
        session.ended = False
        return super().finish(session, code, reason, now)


class ForgetsEvicted(Endings):
    """Writes a row only for who still holds its name."""

    def finish(self, session: Session, code: BreakCode, reason: Reason, now: float) -> bool:
        return self._registry.holds(session) and super().finish(session, code, reason, now)


class FreesByName(Registry):
    """Frees the name whoever holds it."""

    def release(self, session: Session) -> bool:
        holder = self.holder(session.key.name)
        return holder is not None and super().release(holder)


class TakesAnyOrder(Blacklist):
    """Lets the row that comes last win."""

    def apply(self, ban: Ban) -> bool:
        self._bans.setdefault(ban.key.unique_name, {})[ban.key] = ban
        return True


class BansBeforeItIsDurable(Forbids):
    """Forbids in memory first."""

    async def forbid(self, key: StreamKey, till: int = TILL_DEFAULT) -> None:
        now = int(self._clock())
        if till not in (TILL_CUT_ONLY, TILL_PERMANENT):
            self.apply(Ban(key, now, till or now + 1000, False, False, 1_000_000))
        await super().forbid(key, till)


class CutsNobody(Forbids):
    """Writes the ban down and leaves the stream on."""

    def cut(self, key: StreamKey) -> Session | None:
        return self._registry.holder(key.name)


class CutsOnlyWhileItHolds(Forbids):
    """Lets live who was to be cut, when the ban was over before the store had said that it was written."""

    def apply(self, ban: Ban) -> None:
        if self._blacklist.apply(ban) and ban.active(self._clock()):
            self.cut(ban.key)


class StumblesOverTheDisplaced(Admission):
    """Does not go on when the silent holder can't be cut."""

    def _displace(self, session: Session, now: float) -> None:
        session.publisher.kick(BreakCode.SUCCESS)
        self._endings.finish(session, BreakCode.SUCCESS, Reason.TAKEN_OVER, now)


class CutsLater(Forbids):
    """Waits between the ban and the cut."""

    async def forbid(self, key: StreamKey, till: int = TILL_DEFAULT) -> None:
        ban = await self._store.forbid(key, int(self._clock()), int(self._clock()) + 1000, False)
        if ban is not None:
            self._blacklist.apply(ban)
            await asyncio.sleep(0.1)
            self.cut(key)


@pytest.mark.parametrize(
    ("part", "seeded"),
    [
        ("admission", CheckThenAct),
        ("admission", NeverLooksBack),
        ("admission", LeavesItsClaim),
        ("endings", EndsTwice),
        ("endings", ForgetsEvicted),
        ("registry", FreesByName),
        ("blacklist", TakesAnyOrder),
        ("forbids", BansBeforeItIsDurable),
        ("forbids", CutsNobody),
        ("forbids", CutsLater),
        ("forbids", CutsOnlyWhileItHolds),
        ("admission", StumblesOverTheDisplaced),
    ],
)
def test_the_machine_finds_a_seeded_fault(part: str, seeded: type) -> None:
    machine = type("Seeded", (Interleavings,), {"parts": {part: seeded}})
    with pytest.raises((AssertionError, OSError)):
        run(
            machine,
            max_examples=400,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
        )
