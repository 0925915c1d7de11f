"""Two whole nodes on one PostgreSQL and one Redis: one publisher per name, one list, one blacklist, whatever fails."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openkls.client import KlsError
from support_cluster import Node, StallingProxy
from support_service import pushing, until
from tools.redis import RedisServer

pytestmark = [pytest.mark.e2e, pytest.mark.cluster]

PUBDOMAIN = "push.demo.local"


class Site:
    """Redis, a proxy before it for node A, and nodes A and B."""

    def __init__(self, folder: Path, store: str) -> None:
        self.redis = RedisServer(folder)
        self.redis.start()
        self.proxy = StallingProxy(self.redis.port)
        self.a = Node(folder, "a", store, f"redis://127.0.0.1:{self.proxy.port}/0")
        self.b = Node(folder, "b", store, self.redis.url)

    def end(self) -> None:
        for part in (self.a, self.b, self.redis, self.proxy):
            part.end()


@contextlib.contextmanager
def _two_nodes(folder: Path, store: str) -> Iterator[Site]:
    built = Site(folder, store)
    try:
        built.a.start()
        built.b.start()
        yield built
    finally:
        built.end()
    for node in (built.a, built.b):
        log = node.log.read_text()
        assert "Traceback" not in log, log


@pytest.fixture
def site(tmp_path: Path, postgres_url: str) -> Iterator[Site]:
    with _two_nodes(tmp_path, postgres_url) as built:
        yield built


@pytest.fixture
def site_of_one_machine(tmp_path: Path) -> Iterator[Site]:
    """On one SQLite file."""
    with _two_nodes(tmp_path, f"sqlite:///{tmp_path}/shared.db") as built:
        yield built


def row(node: Node, stream: str) -> dict[str, Any] | None:
    rows = node.call("ListRealtimeStreamsInfo", Type="push", Stream=stream)["Streams"]
    return rows[0] if rows else None


def codes(node: Node, action: str, stream: str) -> list[int]:
    result = node.call(action, Pubdomain=PUBDOMAIN, Stream=stream)["Result"]
    return [detail["StatusCode"] for each in result for detail in each["Detail"]]


def test_what_lives_on_one_node_is_known_on_the_other(site: Site, clip: Path, tmp_path: Path) -> None:
    with pushing(clip, site.a.push_url("one")):
        until(lambda: row(site.b, "one"))
        until(lambda: (row(site.b, "one") or {}).get("Curfps", 0) > 20, 20)
        mine, theirs = row(site.a, "one"), row(site.b, "one")
        assert mine is not None
        assert theirs is not None
        same = ("Stream", "ClientIP", "Node", "PubTime", "Width", "Height", "SampleRate", "Vcodec", "Acodec")
        assert {key: mine[key] for key in same} == {key: theirs[key] for key in same}
        page = site.b.call("ListRealtimePubStreamsInfo", Pubdomain=PUBDOMAIN)
        assert (page["Total"], page["Result"][0]["Stream"]) == (1, "one")
        assert time.time() - 10 <= page["Result"][0]["UpdateTime"] <= time.time()
        second = tmp_path / "second.log"
        with pushing(clip, site.b.push_url("one"), second) as encoder:
            assert encoder.wait(10) != 0
        assert "422 Already exist stream!" in second.read_text()
    until(lambda: row(site.b, "one") is None)
    with pushing(clip, site.b.push_url("one")):
        until(lambda: row(site.a, "one"))
    assert codes(site.a, "ListHistoryPubStreamsErrInfo", "one") == [422]


def test_forbid_on_one_node_cuts_on_the_other(site: Site, clip: Path, tmp_path: Path) -> None:
    with pushing(clip, site.a.push_url("bad")) as encoder:
        until(lambda: row(site.b, "bad"))
        site.b.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="bad")
        assert encoder.wait(5) != 0
    until(lambda: site.a.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="bad")["CheckResult"] == 1)
    log = tmp_path / "refused.log"
    with pushing(clip, site.a.push_url("bad"), log) as encoder:
        assert encoder.wait(10) != 0
    assert "423 Forbidden by blacklist!" in log.read_text()
    site.b.call("ResumeStream", Pubdomain=PUBDOMAIN, Stream="bad")
    until(lambda: site.a.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="bad")["CheckResult"] == 0)
    with pushing(clip, site.a.push_url("bad")):
        until(lambda: row(site.b, "bad"))


def test_nodes_of_one_machine_may_share_a_file(site_of_one_machine: Site, clip: Path) -> None:
    a, b = site_of_one_machine.a, site_of_one_machine.b
    with pushing(clip, a.push_url("file")) as encoder:
        until(lambda: row(b, "file"))
        b.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="file")
        assert encoder.wait(5) != 0
    until(lambda: codes(b, "ListHistoryPubStreamsErrInfo", "file") == [423])


def test_cut_without_a_ban_is_acknowledged_by_the_node_it_lives_on(site: Site, clip: Path) -> None:
    with pushing(clip, site.a.push_url("cut")) as encoder:
        until(lambda: row(site.b, "cut"))
        site.b.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="cut", ForbidTillUnixTime=1)
        assert encoder.wait(5) != 0
    until(lambda: row(site.b, "cut") is None)
    with pytest.raises(KlsError) as offline:
        site.b.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="cut", ForbidTillUnixTime=1)
    assert offline.value.ret_code == 8502
    with pushing(clip, site.b.push_url("cut")):
        until(lambda: row(site.a, "cut"))


def test_name_of_a_killed_node_is_free_within_its_lease(site: Site, clip: Path) -> None:
    with pushing(clip, site.a.push_url("lost")):
        until(lambda: row(site.b, "lost"))
        site.a.kill()
    killed_at = time.monotonic()
    until(lambda: row(site.b, "lost") is None, 15)
    while True:
        with pushing(clip, site.b.push_url("lost")) as encoder:
            with contextlib.suppress(AssertionError):
                until(lambda: row(site.b, "lost") or encoder.poll() is not None, 10)
            if row(site.b, "lost"):
                break
        assert time.monotonic() - killed_at < 15, "the name is not free"
    site.a.start()
    assert codes(site.a, "ListHistoryPubStreamsInfo", "lost")[-1:] == [200]


def test_restarted_node_takes_its_own_names_again_at_once(site: Site, clip: Path) -> None:
    with pushing(clip, site.a.push_url("mine")):
        until(lambda: row(site.b, "mine"))
        site.a.kill()
    site.a.start()
    with pushing(clip, site.a.push_url("mine")) as encoder:
        until(lambda: row(site.a, "mine"))
        assert encoder.poll() is None


def test_redis_that_dies_stops_nothing_and_one_of_two_wins_when_it_is_back(
    site: Site, clip: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "first.log", tmp_path / "second.log"
    with pushing(clip, site.a.push_url("both"), logs[0]) as first, contextlib.ExitStack() as stack:
        began = until(lambda: row(site.b, "both"))["PubTime"]
        until(lambda: time.time() > began + 1)  # so that the two can be told apart
        site.redis.kill()
        other = stack.enter_context(pushing(clip, site.b.push_url("both"), logs[1]))
        until(lambda: row(site.b, "both")["PubTime"] != row(site.a, "both")["PubTime"])  # type: ignore[index]
        site.b.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="nobody")
        assert first.poll() is other.poll() is None
        site.redis.start()
        # The older one, unless its node is late to find Redis again, as it may be on a busy machine.
        until(lambda: first.poll() is not None or other.poll() is not None)
        gone = 0 if first.poll() is not None else 1
        assert (first, other)[gone].returncode != 0
        assert "422 Already exist stream!" in logs[gone].read_text()
        assert (first, other)[1 - gone].poll() is None
        until(lambda: row(site.b, "both") and row(site.b, "both")["PubTime"] == row(site.a, "both")["PubTime"])  # type: ignore[index]
        assert codes(site.a, "ListHistoryPubStreamsErrInfo", "both") == [422]
    assert site.a.log.read_text().count("Redis does not answer") == 1
    assert site.a.log.read_text().count("Redis answers again") == 1


def test_redis_that_hangs_costs_a_deadline_and_the_claim_it_kept_wins(site: Site, clip: Path, tmp_path: Path) -> None:
    log = tmp_path / "cut.log"
    with pushing(clip, site.b.push_url("hung")), contextlib.ExitStack() as stack:
        began = until(lambda: row(site.a, "hung"))["PubTime"]
        until(lambda: time.time() > began + 1)
        site.proxy.stall()
        late = stack.enter_context(pushing(clip, site.a.push_url("hung"), log))
        until(lambda: row(site.a, "hung")["PubTime"] != row(site.b, "hung")["PubTime"])  # type: ignore[index]
        # A ban made elsewhere is read from the store.
        site.b.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="else")
        until(lambda: site.a.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="else")["CheckResult"] == 1)
        site.proxy.carry()
        assert late.wait(15) != 0
        assert "422 Already exist stream!" in log.read_text()
        assert row(site.b, "hung")


def test_stopped_node_gives_its_names_back(site: Site, clip: Path) -> None:
    with pushing(clip, site.a.push_url("moved")):
        until(lambda: row(site.b, "moved"))
        assert site.a.stop() == 0
    with pushing(clip, site.b.push_url("moved")) as encoder:
        until(lambda: row(site.b, "moved"))
        assert encoder.poll() is None


def test_node_starts_while_redis_is_away(site: Site, clip: Path) -> None:
    site.a.stop()
    site.redis.kill()
    site.a.start()
    with pushing(clip, site.a.push_url("alone")):
        until(lambda: row(site.a, "alone"))
        assert row(site.b, "alone") is None
        site.redis.start()
        until(lambda: row(site.b, "alone"))


def test_rate_is_one_for_all_nodes(site: Site) -> None:
    for node in (site.a, site.b):
        node.stop()
        node.limits_enforced = True
        node.start()
    for number in range(50):
        (site.a, site.b)[number % 2].call("ListRealtimeStreamsInfo", Type="push")
    for node in (site.a, site.b):
        with pytest.raises(KlsError) as over:
            node.call("ListRealtimeStreamsInfo", Type="push")
        assert over.value.ret_code == 9016
