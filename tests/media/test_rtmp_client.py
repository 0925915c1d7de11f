"""The client's asyncio front against a server played with the server's own session machine, scripted per test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from openkls.codec import ProtocolError
from openkls.codec.flv import AUDIO, SCRIPT, VIDEO, Tag
from openkls.codec.rtmp import OUT_CHUNK_SIZE, PLAY_STREAM_ID, VIDEO_CSID, ServerSession
from openkls.codec.rtmp import events as e
from openkls.codec.rtmp.chunk import build_message
from openkls.codec.rtmp.handshake import HANDSHAKE_RANDOM_BYTES
from openkls.media import rtmp_client
from openkls.media.rtmp_client import ConnectionFailed, StreamRefused


class Peer:
    """One connection of the played server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.session = ServerSession(bytes(HANDSHAKE_RANDOM_BYTES))
        self.reader = reader
        self.writer = writer
        self.events: list[e.ServerEvent] = []

    async def until(self, kind: type[object]) -> None:
        """Read until an event of this kind has come, or the client has closed."""
        while not any(isinstance(event, kind) for event in self.events):
            data = await self.reader.read(65536)
            if not data:
                return
            self.events += self.session.receive(data)
            await self.flush()

    async def flush(self) -> None:
        self.writer.write(self.session.data_to_send())
        await self.writer.drain()

    @property
    def media(self) -> list[e.MediaReceived]:
        return [event for event in self.events if isinstance(event, e.MediaReceived)]


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def served(script: Script) -> AsyncIterator[str]:
    """A server that follows the script with its one connection; its address."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Peer(reader, writer))
        except Exception as error:  # noqa: BLE001 - handed to the test
            done.set_exception(error)
        else:
            done.set_result(None)
        finally:
            writer.close()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"rtmp://{host}:{port}/live/s?t=1"
        async with asyncio.timeout(10):
            await done


async def tags_then_wait(*tags: Tag) -> AsyncIterator[Tag]:
    for tag in tags:
        yield tag
    await asyncio.Event().wait()


async def just(*tags: Tag) -> AsyncIterator[Tag]:
    for tag in tags:
        yield tag


async def test_a_publish_sends_its_media_and_leaves_in_order() -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.until(e.PublishRequested)
        peer.events += peer.session.accept_publish()
        await peer.flush()
        await peer.until(e.PublishEnded)

    sent: list[Tag] = []
    started: list[bool] = []
    tags = [Tag(SCRIPT, 0, b"\x02\x00\x01x"), Tag(VIDEO, 0, b"v" * 100_000), Tag(AUDIO, 23, b"a"), Tag(AUDIO, 46, b"")]
    async with served(script) as url:
        await rtmp_client.publish(url, just(*tags), lambda: started.append(True), sent.append)
    asked = next(event for event in peers[0].events if isinstance(event, e.PublishRequested))
    assert (asked.app, asked.stream, asked.query) == ("live", "s", "t=1")
    assert [tuple(media) for media in peers[0].media] == [tuple(tag) for tag in tags[:3]]  # an empty one says nothing
    assert sent == tags[:3]
    assert started == [True]
    assert isinstance(peers[0].events[-1], e.PublishEnded)


async def test_a_refused_publish_says_why() -> None:
    async def script(peer: Peer) -> None:
        await peer.until(e.PublishRequested)
        peer.session.refuse_publish(423, "Forbidden by blacklist!")
        await peer.flush()

    async with served(script) as url:
        with pytest.raises(StreamRefused) as caught:
            await rtmp_client.publish(url, just())
    assert caught.value.description == "423 Forbidden by blacklist!"
    assert not caught.value.started


async def test_a_cut_is_heard_while_the_publisher_waits_for_its_next_frame() -> None:
    async def script(peer: Peer) -> None:
        await peer.until(e.PublishRequested)
        peer.events += peer.session.accept_publish()
        await peer.flush()
        await peer.until(e.MediaReceived)
        peer.session.end_publish(423, "Forbidden by blacklist!")
        await peer.flush()

    async with served(script) as url, asyncio.timeout(5):
        with pytest.raises(StreamRefused) as caught:
            await rtmp_client.publish(url, tags_then_wait(Tag(VIDEO, 0, b"vv")))
    assert caught.value.started


async def test_a_server_that_closes_without_a_word_is_a_failed_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.until(e.PublishRequested)
        peer.events += peer.session.accept_publish()
        await peer.flush()

    async with served(script) as url, asyncio.timeout(5):
        with pytest.raises(ConnectionFailed, match="ended the publish"):
            await rtmp_client.publish(url, tags_then_wait())


async def test_a_server_that_closes_at_once_is_a_failed_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)

    async with served(script) as url:
        with pytest.raises(ConnectionFailed, match=r"without a word|broke"):
            await rtmp_client.publish(url, just())


async def test_a_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtmp_client, "OPEN_SECONDS", 0.1)

    async def script(peer: Peer) -> None:
        await peer.reader.read(-1)

    async with served(script) as url:
        with pytest.raises(ConnectionFailed, match="did not consent"):
            await rtmp_client.publish(url, just())


async def test_a_server_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtmp_client, "WRITE_SECONDS", 0.2)
    given_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.until(e.PublishRequested)
        peer.events += peer.session.accept_publish()
        await peer.flush()
        await given_up.wait()

    async def endless() -> AsyncIterator[Tag]:
        while True:
            yield Tag(VIDEO, 0, b"v" * 1_000_000)

    monkeypatch.setattr(rtmp_client, "LEAVE_SECONDS", 0.1)
    async with served(script) as url, asyncio.timeout(10):
        with pytest.raises(ConnectionFailed, match="took nothing"):
            await rtmp_client.publish(url, endless())
        given_up.set()


async def test_a_server_that_speaks_something_else_is_a_protocol_error() -> None:
    async def script(peer: Peer) -> None:
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.writer.drain()
        await peer.reader.read(-1)

    async with served(script) as url:
        with pytest.raises(ProtocolError):
            await rtmp_client.publish(url, just())


async def test_a_player_hands_media_on_until_the_stream_ends() -> None:
    frames = [(VIDEO, 40 * number, b"v" * 70_000) for number in range(3)]

    async def script(peer: Peer) -> None:
        await peer.until(e.PlayRequested)
        peer.session.accept_play()
        answer = peer.session.data_to_send()
        for type_id, timestamp, payload in frames:
            answer += build_message(type_id, timestamp, PLAY_STREAM_ID, payload, VIDEO_CSID, OUT_CHUNK_SIZE)
        peer.session.end_play()
        peer.writer.write(answer + peer.session.data_to_send())
        await peer.writer.drain()

    got: list[e.MediaReceived] = []
    async with served(script) as url, asyncio.timeout(5):
        await rtmp_client.play(url, got.append)
    assert [tuple(media) for media in got if media.type_id == VIDEO] == frames


async def test_a_refused_player_says_why() -> None:
    async def script(peer: Peer) -> None:
        await peer.until(e.PlayRequested)
        peer.session.refuse_play("NetStream.Play.StreamNotFound", "No such stream.")
        await peer.flush()

    async with served(script) as url:
        with pytest.raises(StreamRefused, match=r"No such stream\. \(NetStream\.Play\.StreamNotFound\)"):
            await rtmp_client.play(url, lambda media: None)


async def test_a_player_gives_a_stalled_server_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.until(e.PlayRequested)
        peer.session.accept_play()
        await peer.flush()
        await peer.reader.read(-1)

    async with served(script) as url:
        with pytest.raises(ConnectionFailed, match="sent nothing"):
            await rtmp_client.play(url, lambda media: None, idle_seconds=0.1)


async def test_a_cancelled_player_leaves_in_order() -> None:
    playing = asyncio.Event()
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.until(e.PlayRequested)
        peer.session.accept_play()
        await peer.flush()
        await peer.until(e.PlayEnded)

    async with served(script) as url:
        task = asyncio.create_task(rtmp_client.play(url, lambda media: None, playing.set))
        async with asyncio.timeout(5):
            await playing.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert isinstance(peers[0].events[-1], e.PlayEnded)


async def test_nobody_there_is_a_failed_connection() -> None:
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        await rtmp_client.play("rtmp://127.0.0.1:1/live/s", lambda media: None)


@pytest.mark.parametrize("url", ["rtmp://h/live", "http://h/live/s", "rtmp://h:99999/live/s"])
async def test_a_url_that_is_none_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError):
        await rtmp_client.play(url, lambda media: None)
