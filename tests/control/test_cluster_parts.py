"""What a process of a cluster shows, tells, and knows of the others, over the in-memory twins."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from openkls.cluster import MemoryCluster
from openkls.control import peers as peers_module
from openkls.control import signals as signals_module
from openkls.control.live import LiveStreams
from openkls.control.membership import Membership
from openkls.control.peers import STALE_SECONDS
from openkls.control.shared_rates import SharedRates
from openkls.control.signals import CutAnswered, CutAsked
from openkls.control.snapshot import CHUNK_ROWS, Names, Readings, build_snapshot
from openkls.domain.blacklist import Blacklist
from openkls.domain.errors import BusinessError, ClusterUnavailable
from openkls.domain.keys import StreamKey
from openkls.domain.ports import LEASE_SECONDS, Part, Posted
from openkls.domain.rates import Rates
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode, Session, SessionFacts
from openkls.domain.viewers import PullProtocol, Viewers
from support_control import ACCOUNTS, Clock, House
from support_domain import FakePublisher, facts, key
from support_ports import MemoryBlacklist, MemoryHistory, MemoryKeys


class Link:
    """Up, for as long as the test says."""

    def __init__(self) -> None:
        self.up_seconds = 1000.0
        self.calls: list[Any] = []

    def on_up(self, call: Any) -> None:
        self.calls.append(call)


class Down:
    """Ports that do not answer."""

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            raise ClusterUnavailable("down")

        return call


class Node:
    """One process of several on one twin."""

    def __init__(self, name: str, twin: Any, clock: Clock, bans: MemoryBlacklist, has_lists: bool = True) -> None:
        self.link, self.viewers, self.clock = Link(), Viewers(), clock
        self.house = House(
            *(MemoryHistory(), bans, MemoryKeys()),
            accounts=ACCOUNTS,
            wall=clock,
            monotonic=clock,
            boot_id=f"boot-{name}",
            node_id=name,
        )
        self.membership = Membership(
            *(self.link, twin, twin, twin, twin),
            registry=self.house.registry,
            viewers=self.viewers,
            endings=self.house.endings,
            forbids=self.house.forbids,
            reconcile=self.house.reconcile,
            local_rates=Rates(),
            node_id=name,
            boot_id=f"boot-{name}",
            node=f"{name}.local",
            has_lists=has_lists,
            clock=clock,
            monotonic=clock,
        )
        self.peers, self.signals = self.membership.peers, self.membership.signals
        self.live = LiveStreams(self.house.registry, self.viewers, self.peers)

    def publish(self, of: StreamKey, session_id: str = "1" * 32) -> Session:
        session = Session(facts(of, session_id), FakePublisher(), started=True)
        assert self.house.registry.claim(session, self.clock()).refusal is None
        return session

    async def show(self) -> None:
        self.clock.now += 3
        await self.peers.post()

    async def listed(self, app: str = "live") -> list[tuple[str, str, int]]:
        elsewhere = await self.peers.app("demo", app)
        sources = self.live.sources("demo", app, ("_500",), elsewhere)
        return [
            (
                source.session.key.stream,
                source.session.facts.node,
                sum(p.online for p in self.live.pulls(source, PullProtocol.RTMP, None, self.clock(), elsewhere)),
            )
            for source in sources
        ]


@pytest.fixture
async def nodes() -> AsyncIterator[tuple[Node, Node]]:
    clock, bans = Clock(), MemoryBlacklist()
    twin = MemoryCluster(clock)
    a, b = Node("a", twin, clock, bans), Node("b", twin, clock, bans)
    tasks = [asyncio.create_task(node.signals.run()) for node in (a, b)]
    await asyncio.sleep(0)
    yield a, b
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def quick_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals_module, "ACKNOWLEDGE_SECONDS", 0.05)


# -- snapshots


@pytest.mark.parametrize("count", [0, 1, CHUNK_ROWS, CHUNK_ROWS + 1])
async def test_snapshot_is_read_as_it_was_made(count: int) -> None:
    registry, viewers = Registry(Blacklist()), Viewers()
    sessions = []
    for number in range(count):
        made = SessionFacts(f"{number:032}", key(f"s{number}"), "192.0.2.7", 5, "n.local", "boot-1", 1000 + number)
        sessions.append(Session(made, FakePublisher(), started=number != 0 or count == 1))
        registry.claim(sessions[-1], 1000)
        viewers.join(made.key.name, PullProtocol.HLS, "1001", 0.0)
    parts = await build_snapshot("boot-1", "n.local", registry, viewers, 77, 1.0, "a:1")
    shown = await Readings(parts[Part.READINGS]).app("demo", "live")
    assert [stream.facts for stream in shown.streams] == [each.facts for each in sessions if each.started]
    assert [stream.read(9.0) for stream in shown.streams] == [each.read(1.0) for each in sessions if each.started]
    assert {stream.read_time(99) for stream in shown.streams} <= {77}
    assert sum(row.online for row in shown.watched) == count
    names = Names(parts[Part.NAMES])
    assert names.relay == "a:1"
    for each in sessions:
        assert names.has(each.key.name) is names.publishes(each.key) is each.started
        assert not names.publishes(key(each.key.stream, "push2.demo.local"))
        assert not names.has(each.key.name._replace(app="other"))


def test_snapshot_that_is_none_is_refused() -> None:
    for payload in (b"", b"\x00", b"not one", msgspec.msgpack.encode([1, 2, 3])):
        for part in (Names, Readings):
            with pytest.raises(msgspec.DecodeError):
                part(payload)


# -- peers


async def test_lists_are_merged_and_viewers_summed_over_nodes(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.publish(key("s1"))
    b.publish(key("s2"))
    a.viewers.join(key("s1").name, PullProtocol.RTMP, "", 0.0)
    for _ in range(2):  # watched by way of another node
        b.viewers.join(key("s1").name, PullProtocol.RTMP, "1001", 0.0)
    for node in nodes:
        await node.show()
    for node in nodes:
        await node.peers.follow()
        assert sorted((stream, online) for stream, _, online in await node.listed()) == [("s1", 3), ("s2", 0)]
    elsewhere = await a.peers.app("demo", "live")
    assert elsewhere.audience("s1", PullProtocol.RTMP, frozenset({"1001"})).online == 2
    assert [each.key.stream for each in a.live.published("demo", "live", "push.demo.local", elsewhere)] == ["s1", "s2"]


async def test_everything_live_is_found_on_all_nodes_with_viewers_of_all_protocols(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.publish(key("s1"))
    b.publish(key("s2"), "2" * 32)
    b.publish(key("s3", app="vod"), "3" * 32)
    b.publish(key("s4", unique_name="other"), "4" * 32)
    a.viewers.join(key("s1").name, PullProtocol.RTMP, "", 0.0)
    b.viewers.join(key("s1").name, PullProtocol.HLS, "1001", 0.0)
    b.viewers.join(key("s2").name, PullProtocol.HTTP_FLV, "1001", 0.0)
    b.house.endings.failures.count(key("s9"))
    for node in nodes:
        await node.show()
    for node in nodes:
        await node.peers.follow()
        found = await node.live.found({"demo"})
        assert {each.session.key.stream: node.live.shares(each, node.clock())[:3] for each in found} == {
            "s1": (1, 0, 1),
            "s2": (0, 1, 0),
            "s3": (0, 0, 0),
        }
        assert len(await node.live.found(None)) == 4
        assert [each.session.key.stream for each in await node.live.found({"demo"}, "vod")] == ["s3"]
        assert [each.session.key.stream for each in await node.live.found(None, None, "s4")] == ["s4"]
    here, there = await a.live.loads({"demo"}, a.clock)
    assert (here.boot_id, here.streams, here.online) == ("", 1, 1)
    assert (there.boot_id, there.node, there.streams, there.online) == ("boot-b", "b.local", 2, 2)
    assert [list(process.failures) for process in a.peers.processes()] == [[("demo", "live", 1)]]


async def test_failure_on_an_idle_node_is_shown_once(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    for _ in range(3):
        await a.show()
    a.house.endings.failures.count(key())
    for _ in range(3):
        await a.show()
    await b.peers.follow()
    assert [list(process.failures) for process in b.peers.processes()] == [[("demo", "live", 1)]]
    posted = a.peers.posted
    for _ in range(3):
        await a.show()
    assert a.peers.posted == posted


async def test_rendition_on_another_node_belongs_to_its_source_here(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.publish(key("s1"))
    b.publish(key("s1_500"))
    b.viewers.join(key("s1_500").name, PullProtocol.RTMP, "", 0.0)
    await b.show()
    await a.peers.follow()
    assert [(stream, online) for stream, _, online in await a.listed()] == [("s1", 1)]


async def test_what_is_here_counts_before_what_another_node_still_shows(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    b.publish(key("s1"))
    await b.show()
    a.publish(key("s1"), "2" * 32)
    await a.peers.follow()
    assert [node for _, node, _ in await a.listed()] == ["127.0.0.1"]
    assert len(a.live.published("demo", "live", "push.demo.local", await a.peers.app("demo", "live"))) == 1


async def test_streams_of_a_node_that_died_vanish_with_its_lease(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    b.publish(key("s1"))
    await b.show()
    await a.peers.follow()
    assert len(await a.listed()) == len(a.peers) == 1
    a.clock.now += LEASE_SECONDS
    await a.peers.follow()
    assert len(await a.listed()) == len(a.peers) == 0


async def test_what_was_known_stays_for_a_while_when_redis_is_away(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    b.publish(key("s1"))
    await b.show()
    await a.peers.follow()
    a.peers._port = Down()
    for seconds, listed in ((0.0, 1), (STALE_SECONDS, 1), (0.1, 0)):
        a.clock.now += seconds
        with pytest.raises(ClusterUnavailable):
            await a.peers.follow()
        assert len(await a.listed()) == listed


async def test_redis_that_came_back_empty_hides_nobody_who_has_not_shown_himself_yet(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    b.publish(key("s1"))
    await b.show()
    await a.peers.follow()
    a.peers._port = MemoryCluster(a.clock)
    a.link.up_seconds = peers_module.RESTORE_SECONDS - 0.1
    await a.peers.follow()
    assert len(await a.listed()) == 1
    a.link.up_seconds = peers_module.RESTORE_SECONDS
    await a.peers.follow()
    assert len(await a.listed()) == 0


async def test_idle_node_only_renews_its_lease(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    for _ in range(5):
        await a.show()
    assert a.peers.posted == 1
    await b.peers.follow()
    assert len(b.peers) == 1
    a.publish(key("s1"))
    await a.show()
    assert a.peers.posted == 2


async def test_stream_that_began_is_shown_before_the_next_reading_is_due(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    await a.show()
    session = a.publish(key("s1"))
    session.started = False
    for started in (False, True):
        session.started = started
        a.clock.now += peers_module.POST_LEAST_SECONDS
        await a.peers.post()
    await b.peers.follow()
    assert len(await b.listed()) == 1
    assert a.peers.posted == 3


async def test_snapshot_that_cannot_be_read_hides_its_node_and_is_counted(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    b.publish(key("s1"))
    await b.show()
    await a.peers.follow()
    whole = (await b.peers._port.newer(list(Part), {}))["boot-b"]
    for number, part in enumerate(Part, 1):
        await b.peers._port.post("boot-b", {**whole, part: Posted(number, b"rubbish")})
        await a.peers.follow()
        assert (await a.listed(), a.peers.malformed) == ([], number)
        assert not a.peers.lists(key("s1"))
        assert len(a.peers) == 0
    await b.show()
    await a.peers.follow()
    assert a.peers.lists(key("s1"))
    assert len(await a.listed()) == 1


# -- signals


async def test_ban_is_known_and_the_stream_cut_on_the_other_node_before_the_answer(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    session = b.publish(key("s1"))
    await a.house.forbids.forbid(key("s1"))
    assert session.publisher.kicks == [BreakCode.FORBIDDEN]  # type: ignore[attr-defined]
    assert b.house.blacklist.forbids(key("s1"), b.clock())
    await a.house.forbids.resume(key("s1"))
    assert not b.house.blacklist.forbids(key("s1"), b.clock())


async def test_cut_is_done_and_acknowledged_by_the_owner(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    session = b.publish(key("s1"))
    assert await b.membership.claims.take(session)
    await a.house.forbids.forbid(key("s1"), 1)
    assert session.publisher.kicks == [BreakCode.FORBIDDEN]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("publishes", "asked", "broken", "ret_code"),
    [
        ("s1", key("s1", "push2.demo.local"), None, 8502),
        ("s1", key("s1"), OSError("will not close"), 8501),
        ("s2", key("s1"), None, 8502),
    ],
)
async def test_cut_that_fails_says_why(
    nodes: tuple[Node, Node], publishes: str, asked: StreamKey, broken: Exception | None, ret_code: int
) -> None:
    a, b = nodes
    session = b.publish(key(publishes))
    session.publisher.broken = broken  # type: ignore[attr-defined]
    await b.membership.claims.take(session)
    with pytest.raises(BusinessError) as failed:
        await a.house.forbids.forbid(asked, 1)
    assert failed.value.ret_code == ret_code


@pytest.mark.usefixtures("quick_acknowledgement")
async def test_cut_that_nobody_acknowledges_has_failed(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    session = Session(facts(key("s1")), FakePublisher(), started=True)
    await b.membership.claims.take(session)  # a node that hangs: it holds the name and hears nothing
    with pytest.raises(BusinessError) as failed:
        await a.house.forbids.forbid(key("s1"), 1)
    assert failed.value.ret_code == 8501
    assert not a.signals._asked


@pytest.mark.parametrize(("shown", "ret_code"), [(True, 8501), (False, 8502)])
async def test_cut_while_redis_is_away_tells_what_is_known(
    nodes: tuple[Node, Node], shown: bool, ret_code: int
) -> None:
    a, b = nodes
    if shown:
        b.publish(key("s1"))
        await b.show()
        await a.peers.follow()
    a.signals._bus = a.signals._claims = Down()
    with pytest.raises(BusinessError) as failed:
        await a.house.forbids.forbid(key("s1"), 1)
    assert failed.value.ret_code == ret_code


@pytest.mark.parametrize(("late_seconds", "cut"), [(0, True), (4.9, True), (5.0, False), (-5.0, False)])
async def test_cut_that_was_held_up_on_its_way_cuts_nobody(
    nodes: tuple[Node, Node], late_seconds: float, cut: bool
) -> None:
    _, b = nodes
    session = b.publish(key("s1"))
    b.signals.hear(msgspec.msgpack.encode(CutAsked("1", key("s1"), b.clock() - late_seconds)))
    await asyncio.sleep(0)
    assert session.ended is cut


async def test_messages_that_are_none_are_counted_and_answers_to_nobody_passed_over(nodes: tuple[Node, Node]) -> None:
    a, _ = nodes
    for payload in (b"", b"\xff", msgspec.msgpack.encode(["unknown", 1]), msgspec.msgpack.encode(["ban", 7])):
        a.signals.hear(payload)
    assert (a.signals.malformed, a.signals.heard) == (4, 0)
    a.signals.hear(msgspec.msgpack.encode(CutAnswered("nobody asked", 0)))
    assert a.signals.heard == 1


async def test_ban_is_made_though_nobody_can_be_told(nodes: tuple[Node, Node]) -> None:
    a, _ = nodes
    a.signals._bus = Down()
    await a.house.forbids.forbid(key("s1"))
    assert a.signals.untold == 1
    assert a.house.blacklist.forbids(key("s1"), a.clock())


# -- rates


async def test_rate_is_kept_alone_while_the_cluster_does_not_answer() -> None:
    clock = Clock()
    local = Rates()
    shared = SharedRates(MemoryCluster(clock), local)
    for _ in range(30):
        assert await shared.take(("a",), 50, 60, clock()) == 0
    shared._port = Down()
    waits = [await shared.take(("a",), 50, 60, clock()) for _ in range(21)]
    assert waits == [0.0] * 20 + [60.0]
    assert (shared.local_only, local.refused) == (21, 1)


async def test_rate_that_is_not_enforced_asks_nobody() -> None:
    shared = SharedRates(Down(), Rates(enforced=False))  # type: ignore[arg-type]
    assert await shared.take(("a",), 1, 60, 0.0) == 0
    assert shared.local_only == 0


# -- where streams live


async def test_a_stream_elsewhere_is_found_by_the_relay_address_its_process_shows(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.peers.show_relay("10.0.0.1:7001")
    session = a.publish(key("s1"))
    await a.show()
    await b.peers.follow()
    assert b.peers.find(session.key.name) == "10.0.0.1:7001"
    assert b.peers.find(key("s2").name) is None
    assert b.peers.find(key("s1").name._replace(app="other")) is None
    assert a.peers.find(session.key.name) is None
    a.house.registry.release(session)
    await a.show()
    await b.peers.follow()
    assert b.peers.find(session.key.name) is None


async def test_a_process_without_a_relay_port_is_nowhere_to_pull_from(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    session = a.publish(key("s1"))
    await a.show()
    await b.peers.follow()
    assert b.peers.find(session.key.name) is None


async def test_a_relay_address_that_comes_late_is_shown_at_once(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    session = a.publish(key("s1"))
    await a.show()
    a.clock.now += 1
    a.peers.show_relay("10.0.0.1:7001")
    await a.peers.post()
    await b.peers.follow()
    assert b.peers.find(session.key.name) == "10.0.0.1:7001"


# -- a viewer who is faster than the snapshot


async def test_who_asks_for_a_stream_that_has_just_begun_waits_for_its_snapshot(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.peers.show_relay("a:1")
    session = a.publish(key("new"))
    assert await a.membership.claims.take(session)
    hearing = asyncio.create_task(b.peers.hears_of(key("new").name))
    await asyncio.sleep(0)
    assert not hearing.done()
    await b.peers.follow()  # of nothing yet
    await a.show()
    await b.peers.follow()
    assert await hearing
    assert await b.peers.hears_of(key("new").name), "known by now"


async def test_nobody_waits_for_a_name_that_nobody_holds_or_whose_holder_shows_nothing(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    monkeypatch.setattr(peers_module, "HEAR_SECONDS", 60.0)
    assert not await b.peers.hears_of(key("none").name)
    assert await a.membership.claims.take(a.publish(key("mute")))
    monkeypatch.setattr(peers_module, "HEAR_SECONDS", 0.01)
    assert not await b.peers.hears_of(key("mute").name)


async def test_who_may_wait_for_a_stream_and_how_often_redis_is_asked_is_bounded(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = nodes
    monkeypatch.setattr(peers_module, "HEARERS_LIMIT", 2)
    assert await a.membership.claims.take(a.publish(key("mute")))
    waiting = [asyncio.create_task(b.peers.hears_of(key("mute").name)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not await b.peers.hears_of(key("mute").name)
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    asked = 0

    async def is_held(name: object) -> bool:
        nonlocal asked
        asked += 1
        return False

    monkeypatch.setattr(b.peers, "_is_held", is_held)
    b.clock.now += 1
    for _ in range(2 * peers_module.ASKS_PER_SECOND):
        assert not await b.peers.hears_of(key("none").name)
    assert asked == peers_module.ASKS_PER_SECOND
    b.clock.now += 1
    assert not await b.peers.hears_of(key("none").name)
    assert asked == peers_module.ASKS_PER_SECOND + 1


# -- a process that answers no lists


class Counting(MemoryCluster):
    """Keeps the parts that were read, in order."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.read: list[tuple[str, Part]] = []

    async def newer(self, parts: Any, known: Any) -> Any:
        found = await super().newer(parts, known)
        self.read += [(boot_id, part) for boot_id in found for part in found[boot_id]]
        return found


async def test_process_without_lists_finds_streams_and_reads_names_only_and_each_once() -> None:
    clock, bans = Clock(), MemoryBlacklist()
    twin = Counting(clock)
    a, media = Node("a", twin, clock, bans), Node("media", twin, clock, bans, has_lists=False)
    a.peers.show_relay("10.0.0.1:7001")
    session = a.publish(key("s1"))
    a.viewers.join(key("s1").name, PullProtocol.RTMP, "", 0.0)
    for _ in range(3):  # of new readings
        await a.show()
        await media.peers.follow()
    assert a.peers.posted == 3
    assert media.peers.find(key("s1").name) == "10.0.0.1:7001"
    assert media.peers.lists(key("s1"))
    assert await media.listed() == []
    assert twin.read == [("boot-a", Part.NAMES)]
    a.house.registry.release(session)
    a.publish(key("s2"))
    await a.show()
    await media.peers.follow()
    assert media.peers.find(key("s1").name) is None
    assert media.peers.find(key("s2").name) == "10.0.0.1:7001"
    assert twin.read == [("boot-a", Part.NAMES)] * 2


async def test_process_without_lists_looks_when_it_is_told_of_other_names_and_one_with_lists_always() -> None:
    clock, bans = Clock(), MemoryBlacklist()
    twin = MemoryCluster(clock)
    a, media, api = (Node(name, twin, clock, bans, has_lists=name != "media") for name in ("a", "media", "api"))
    told = []

    def hear(message: bytes) -> None:
        for node in (media, api):
            node.peers._follow_now.clear()
            node.signals.hear(message)
        told.append((media.peers._follow_now.is_set(), api.peers._follow_now.is_set()))

    twin._listeners.append(hear)
    a.publish(key("s1"))
    for _ in range(2):
        await a.show()
    a.publish(key("s2"))
    await a.show()
    a.peers.show_relay("10.0.0.1:7001")
    await a.show()
    assert told == [(True, True), (False, True), (True, True), (True, True)]
    media.signals._reconnected()
    assert media.peers._follow_now.is_set()


async def test_names_that_were_perhaps_not_shown_are_told_of_again() -> None:
    clock, bans = Clock(), MemoryBlacklist()
    twin = MemoryCluster(clock)
    a, media = Node("a", twin, clock, bans), Node("media", twin, clock, bans, has_lists=False)
    a.peers.show_relay("10.0.0.1:7001")
    a.publish(key("s1"))
    a.peers._port = Down()
    with pytest.raises(ClusterUnavailable):
        await a.show()
    a.peers._port = twin
    twin._listeners.append(media.signals.hear)
    await a.show()
    assert media.peers._follow_now.is_set()
    await media.peers.follow()
    assert media.peers.find(key("s1").name) == "10.0.0.1:7001"
