"""Viewers in another process than their stream: relays on real sockets, on both event loops."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openkls.codec import flv
from openkls.codec.rtmp import Ended, MediaReceived, Mode, Refused
from openkls.domain.keys import StreamName
from openkls.domain.viewers import PullProtocol
from openkls.media import relay, relay_port
from openkls.media.hub import Hub
from support_media import (
    DEADLINE_SECONDS,
    RELAY_TOKEN,
    House,
    Peer,
    Wire,
    frame,
    key,
    key_frame,
    seen,
    sound,
)
from support_relay import MemoryWhereabouts, relay_of, town

NAME = StreamName("demo", "live", "s1")


@pytest.fixture
async def houses() -> AsyncIterator[list[House]]:
    before = asyncio.all_tasks()
    async with town() as opened:
        yield opened
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


class Watcher(Wire):
    """An HTTP-FLV viewer."""

    reader_of_tags: flv.FlvReader
    tags: list[flv.Tag]

    @classmethod
    async def watch(cls, house: House, path: str = "/live/s1.flv") -> "Watcher":
        watcher = await cls.dial(house.flv_address)
        await watcher.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        watcher.head = await watcher.read_until(b"\r\n\r\n")
        watcher.reader_of_tags, watcher.tags = flv.FlvReader(), []
        return watcher

    head: bytes

    async def until(self, fact: Callable[[list[flv.Tag]], object]) -> list[flv.Tag]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not fact(self.tags):
                data = await self.reader.read(65536)
                assert data, f"closed with {self.tags}"
                self.tags += self.reader_of_tags.feed(data)
        return self.tags


def at(time_ms: int) -> Callable[[list[flv.Tag]], object]:
    """A coded frame of this time has come."""
    return lambda tags: any(tag.timestamp == time_ms for tag in tags if tag.type_id != flv.SCRIPT)


def online(house: House, protocol: PullProtocol = PullProtocol.HTTP_FLV) -> int:
    return house.viewers.audience(NAME, protocol, None, 0.0).online


def the_relay(house: House) -> relay.Relay:
    assert house.relays is not None
    (only,) = house.relays._relays.values()
    return only


def the_sources(house: House) -> list[relay_port.Source]:
    return list(house.relay_port.sources)


def believe(house: House, address: str | None) -> None:
    assert isinstance(house.whereabouts, MemoryWhereabouts)
    house.whereabouts.said[NAME] = address


async def push(peer: Peer, *times_ms: int) -> None:
    for time_ms in times_ms:
        await peer.media(flv.VIDEO, time_ms, frame())


# -- watching


async def test_a_viewer_in_another_process_gets_the_stream_with_its_own_times(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    await push(peer, 40, 80)
    watcher = await Watcher.watch(here)
    await watcher.until(at(80))
    await push(peer, 120)
    tags = await watcher.until(at(120))
    assert [tag.timestamp for tag in tags if tag.type_id == flv.VIDEO] == [0, 0, 40, 80, 120]
    assert tags[1].payload.startswith(b"\x17\x00")
    assert tags[-1].payload == frame()


async def test_an_rtmp_viewer_in_another_process_plays(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    player = await here.playing()
    heard = await player.heard(4)
    await push(peer, 40)
    heard = await player.heard(5)
    assert heard[-1] == MediaReceived(flv.VIDEO, 40, frame())
    assert online(here, PullProtocol.RTMP) == 1


async def test_a_viewer_is_counted_once_and_where_it_is_and_a_relay_is_none(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    assert (online(here), online(there)) == (1, 0)
    assert len(the_sources(there)) == 1
    assert not len(here.registry)
    await watcher.close()
    await seen(lambda: not online(here))


async def test_however_many_ask_at_once_there_is_one_pull(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watchers = await asyncio.gather(*(Watcher.watch(here) for _ in range(20)))
    players = await asyncio.gather(*(here.playing() for _ in range(5)))
    await push(peer, 40)
    for watcher in watchers:
        await watcher.until(at(40))
    for player in players:
        await player.heard(5)
    assert len(the_sources(there)) == 1
    assert here.relays is not None
    assert here.relays.opened == 1
    assert online(here) == 20


async def test_a_second_viewer_joins_the_relay_and_starts_from_its_cache(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    await (await Watcher.watch(here)).until(at(0))
    second = await Watcher.watch(here)
    assert (await second.until(at(0)))[-1].payload == key_frame()
    assert second.head.startswith(b"HTTP/1.1 200")


async def test_a_stream_of_sound_alone_is_announced_as_that(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.media(flv.AUDIO, 0, sound())
    watcher = await Watcher.watch(here)
    await push_sound(peer, 23)
    await watcher.until(at(23))
    assert watcher.reader_of_tags.has_audio
    assert not watcher.reader_of_tags.has_video


async def push_sound(peer: Peer, time_ms: int) -> None:
    await peer.media(flv.AUDIO, time_ms, sound())


async def test_a_stream_that_lives_nowhere_is_not_found(houses: list[House]) -> None:
    watcher = await Watcher.watch(houses[0])
    assert watcher.head.startswith(b"HTTP/1.1 404")
    player = await Peer.open(houses[0].rtmp_address, Mode.PLAY, houses[0].url("s1"))
    assert isinstance(await player.until(Refused), Refused)
    assert houses[0].relays is not None
    assert not len(houses[0].relays)


@pytest.mark.parametrize("is_rtmp", [False, True])
async def test_a_viewer_who_is_faster_than_the_word_of_a_stream_gets_it(houses: list[House], is_rtmp: bool) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    believe(here, None)
    assert isinstance(here.whereabouts, MemoryWhereabouts)
    assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 404"), "it has not been heard of"
    here.whereabouts.heard_late.add(NAME)
    if is_rtmp:
        await (await here.playing()).heard(1)
    else:
        assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 200")


async def test_an_address_does_not_tell_two_spaces_apart_wherever_they_publish(houses: list[House]) -> None:
    here, there = houses
    await here.published("s1", "live")
    guarded = StreamName("guarded", "live", "s1")
    assert isinstance(here.whereabouts, MemoryWhereabouts)
    assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 200")
    # Its play domains ask for a signature, so that no address plays it, whatever else is so.
    here.whereabouts.said[guarded] = relay_of(there)
    assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 200")


# -- the relay's end


async def test_a_relay_ends_some_seconds_after_its_last_viewer(
    houses: list[House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "IDLE_SECONDS", 0.2)
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    await asyncio.sleep(2 * relay.SWEEP_SECONDS + 0.2)
    assert here.hubs.relayed(NAME) is not None
    await watcher.close()
    assert here.relays is not None
    await seen(lambda: not len(here.relays))  # type: ignore[arg-type]
    await seen(lambda: not the_sources(there))
    assert here.hubs.relayed(NAME) is None
    assert there.session() is not None


async def test_a_source_that_ends_ends_the_viewers_elsewhere(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watcher, player = await Watcher.watch(here), await here.playing()
    await watcher.until(at(0))
    await push(peer, 40)
    await peer.close()
    await watcher.until(at(40))
    assert await watcher.ended() == b""
    assert isinstance((await player.over())[-1], Ended)
    await seen(here.empty)
    await seen(there.empty)


@pytest.mark.parametrize("cut_only", [True, False])
async def test_a_forbidden_source_ends_the_viewers_elsewhere_at_once(houses: list[House], cut_only: bool) -> None:
    here, there = houses
    for house in houses:
        house.doors.directory.settings(NAME)
    peer = await there.published()
    await peer.start_stream()
    watcher, player = await Watcher.watch(here), await here.playing()
    await watcher.until(at(0))
    overs: list[bool] = []
    hub = here.hubs.relayed(NAME)
    assert hub is not None
    end = hub.end
    hub.end = lambda cut: (overs.append(cut), end(cut))  # type: ignore[method-assign,assignment,func-returns-value]
    await there.forbids.forbid(key(), 1 if cut_only else 0)
    await watcher.ended()
    await player.over()
    assert overs == [True]
    await seen(here.empty)


async def test_a_ban_that_is_heard_here_first_cuts_the_viewers_here(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    await here.forbids.forbid(key())
    await watcher.ended()
    assert there.session() is not None
    await seen(here.empty)


async def test_a_ban_of_the_name_behind_another_door_cuts_nobody(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    other = type(key())("demo", "md5.demo.local", "live", "s1")
    await here.forbids.forbid(other)
    await push(peer, 40)
    await watcher.until(at(40))


# -- waiting for a publisher


@pytest.fixture
async def patient() -> AsyncIterator[list[House]]:
    async with town(3, grace_seconds=5.0) as opened:
        yield opened


async def test_viewers_elsewhere_wait_for_a_publisher_that_comes_back(patient: list[House]) -> None:
    here, there, _ = patient
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    await peer.close()
    await seen(lambda: the_relay(here).waiting)
    assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 404")
    again = await there.published()
    await again.start_stream()
    await watcher.until(lambda tags: sum(tag.payload == key_frame() for tag in tags) == 2)
    times = [tag.timestamp for tag in watcher.tags if tag.payload == key_frame()]
    assert times == [0, 40]
    assert online(here) == 1


async def test_viewers_elsewhere_follow_a_publisher_to_a_third_process(patient: list[House]) -> None:
    here, there, third = patient
    peer = await there.published()
    await peer.start_stream()
    watcher, local = await Watcher.watch(here), await Watcher.watch(there)
    await watcher.until(at(0))
    await local.until(at(0))
    await peer.close()
    await seen(lambda: the_relay(here).waiting)
    again = await third.published()
    await again.start_stream()
    for each in (watcher, local):
        await each.until(lambda tags: sum(tag.payload == key_frame() for tag in tags) == 2)
    assert (online(here), online(there), online(third)) == (1, 1, 0)
    await seen(lambda: len(the_sources(third)) == 2)
    assert not the_sources(there)


async def test_viewers_elsewhere_have_the_publisher_come_to_them(patient: list[House]) -> None:
    here, there, third = patient
    peer = await there.published()
    await peer.start_stream()
    watcher, other = await Watcher.watch(here), await Watcher.watch(third)
    await watcher.until(at(0))
    await other.until(at(0))
    await peer.close()
    again = await here.published()
    await again.start_stream()
    for each in (watcher, other):
        await each.until(lambda tags: sum(tag.payload == key_frame() for tag in tags) == 2)
    assert here.relays is not None
    await seen(lambda: not len(here.relays))  # type: ignore[arg-type]
    assert here.hubs.find(NAME) is not None
    assert (online(here), online(third)) == (1, 1)


async def test_a_publish_here_takes_a_relay_over_though_its_source_lives(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    again = await here.published()
    await again.start_stream()
    await watcher.until(lambda tags: sum(tag.payload == key_frame() for tag in tags) == 2)
    await push(peer, 5000)
    await push(again, 40)
    tags = await watcher.until(at(80))
    assert 5000 not in [tag.timestamp for tag in tags]
    await seen(lambda: not the_sources(there))
    await again.close()
    await watcher.ended()


# -- what goes wrong


@asynccontextmanager
async def mute() -> AsyncIterator[str]:
    """The address of a server that takes connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_lost_connection_is_made_again_and_nothing_comes_twice(patient: list[House]) -> None:
    here, there, _ = patient
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await push(peer, 40, 80)
    await watcher.until(at(80))
    (source,) = the_sources(there)
    source._transport.abort()
    await push(peer, 120)
    await watcher.until(at(120))
    await push(peer, 160)
    tags = await watcher.until(at(160))
    assert [tag.timestamp for tag in tags if tag.type_id == flv.VIDEO] == [0, 0, 40, 80, 120, 160]
    assert sum(tag.type_id == flv.SCRIPT for tag in tags) == 1
    assert here.relays is not None
    assert here.relays.losses == 1


async def test_a_source_that_does_not_come_back_ends_the_viewers_after_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with town(2, grace_seconds=0.5) as (here, there):
        peer = await there.published()
        await peer.start_stream()
        watcher = await Watcher.watch(here)
        await watcher.until(at(0))
        believe(here, relay_of(there))
        await there.relay_port.close()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await watcher.ended()
        assert loop.time() - began >= 0.4
        await seen(lambda: here.hubs.relayed(NAME) is None)


async def test_a_source_that_falls_silent_is_given_up(patient: list[House], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there, _ = patient
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 0.3)
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    assert here.relays is not None
    await seen(lambda: here.relays.losses)  # type: ignore[union-attr]
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 5.0)
    await push(peer, 40)
    await watcher.until(at(40))


async def test_a_source_without_media_says_that_it_lives(houses: list[House], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_port, "ALIVE_SECONDS", 0.1)
    _, there = houses
    assert there.relay_port._sweeper is not None
    there.relay_port._sweeper.cancel()
    there.relay_port._sweep()
    peer = await there.published()
    await peer.start_stream()
    source = await Wire.dial(there.relay_address)
    await source.send(request())
    await source.read_until(b"caught-up")
    await source.read_until(b"alive")
    await source.read_until(b"alive")


def request(token: str = RELAY_TOKEN, path: str = "/relay/demo/live/s1.flv", method: str = "GET") -> bytes:
    shown = f"X-OpenKLS-Relay-Token: {token}\r\n" if token else ""
    return f"{method} {path} HTTP/1.1\r\nHost: relay\r\n{shown}\r\n".encode()


async def test_a_stream_that_is_gone_by_now_is_not_found_and_not_asked_for_at_once_again(houses: list[House]) -> None:
    here, there = houses
    believe(here, relay_of(there))
    assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 404")
    assert here.relays is not None
    await seen(lambda: not len(here.relays))  # type: ignore[arg-type]
    assert NAME in here.relays._rests
    peer = await there.published()
    await peer.start_stream()
    assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 404")
    await seen(lambda: NAME not in here.relays._rests, 5)  # type: ignore[union-attr]
    assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 200")


async def test_who_waits_is_told_at_the_deadline(houses: list[House], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "OPEN_SECONDS", 0.3)
    here, _ = houses
    async with mute() as address:
        believe(here, address)
        assert (await Watcher.watch(here)).head.startswith(b"HTTP/1.1 404")
        player = await Peer.open(here.rtmp_address, Mode.PLAY, here.url("s1"))
        await player.until(Refused)
        the_relay(here).end()


@pytest.mark.parametrize(("limit", "status"), [(2, b"200"), (1, b"404")])
async def test_those_who_wait_are_bounded(
    houses: list[House], monkeypatch: pytest.MonkeyPatch, limit: int, status: bytes
) -> None:
    monkeypatch.setattr(relay, "ASKERS_LIMIT", limit)
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    assert here.relays is not None
    first = asyncio.create_task(here.relays.open(NAME))
    await asyncio.sleep(0)
    second = await here.relays.open(NAME)
    assert isinstance(await first, Hub)
    assert isinstance(second, Hub) == (status == b"200")
    assert here.relays.refused == (status != b"200")


@pytest.mark.parametrize("limit", [1, 2])
async def test_the_streams_that_are_pulled_are_bounded(
    houses: list[House], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(relay, "RELAYS_LIMIT", limit)
    here, there = houses
    for stream in ("s1", "s2"):
        await (await there.published(stream)).start_stream()
    assert here.relays is not None
    assert await here.relays.open(NAME) is not None
    found = await here.relays.open(StreamName("demo", "live", "s2"))
    assert (found is not None) == (limit == 2)
    assert here.relays.refused == (limit == 1)


async def test_a_source_that_talks_nonsense_is_lost_and_harms_nobody(houses: list[House]) -> None:
    here, _ = houses

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nnot FLV at all, " + bytes(100))
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    believe(here, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert here.relays is not None
    monkey: Any = relay
    before = monkey.OPEN_SECONDS
    monkey.OPEN_SECONDS = 0.5
    try:
        assert await here.relays.open(NAME) is None
    finally:
        monkey.OPEN_SECONDS = before
    await seen(lambda: not len(here.relays))  # type: ignore[arg-type]
    server.close()


# -- the relay port


@pytest.mark.parametrize("token", ["", "wrong", RELAY_TOKEN + "x", RELAY_TOKEN[:-1]])
@pytest.mark.parametrize("path", ["/relay/demo/live/s1.flv", "/live/s1.m3u8"])
async def test_nobody_is_answered_without_the_token(houses: list[House], token: str, path: str) -> None:
    _, there = houses
    await (await there.published()).start_stream()
    wire = await Wire.dial(there.relay_address)
    await wire.send(request(token, path))
    said = await wire.ended()
    assert said.startswith(b"HTTP/1.1 403")
    assert there.doors.faults["relay token"] == 1
    assert not the_sources(there)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/relay/demo/live/other.flv", "GET", b"404"),
        ("/relay/demo/live.flv", "GET", b"404"),
        ("/live/s1.flv", "GET", b"404"),
        ("/relay/demo/live/s1.flv", "HEAD", b"404"),
        ("/relay/demo/live/s1.flv", "POST", b"405"),
        ("/relay/demo/live/%2e%2e.flv", "GET", b"404"),
    ],
)
async def test_the_relay_port_has_nothing_else(houses: list[House], path: str, method: str, status: bytes) -> None:
    _, there = houses
    await (await there.published()).start_stream()
    wire = await Wire.dial(there.relay_address)
    await wire.send(request(RELAY_TOKEN, path, method))
    assert (await wire.ended()).startswith(b"HTTP/1.1 " + status)


async def test_a_relay_never_relays(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    await (await Watcher.watch(here)).until(at(0))
    wire = await Wire.dial(here.relay_address)
    await wire.send(request())
    assert (await wire.ended()).startswith(b"HTTP/1.1 404")
    wire = await Wire.dial(here.relay_address)
    await wire.send(request(path="/live/s1.m3u8"))
    assert (await wire.ended()).startswith(b"HTTP/1.1 404")


async def test_a_process_that_does_not_read_is_let_go(houses: list[House], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_port, "BACKLOG_LIMIT_BYTES", 1024 * 1024)
    _, there = houses
    peer = await there.published()
    await peer.start_stream()
    wire = await Wire.dial(there.relay_address)
    await wire.send(request())
    await wire.read_until(b"caught-up")
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for number in range(200):
        await peer.media(flv.VIDEO, number * 40, frame(bytes(100_000)))
        if not the_sources(there):
            break
    await seen(lambda: not the_sources(there))
    assert there.doors.faults["RELAY_BACKLOG_LIMIT_BYTES"] == 1


async def test_stopping_ends_relays_and_those_who_wait(houses: list[House]) -> None:
    here, there = houses
    await (await there.published()).start_stream()
    await (await Watcher.watch(here)).until(at(0))
    other = StreamName("demo", "live", "s2")
    assert isinstance(here.whereabouts, MemoryWhereabouts)
    assert here.relays is not None
    async with mute() as address:
        here.whereabouts.said[other] = address
        waiting = asyncio.create_task(here.relays.open(other))
        await seen(lambda: len(here.relays) == 2)  # type: ignore[arg-type]
        await here.close()
        assert await waiting is None
    assert not len(here.relays)
    assert not here.hubs._relayed


async def test_a_process_that_stops_in_order_leaves_viewers_elsewhere_waiting_for_its_publisher(
    patient: list[House],
) -> None:
    here, there, third = patient
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    there.relay_port.let_go()
    await there.close()
    again = await third.published()
    await again.start_stream()
    await watcher.until(lambda tags: sum(tag.payload == key_frame() for tag in tags) == 2)
    assert online(here) == 1


async def test_nobody_waits_where_viewers_do_not_wait(houses: list[House]) -> None:
    here, there = houses
    peer = await there.published()
    await peer.start_stream()
    watcher = await Watcher.watch(here)
    await watcher.until(at(0))
    there.relay_port.let_go()
    await watcher.ended()
    await seen(lambda: here.hubs.relayed(NAME) is None)
