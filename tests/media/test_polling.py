"""Publishers whose sockets are read at intervals."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest

from openkls.codec import flv
from openkls.codec.rtmp import Refused
from openkls.domain.session import Reason
from openkls.media import polling
from openkls.media.polling import MARGIN_MS, POLL_MS, READ_BYTES, READS_LIMIT, Poller, gather_ms
from support_media import House, Wire, frame, key, seen


class Sink(asyncio.Protocol):
    """A connection that remembers what it was given, and whether its transport gave it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.ended = asyncio.get_running_loop().create_future()
        self.aborted = False
        self.eofs = 0
        self.fault: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self.taken.append(data)
        if self.fault is not None:
            raise self.fault

    def eof_received(self) -> None:
        self.eofs += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(exc)

    def abort(self) -> None:
        self.aborted = True
        self.transport.abort()


class Pair:
    """A poller, a connection of it, and the peer's socket."""

    def __init__(self, poller: Poller, sink: Sink, peer: socket.socket) -> None:
        self.poller, self.sink, self.peer = poller, sink, peer


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    loop = asyncio.get_running_loop()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    _, sink = await loop.create_connection(Sink, sock=ours)
    pair = Pair(Poller(loop), sink, peer)
    yield pair
    pair.poller.leave(sink)
    assert pair.poller._timer is None
    sink.transport.abort()
    await asyncio.wait_for(sink.ended, 10)
    peer.close()


async def test_all_that_came_between_two_polls_is_read_at_once(pair: Pair) -> None:
    pair.poller.join(pair.sink, pair.sink.transport)
    assert len(pair.poller) == 1
    ticks = pair.poller._tick
    for text in (b"a", b"b", b"c"):
        pair.peer.sendall(text)
    ticks()
    for _ in range(polling.PHASES - 1):
        ticks()
    assert pair.sink.taken == [b"abc"]


async def test_poll_comes_by_itself_again_and_again(pair: Pair) -> None:
    pair.poller.join(pair.sink, pair.sink.transport)
    for count in range(1, 4):
        pair.peer.sendall(b"x")
        await seen(lambda count=count: len(b"".join(pair.sink.taken)) == count)  # type: ignore[misc]


async def test_one_poll_reads_so_much_and_not_more(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.poller._buffer = pair.poller._buffer[:8]
    monkeypatch.setattr(polling, "READS_LIMIT", 3)
    pair.poller.join(pair.sink, pair.sink.transport)
    pair.peer.sendall(b"x" * 25)
    phase = next(phase for phase in pair.poller._phases if phase)
    pair.poller._poll(phase, pair.sink)
    assert [len(data) for data in pair.sink.taken] == [8, 8, 8]
    pair.poller._poll(phase, pair.sink)
    assert [len(data) for data in pair.sink.taken] == [8, 8, 8, 1]
    pair.poller._poll(phase, pair.sink)
    assert len(pair.sink.taken) == 4
    assert (READ_BYTES, READS_LIMIT) == (256 * 1024, 12)


async def test_transport_reads_again_after_leaving(pair: Pair) -> None:
    pair.poller.join(pair.sink, pair.sink.transport)
    pair.poller.leave(pair.sink)
    pair.poller.leave(pair.sink)
    assert len(pair.poller) == 0
    pair.peer.sendall(b"later")
    await seen(lambda: pair.sink.taken == [b"later"])


async def test_end_of_the_peer_is_found_by_the_transport(pair: Pair) -> None:
    pair.poller.join(pair.sink, pair.sink.transport)
    pair.peer.sendall(b"last words")
    pair.peer.close()
    await seen(lambda: pair.sink.ended.done())
    assert b"".join(pair.sink.taken) == b"last words"
    assert len(pair.poller) == 0


async def test_descriptor_of_a_transport_that_is_closing_is_not_read(pair: Pair) -> None:
    pair.poller.join(pair.sink, pair.sink.transport)
    pair.peer.sendall(b"x")
    pair.sink.transport.abort()
    phase = next(phase for phase in pair.poller._phases if phase)
    pair.poller._poll(phase, pair.sink)
    assert pair.sink.taken == []
    assert len(pair.poller) == 0


async def test_poll_out_of_turn_reads_at_once_and_finds_the_end(pair: Pair) -> None:
    pair.poller.poll(pair.sink)
    pair.poller.join(pair.sink, pair.sink.transport)
    pair.peer.sendall(b"x")
    pair.poller.poll(pair.sink)
    assert (pair.sink.taken, pair.sink.eofs) == ([b"x"], 0)
    pair.peer.close()
    pair.poller.poll(pair.sink)
    assert (pair.sink.eofs, len(pair.poller)) == (1, 0)


async def test_descriptor_that_fails_is_given_back(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.poller.join(pair.sink, pair.sink.transport)
    phase = next(phase for phase in pair.poller._phases if phase)

    def fail(descriptor: int, buffers: object) -> int:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(polling.os, "readv", fail)
        pair.poller._poll(phase, pair.sink)
    assert (len(pair.poller), pair.sink.eofs) == (0, 1)


async def test_bug_of_one_connection_ends_it_and_no_other(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    pair.sink.fault = RuntimeError("a bug")
    pair.poller.join(pair.sink, pair.sink.transport)
    pair.peer.sendall(b"x")
    await seen(lambda: pair.sink.aborted)
    assert "could not be taken" in caplog.text
    assert pair.poller._timer is not None


def test_window_left_for_the_hub_is_shorter_by_the_poll() -> None:
    assert [gather_ms(merge_ms) for merge_ms in (0, POLL_MS - 1)] == [0, POLL_MS - 1]
    assert gather_ms(POLL_MS) == 0
    assert gather_ms(350) == 350 - POLL_MS + MARGIN_MS


# -- in the service


@pytest.fixture
async def merged() -> AsyncIterator[House]:
    house = House(merge_ms=150)
    await house.open()
    yield house
    for wire in Wire.opened:
        await wire.reset()
    Wire.opened.clear()
    await house.close()


async def test_publisher_of_a_merged_stream_is_polled_and_of_an_unmerged_one_not(merged: House, house: House) -> None:
    await merged.published()
    assert len(merged.rtmp.poller) == 1
    await house.published()
    assert len(house.rtmp.poller) == 0


async def test_polled_stream_reaches_its_viewers_whole(merged: House) -> None:
    peer = await merged.published()
    await peer.start_stream()
    await seen(lambda: merged.session("s1").quality.vcodec)
    viewer = await merged.playing()
    for number in range(1, 21):
        await peer.media(flv.VIDEO, 40 * number, frame(b"%d" % number))
    heard = await viewer.heard(4 + 20)
    assert [message.timestamp for message in heard if message.type_id == flv.VIDEO][-20:] == [
        40 * number for number in range(1, 21)
    ]


@pytest.mark.parametrize("leaves", ["close", "reset"])
async def test_polled_publisher_that_leaves_is_seen(merged: House, leaves: str) -> None:
    peer = await merged.published()
    await getattr(peer, leaves)()
    await seen(lambda: [row.reason for row in merged.rows()] == [Reason.CLOSED])
    assert len(merged.rtmp.poller) == 0


async def test_encoder_that_comes_back_at_once_is_not_taken_for_a_second_one(merged: House) -> None:
    for _ in range(5):
        peer = await merged.published()  # fails when it is refused
        await peer.close()
    await seen(lambda: [row.reason for row in merged.rows()] == [Reason.CLOSED] * 5)


async def test_polled_publisher_is_cut_and_told_so(merged: House) -> None:
    peer = await merged.published()
    await merged.forbids.forbid(key())
    assert "423" in str(await peer.until(Refused))
    assert len(merged.rtmp.poller) == 0
