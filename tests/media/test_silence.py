"""A viewer whose machine has died leaves the count soon, though its connection was never closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from openkls.domain.keys import StreamName
from openkls.domain.viewers import PullProtocol
from openkls.media import silence
from support_media import House, Peer, Wire, key_frame, seen
from support_sockets import deafen

NAME = StreamName("demo", "live", "s1")


@pytest.fixture
async def publisher(house: House, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A stream that viewers can start from, and a short patience with them."""
    monkeypatch.setattr(silence, "SILENT_SECONDS", 1)
    monkeypatch.setattr(silence, "KEEPALIVE_IDLE_SECONDS", 1)
    peer = await house.published()
    await peer.start_stream()
    await seen(lambda: house.hubs.find(NAME) and house.hubs.find(NAME)._cache.can_start)
    return peer


@contextlib.asynccontextmanager
async def flowing(publisher: Peer) -> AsyncIterator[None]:
    """Key frames, as long as this lasts."""

    async def send() -> None:
        for time in range(40, 2**31, 40):
            await publisher.media(9, time, key_frame())
            await asyncio.sleep(0.04)

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def flv_viewer(house: House) -> Wire:
    wire = await Wire.dial(house.flv_address)
    await wire.send(b"GET /live/s1.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await wire.read_until(b"\r\n\r\n")
    return wire


def online(house: House, protocol: PullProtocol) -> int:
    return house.viewers.audience(NAME, protocol, None, 0.0).online


@pytest.mark.parametrize("protocol", [PullProtocol.RTMP, PullProtocol.HTTP_FLV])
@pytest.mark.parametrize("pausing", [False, True], ids=["flowing", "pausing"])
async def test_a_viewer_that_dies_silently_is_counted_out_and_one_that_lives_stays(
    house: House, publisher: Peer, protocol: PullProtocol, pausing: bool
) -> None:
    come = house.playing if protocol is PullProtocol.RTMP else lambda: flv_viewer(house)
    _living, dying = await come(), await come()
    await seen(lambda: online(house, protocol) == 2)
    async with contextlib.nullcontext() if pausing else flowing(publisher):
        deafen(dying.writer.get_extra_info("socket"))
        await seen(lambda: online(house, protocol) == 1)
    assert house.doors.faults["SILENT_SECONDS"] == 1
    assert online(house, protocol) == 1


async def test_a_viewer_that_leaves_in_order_is_no_silent_one(house: House, publisher: Peer) -> None:
    viewer = await flv_viewer(house)
    await seen(lambda: online(house, PullProtocol.HTTP_FLV) == 1)
    await viewer.close()
    await seen(lambda: online(house, PullProtocol.HTTP_FLV) == 0)
    assert "SILENT_SECONDS" not in house.doors.faults
