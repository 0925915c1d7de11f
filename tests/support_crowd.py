"""Encoders, a viewer, a caller of the API and a banner that do not let up while a cluster is being hurt.

Rule: each writes down what it was told and when, and judges nothing but single answers of the API; light on the
processor, as the cluster shares the machine with them.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from openkls import model
from openkls.cli.pace import pace, repeat_tags
from openkls.client import Client, KlsError, NoAnswer
from openkls.codec import ProtocolError, flv
from openkls.codec.rtmp.client import Mode, parse_rtmp_url
from openkls.media.rtmp_client import ConnectionFailed, StreamRefused, _Connection, _send
from support_cluster import Node
from support_invariants import Ban, Publish
from support_service import ACCESS_KEY, SECRET_KEY

PUBDOMAIN = "push.demo.local"
NAMES = {"UniqueName": "demo", "App": "live"}
# Those that come and go quarrel over few names, and over those of the ones that stay.
QUARREL = ("q0", "q1", "q2")
BANNED = ("bad0", "bad1")
COMERS = 6
QUESTIONS: tuple[tuple[str, dict[str, str]], ...] = (
    ("ListRealtimeStreamsInfo", {"Type": "push"}),
    ("ListHistoryPubStreamsInfo", {"Pubdomain": PUBDOMAIN}),
    ("ListRealtimePubStreamsInfo", {"Pubdomain": PUBDOMAIN}),
    ("ListHistoryPubStreamsErrInfo", {"Pubdomain": PUBDOMAIN}),
    ("CheckBlacklist", {"Pubdomain": PUBDOMAIN, "Stream": BANNED[0]}),
)
# Gateway errors of a service that cannot just now; UndefinedError is a bug of ours.
SAYS_UNABLE = ("ServiceUnavailable", "ServiceTimeout")
END_OF_HEAD = b"\r\n\r\n"
CALL_EVERY_SECONDS = 0.25
BAN_EVERY_SECONDS = 1.0
# More than any deadline of the service together (store 2 s, Redis 0.5 s, a cut 1 s), on a busy machine.
ANSWER_SECONDS = 8.0


class Crowd:
    """Encoders on a loop in a thread of its own. One stays at each of ``nodes``, under the name ``stay-<node>``; the
    others come and go, until they are hushed."""

    def __init__(self, clip: Path, nodes: Sequence[Node], seed: int) -> None:
        self.publishes: list[Publish] = []
        self._clip = clip
        self._nodes = nodes
        self._random = random.Random(seed)
        self._hushed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._begin())

    @property
    def live(self) -> list[Publish]:
        """Those that are live, as they see it."""
        return [publish for publish in tuple(self.publishes) if publish.live]

    @property
    def coming_and_going(self) -> bool:
        """Whether any that does not stay is at it."""
        return any(p.ended_at is None and not p.stream.startswith("stay-") for p in self.publishes[-5 * COMERS :])

    def hush(self) -> None:
        """Let only those that stay go on."""
        self._loop.call_soon_threadsafe(self._hushed.set)

    def wake(self) -> None:
        """Let the others come and go again."""
        self._loop.call_soon_threadsafe(self._hushed.clear)

    def end(self) -> None:
        """Everybody leaves."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _begin(self) -> None:
        work = [self._stay(node) for node in self._nodes] + [self._come_and_go() for _ in range(COMERS)]
        self._tasks = [asyncio.create_task(each) for each in work]

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stay(self, node: Node) -> None:
        while True:
            await self._publish(node, f"stay-{node.name}", float("inf"), rude=False)
            await asyncio.sleep(0.3)

    async def _come_and_go(self) -> None:
        names = [*QUARREL, *BANNED, *(f"stay-{node.name}" for node in self._nodes)]
        while True:
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
            if not self._hushed.is_set():
                node, stream = self._random.choice(self._nodes), self._random.choice(names)
                await self._publish(node, stream, self._random.uniform(0.3, 3.0), rude=self._random.random() < 0.3)

    async def _publish(self, node: Node, stream: str, seconds: float, rude: bool) -> None:
        """Publish for so long, unless refused or cut; who is rude leaves without a word."""
        publish = Publish(node.name, stream, time.time())
        self.publishes.append(publish)
        url = parse_rtmp_url(node.push_url(stream))
        with contextlib.suppress(ConnectionFailed, ProtocolError, OSError):
            try:
                async with _Connection(Mode.PUBLISH, url) as connection:
                    publish.port = connection._writer.get_extra_info("sockname")[1]
                    await connection.open()
                    publish.started_at = time.time()
                    await self._send_for(connection, publish, seconds)
                    if rude:
                        connection._writer.transport.abort()
            except StreamRefused as refused:
                publish.refused = "" if refused.started else refused.description or "refused"
            finally:
                publish.ended_at = publish.ended_at or time.time()

    async def _send_for(self, connection: _Connection, publish: Publish, seconds: float) -> None:
        tags = pace(repeat_tags(self._clip, True))
        work = [
            asyncio.create_task(connection.listen(None)),
            asyncio.create_task(_send(connection, tags, lambda tag: None)),
            *([asyncio.create_task(self._leave_after(seconds))] if seconds < float("inf") else []),
        ]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before the goodbye: whoever comes next may be let in from now on.
            publish.ended_at = time.time()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _leave_after(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hushed.wait()


class Loop:
    """A thread that does one thing again and again until it is ended."""

    def __init__(self, step: Callable[[], None], every_seconds: float) -> None:
        self._step = step
        self._every_seconds = every_seconds
        self._over = threading.Event()
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Have it end, and raise what ended it before."""
        self._over.set()
        self._thread.join(30)
        if self.fault is not None:
            raise self.fault

    def _work(self) -> None:
        try:
            while not self._over.wait(self._every_seconds):
                self._step()
        except BaseException as fault:  # noqa: BLE001 - raised again where the test sees it
            self.fault = fault


class Apis:
    """The APIs of nodes, each with a client that is kept; every answer must be a documented one and in time."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.answers = 0
        self.failures: Counter[str] = Counter()
        """Documented failures, by action and code."""
        self._faults: list[str] = []
        self._missing: list[tuple[str, float, float, str]] = []
        self._downs: dict[str, list[tuple[float, float]]] = {node.name: [] for node in nodes}
        self._nodes = nodes
        self._clients = [
            Client(node.endpoint, ACCESS_KEY, SECRET_KEY, timeout_seconds=ANSWER_SECONDS, retries=0) for node in nodes
        ]

    def died(self, node: str) -> None:
        """Nobody answers for a node from now on."""
        self._downs[node].append((time.monotonic(), float("inf")))

    def lives(self, node: str) -> None:
        """It is back."""
        since, _ = self._downs[node].pop()
        self._downs[node].append((since, time.monotonic()))

    def call(self, at: int, action: str, **parameters: object) -> dict[str, Any] | None:
        """``Data``; None for a failure, which is judged later."""
        began, node = time.monotonic(), self._nodes[at].name
        self.answers += 1
        try:
            return self._clients[at].call(action, {**NAMES, **parameters})
        except NoAnswer as failed:
            self._missing.append((node, began, time.monotonic(), f"{action} at {node}: {failed}"))
        except KlsError as failed:
            self.failures[f"{action} {failed.ret_code or failed.code}"] += 1
            if failed.code not in SAYS_UNABLE and failed.ret_code not in model.load().actions[action].ret_codes:
                self._faults.append(f"{action} at {node}: {failed}")
        return None

    def look(self) -> None:
        """Ask a node for something."""
        at, (action, more) = self.answers % len(self._nodes), QUESTIONS[self.answers // 3 % len(QUESTIONS)]
        self.call(at, action, **more)

    def faults(self) -> list[str]:
        """What was not answered by a living node, or not as documented."""
        return self._faults + [
            text
            for node, began, ended, text in self._missing
            if not any(since <= ended and began <= to for since, to in self._downs[node])
        ]

    def close(self) -> None:
        """Give the connections up."""
        for client in self._clients:
            client.close()


class Banner:
    """Forbids the names of BANNED and lets them go again, each through any node; cuts those of QUARREL now and then."""

    def __init__(self, apis: Apis, count: int, seed: int, skew: float) -> None:
        self.bans: list[Ban] = []
        self._apis = apis
        self._count = count
        self._random = random.Random(seed)
        self._skew = skew
        self._forbidden: dict[str, Ban | None] = {}
        self._names = itertools.cycle([*BANNED, ""])
        self._loop = Loop(self._step, BAN_EVERY_SECONDS)

    def end(self) -> None:
        """Forbid nothing more."""
        self._loop.end()

    def _step(self) -> None:
        at, name = self._random.randrange(self._count), next(self._names)
        if not name:
            self._call(at, "ForbidStream", self._random.choice(QUARREL), ForbidTillUnixTime=1)
        elif name in self._forbidden:
            ban = self._forbidden.pop(name)
            if ban is not None:
                ban.until = min(ban.until, time.time())
            self._call(at, "ResumeStream", name)
        else:
            till = int(time.time()) + 6 if self._random.random() < 0.5 else 0
            done = self._call(at, "ForbidStream", name, ForbidTillUnixTime=till)
            self._forbidden[name] = None  # though it failed it may have been done
            if done is not None:
                ban = Ban(name, time.time(), till - self._skew if till else float("inf"))
                self._forbidden[name] = ban
                self.bans.append(ban)

    def _call(self, at: int, action: str, stream: str, **more: object) -> dict[str, Any] | None:
        return self._apis.call(at, action, Pubdomain=PUBDOMAIN, Stream=stream, **more)


class Viewer:
    """An HTTP-FLV viewer of one stream that comes again whenever it is sent away."""

    def __init__(self, port: int, stream: str) -> None:
        self.heard_at = 0.0
        """When media came last (monotonic)."""
        self.visits = 0
        self._port = port
        self._stream = stream
        self._stopped = False
        self._loop = Loop(self._visit, 0.2)

    def end(self) -> None:
        """Leave."""
        self._stopped = True
        self._loop.end()

    def _visit(self) -> None:
        with (
            contextlib.suppress(OSError, ProtocolError),
            socket.create_connection(("127.0.0.1", self._port), 5) as link,
        ):
            self.visits += 1
            link.settimeout(0.5)
            link.sendall(f"GET /live/{self._stream}.flv HTTP/1.1\r\nHost: play.demo.local\r\n\r\n".encode())
            reader, head = flv.FlvReader(), b""
            while not self._stopped:
                with contextlib.suppress(TimeoutError):
                    data = link.recv(65536)
                    if not data:
                        return
                    if not head.endswith(END_OF_HEAD):
                        head, end, data = (head + data).partition(END_OF_HEAD)
                        head += end
                        if not head.startswith(b"HTTP/1.1 200"):
                            return
                    if data and reader.feed(data):
                        self.heard_at = time.monotonic()
