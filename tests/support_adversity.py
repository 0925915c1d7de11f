"""A cluster to be hurt: nodes, what they stand on, a crowd that uses them, and the verdict on what came of it.

Rule: everything started here is ended here. Node a serves all; b too, behind proxies that can hold back or cut its way
to Redis and to PostgreSQL; c serves the API. Whoever watches a's streams at b goes through a third proxy.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support_cluster import Node, StallingProxy, start_all
from support_crowd import PUBDOMAIN, Apis, Banner, Crowd, Loop, Viewer
from support_invariants import Row, ban_faults, history_faults, list_faults, name_faults
from support_service import until
from support_store import migrated
from tools.ports import free_ports
from tools.postgres import PrivatePostgres
from tools.redis import RedisServer

ROWS = """
SELECT session_id, node, stream, client_port, pub_time, NULL, true FROM open_sessions
UNION ALL SELECT session_id, node, stream, client_port, pub_time, fin_time, accepted FROM history
"""
# A node that is not restarted is declared dead after 15 s and found so within 5; on a busy machine.
SETTLE_SECONDS = 45.0
# Of Redis's return: 5 s until the cluster has one publisher of each name again, and as much for a busy machine.
DOUBT_SECONDS = 10.0
HEARD_SECONDS = 3.0
# A list is at most 6 s old (docs/explain/cluster.md); and as much for a busy machine.
LIST_AGE_SECONDS = 12.0
CALLERS = 2
LOG_LINES = 200


def clock_library() -> Path:
    """libfaketime for programs with threads, wherever the system keeps it; under the other one a node stood still for
    seconds now and then."""
    found = sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))
    assert found, "libfaketime is not installed; on Debian: apt-get install faketime"
    return found[0]


class AdverseSite:
    """The cluster, its crowd, and what is known to be in doubt. ``b_clock`` is how far b's clock is before the others',
    in seconds."""

    def __init__(self, folder: Path, clip: Path, b_clock: int = 0) -> None:
        self.b_clock = b_clock
        self.excused: list[tuple[float, float]] = []
        self.sound = True
        """Whether all that was tried here so far has ended well."""
        self._ends = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._build(stack, folder, clip)
            self._ends = stack.pop_all()

    def _build(self, stack: contextlib.ExitStack, folder: Path, clip: Path) -> None:
        self.postgres = stack.enter_context(PrivatePostgres())
        store = self.postgres.create("adverse")
        migrated(store)
        self.redis = RedisServer(folder, durable=True)
        stack.callback(self.redis.end)
        self.redis.start()
        (relay_port,) = free_ports(1)
        self.to_postgres, self.to_redis, self.to_relay = (
            StallingProxy(self.postgres.socket), StallingProxy(self.redis.port), StallingProxy(relay_port)
        )  # fmt: skip
        for proxy in (self.to_postgres, self.to_redis, self.to_relay):
            stack.callback(proxy.end)
        relay = f'relay_listen = "127.0.0.1:{relay_port}"\nrelay_advertise = "127.0.0.1:{self.to_relay.port}"'
        b_store = f"postgresql://openkls@127.0.0.1:{self.to_postgres.port}/adverse"
        b_redis = f"redis://127.0.0.1:{self.to_redis.port}/0"
        clock = {"LD_PRELOAD": str(clock_library()), "FAKETIME": f"{self.b_clock:+d}s", "DONT_FAKE_MONOTONIC": "1"}
        names = {name: {"OPENKLS_SERVER__NODE": name} for name in "abc"}
        self.a = Node(folder, "a", store, self.redis.url, "all", relay, names["a"])
        self.b = Node(folder, "b", b_store, b_redis, "all", "", names["b"] | (clock if self.b_clock else {}))
        self.c = Node(folder, "c", store, self.redis.url, "api", "", names["c"])
        self.nodes = (self.a, self.b, self.c)
        for node in self.nodes:
            stack.callback(node.end)
        start_all(*self.nodes)
        self.crowd = Crowd(clip, (self.a, self.b), seed=5)
        stack.callback(self.crowd.end)
        self.apis = Apis(self.nodes)
        stack.callback(self.apis.close)
        for _ in range(CALLERS):
            stack.callback(Loop(self.apis.look, 0.3).end)
        self.banner = Banner(self.apis, len(self.nodes), seed=7, skew=abs(self.b_clock))
        stack.callback(self.banner.end)
        self.viewer = Viewer(self.b.play_port, "stay-a")
        stack.callback(self.viewer.end)

    def said(self) -> str:
        """What there was to judge, so far."""
        publishes = tuple(self.crowd.publishes)
        started, refused = (
            sum(map(bool, each)) for each in zip(*((p.started_at, p.refused) for p in publishes), strict=True)
        )
        return (
            f"{len(publishes)} publishes, {started} acknowledged, {refused} refused; {len(self.banner.bans)} bans; "
            f"{self.apis.answers} calls, failed: {dict(self.apis.failures)}; {self.viewer.visits} visits of the viewer"
        )

    def end(self) -> None:
        """Everything ends."""
        self._ends.close()

    # -- what faults are made of

    def go_on(self, seconds: float) -> None:
        """Let the crowd go on for so long, and for as long as it takes to knock a dozen times."""
        until_time, knocks = time.monotonic() + seconds, len(self.crowd.publishes) + 12
        until(lambda: time.monotonic() >= until_time and len(self.crowd.publishes) >= knocks, seconds + 30)

    @contextlib.contextmanager
    def doubt(self) -> Iterator[None]:
        """Somebody is without Redis in this time: two of one name may be live in it."""
        since = time.time()
        self.excused.append((since, float("inf")))
        yield
        self.excused[-1] = since, time.time() + DOUBT_SECONDS

    @contextlib.contextmanager
    def dead(self, node: Node) -> Iterator[None]:
        """The node is killed, and started again."""
        self.apis.died(node.name)
        node.kill()
        yield
        node.start()
        self.apis.lives(node.name)

    # -- the verdict

    def settle(self) -> None:
        """Those that come and go leave; then everything must come to be right."""
        self.crowd.hush()
        until(lambda: not self.crowd.coming_and_going, 30)
        found: list[str] = []

        def is_right() -> bool:
            found[:] = self.faults()
            return not found

        with contextlib.suppress(AssertionError):
            until(is_right, SETTLE_SECONDS, 0.3)
        if found:
            for node in self.nodes:  # the folder may be gone by the time somebody reads this
                print(f"--- {node.name}", *node.log.read_text().splitlines()[-LOG_LINES:], sep="\n")
        assert not found, "\n".join(found[:20])
        self.crowd.wake()

    def faults(self) -> list[str]:
        """Whatever is wrong now."""
        skew = abs(self.b_clock)
        faults = [
            f"{node.name} has died" for node in self.nodes if node.process is None or node.process.poll() is not None
        ]
        faults += [f"{node.name} has logged a Traceback" for node in self.nodes if "Traceback" in node.log.read_text()]
        rows, publishes = self.rows(), tuple(self.crowd.publishes)
        faults += history_faults(publishes, rows, skew)
        faults += name_faults(publishes, self.excused)
        faults += ban_faults(publishes, self.banner.bans, self.excused)
        faults += [f"nobody is live as stay-{name}" for name in "ab" if f"stay-{name}" not in self._live()]
        if time.monotonic() - self.viewer.heard_at > HEARD_SECONDS:
            faults.append("the viewer of stay-a at b sees nothing")
        accepted = sum(row.accepted and not row.is_open for row in rows)
        for at, node in enumerate(self.nodes):
            faults += self._told_wrongly(at, node.name, accepted, skew)
        return faults + self.apis.faults()

    def _live(self) -> set[str]:
        return {publish.stream for publish in self.crowd.live}

    def _told_wrongly(self, at: int, name: str, accepted: int, skew: int) -> list[str]:
        """What one node's API tells that is not so."""
        live = self.apis.call(at, "ListRealtimeStreamsInfo", Type="push")
        past = self.apis.call(at, "ListHistoryPubStreamsInfo", Pubdomain=PUBDOMAIN)
        read = self.apis.call(at, "ListRealtimePubStreamsInfo", Pubdomain=PUBDOMAIN)
        watched = self.apis.call(at, "ListRealtimeStreamsInfo", PullProtocol="http+flv")
        if live is None or past is None or read is None or watched is None:
            return [f"{name} does not answer"]
        faults = list_faults(name, self.crowd.publishes, [row["Stream"] for row in live["Streams"]])
        if past["Total"] != accepted:
            faults.append(f"{name} counts {past['Total']} publishes in history; there are {accepted}")
        if watched["OnlineUser"] != 1:
            faults.append(f"{name} counts {watched['OnlineUser']} viewers; there is one")
        now = time.time()
        for row in read["Result"]:
            if not now - LIST_AGE_SECONDS - skew <= row["UpdateTime"] <= now + skew + 1:
                faults.append(f"{name} read {row['Stream']} at {row['UpdateTime']}, and now is {now:.0f}")
        for row in live["Streams"]:
            faults += self._began_wrongly(name, row)
        times = [row["PubTime"] for row in live["Streams"]]
        if times != sorted(times, reverse=True):
            faults.append(f"{name} lists the newest not first: {times}")
        for each in past["Result"]:
            begins = [detail["Pubtime"] for detail in each["Detail"]]
            if begins not in (sorted(begins), sorted(begins, reverse=True)):
                faults.append(f"{name} tells the history of {each['Stream']} out of order: {begins}")
        return faults

    def _began_wrongly(self, name: str, row: dict[str, Any]) -> list[str]:
        """Its time is by the clock of the node it was let in by, and in whole seconds."""
        for publish in self.crowd.live:
            clock = self.b_clock if publish.node == "b" else 0
            first, last = math.floor(publish.asked_at + clock), (publish.started_at or 0.0) + clock
            if publish.stream == row["Stream"] and not first <= row["PubTime"] <= last:
                return [f"{name} says that {row['Stream']} began at {row['PubTime']}; it was from {first} to {last}"]
        return []

    def rows(self) -> list[Row]:
        """Every session of the store."""
        rows = []
        for line in self.postgres.sql("adverse", ROWS).splitlines():
            session, node, stream, port, began, ended, accepted = line.split("|")
            fin_time = int(ended) if ended else None
            rows.append(Row(session, node, stream, int(port), int(began), fin_time, accepted == "t"))
        return rows
