"""What a scrape says is what there is, in a form that Prometheus reads, whatever names streams have."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from openkls.control import snapshot
from openkls.control.peers import Peers
from openkls.domain.blacklist import Blacklist
from openkls.domain.histogram import Histogram
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.ports import Part
from openkls.domain.registry import Registry
from openkls.domain.session import BreakCode, Reason
from openkls.domain.viewers import PullProtocol, Viewers
from openkls.meters import live, scrape
from openkls.meters.families import FAMILIES, Kind
from openkls.meters.scrape import NODES_LIMIT, Scrape, read_nodes
from openkls.meters.sheet import Sheet
from support_domain import session
from support_meters import TOKEN, Running, value


@pytest.fixture
async def detailed(tmp_path: Path) -> AsyncIterator[Running]:
    """A service that exports the three most watched streams too."""
    running = Running(tmp_path, per_stream=3, token=TOKEN)
    await running.start()
    yield running
    await running.stop()


def watch(running: Running, stream: str, count: int = 1, protocol: PullProtocol = PullProtocol.RTMP) -> Any:
    for _ in range(count):
        group = running.service.parts.viewers.join(StreamName("demo", "live", stream), protocol, "", time.monotonic())
    return group


# -- the form


async def test_every_line_is_what_the_librarys_parser_and_promtool_take(detailed: Running) -> None:
    detailed.publish("s1")
    watch(detailed, "s1", 2)
    await detailed.get("/?Action=X")
    text = (await detailed.get("/metrics")).body.decode()
    families = list(text_string_to_metric_families(text))
    assert families
    seen = set()
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name not in seen  # all samples of a metric stand together
        seen.add(name)
        known = FAMILIES[name]
        assert family.type == known.kind.value
        assert family.documentation == known.text
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(known.labels)
    for line in text.splitlines():
        assert re.fullmatch(r'(# (HELP|TYPE) \S+ .+)|([a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? \S+)', line), line


def test_names_say_their_units_and_kinds() -> None:
    for family in FAMILIES.values():
        assert re.fullmatch(r"(openkls|process)(_[a-z]+)+", family.name)
        assert (family.kind is Kind.COUNTER) == family.name.endswith("_total")
        assert family.text.endswith(".")
        assert not re.search(r"_(ms|kb|kbps|bps|millis|minutes|count|sum|bucket)(_|$)", family.name)
        if family.kind is Kind.HISTOGRAM:
            assert family.name.endswith("_seconds")
        assert all(re.fullmatch(r"[a-z_]+", label) and label != "le" for label in family.labels)


async def test_histograms_are_cumulative_and_end_in_their_count(running: Running) -> None:
    parts = running.service.parts
    assert parts.ledger is not None
    for seconds in (0.0001, 0.02, 99.0):
        parts.ledger.note("CheckBlacklist", "0", seconds)
    metrics = await running.metrics()
    samples = metrics["openkls_api_call_seconds"].samples
    buckets = [sample.value for sample in samples if sample.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[-1]) == (1, 3)
    assert value(metrics, "openkls_api_call_seconds_count", action="CheckBlacklist") == 3
    assert value(metrics, "openkls_api_call_seconds_sum", action="CheckBlacklist") == pytest.approx(99.0201)
    assert [sample.labels["le"] for sample in samples if sample.name.endswith("_bucket")][-1] == "+Inf"


@pytest.mark.parametrize(
    "stream",
    [
        'quo"ted',
        "back\\slash",
        'both\\"',
        "new\nline",
        "carriage\rreturn",
        "nul\0",
        "esc\x1b[31m",
        "直播流",
        "\U0001f3a5",
        "right\u202eleft",
        "line\u2028separator",
        "\udcff stray",
        '"} 1\nopenkls_forged{x="',
        "# HELP openkls_streams forged",
        "<script>alert(1)</script>",
    ],
)
async def test_class_15_a_streams_name_is_a_value_and_nothing_else(detailed: Running, stream: str) -> None:
    detailed.publish(stream)
    text = (await detailed.get("/metrics")).body.decode()
    assert "\x1b" not in text
    assert "\0" not in text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) <= {family.base for family in FAMILIES.values()}
    (sample,) = families["openkls_stream_frames_per_second"].samples
    assert sample.labels["stream"] == "".join(char if char.isprintable() else "\ufffd" for char in stream)


async def test_no_secret_is_in_it(detailed: Running) -> None:
    detailed.publish("s1")
    await detailed.send(
        b"GET /?Action=CheckBlacklist&X-Amz-Signature=SECRETSIG HTTP/1.1\r\nHost: h\r\n"
        b"Authorization: AWS4-HMAC-SHA256 Credential=AKEVIL/20260101/cn/kls/aws4_request, "
        b"SignedHeaders=host, Signature=SECRETSIG\r\n\r\n"
    )
    text = (await detailed.get("/metrics")).body.decode()
    for secret in (TOKEN, "SECRET", "AKTEST", "AKEVIL", str(detailed.settings.server.data_dir)):
        assert secret not in text


# -- the facts


async def test_live_streams_and_viewers_are_counted_by_app(running: Running) -> None:
    running.publish("s1").quality.received(time.monotonic(), 1000)
    running.publish("s2").quality.received(time.monotonic(), 500)
    watch(running, "s1", 3).sent.add(time.monotonic(), 7000)
    watch(running, "s1", 2, PullProtocol.HTTP_FLV)
    metrics = await running.metrics()
    assert value(metrics, "openkls_streams", unique_name="demo", app="live") == 2
    assert value(metrics, "openkls_viewers", protocol="rtmp") == 3
    assert value(metrics, "openkls_viewers", protocol="http+flv") == 2
    assert value(metrics, "openkls_viewers", protocol="hls") == 0
    assert value(metrics, "openkls_received_bytes_total", unique_name="demo", app="live") == 1500
    assert value(metrics, "openkls_sent_bytes_total", protocol="rtmp") == 7000


async def test_sums_of_bytes_never_fall(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "FRESH_SECONDS", 0.0)
    parts = running.service.parts
    session = running.publish("s1")
    session.quality.received(time.monotonic(), 1000)
    group = watch(running, "s1")
    group.sent.add(time.monotonic(), 7000)
    before = await running.metrics()
    parts.viewers.leave(session.key.name, group)
    parts.endings.finish(session, BreakCode.FORBIDDEN, Reason.FORBIDDEN, time.time())
    after = await running.metrics()
    for name in ("openkls_received_bytes_total", "openkls_sent_bytes_total"):
        assert value(after, name) == value(before, name) > 0
    assert value(after, "openkls_publishes_ended_total", code="423", reason="forbidden", app="live") == 1
    assert value(after, "openkls_streams") == 0


async def test_apps_that_publishers_make_up_are_no_labels(running: Running) -> None:
    for number in range(20):
        running.publish("s", app=f"made-up-{number}", unique_name="any")
    metrics = await running.metrics()
    assert value(metrics, "openkls_streams", unique_name="any", app="") == 20
    assert "made-up" not in repr(list(metrics.values()))


async def test_a_stream_that_has_not_begun_is_not_counted(running: Running) -> None:
    running.publish("s1").started = False
    assert value(await running.metrics(), "openkls_streams") == 0


async def test_a_stream_that_nothing_arrives_of_is_in_trouble(running: Running) -> None:
    running.publish("s1")
    metrics = await running.metrics()
    assert value(metrics, "openkls_streams_troubled", trouble="stalled") == 1
    assert value(metrics, "openkls_streams_troubled", trouble="lost") == 0


async def test_single_streams_are_those_with_the_most_viewers_and_as_many_as_asked_for(detailed: Running) -> None:
    for number in range(5):
        detailed.publish(f"s{number}")
        watch(detailed, f"s{number}", number + 1)
    metrics = await detailed.metrics()
    shown = {sample.labels["stream"] for sample in metrics["openkls_stream_frames_per_second"].samples}
    assert shown == {"s2", "s3", "s4"}
    assert value(metrics, "openkls_stream_viewers", stream="s4", protocol="rtmp") == 5
    assert value(metrics, "openkls_stream_viewers", stream="s4", protocol="hls") == 0


async def test_no_single_stream_is_exported_unless_asked_for(running: Running) -> None:
    running.publish("s1")
    assert not [name for name in await running.metrics() if name.startswith("openkls_stream_")]


async def test_calls_and_requests_are_counted(running: Running) -> None:
    await running.get("/?Action=CheckBlacklist&Version=2017-01-01")
    await running.send(b"nonsense\r\n\r\n")
    metrics = await running.metrics()
    assert value(metrics, "openkls_api_calls_total", action="", outcome="MissingAccesskey") == 1
    assert value(metrics, "openkls_http_requests_total", outcome="Unreadable") == 1
    await asyncio.sleep(0)
    assert value(metrics, "openkls_store_up") == 1
    assert value(metrics, "openkls_history_rows_dropped_total") == 0


async def test_the_store_has_been_timed(running: Running) -> None:
    metrics = await running.metrics()
    assert value(metrics, "openkls_store_seconds_count", kind="read") > 0
    assert value(metrics, "openkls_store_seconds_count", kind="write") > 0


async def test_the_process_is_described(running: Running) -> None:
    metrics = await running.metrics()
    assert value(metrics, "openkls_info", role="all", node="198.51.100.1") == 1
    assert value(metrics, "process_cpu_seconds_total") > 0
    assert value(metrics, "process_resident_memory_bytes") > 1_000_000
    assert 0 < value(metrics, "process_open_fds") < value(metrics, "process_max_fds")
    assert abs(value(metrics, "process_start_time_seconds") - time.time()) < 3600


async def test_who_scrapes_in_a_loop_costs_one_scrape_a_second(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = 0
    read_all = scrape.read_all

    async def counted(*arguments: Any) -> Sheet:
        nonlocal made
        made += 1
        return await read_all(*arguments)

    monkeypatch.setattr(scrape, "read_all", counted)
    monkeypatch.setattr(scrape, "FRESH_SECONDS", 60.0)
    both = Scrape(running.service.parts, 0)
    texts = await asyncio.gather(*(both.text() for _ in range(10)))
    assert len({*texts, await both.text()}) == 1
    assert made == 1


async def test_a_scrape_that_failed_is_made_anew(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "FRESH_SECONDS", 0.0)
    mine = Scrape(running.service.parts, 0)

    async def fail(*_: Any) -> Sheet:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(scrape, "read_all", fail)
        with pytest.raises(RuntimeError):
            await mine.text()
    assert b"openkls_info" in await mine.text()


async def test_others_have_their_turn_while_many_streams_are_read(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHUNK_ROWS", 10)
    for number in range(100):
        running.publish(f"s{number}")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await live.read_streams(running.service.parts, Sheet())
    counting.cancel()
    assert turns >= 9


# -- a cluster


class _Link:
    up_seconds = 100.0

    def on_up(self, call: Any) -> None:
        """Never."""


async def _peers(*shown: tuple[str, str, int]) -> Peers:
    """What an API node knows of others: of each process its boot, its node, and how many streams it has."""

    async def tell(_: bool) -> None:
        """Nobody."""

    peers = Peers(None, _Link(), Registry(Blacklist()), Viewers(), "own", "own", True, tell)  # type: ignore[arg-type]
    for boot_id, node, streams in shown:
        registry, viewers = Registry(Blacklist()), Viewers()
        for number in range(streams):
            live_one = session(StreamKey("demo", "push.demo.local", "live", f"{boot_id}-{number}"))
            assert registry.claim(live_one, 0).refusal is None
            viewers.join(StreamName("demo", "live", f"{boot_id}-{number}"), PullProtocol.RTMP, "", 0.0)
        parts = await snapshot.build_snapshot(boot_id, node, registry, viewers, 0, 1.0)
        peers._readings[boot_id] = snapshot.Readings(parts[Part.READINGS])
    return peers


async def test_nodes_are_the_sums_of_their_processes(running: Running) -> None:
    sheet = Sheet()
    peers = await _peers(("b1", "node-a", 2), ("b2", "node-a", 3), ("b3", "node-b", 0))
    await read_nodes(running.service.parts, peers, sheet)
    text = (await sheet.build_text()).decode()
    metrics = {metric.name: metric for metric in text_string_to_metric_families(text)}
    assert value(metrics, "openkls_node_processes", node="node-a") == 2
    assert value(metrics, "openkls_node_streams", node="node-a") == 5
    assert value(metrics, "openkls_node_viewers", node="node-a", protocol="rtmp") == 5
    assert value(metrics, "openkls_node_processes", node="node-b") == 1
    assert value(metrics, "openkls_node_received_bytes_per_second", node="node-b") == 0


async def test_nodes_told_apart_are_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NODES_LIMIT == 500
    monkeypatch.setattr(scrape, "NODES_LIMIT", 3)  # with this process's own: two others
    sheet = Sheet()
    peers = await _peers(*((f"b{number}", f"node-{number}", 1) for number in range(5)))
    await read_nodes(running.service.parts, peers, sheet)
    text = (await sheet.build_text()).decode()
    (metric,) = [each for each in text_string_to_metric_families(text) if each.name == "openkls_node_processes"]
    assert {sample.labels["node"]: sample.value for sample in metric.samples} == {"node-0": 1, "node-1": 1, "": 3}


def test_a_value_that_is_put_twice_is_a_sum_and_an_unknown_name_is_an_error() -> None:
    sheet = Sheet()
    sheet.put("openkls_bans", 1)
    sheet.put("openkls_bans", 2)
    assert sheet._values["openkls_bans"] == {(): 3}
    with pytest.raises(KeyError):
        sheet.put("openkls_nonsense", 1)
    with pytest.raises(AssertionError):
        sheet.put("openkls_bans", 1, "label")
    with pytest.raises(AssertionError):
        sheet.put_histogram("openkls_redis_seconds", Histogram(), "label")


async def test_what_ends_while_it_is_read_is_counted_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CHUNK_ROWS", 2)
    parts = running.service.parts
    session = running.publish("s0")
    session.quality.received(time.monotonic(), 1000)
    groups = []
    for number in range(10):
        group = watch(running, f"s{number}")
        group.sent.add(time.monotonic(), 100)
        groups.append((StreamName("demo", "live", f"s{number}"), group))
    for end_after in range(8):
        sheet = Sheet()
        reading = asyncio.create_task(live.read_sums(parts, sheet))
        for _ in range(end_after):
            await asyncio.sleep(0)
        if groups:
            parts.viewers.leave(*groups.pop())
        parts.endings.finish(session, BreakCode.SUCCESS, Reason.CLOSED, time.time())
        await reading
        assert sheet._values["openkls_sent_bytes_total"][("demo", "live", "rtmp")] == 1000
        assert sheet._values["openkls_received_bytes_total"][("demo", "live")] == 1000
