"""The short forms of `make soak` and `make fuzz` (API, ingest), and that they find what they are there for."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis.errors import Flaky

from fuzz import api as fuzzer
from fuzz import ingest as ingest_fuzzer
from openkls import model
from support_service import RunningService
from tools import soak

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
SOAK_SECONDS = 20
FUZZ_SECONDS = 5.0
INGEST_FUZZ_SECONDS = 5.0


def test_class_19_lists_at_50_a_second_under_churn_never_fail() -> None:
    command = [sys.executable, "-m", "tools.soak", "--seconds", str(SOAK_SECONDS)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "soak: good" in ended.stdout


@pytest.mark.timeout(180)
def test_requests_made_from_the_model_never_give_5xx_or_hang(tmp_path: Path) -> None:
    seen = fuzzer.fuzz(tmp_path, FUZZ_SECONDS)
    assert seen.total() >= fuzzer.ROUND_EXAMPLES


@pytest.mark.timeout(180)
def test_changed_captures_at_the_ingest_port_never_break_a_healthy_stream(tmp_path: Path) -> None:
    seen = ingest_fuzzer.fuzz(tmp_path, INGEST_FUZZ_SECONDS)
    assert seen.ends["closed by us"], "no input was taken as far as a publish"
    assert len(seen.healthy) >= 3


@pytest.mark.parametrize(
    ("log", "rss_mib", "text"),
    [
        ("fine\nTraceback (most recent call last):\n", lambda _: 100.0, "Traceback"),
        ("fine\n", lambda second: 100.0 + second / 10, "memory grew"),
    ],
)
def test_ingest_fuzzer_finds_what_broke(log: str, rss_mib: Callable[[int], float], text: str) -> None:
    seen = ingest_fuzzer.Seen(ends=Counter({"closed by us": 1000}))
    seen.rss_bytes = [int(rss_mib(second) * 2**20) for second in range(200)]
    with pytest.raises(AssertionError, match=text):
        ingest_fuzzer.judge(seen, log)


def test_ingest_fuzzer_finds_a_service_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = RunningService(tmp_path)
    service.start()
    try:
        monkeypatch.setattr(ingest_fuzzer, "HEALTHY_SECONDS", 1.0)
        run = ingest_fuzzer.Ingest(service, 1.0, 1)
        assert service.process is not None
        service.process.send_signal(signal.SIGSTOP)
        with pytest.raises(AssertionError, match="a healthy publish and play took"):
            asyncio.run(run.healthy())
    finally:
        service.end()


def good_watch(rss_mib: Callable[[int], float] = lambda _: 100.0, seconds: int = 600) -> soak.Watch:
    return soak.Watch(
        rss_bytes=[int(rss_mib(second) * 2**20) for second in range(seconds)],
        answers=Counter({"200": 1}),
        publishes=Counter({"left": 1}),
        viewers=Counter({"rtmp left": 1, "flv left": 1, "hls left": 1}),
        descriptors_before=20,
        descriptors_after=20 + soak.DESCRIPTORS_MORE_MAX,
    )


def test_soak_is_good_when_memory_grew_before_minute_5_alone() -> None:
    assert soak.faults(good_watch(lambda second: 60 + min(second, 290) / 5), "") == []


@pytest.mark.parametrize(("grown", "bad"), [(0.049, False), (0.051, True)])
def test_soak_finds_memory_that_grows_over_5_percent_from_minute_5(grown: float, bad: bool) -> None:
    watch = good_watch(lambda second: 100 * (1 + grown * (second >= 400)))
    assert bool(soak.faults(watch, "")) is bad


def test_soak_of_a_short_run_judges_its_second_half_and_a_very_short_one_not() -> None:
    growing = lambda second: 100 + second  # noqa: E731
    assert soak.faults(good_watch(growing, soak.RSS_LEAST_SECONDS), "")
    assert soak.faults(good_watch(growing, soak.RSS_LEAST_SECONDS - 1), "") == []


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "2026-01-01 00:00:00.000 ERROR   openkls: x"])
def test_soak_finds_what_broke_in_the_log(line: str) -> None:
    assert soak.faults(good_watch(), f"fine\n{line}\n")


def test_soak_finds_answers_of_5xx_and_silence() -> None:
    watch = good_watch()
    watch.failures.append("GetBlacklist: 500")
    assert soak.faults(watch, "")
    watch = good_watch()
    watch.answers.clear()
    assert soak.faults(watch, "")


def test_soak_finds_descriptors_left_open_and_viewers_that_never_came() -> None:
    watch = good_watch()
    watch.descriptors_after += 1
    assert soak.faults(watch, "") == [f"{soak.DESCRIPTORS_MORE_MAX + 1} descriptors were left open"]
    watch = good_watch()
    watch.connections_after = 1
    assert soak.faults(watch, "") == ["1 connections were left open"]
    watch = good_watch()
    del watch.viewers["hls left"]
    assert soak.faults(watch, "") == ["nobody watched by hls"]


class Wrong(BaseHTTPRequestHandler):
    """A service that is broken for some requests."""

    def do_GET(self) -> None:
        self.send_response(500)
        self.send_header("x-amzn-RequestId", "x")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - http.server looks for these names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def wrong_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_fuzzer_finds_a_service_that_answers_5xx(wrong_port: int, tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    service.api_port = wrong_port
    # What this server does to an unread body is its system's choice, so that a plan may fail in two ways.
    with pytest.raises((AssertionError, Flaky)):
        fuzzer.run(service, 0.0)


def plan(**changes: object) -> fuzzer.Plan:
    facts = {
        "method": "GET",
        "action": "CheckBlacklist",
        "place": "query",
        "fields": tuple(fuzzer.KNOWN.items()),
        "form": "query",
        "headers": (),
        "signature": "good",
        "raw_body": None,
        "raw_query": "",
        "wire": "whole",
        "at": 0.0,
        "junk": b"",
    }
    return fuzzer.Plan(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 503 No\r\nx-amzn-RequestId: x\r\n\r\n", "503"),
        (b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: x\r\nX-Injected: 1\r\n\r\n{}", "X-Injected"),
        (b'HTTP/1.1 200 OK\r\nx-amzn-RequestId: x\r\n\r\n{"Data":{"RetCode":77}}', "RetCode"),
    ],
)
def test_fuzzer_judges_what_is_no_answer_of_ours(answer: bytes, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        fuzzer.judge(plan(), answer)


def test_fuzzers_plain_plan_succeeds_for_every_place_form_and_signature(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    service.start()
    try:
        for changes in (
            *({"place": place} for place in ("query", "headers", "target", "path")),
            *({"method": "POST", "form": form, "place": "body"} for form in ("json", "form")),
            {"method": "POST", "form": "query"},
            {"signature": "presigned"},
            {"method": "POST", "form": "json", "wire": "chunked"},
        ):
            data = fuzzer.build(plan(**changes), time.time())
            answer = fuzzer.send(service.api_port, data, half_close=False)
            assert b'"CheckResult":0' in answer, (changes, answer)
    finally:
        service.end()


def test_fuzzer_draws_from_every_parameter_of_the_model() -> None:
    for action, operation in model.load().operations.items():
        for name in operation.input.members:
            for kind in ("good", "near", "hostile"):
                assert fuzzer.values(action, name, kind) is fuzzer.values(action, name, kind)
