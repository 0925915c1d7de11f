"""HLS of a stream that another process publishes: made and counted there, passed on here; on both event loops."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator

import pytest

from openkls.domain.keys import StreamName
from openkls.domain.viewers import PullProtocol
from openkls.media import hls_proxy
from support_hls import Player, made, push
from support_media import House, Peer, key, seen
from support_relay import MemoryWhereabouts, relay_of, town

NAME = StreamName("demo", "live", "s1")


@pytest.fixture
async def houses() -> AsyncIterator[list[House]]:
    async with town() as opened:
        yield opened


def sessions(house: House) -> int:
    return house.viewers.audience(NAME, PullProtocol.HLS, None, 0.0).online


async def opened(here: House, there: House) -> tuple[Player, Peer]:
    """A player here of a stream there that has segments; its master playlist is read."""
    peer = await there.published()
    player = await Player.dial(here)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: there.hls._packagers)
    await push(peer, 3)
    reply = await player.reply()
    assert reply.status == 200
    await player.open()
    await made(there, 3)
    return player, peer


async def test_a_stream_of_another_process_plays_to_the_byte(houses: list[House]) -> None:
    here, there = houses
    player, _ = await opened(here, there)
    listing = await player.listing()
    assert len(listing.uris) == 3
    near = await Player.dial(there)
    for uri in listing.uris:
        assert await player.segment(uri) == (await near.get(player.path(uri))).body
    assert not here.hls._packagers
    assert not the_hub_of(here)


def the_hub_of(house: House) -> object:
    return house.hubs.find(NAME) or house.hubs.relayed(NAME)


async def test_sessions_are_counted_where_the_stream_is_published(houses: list[House]) -> None:
    here, there = houses
    player, _ = await opened(here, there)
    await player.listing()
    await player.listing()
    assert (sessions(here), sessions(there)) == (0, 1)


async def test_answers_are_those_of_the_other_process(houses: list[House]) -> None:
    here, there = houses
    player, _ = await opened(here, there)
    for path in ("/live/s1.m3u8", player.url, player.path((await player.listing()).uris[0])):
        passed, direct = await player.get(path), await (await Player.dial(there)).get(path)
        assert passed.status == direct.status == 200
        assert {name for name in passed.headers if name != "date"} == {
            name for name in direct.headers if name != "date"
        }
        for name in ("content-type", "cache-control", "content-length", "connection"):
            assert passed.headers[name] == direct.headers[name], name
        head = await player.get(path, "HEAD")
        assert head.headers["content-length"] == passed.headers["content-length"]
    assert (await player.get("/live/s1/wrong-1.ts")).status == 404


async def test_a_wrong_session_is_refused_there(houses: list[House]) -> None:
    here, there = houses
    player, _ = await opened(here, there)
    assert (await player.get("/live/s1/live.m3u8?session=none")).status == 403


async def test_sessions_are_capped_by_the_client_s_own_address(houses: list[House]) -> None:
    here, there = houses
    here.flv._trusted_proxies = (ipaddress.ip_network("127.0.0.1"),)
    player, _ = await opened(here, there)
    for _ in range(2):
        assert (await player.get(player.url, X_Forwarded_For="192.0.2.9")).status == 200
    assert there.sessions._addresses == {"192.0.2.9": 1}


async def test_connections_to_the_other_process_are_kept(houses: list[House]) -> None:
    here, there = houses
    player, _ = await opened(here, there)
    for _ in range(10):
        await player.listing()
    assert there.relay_port._web is not None
    assert len(there.relay_port._web.connections) == 1


async def test_a_forbidden_stream_is_gone_for_players_elsewhere(houses: list[House]) -> None:
    here, there = houses
    player, _ = await opened(here, there)
    uri = (await player.listing()).uris[0]
    await there.forbids.forbid(key())
    assert (await player.get(player.path(uri))).status == 404
    assert (await Player.dial(here)) is not None
    again = await Player.dial(here)
    assert (await again.get(player.url)).status in (403, 404)


async def test_a_stream_that_ended_is_played_to_its_end_elsewhere(houses: list[House]) -> None:
    here, there = houses
    player, peer = await opened(here, there)
    await player.listing()
    await peer.close()
    await seen(lambda: not len(there.registry))
    await seen(lambda: the_end(there))
    listing = await player.listing()
    assert listing.ended
    assert await player.segment(listing.uris[-1])


def the_end(house: House) -> bool:
    return all(packager.ended_at for packager in house.hls._packagers.values())


async def test_a_process_that_does_not_answer_is_a_bad_gateway(houses: list[House]) -> None:
    here, there = houses
    await there.published()
    await there.relay_port.close()
    reply = await (await Player.dial(here)).get("/live/s1.m3u8")
    assert reply.status == 502
    assert here.proxy is not None
    assert here.proxy.failed == 1


@pytest.mark.parametrize("limit", [1, 2])
async def test_requests_under_way_are_bounded(houses: list[House], monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(hls_proxy, "REQUESTS_LIMIT", limit)
    here, there = houses
    peer = await there.published()
    first, second = await Player.dial(here), await Player.dial(here)
    await first.ask("/live/s1.m3u8")
    assert here.proxy is not None
    await seen(lambda: there.hls._packagers)
    await second.ask("/live/s1.m3u8")
    if limit == 1:
        assert (await second.reply()).status == 503
        assert here.proxy.refused == 1
    await push(peer, 2)
    assert (await first.reply()).status == 200
    if limit == 2:
        assert (await second.reply()).status == 200


async def test_a_client_that_leaves_lets_the_request_go(houses: list[House]) -> None:
    here, there = houses
    await there.published()
    player = await Player.dial(here)
    await player.ask("/live/s1.m3u8")
    assert here.proxy is not None
    await seen(lambda: here.proxy._open)  # type: ignore[union-attr]
    await player.wire.reset()
    await seen(lambda: not here.proxy._open)  # type: ignore[union-attr]


async def test_a_process_that_dies_in_the_middle_of_a_segment_ends_the_connection(houses: list[House]) -> None:
    here, _ = houses

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Type: video/mp2t\r\n\r\n" + bytes(10))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    assert isinstance(here.whereabouts, MemoryWhereabouts)
    here.whereabouts.said[NAME] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    player = await Player.dial(here)
    await player.ask("/live/s1/token-1.ts")
    said = await player.wire.ended()
    assert said.startswith(b"HTTP/1.1 200")
    assert len(said.partition(b"\r\n\r\n")[2]) <= 10
    server.close()


async def test_what_is_remembered_is_bounded(houses: list[House], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls_proxy, "REMEMBERED_LIMIT", 2)
    here, there = houses
    assert here.proxy is not None
    assert isinstance(here.whereabouts, MemoryWhereabouts)
    for stream in ("a", "b", "c"):
        here.whereabouts.said[StreamName("demo", "live", stream)] = relay_of(there)
        assert here.proxy.address_of("127.0.0.1", "live", stream) == relay_of(there)
    assert [name.stream for name in here.proxy._remembered] == ["b", "c"]
