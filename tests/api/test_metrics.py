"""DescribeStreamMetrics: which series, in which units, at which instants."""

from typing import Any

import pytest

from openkls.control.failures import Failures
from openkls.control.sampler import Sampler
from openkls.domain.quality import Reading
from openkls.domain.session import Session
from support_api import NOW, Site

ACTION = "DescribeStreamMetrics"
OF_STREAM = {"UniqueName": "demo", "App": "live", "Stream": "s1"}
UNITS = {
    "Curfps": "frames/s",
    "FrameRate": "frames/s",
    "FLR": "%",
    "BwIn": "kbps",
    "BwInAudio": "kbps",
    "BwReal": "kbps",
    "OnlineUser": "viewers",
    "Bw": "bit/s",
}
TOTALS = {"Streams": "streams", "OnlineUser": "viewers", "BwReal": "kbps", "Bw": "bit/s", "Errors": "errors"}


class Watch:
    """A sampler over a site, whose clock is turned from sample to sample."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.failures = Failures()
        services = site.services
        self.sampler = Sampler(
            services.live, services.directory, self.failures, site.metrics, services.clock, services.monotonic
        )

    async def samples(self, count: int) -> None:
        for _ in range(count):
            self.site.now += 10
            self.site.ticks += 10
            await self.sampler.sample()


@pytest.fixture
def watch(site: Site) -> Watch:
    return Watch(site)


def shows(session: Session, monkeypatch: pytest.MonkeyPatch, **figures: Any) -> None:
    """Have every reading of a session be this."""
    whole = {
        "frame_rate": 30,
        "curfps": 24,
        "video_bps": 1_000_000.0,
        "audio_bps": 64_040.0,
        "real_bps": 1_100_060.0,
        **dict.fromkeys(("width", "height", "sample_rate"), 0),
        "vcodec": "h264",
        "acodec": "aac",
    }
    reading = Reading(**(whole | figures))
    monkeypatch.setattr(type(session.quality), "read", lambda *_: reading)


async def told(site: Site, **asked: Any) -> tuple[list[int], dict[str, list[float]]]:
    data = (await site.call(ACTION, **asked)).data
    units = {row["Name"]: row["Unit"] for row in data["Series"]}
    assert units == (UNITS if asked.get("Stream") else TOTALS)
    assert list(units) == list(UNITS if asked.get("Stream") else TOTALS)
    assert all(len(row["Values"]) == len(data["Times"]) for row in data["Series"])
    assert data["Times"] == sorted(set(data["Times"]))
    return data["Times"], {row["Name"]: row["Values"] for row in data["Series"]}


async def test_stream_has_its_quality_and_viewers_every_ten_seconds(
    site: Site, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows(site.publish("s1"), monkeypatch)
    site.watch("s1", 3)
    await watch.samples(1)
    site.watch("s1", 2).sent.add(site.ticks + 9, 125_000_000)
    await watch.samples(1)
    times, series = await told(site, **OF_STREAM)
    assert times == [NOW + 10, NOW + 20]
    bw = series.pop("Bw")
    assert bw[0] == 0
    assert bw[1] == pytest.approx(100_000_000, rel=0.05)
    assert series == {
        "Curfps": [24, 24],
        "FrameRate": [30, 30],
        "FLR": [20, 20],
        "BwIn": [1064.0, 1064.0],
        "BwInAudio": [64.0, 64.0],
        "BwReal": [1100.1, 1100.1],
        "OnlineUser": [3, 5],
    }


async def test_answer_names_what_was_asked_for(site: Site) -> None:
    data = (await site.call(ACTION, **OF_STREAM, Period=60)).data
    assert {name: data[name] for name in ("UniqueName", "App", "Stream", "Period", "Times")} == {
        **OF_STREAM,
        "Period": 60,
        "Times": [],
    }
    data = (await site.call(ACTION)).data
    assert [data[name] for name in ("UniqueName", "App", "Stream", "Period")] == ["", "", "", 10]


async def test_totals_are_of_the_account_the_space_or_the_app(
    site: Site, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream, names in (
        ("s1", {}),
        ("s2", {"app": "vod"}),
        ("s3", {"unique_name": "other", "pubdomain": "push.other.local", "app": "any"}),
        ("s4", {"unique_name": "theirs", "pubdomain": "push.theirs.local"}),
        ("s5", {"unique_name": "gone", "pubdomain": "push.gone.local"}),
    ):
        shows(site.publish(stream, **names), monkeypatch)
    site.watch("s1", 3)
    watch.failures.count(site.facts("s1").key)
    watch.failures.count(site.facts("bad", app="li ve").key, known_app=False)
    await watch.samples(2)
    for asked, streams, online, errors in (
        ({}, 3, 3, 2),
        ({"UniqueName": "demo"}, 2, 3, 2),
        ({"UniqueName": "demo", "App": "live"}, 1, 3, 1),
        ({"UniqueName": "demo", "App": "vod"}, 1, 0, 0),
        ({"UniqueName": "other", "App": "any"}, 1, 0, 0),
        ({"UniqueName": "closed"}, 0, 0, 0),
        ({"access_key": "AKTHEIRS"}, 1, 0, 0),
    ):
        times, series = await told(site, **asked)
        assert times == [NOW + 10, NOW + 20], asked
        assert series["Streams"] == [streams] * 2
        assert series["OnlineUser"] == [online] * 2
        assert series["BwReal"] == [pytest.approx(1100.1 * streams, abs=0.01)] * 2
        # Those of the interval, not since the start.
        assert series["Errors"] == [errors, 0]


async def test_nothing_is_known_of_an_app_that_nobody_used(site: Site, watch: Watch) -> None:
    await watch.samples(1)
    assert (await told(site, UniqueName="other", App="nobody"))[0] == []


async def test_minutes_are_means_and_errors_are_sums(site: Site, watch: Watch) -> None:
    site.now = NOW - 10
    await watch.samples(3)
    site.publish("s1")
    watch.failures.count(site.facts("s1").key)
    await watch.samples(1)
    watch.failures.count(site.facts("s1").key)
    await watch.samples(3)
    times, series = await told(site, Period=60)
    assert times == [NOW]
    assert (series["Streams"], series["Errors"]) == ([1], [2])


@pytest.mark.parametrize(
    ("asked", "instants"),
    [
        ({}, [10, 20, 30]),
        ({"StartUnixTime": NOW + 20}, [20, 30]),
        ({"StartUnixTime": NOW + 21}, [30]),
        ({"EndUnixTime": NOW + 19}, [10]),
        ({"StartUnixTime": NOW + 20, "EndUnixTime": NOW + 20}, [20]),
        ({"StartUnixTime": 0, "EndUnixTime": "0"}, [10, 20, 30]),
        ({"StartUnixTime": NOW - 90, "EndUnixTime": NOW - 80}, []),
    ],
)
async def test_window_is_what_was_asked_for(
    site: Site, watch: Watch, asked: dict[str, Any], instants: list[int]
) -> None:
    site.publish("s1")
    await watch.samples(3)
    assert (await told(site, **OF_STREAM, **asked))[0] == [NOW + instant for instant in instants]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Stream": "s1"}, 1000),
        ({"Stream": "s1", "UniqueName": "demo"}, 1000),
        ({"Stream": "s1", "App": "live"}, 1000),
        ({"App": "live"}, 1000),
        ({"Period": 30}, 4999),
        ({"Period": 9}, 4999),
        ({"Period": "a minute"}, 4999),
        ({"StartUnixTime": NOW, "EndUnixTime": NOW - 1}, 4001),
        ({"StartUnixTime": NOW + 1}, 4001),
        ({"StartUnixTime": NOW * 1000}, 4001),
        ({"UniqueName": "theirs"}, 6406),
        ({"UniqueName": "demo", "App": "radio"}, 1003),
        ({"UniqueName": "a b"}, 1002),
        ({"UniqueName": "demo", "App": "live", "Stream": "a b"}, 1004),
    ],
)
async def test_what_is_wrong_or_not_the_callers_is_refused(site: Site, asked: dict[str, Any], code: int) -> None:
    assert (await site.call(ACTION, **asked)).data["RetCode"] == code


async def test_stream_that_ended_keeps_what_it_had(site: Site, watch: Watch) -> None:
    session = site.publish("s1")
    await watch.samples(2)
    site.registry.release(session)
    await watch.samples(3)
    assert (await told(site, **OF_STREAM))[0] == [NOW + 10, NOW + 20]
