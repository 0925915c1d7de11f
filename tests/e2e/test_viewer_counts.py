"""Sixty players that come, go, stall and die: OnlineUser is exact for each protocol, and in time.

Rule: the players are sockets of this test, each one connection (RTMP, HTTP-FLV) or one session (HLS); what is asserted
is what the API says.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from yarl import URL

from openkls.codec.rtmp import Mode, PlayStarted
from openkls.config import Address
from openkls.media.silence import SILENT_SECONDS
from support_media import Peer, Wire
from support_service import RunningService, pushing
from support_sockets import deafen

pytestmark = pytest.mark.e2e

STREAM: Final = "watched"
PLAYERS: Final = 20
# Of each protocol: some that close, some that reset, some whose machine dies, some that read no more.
CLOSING, RESETTING, DYING, STALLING = 5, 5, 5, 2
# What is promised (contract, 7).
RIGHT_WITHIN_SECONDS: Final = 10.0
# Until nothing more fits between the service and a player that has stopped reading; the stream makes 108 KB a second.
FULL_WITHIN_SECONDS: Final = 40.0
# The clip has a key frame every two seconds.
TARGET_SECONDS: Final = 2
# Three of them, and a second each for the sweep of sessions and for asking.
HLS_RIGHT_WITHIN_SECONDS: Final = 3 * TARGET_SECONDS + 2.0
PROTOCOLS: Final = ("http+flv", "rtmp")


class HlsPlayer:
    """A light player of HLS: asks for its playlist as often as players do, until it does not. Whether it is closed,
    stalls or is dead cannot be told apart from outside."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    @classmethod
    async def come(cls, http: aiohttp.ClientSession, service: RunningService) -> "HlsPlayer":
        master = URL(service.hls_url(STREAM))
        lines = (await _text(http, master)).splitlines()
        media = master.join(URL(next(line for line in lines if line and not line.startswith("#"))))
        return cls(asyncio.create_task(cls._play(http, media)))

    @staticmethod
    async def _play(http: aiohttp.ClientSession, media: URL) -> None:
        while True:
            assert await target_seconds(http, media) == TARGET_SECONDS
            await asyncio.sleep(TARGET_SECONDS / 2)

    def stop(self) -> None:
        """Ask no more. AssertionError when the player had failed before."""
        assert not self._task.done() or self._task.cancelled() or self._task.result() is None
        self._task.cancel()


async def _text(http: aiohttp.ClientSession, url: URL) -> str:
    async with http.get(url, raise_for_status=True) as answer:
        return await answer.text()


async def target_seconds(http: aiohttp.ClientSession, media: URL) -> int:
    """What a media playlist says of its segments."""
    (line,) = [line for line in (await _text(http, media)).splitlines() if line.startswith("#EXT-X-TARGETDURATION:")]
    return int(line.partition(":")[2])


class Player:
    """A light player: reads, and throws away what it has read."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while await self.wire.reader.read(65536):
            pass

    @classmethod
    async def come(cls, service: RunningService, protocol: str) -> "Player":
        if protocol == "rtmp":
            url = service.push_url(STREAM)
            peer = await Peer.open(Address("127.0.0.1", service.rtmp_port), Mode.PLAY, url)
            await peer.until(PlayStarted)
            return cls(peer)
        wire = await Wire.dial(Address("127.0.0.1", service.play_port))
        await wire.send(f"GET /live/{STREAM}.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert b" 200 " in await wire.read_until(b"\r\n\r\n")
        return cls(wire)

    def stall(self) -> None:
        """Read no more."""
        self._reading.cancel()

    async def close(self) -> None:
        self.stall()
        await self.wire.close()

    async def reset(self) -> None:
        self.stall()
        await self.wire.reset()

    async def die(self) -> None:
        deafen(self.wire.writer.get_extra_info("socket"))


@pytest.fixture
async def players() -> AsyncIterator[dict[str, list[Player]]]:
    """Those that are there, by protocol; none outlives the test."""
    there: dict[str, list[Player]] = {protocol: [] for protocol in PROTOCOLS}
    yield there
    for each in (player for group in there.values() for player in group):
        each.stall()
    for wire in Wire.opened:
        await wire.reset()
    Wire.opened.clear()


async def counts(service: RunningService) -> dict[str, int]:
    """OnlineUser of the stream, by each protocol."""

    def ask(protocol: str) -> int:
        return int(service.call("ListRealtimeStreamsInfo", Stream=STREAM, PullProtocol=protocol)["OnlineUser"])

    return {protocol: await asyncio.to_thread(ask, protocol) for protocol in ("http+flv", "rtmp", "hls")}


async def become(service: RunningService, expected: dict[str, int], seconds: float = RIGHT_WITHIN_SECONDS) -> None:
    """Fails unless the counts are these within the time, and still are a moment later."""
    clock = asyncio.get_running_loop().time
    ending = clock() + seconds
    while (seen := await counts(service)) != expected:
        assert clock() < ending, f"{seen}, not {expected}, after {seconds:g} s"
        await asyncio.sleep(0.1)
    assert await counts(service) == expected


def all_of(online: int, hls: int = 0) -> dict[str, int]:
    return {"http+flv": online, "rtmp": online, "hls": hls}


@pytest.fixture
async def hls(service: RunningService) -> AsyncIterator[Callable[[int], Awaitable[list[HlsPlayer]]]]:
    """Lets players of HLS come."""
    came: list[HlsPlayer] = []
    async with aiohttp.ClientSession() as http:

        async def come(count: int) -> list[HlsPlayer]:
            players = await asyncio.gather(*[HlsPlayer.come(http, service) for _ in range(count)])
            came.extend(players)
            return players

        yield come
        for player in came:
            player.stop()


@pytest.mark.timeout(240)
async def test_viewer_counts_are_exact_whatever_players_do(
    service: RunningService,
    clip: Path,
    players: dict[str, list[Player]],
    hls: Callable[[int], Awaitable[list[HlsPlayer]]],
) -> None:
    with pushing(clip, service.push_url(STREAM)):
        await is_live(service)
        await become(service, all_of(0))
        for protocol, group in players.items():
            group += await asyncio.gather(*[Player.come(service, protocol) for _ in range(PLAYERS)])
        await become(service, all_of(PLAYERS))
        sessions = await hls(PLAYERS)
        await become(service, all_of(PLAYERS, PLAYERS), HLS_RIGHT_WITHIN_SECONDS)
        online = PLAYERS
        ways: list[tuple[int, Callable[[Player], Awaitable[None]], float]] = [
            (CLOSING, Player.close, 1.0),
            (RESETTING, Player.reset, 1.0),
            (DYING, Player.die, RIGHT_WITHIN_SECONDS),
        ]
        for number, way, within_seconds in ways:
            for player in sessions[:number]:
                player.stop()
            sessions = sessions[number:]
            for group in players.values():
                leaving, group[:number] = group[:number], []
                await asyncio.gather(*[way(player) for player in leaving])
            online -= number
            await become(service, all_of(online, online), max(HLS_RIGHT_WITHIN_SECONDS, within_seconds))
        # One that stalls is a viewer until it has taken nothing for so long that it is taken for dead.
        for group in players.values():
            for player in group[:STALLING]:
                player.stall()
            group[:STALLING] = []
        await become(service, all_of(online, online))
        await become(service, all_of(online - STALLING, online), FULL_WITHIN_SECONDS + SILENT_SECONDS)
        # And others come while some go.
        for protocol, group in players.items():
            group += await asyncio.gather(*[Player.come(service, protocol) for _ in range(CLOSING)])
            await group.pop(0).close()
        sessions[0].stop()
        await hls(CLOSING)
        await become(service, all_of(online - STALLING + CLOSING - 1, online + CLOSING - 1), HLS_RIGHT_WITHIN_SECONDS)


async def is_live(service: RunningService) -> None:
    """Wait for the stream."""
    clock = asyncio.get_running_loop().time
    ending = clock() + 20
    while not (await asyncio.to_thread(service.call, "ListRealtimeStreamsInfo", Type="push"))["Streams"]:
        assert clock() < ending
        await asyncio.sleep(0.1)
