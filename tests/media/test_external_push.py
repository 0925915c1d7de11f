"""Real publishers before a customer's real server: let in, refused, forbidden while they wait, and left at the end."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from openkls import config
from openkls.codec.rtmp.client import Mode
from openkls.codec.rtmp.events import ClientEvent, PublishStarted, Refused
from openkls.control.admit import Admission
from openkls.domain.keys import StreamKey
from openkls.domain.session import BreakCode
from openkls.hooks import authority
from openkls.hooks.authority import ASK_SECONDS, PushHooks
from support_hook import OK, HookServer, saying, until
from support_media import House, Peer, Wire

DOOR = "ext.demo.local"
KEY = StreamKey("demo", DOOR, "live", "s1")


@pytest.fixture
async def server() -> AsyncIterator[HookServer]:
    built = HookServer()
    await built.open()
    yield built
    await built.close()


class Guarded(House):
    """A house whose one publish domain asks a server."""

    def __init__(self, server: HookServer) -> None:
        super().__init__()
        self.hooks = PushHooks()
        asked = server.at()
        door = config.PublishDomain(
            name=DOOR, auth="external", keys=asked.keys, external_url=asked.url, external_private=True
        )
        self.directory.replace([config.Account(id="1", space=(config.Space("demo", publish_domain=(door,)),))])
        self.admission = Admission(
            self.directory, self.registry, self.journal, self.endings, "boot-1", "127.0.0.1", authority=self.hooks
        )

    async def close(self) -> None:
        """As the service does: what is being asked ends first."""
        self.hooks.stop()
        await super().close()
        await self.hooks.close()

    async def asking(self, server: HookServer) -> asyncio.Task[ClientEvent]:
        """A publisher whose server is being asked: what it will be told."""
        before = len(server.bodies)
        peer = await Peer.open(self.rtmp_address, Mode.PUBLISH, self.url("s1", host=DOOR))
        told = asyncio.create_task(peer.until(Refused, PublishStarted))
        await until(lambda: len(server.bodies) > before)
        return told


def code(told: ClientEvent) -> str:
    """The break code a publisher was refused with."""
    assert isinstance(told, Refused)
    return told.description[:3]


@pytest.fixture
async def guarded(server: HookServer) -> AsyncIterator[Guarded]:
    house = Guarded(server)
    await house.open()
    yield house
    for wire in Wire.opened:
        await wire.reset()
    Wire.opened.clear()
    await house.close()


async def test_accepted_publish_starts_and_its_server_saw_its_query(guarded: Guarded, server: HookServer) -> None:
    peer = await Peer.open(guarded.rtmp_address, Mode.PUBLISH, guarded.url("s1?token=x", host=DOOR))
    await peer.until(PublishStarted)
    assert b'"PubParam": "token=x&vhost=ext.demo.local"' in server.bodies[0]
    assert b'"ClientIp": "127.0.0.1"' in server.bodies[0]


async def test_refused_publish_is_told_426_and_has_one_error_row(guarded: Guarded, server: HookServer) -> None:
    server.say = saying(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    peer = await Peer.open(guarded.rtmp_address, Mode.PUBLISH, guarded.url("s1", host=DOOR))
    assert code(await peer.until(Refused)) == "426"
    row = await guarded.row()
    assert (row.code, row.accepted) == (BreakCode.SIGNATURE, False)


async def test_security_17_publish_forbidden_while_its_server_is_asked_is_never_live(
    guarded: Guarded, server: HookServer
) -> None:
    go = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(OK)

    server.say = wait
    before, after = await guarded.asking(server), await guarded.asking(server)
    await guarded.forbids.forbid(KEY)
    go.set()
    assert [code(await told) for told in (before, after)] == ["423", "423"]
    assert guarded.session() is None
    assert not guarded.history.live


async def test_stop_while_a_server_is_asked_is_quick_and_writes_no_row(guarded: Guarded, server: HookServer) -> None:
    server.say = saying()
    told = await guarded.asking(server)
    began = time.monotonic()
    await guarded.close()
    assert time.monotonic() - began < ASK_SECONDS * 0.75
    with pytest.raises((AssertionError, ConnectionError)):  # closed, and told nothing
        await told
    assert not guarded.rows()
    assert guarded.empty()


async def test_class_16_servers_that_hang_hold_no_other_publish(
    guarded: Guarded, server: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "ASK_SECONDS", 1.5)
    server.say = saying()
    waiting = [await guarded.asking(server) for _ in range(5)]
    server.say = saying(OK)
    peer = await Peer.open(guarded.rtmp_address, Mode.PUBLISH, guarded.url("s2", host=DOOR))
    await peer.until(PublishStarted)
    assert not any(told.done() for told in waiting)
    assert [code(await told) for told in waiting] == ["426"] * 5
