"""`make soak`: 50 list calls a second while streams and viewers come and go: `python -m tools.soak [--seconds N]`.

Rule: the service is the real one, a process of its own with its store on disk; what it did is judged from outside, by
its answers, its log and its process, and the run ends with 1 when one of the facts below does not hold.

Facts: no answer of 5xx and none that is missing; no exception in the log; no descriptor more than before, once all
have left; resident memory at the end within RSS_GROWTH_MAX of what it was at minute 5 (of half the time in a shorter
run; not judged below RSS_LEAST_SECONDS, when the interpreter is still growing into its work).

Theory of operation. One task is due every 20 ms and begins a call whatever the last ones do, so that a slow answer
delays no other and its own wait counts. Publishers come and go by ever new names; some push where they may not, some
are cut by ForbidStream. Viewers are tools.soak_viewers'. The figures of each window are printed as it ends.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import psutil
from yarl import URL

from openkls import model
from openkls.codec import ProtocolError, sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.codec.flv import VIDEO, Tag
from openkls.media import rtmp_client
from openkls.store.readers import READERS
from tests.support_service import ACCESS_KEY, SECRET_KEY, RunningService
from tools.soak_viewers import AVC_HEADER, SoakViewers

CALLS_PER_SECOND: Final = 50
# Where the process has made its caches and the store its pages.
SETTLED_SECONDS: Final = 300
RSS_GROWTH_MAX: Final = 0.05
RSS_LEAST_SECONDS: Final = 120
RSS_SAMPLE_SECONDS: Final = 1.0
WINDOW_SECONDS: Final = 10
CALL_SECONDS: Final = 10.0
CONNECTIONS: Final = 16
PUBLISHERS: Final = 8
# From a publish to the next of the same publisher: with eight, four new names a second.
PUBLISH_SECONDS: Final = 2.0
FRAMES: Final = 20
# Each twentieth publish goes to an app that the space has not: an error row.
REFUSED_EVERY: Final = 20
CUT_EVERY_SECONDS: Final = 1.0
# So many of the newest rows are asked for: answers must not grow with the history.
PAGE_ROWS: Final = 100
PUBDOMAIN: Final = "push.demo.local"
KEY_FRAME: Final = b"\x17\x01\x00\x00\x00" + bytes(1000)
# From the last goodbye to the last descriptor: sessions of HLS and those who died are given up after seconds.
CLOSED_WITHIN_SECONDS: Final = 30.0
# The database, its journal and their index: each reader of the store opens them when it is first needed.
DESCRIPTORS_MORE_MAX: Final = 3 * READERS
# Of each kind of fault.
SHOWN: Final = 10
# What a log line of ours never holds unless something broke.
BROKEN: Final = ("Traceback", " ERROR ", " CRITICAL ", "Exception ignored")


@dataclass(slots=True)
class Watch:
    """What was seen. ``rss_bytes`` has one entry a second."""

    rss_bytes: list[int] = field(default_factory=list)
    calls_ms: list[float] = field(default_factory=list)
    """Of the window of now, from the moment a call was due."""
    answers: Counter[str] = field(default_factory=Counter)
    """By HTTP status, and RetCode where it is not 0."""
    failures: list[str] = field(default_factory=list)
    """Answers of 5xx, and calls without an answer."""
    publishes: Counter[str] = field(default_factory=Counter)
    live: dict[str, None] = field(default_factory=dict)
    viewers: Counter[str] = field(default_factory=Counter)
    descriptors_before: int = 0
    descriptors_after: int = 0
    connections_after: int = 0


class Soak:
    """One run against a running service."""

    def __init__(self, service: RunningService, seconds: float, seed: int) -> None:
        self._service = service
        self._seconds = seconds
        self._rng = random.Random(seed)  # noqa: S311 - nothing secret
        self._names = itertools.count()
        self.watch = Watch()

    async def run(self) -> None:
        """Everything at once, for the given time."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        assert self._service.process is not None
        process = psutil.Process(self._service.process.pid)
        self.watch.descriptors_before = process.num_fds()
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as http,
            aiohttp.ClientSession() as play,
        ):
            ending = asyncio.get_running_loop().time() + self._seconds
            viewers = SoakViewers(self._service.rtmp_port, self._service.play_port, self._rng, play)
            self.watch.viewers = viewers.seen.ends
            async with asyncio.TaskGroup() as group:
                group.create_task(viewers.run(ending))
                group.create_task(self._call_all(http, group, ending))
                group.create_task(self._cut(http, ending))
                group.create_task(self._report(ending))
                for _ in range(PUBLISHERS):
                    group.create_task(self._publish_all(ending))
        await self._count_descriptors(process)

    async def _count_descriptors(self, process: psutil.Process) -> None:
        """Those that are open when all have left, and the service has seen it."""
        clock = asyncio.get_running_loop().time
        closed_by = clock() + CLOSED_WITHIN_SECONDS
        while (left := _connections(process)) and clock() < closed_by:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(RSS_SAMPLE_SECONDS)
        self.watch.connections_after = left
        self.watch.descriptors_after = process.num_fds()

    # -- calls

    async def _call_all(self, http: aiohttp.ClientSession, group: asyncio.TaskGroup, ending: float) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        for action, parameters in itertools.cycle(self._questions()):
            if due >= ending:
                return
            await asyncio.sleep(max(0.0, due - clock()))
            group.create_task(self._call(http, action, parameters, due))
            due += 1 / CALLS_PER_SECOND

    def _questions(self) -> list[tuple[str, dict[str, object]]]:
        app: dict[str, object] = {"UniqueName": "demo", "App": "live"}
        door = {**app, "Pubdomain": PUBDOMAIN}
        page = {**door, "Limit": PAGE_ROWS}
        today = int(time.time())
        one = {**door, "Stream": "soak-0"}
        return [
            ("ListRealtimeStreamsInfo", app),
            ("ListRealtimeStreamsInfo", {**app, "Type": "push"}),
            ("ListRealtimePubStreamsInfo", page),
            ("ListHistoryPubStreamsInfo", page),
            ("ListHistoryPubStreamsErrInfo", page),
            ("ListStreamDurations", {**one, "StartUnixTime": today - 86_400, "EndUnixTime": today}),
            ("GetBlacklist", door),
            ("CheckBlacklist", one),
        ]

    async def _call(self, http: aiohttp.ClientSession, action: str, parameters: dict[str, object], due: float) -> None:
        method, query, body = model.load().operations[action].method, f"Action={action}&Version=2017-01-01", b""
        if method == "POST":
            body = json.dumps(parameters).encode()
        else:
            query += "&" + sigv4.encode_query([(name, str(value)) for name, value in parameters.items()])
        headers = [("Host", f"127.0.0.1:{self._service.api_port}"), ("Accept", "application/json")]
        request = sigv4.SignedRequest(method, "/", query, headers, body)
        date = build_amz_date(int(time.time()))
        signed = sigv4.sign(request, ACCESS_KEY, SECRET_KEY, "cn-beijing-6", "kls", date)
        url = URL(f"{self._service.endpoint}/?{query}", encoded=True)
        try:
            async with http.request(method, url, data=body or None, headers=[*headers, *signed.items()]) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.watch.failures.append(f"{action}: {type(error).__name__} {error}")
            return
        self.watch.calls_ms.append((asyncio.get_running_loop().time() - due) * 1000)
        self._judge(action, answer.status, text)

    def _judge(self, action: str, status: int, text: bytes) -> None:
        if status != 200:
            self.watch.answers[str(status)] += 1
            if status >= 500:
                self.watch.failures.append(f"{action}: {status} {text[:300]!r}")
            return
        code = json.loads(text)["Data"]["RetCode"]
        self.watch.answers[f"200/{code}" if code else "200"] += 1

    async def _cut(self, http: aiohttp.ClientSession, ending: float) -> None:
        """ForbidStream with 1 on a live stream: cut, and nothing is kept."""
        clock = asyncio.get_running_loop().time
        while clock() < ending - CUT_EVERY_SECONDS:
            await asyncio.sleep(CUT_EVERY_SECONDS)
            if self.watch.live:
                stream = self._rng.choice(list(self.watch.live))
                parameters = {"UniqueName": "demo", "App": "live", "Pubdomain": PUBDOMAIN, "Stream": stream}
                await self._call(http, "ForbidStream", {**parameters, "ForbidTillUnixTime": 1}, clock())

    # -- publishers

    async def _publish_all(self, ending: float) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._rng.random() * PUBLISH_SECONDS)
        while clock() < ending:
            begun = clock()
            await self._publish(next(self._names))
            await asyncio.sleep(max(0.0, min(begun + PUBLISH_SECONDS, ending) - clock()))

    async def _publish(self, number: int) -> None:
        app, stream = "live", f"soak-{number}"
        if number % REFUSED_EVERY == REFUSED_EVERY - 1:
            app = "none"
        url = f"rtmp://127.0.0.1:{self._service.rtmp_port}/{app}/{stream}?vhost={PUBDOMAIN}"
        try:
            await rtmp_client.publish(url, self._tags(), on_started=lambda: self.watch.live.update({stream: None}))
            self.watch.publishes["left"] += 1
        except rtmp_client.StreamRefused as error:
            self.watch.publishes["cut" if error.started else "refused"] += 1
        except (rtmp_client.ConnectionFailed, ProtocolError) as error:
            self.watch.publishes[type(error).__name__] += 1
        finally:
            self.watch.live.pop(stream, None)

    async def _tags(self) -> AsyncIterator[Tag]:
        yield Tag(VIDEO, 0, AVC_HEADER)
        pause = self._rng.uniform(0.2, 0.8) * PUBLISH_SECONDS / FRAMES
        for number in range(FRAMES):
            yield Tag(VIDEO, number * 40, KEY_FRAME)
            await asyncio.sleep(pause)

    # -- watching

    async def _report(self, ending: float) -> None:
        clock = asyncio.get_running_loop().time
        assert self._service.process is not None
        process = psutil.Process(self._service.process.pid)
        begun = clock()
        print("   s  RSS MiB  fds  threads  calls/s   p50 ms   p99 ms  5xx or none  published  viewers")
        while clock() < ending:
            await asyncio.sleep(min(RSS_SAMPLE_SECONDS, max(0.0, ending - clock())))
            self.watch.rss_bytes.append(process.memory_info().rss)
            if len(self.watch.rss_bytes) % WINDOW_SECONDS == 0:
                self._print_window(process, clock() - begun)

    def _print_window(self, process: psutil.Process, seconds: float) -> None:
        calls, self.watch.calls_ms = sorted(self.watch.calls_ms), []
        p50, p99 = (calls[int(len(calls) * share)] if calls else 0.0 for share in (0.5, 0.99))
        print(
            f"{seconds:4.0f} {self.watch.rss_bytes[-1] / 2**20:8.1f} {process.num_fds():4} {process.num_threads():8} "
            f"{len(calls) / WINDOW_SECONDS:8.1f} {p50:8.1f} {p99:8.1f} {len(self.watch.failures):12} "
            f"{self.watch.publishes.total():10} {self.watch.viewers.total():8}",
            flush=True,
        )


def _connections(process: psutil.Process) -> int:
    """The sockets that are open, without those that listen."""
    return sum(each.status != psutil.CONN_LISTEN for each in process.net_connections("tcp"))


def growth(rss_bytes: list[int], settled_seconds: float = SETTLED_SECONDS) -> float:
    """By what share memory grew from the window at ``settled_seconds``, or at half the time where that is earlier, to
    the last window; each the mean of its samples, one a second."""
    begin = int(min(settled_seconds, len(rss_bytes) / 2))
    first, last = rss_bytes[begin : begin + WINDOW_SECONDS], rss_bytes[-WINDOW_SECONDS:]
    return (sum(last) / len(last)) / (sum(first) / len(first)) - 1


def faults(watch: Watch, log: str) -> list[str]:
    """What does not hold; empty after a good run."""
    found = [f"a call was not answered as it should be: {failure}" for failure in watch.failures[:SHOWN]]
    if not watch.answers["200"]:
        found.append("no call succeeded")
    if not watch.publishes["left"]:
        found.append("no publish ran to its end")
    found += [f"nobody watched by {way}" for way in ("rtmp", "flv", "hls") if not watch.viewers[f"{way} left"]]
    if watch.connections_after:
        found.append(f"{watch.connections_after} connections were left open")
    more = watch.descriptors_after - watch.descriptors_before
    print(f"descriptors: {watch.descriptors_before} before, {watch.descriptors_after} after")
    if more > DESCRIPTORS_MORE_MAX:
        found.append(f"{more} descriptors were left open")
    found += [f"the log has: {line}" for line in log.splitlines() if any(word in line for word in BROKEN)][:SHOWN]
    if len(watch.rss_bytes) >= RSS_LEAST_SECONDS:
        grown = growth(watch.rss_bytes)
        print(f"memory grew by {grown:+.1%} (at most {RSS_GROWTH_MAX:.0%} may be)")
        if grown > RSS_GROWTH_MAX:
            found.append(f"memory grew by {grown:.1%}")
    return found


def main(arguments: list[str]) -> int:
    """Run and judge; 1 when a fact does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.soak", description="List calls while streams and viewers come and go."
    )
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        service = RunningService(Path(folder))
        # 50 calls a minute are what an account may make of each list.
        service.limits_enforced = False
        service.start()
        soak = Soak(service, chosen.seconds, chosen.seed)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(soak.run())
            found = [] if service.stop() == 0 else ["the service did not end with 0"]
        finally:
            service.end()
        log = service.log.read_text()
    print(f"answers: {dict(soak.watch.answers)}; publishes: {dict(soak.watch.publishes)}")
    print(f"viewers: {dict(sorted(soak.watch.viewers.items()))}")
    found += faults(soak.watch, log)
    for fault in found:
        print(f"FAULT: {fault}")
    print("soak: " + ("failed" if found else "good"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
