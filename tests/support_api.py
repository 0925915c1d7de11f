"""A whole API in this process: real rules and use cases, in-memory ports, a clock that is set, a raw HTTP client.

Rule: requests go over a socket, byte for byte as given; every HTTP 200 is held against the service model.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from openkls import api, config, model
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.control.audit import AuditTrail
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.control.forbid import Forbids
from openkls.control.ids import new_session_id
from openkls.control.journal import Journal
from openkls.control.keypairs import KeyPairs
from openkls.control.keyring import KeyRing
from openkls.control.live import LiveStreams
from openkls.domain.backoff import Backoff
from openkls.domain.blacklist import Blacklist
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.origin import AddressCap
from openkls.domain.quality import Quality
from openkls.domain.rates import Rates
from openkls.domain.registry import Registry
from openkls.domain.series import Metrics
from openkls.domain.session import BreakCode, HistoryRow, Reason, Session, SessionFacts
from openkls.domain.viewers import Group, PullProtocol, Viewers
from support_ports import MemoryAudit, MemoryBlacklist, MemoryHistory, MemoryKeys

NOW = 1_795_366_800  # 2026-11-22 17:00:00 UTC, 01:00 of the 23rd in Shanghai
REGION = "cn-beijing-6"
HOST = "kls.api.ksyun.com"
VERSION = "2017-01-01"
DEADLINE_SECONDS = 10.0

ACCOUNTS = (
    config.Account(
        id="2000001",
        key=(config.Key("AKTEST", "SKTEST"),),
        space=(
            config.Space(
                "demo",
                apps=("live", "vod"),
                publish_domains=("push.demo.local", "localhost", "127.0.0.1"),
                play_domain=(
                    config.PlayDomain("1001", "play.demo.local"),
                    config.PlayDomain("1002", "play2.demo.local"),
                ),
                app=(config.App("live", rendition_suffixes=("_500", "_1500")),),
            ),
            config.Space("other", publish_domains=("push.other.local",)),
            config.Space("closed", publish_domains=("push.closed.local",), durations=False),
            config.Space("test", apps=("live",), publish_domains=("a.b.com",)),
        ),
    ),
    config.Account(
        id="2000002",
        key=(config.Key("AKTHEIRS", "SKTHEIRS"),),
        space=(config.Space("theirs", publish_domains=("push.theirs.local",), durations=False),),
    ),
)
# A key whose account is gone verifies all the same (contract, 5: 5000).
ORPHAN = config.Account(id="2000009", key=(config.Key("AKORPHAN", "SKORPHAN"),))


class Encoder:
    """A publisher's connection, as the rules see it."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.kicked_with: list[BreakCode] = []
        self.failure = failure

    def kick(self, code: BreakCode) -> None:
        self.kicked_with.append(code)
        if self.failure is not None:
            raise self.failure

    def catch_up(self) -> None:
        """Nothing waits to be read."""

    def silent_seconds(self) -> float:
        return 0.0


@dataclass(frozen=True)
class Reply:
    """An HTTP answer as received."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        assert self.status == 200, self.body
        return self.json["Data"]

    @property
    def error_code(self) -> str:
        return self.headers.get("x-amzn-errortype", "")


class Site:
    """One API with everything behind it. ``now`` is Unix and ``ticks`` monotonic seconds."""

    def __init__(self, history: Any = None, bans: Any = None) -> None:
        self.now: float = NOW
        self.ticks: float = 1000.0
        self.history = history or MemoryHistory()
        self.audit = MemoryAudit()
        self.bans = bans or MemoryBlacklist(self.audit)
        # Off, so that a test may ask as often as it likes within one second of its own clock.
        self.rates = Rates(enforced=False)
        self.backoff = Backoff()
        self.cap = AddressCap(1000)
        self.pauses: list[float] = []
        """Seconds for which answers were held back, without any of them passing."""
        self.blacklist = Blacklist()
        self.registry = Registry(self.blacklist)
        self.viewers = Viewers()
        self.journal = Journal(self.history)
        self.endings = Endings(self.registry, self.journal)
        self.metrics = Metrics()
        self.key_store = MemoryKeys()
        self.key_store.trail = self.audit
        self.key_ring = KeyRing((*ACCOUNTS, ORPHAN), clock=lambda: self.now)
        self.services = api.Services(
            region=REGION,
            regions=("cn-shanghai-3",),
            timezone=ZoneInfo("Asia/Shanghai"),
            directory=Directory(ACCOUNTS),
            keys=self.key_ring,
            forbids=Forbids(self.bans, self.blacklist, self.registry, self.endings, clock=lambda: self.now),
            blacklist=self.blacklist,
            live=LiveStreams(self.registry, self.viewers),
            history=self.history,
            audit=AuditTrail(self.audit, monotonic=lambda: self.ticks),
            rates=self.rates,
            backoff=self.backoff,
            cap=self.cap,
            pause=self.pause,
            clock=lambda: self.now,
            monotonic=lambda: self.ticks,
            metrics=self.metrics,
            key_pairs=KeyPairs(self.key_store, self.key_ring, self.read_store, clock=lambda: self.now),
            boot_id="boot-here",
            node="198.51.100.1",
            rtmp_port=1935,
            play_port=8081,
        )
        self.listener: api.Listener | None = None

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def read_store(self) -> None:
        """As Reconcile.sync, of keys."""
        for key in await self.key_store.since(0):
            self.key_ring.apply(key)

    async def start(self) -> None:
        self.listener = await api.listen(self.services, config.Address("127.0.0.1", 0))

    @property
    def address(self) -> config.Address:
        assert self.listener is not None
        return self.listener.address

    async def close(self) -> None:
        if self.listener is not None:
            await self.listener.close()

    # -- what is live and what has been --------------------------------------------------------------------------

    def facts(self, stream: str, pub_time: int | None = None, **names: str) -> SessionFacts:
        began = int(self.now) if pub_time is None else pub_time
        key = StreamKey(
            names.get("unique_name", "demo"),
            names.get("pubdomain", "push.demo.local"),
            names.get("app", "live"),
            stream,
        )
        return SessionFacts(new_session_id(began), key, "192.0.2.7", 50000, "198.51.100.1", "boot", began)

    def publish(
        self, stream: str, pub_time: int | None = None, encoder: Encoder | None = None, **names: str
    ) -> Session:
        """A live session that holds its name."""
        session = Session(
            self.facts(stream, pub_time, **names), encoder or Encoder(), Quality(self.ticks), started=True
        )
        assert self.registry.claim(session, self.now).refusal is None
        return session

    def watch(
        self, stream: str, viewers: int = 1, protocol: PullProtocol = PullProtocol.HTTP_FLV, domain_id: str = "1001"
    ) -> Group:
        """Viewers of a stream of demo/live."""
        for _ in range(viewers):
            group = self.viewers.join(StreamName("demo", "live", stream), protocol, domain_id, self.ticks)
        return group

    async def record(
        self, stream: str, pub_time: int, fin_time: int, code: BreakCode = BreakCode.SUCCESS, **names: str
    ) -> None:
        """A finished session in history."""
        reason = Reason.UNPUBLISH if code == BreakCode.SUCCESS else Reason.FORBIDDEN
        await self.history.close(HistoryRow(self.facts(stream, pub_time, **names), fin_time, code, reason))

    async def record_refusal(self, stream: str, pub_time: int, code: BreakCode, **names: str) -> None:
        """A refused publish in history."""
        facts = self.facts(stream, pub_time, **names)
        await self.history.close(HistoryRow(facts, pub_time, code, Reason.REFUSED, accepted=False))

    # -- asking --------------------------------------------------------------------------------------------------

    async def send_raw(self, data: bytes) -> Reply:
        """Send bytes on a connection of their own, read one answer."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                writer.write(data)
                return await read_reply(reader)
        finally:
            writer.close()

    async def send(self, request: sigv4.SignedRequest) -> Reply:
        return await self.send_raw(request_bytes(request))

    def signed(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        access_key: str = "AKTEST",
        secret_key: str = "SKTEST",
        region: str = REGION,
        service: str = "kls",
        amz_date: str | None = None,
    ) -> sigv4.SignedRequest:
        """A signed request to the API."""
        path, _, query = target.partition("?")
        request = sigv4.SignedRequest(method, path, query, [("Host", HOST), *headers], body)
        date = build_amz_date(int(self.now)) if amz_date is None else amz_date
        added = sigv4.sign(request, access_key, secret_key, region, service, date)
        return sigv4.SignedRequest(method, path, query, [*request.headers, *added.items()], body)

    async def call(
        self, action: str, method: str | None = None, access_key: str = "AKTEST", **parameters: Any
    ) -> Reply:
        """Call an action by its own method (or the one given) and hold the answer against the model."""
        operation = model.operations()[action]
        names = [("Action", action), ("Version", operation.version)]
        method = method or operation.method
        body, headers = b"", [("Accept", "application/json")]
        if method == "POST":
            body = json.dumps(parameters).encode()
            headers.append(("Content-Type", "application/json"))
        else:
            names += [(name, str(value)) for name, value in parameters.items()]
        target = "/?" + sigv4.encode_query(names)
        secret_key = access_key.replace("AK", "SK", 1)
        request = self.signed(method, target, body, headers, access_key=access_key, secret_key=secret_key)
        reply = await self.send(request)
        if reply.status == 200:
            assert model.conforms(action, reply.json) == []
        return reply


def request_bytes(request: sigv4.SignedRequest, target: str | None = None) -> bytes:
    """The request as HTTP/1.1; ``target`` overrides its path and query."""
    if target is None:
        target = f"{request.path}?{request.query}" if request.query else request.path
    headers = list(request.headers)
    if request.body and not any(name.lower() == "content-length" for name, _ in headers):
        headers.append(("Content-Length", str(len(request.body))))
    head = f"{request.method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers)
    return head.encode("utf-8", "surrogateescape") + b"\r\n" + request.body


ANSWERED: list[Reply] = []
"""Every answer read in the running test (conftest)."""


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """Read one answer; EOFError (IncompleteReadError) when the connection closes before it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    reply = Reply(int(head[0].split()[1]), headers, body)
    ANSWERED.append(reply)
    return reply
