"""Republish: viewers of a publisher that left wait for it, and go on when it comes back. Never after a forbid."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from openkls.codec import flv
from openkls.codec.rtmp import Ended, MediaReceived
from openkls.control.forbid import TILL_CUT_ONLY
from openkls.domain import registry
from openkls.domain.errors import BusinessError
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.session import Reason
from openkls.media import rtmp
from openkls.media.ingest import Role
from support_media import AUDIO_HEADER, VIDEO_HEADER, House, Peer, Wire, frame, key, key_frame, seen, sound

APP = "patient"  # a minute of grace: a test that waited for it to pass would fail


async def watching(house: House, app: str = APP) -> tuple[Peer, Peer, Wire]:
    """A publisher, an RTMP player, an HTTP-FLV viewer, both with the first key frame."""
    publisher = await house.published(app=app)
    await publisher.start_stream()
    player = await house.playing(app=app)
    await player.heard(4)
    viewer = await Wire.dial(house.flv_address)
    await viewer.send(f"GET /{app}/s1.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await viewer.read_until(key_frame())
    return publisher, player, viewer


def waits(house: House, app: str = APP) -> bool:
    return StreamName("demo", app, "s1") in house.hubs._waiting


async def unpublish(publisher: Peer) -> None:
    publisher.session.finish()
    await publisher.flush()


@pytest.mark.parametrize("leave", [unpublish, Wire.close, Wire.reset], ids=["unpublish", "close", "reset"])
async def test_viewers_go_on_with_the_next_run_in_continuous_time(house: House, leave: Callable[..., object]) -> None:
    first, player, viewer = await watching(house)
    await first.media(flv.VIDEO, 36_000_000, frame())
    await player.heard(5)
    await viewer.read_until(frame())
    await leave(first)  # type: ignore[misc]
    await seen(lambda: waits(house))
    assert house.session(app=APP) is None
    second = await house.published(app=APP)
    assert not waits(house)
    header = VIDEO_HEADER[:-1] + b"\xf9"
    await second.media(flv.VIDEO, 0, header)
    await second.media(flv.AUDIO, 0, AUDIO_HEADER)
    await second.media(flv.VIDEO, 0, key_frame(b"again"))
    await second.media(flv.AUDIO, 10, sound())
    heard = (await player.heard(9))[5:]
    assert [message.payload for message in heard] == [header, AUDIO_HEADER, key_frame(b"again"), sound()]
    end = player.heard_media[4].timestamp
    assert [message.timestamp - end for message in heard] == [40, 40, 40, 50]
    await viewer.read_until(key_frame(b"again"))
    assert house.viewers.online() == 2
    assert house.hubs.resumed == 1
    assert not any(isinstance(event, Ended) for event in player.events)


async def test_silent_publisher_is_taken_over_without_its_viewers_noticing(
    monkeypatch: pytest.MonkeyPatch, house: House
) -> None:
    monkeypatch.setattr(registry, "SILENT_SECONDS", 0.1)
    _, player, _ = await watching(house)
    session = house.session(app=APP)
    assert session is not None
    await seen(lambda: session.publisher.silent_seconds() > 0.1)
    second = await house.published(app=APP)
    await second.start_stream()
    heard = await player.heard(8)
    assert heard[7].payload == key_frame()
    assert house.viewers.online() == 2
    assert house.hubs.resumed == 1
    await seen(lambda: [row.reason for row in house.rows()] == [Reason.TAKEN_OVER])


async def test_publisher_that_broke_the_protocol_may_come_back(house: House) -> None:
    publisher, player, _ = await watching(house)
    await publisher.send(b"\xc2" * 64)
    await seen(lambda: waits(house))
    assert house.viewers.online() == 2
    await (await house.published(app=APP)).start_stream()
    await player.heard(8)


async def test_publisher_that_fell_silent_may_come_back(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    monkeypatch.setattr(rtmp, "IDLE_SECONDS", 0.1)
    _, player, _ = await watching(house)
    await seen(lambda: waits(house))
    monkeypatch.undo()
    await (await house.published(app=APP)).start_stream()
    await player.heard(8)


async def test_viewers_are_ended_in_order_when_the_grace_has_passed(house: House) -> None:
    publisher, player, viewer = await watching(house, "hasty")
    await publisher.media(flv.VIDEO, 40, frame())  # pending for the merge window
    await publisher.close()
    await seen(lambda: waits(house, "hasty"))
    events = await player.over()
    assert isinstance(events[-1], Ended)
    assert player.heard_media[-1].payload == frame()
    assert frame() in await viewer.ended()
    await seen(house.empty)


async def test_new_viewer_of_a_stream_that_is_away_is_told_404(house: House) -> None:
    publisher, _, _ = await watching(house)
    await publisher.close()
    await seen(lambda: waits(house))
    late = await Wire.dial(house.flv_address)
    await late.send(f"GET /{APP}/s1.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert b"404 Not Found" in await late.ended()


async def test_stream_that_nobody_watches_does_not_wait(house: House) -> None:
    publisher = await house.published(app=APP)
    await publisher.start_stream()
    await publisher.close()
    await seen(house.empty)


async def test_stream_is_forgotten_when_the_last_one_who_waits_has_left(house: House) -> None:
    publisher, player, viewer = await watching(house)
    await publisher.close()
    await seen(lambda: waits(house))
    await player.close()
    await seen(lambda: house.viewers.online() == 1)
    assert waits(house)
    await viewer.close()
    await seen(house.empty)


async def test_forbidden_stream_does_not_wait(house: House) -> None:
    _, player, viewer = await watching(house)
    await house.forbids.forbid(key(app=APP))
    assert not waits(house)
    await player.over()
    await viewer.ended()
    await seen(house.empty)


async def test_forbid_that_only_cuts_leaves_nobody_waiting(house: House) -> None:
    _, player, _ = await watching(house)
    await house.forbids.forbid(key(app=APP), TILL_CUT_ONLY)
    assert not waits(house)
    await player.over()


@pytest.mark.parametrize("cut_only", [False, True])
async def test_forbid_of_a_stream_that_is_away_ends_those_who_wait(house: House, cut_only: bool) -> None:
    publisher, player, _ = await watching(house)
    await publisher.close()
    await seen(lambda: waits(house))
    if cut_only:
        with pytest.raises(BusinessError, match="8502"):  # nobody pushes, as contract.md says
            await house.forbids.forbid(key(app=APP), TILL_CUT_ONLY)
    else:
        await house.forbids.forbid(key(app=APP))
    assert house.viewers.online() == 0
    await player.over()
    await seen(house.empty)


async def test_forbid_of_another_publish_domain_leaves_those_who_wait(house: House) -> None:
    publisher, _, _ = await watching(house)
    await publisher.close()
    await seen(lambda: waits(house))
    await house.forbids.forbid(StreamKey("demo", "md5.demo.local", APP, "s1"))
    assert waits(house)
    assert house.viewers.online() == 2


@pytest.mark.parametrize("away", [False, True])
async def test_stop_of_the_service_waits_for_nobody(house: House, away: bool) -> None:
    publisher, player, viewer = await watching(house)
    if away:
        await publisher.close()
        await seen(lambda: waits(house))
    await asyncio.gather(house.close(), player.over(), viewer.ended())
    assert not house.hubs._waiting
    assert house.viewers.online() == 0


async def test_tap_is_told_of_the_wait_and_of_the_next_run_and_keeps_the_stream_waiting(house: House) -> None:
    told: list[str] = []

    class Log:
        def take(self, role: Role, message: MediaReceived) -> None:
            told.append(f"{role.name} {message.timestamp}")

        def over(self, cut: bool, waiting: bool) -> None:
            told.append(f"over {cut} {waiting}")

        def resumed(self) -> None:
            told.append("resumed")

    publisher = await house.published(app=APP)
    await publisher.media(flv.VIDEO, 5000, key_frame())
    hub = house.hubs.find(StreamName("demo", APP, "s1"))
    await seen(lambda: hub is not None and hub.tracks == (False, True))
    assert hub is not None
    tap = Log()
    hub.tap(tap)
    await publisher.close()
    await seen(lambda: waits(house))
    second = await house.published(app=APP)
    assert house.hubs.find(StreamName("demo", APP, "s1")) is hub
    await second.media(flv.VIDEO, 0, key_frame())
    await seen(lambda: len(told) == 4)
    assert told == ["KEY_FRAME 5000", "over False True", "resumed", "KEY_FRAME 5040"]
    await second.close()
    await seen(lambda: waits(house))
    hub.untap(tap)
    assert not waits(house)
    await seen(house.empty)


async def test_republish_by_turns_leaves_one_row_a_run_and_nothing_else(house: House) -> None:
    _, player, viewer = await watching(house)
    session = house.session(app=APP)
    assert session is not None
    with contextlib.suppress(ConnectionError):
        session.publisher.abort()  # type: ignore[attr-defined]
    for _ in range(10):
        await seen(lambda: waits(house))
        publisher = await house.published(app=APP)
        await publisher.start_stream()
        await publisher.close()
    await player.heard(44)
    # Metadata is told at 0, whenever it is told.
    times = [message.timestamp for message in player.heard_media if message.type_id != flv.SCRIPT]
    assert times == sorted(times)
    await player.close()
    await viewer.close()
    await seen(house.empty)
    await seen(lambda: len(house.rows()) == 11)
