"""DescribeNodes: this process, those that show something, and those that only the store knows."""

from openkls.control.reconcile import LEASE_SECONDS
from openkls.control.snapshot import AppShown, RemoteStream, Watched
from openkls.domain.errors import StoreUnavailable
from openkls.domain.keys import StreamName
from openkls.domain.quality import Reading
from openkls.domain.session import SessionFacts
from openkls.domain.viewers import PullProtocol
from support_api import NOW, Site
from support_domain import key

ACTION = "DescribeNodes"


async def test_process_that_answers_tells_what_it_has_of_the_accounts_streams(site: Site) -> None:
    await site.history.begin_boot("boot-here", "node", NOW - 500)
    session = site.publish("s1")
    session.quality.received(site.ticks, 1_250_000)
    site.publish("refused").started = False
    site.publish("theirs", unique_name="theirs", pubdomain="push.theirs.local")
    site.watch("s1", 3).sent.add(site.ticks, 2_500_000)
    site.viewers.join(StreamName("theirs", "live", "theirs"), PullProtocol.RTMP, "", site.ticks)
    site.ticks += 5
    assert (await site.call(ACTION)).data["Nodes"] == [
        {
            "Node": "198.51.100.1",
            "BootId": "boot-here",
            "StartTime": NOW - 500,
            "UpdateTime": NOW,
            "Live": 1,
            "Streams": 1,
            "OnlineUser": 3,
            "BwReal": 2000.0,
            "Bw": 4_000_000,
        }
    ]
    (theirs,) = (await site.call(ACTION, access_key="AKTHEIRS")).data["Nodes"]
    assert (theirs["Streams"], theirs["OnlineUser"]) == (1, 1)


async def test_process_that_only_the_store_knows_lives_for_its_lease(site: Site) -> None:
    await site.history.begin_boot("boot-other", "other", NOW - 100)
    await site.history.heartbeat("boot-other", NOW)
    for later, lives in ((LEASE_SECONDS - 1, 1), (LEASE_SECONDS, 0)):
        site.now = NOW + later
        _, other = (await site.call(ACTION)).data["Nodes"]
        assert other == {
            "Node": "",
            "BootId": "boot-other",
            "StartTime": NOW - 100,
            "UpdateTime": NOW,
            "Live": lives,
            "Streams": 0,
            "OnlineUser": 0,
            "BwReal": 0.0,
            "Bw": 0,
        }


async def test_without_the_store_this_process_is_told_all_the_same(site: Site) -> None:
    site.history.down = StoreUnavailable("away")
    (here,) = (await site.call(ACTION)).data["Nodes"]
    assert (here["BootId"], here["StartTime"], here["Live"]) == ("boot-here", 0, 1)


async def test_many_streams_are_read_in_slices(site: Site) -> None:
    for number in range(1100):
        site.publish(f"s{number}")
    (here,) = (await site.call(ACTION)).data["Nodes"]
    assert here["Streams"] == 1100


class Process:
    """What another process shows, as Readings."""

    boot_id = "boot-there"
    node = "198.51.100.2"
    read_time = NOW - 3
    failures: tuple[()] = ()

    def apps(self) -> list[tuple[str, str]]:
        return [("demo", "live"), ("theirs", "live")]

    async def app(self, unique_name: str, app: str) -> AppShown:
        reading = Reading(25, 25, 0.0, 0.0, 1_000_040.0, 0, 0, 0, "", "")
        stream = RemoteStream(
            SessionFacts("1" * 32, key("s1"), "192.0.2.9", 5, self.node, self.boot_id, NOW), reading, NOW
        )
        return AppShown([stream], [Watched("s1", PullProtocol.HLS, "", 2, 3_000_000)])


class Peers:
    def processes(self) -> list[Process]:
        return [Process()]


async def test_process_that_shows_something_is_told_with_what_it_has_of_the_account(site: Site) -> None:
    site.services.live.peers = Peers()  # type: ignore[assignment]
    for heartbeat, started, heard in (
        (None, 0, NOW - 3),
        (NOW - 20, NOW - 500, NOW - 3),
        (NOW - 1, NOW - 500, NOW - 1),
    ):
        if heartbeat is not None:
            await site.history.begin_boot("boot-there", "there", NOW - 500)
            await site.history.heartbeat("boot-there", heartbeat)
        _, there = (await site.call(ACTION)).data["Nodes"]
        assert there == {
            "Node": "198.51.100.2",
            "BootId": "boot-there",
            "StartTime": started,
            "UpdateTime": heard,
            "Live": 1,
            "Streams": 1,
            "OnlineUser": 2,
            "BwReal": 1000.0,
            "Bw": 3_000_000,
        }
