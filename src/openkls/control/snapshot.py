"""What a process shows of its live streams and their viewers, as bytes.

Rule: made and read in slices, so that the loop never stands still for a whole node; of an app nobody asks for only the
bytes are kept. Rates are whole bits a second here: what is lost is below what any list shows.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.quality import Reading
from openkls.domain.registry import Registry
from openkls.domain.session import Session, SessionFacts
from openkls.domain.viewers import Group, PullProtocol, Viewers

# Some 5 ms of making or reading them, half of what a turn of the loop may take (design: Fan-out).
CHUNK_ROWS = 500


class _StreamRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    session_id: str
    pubdomain: str
    stream: str
    client_ip: str
    client_port: int
    pub_time: int
    reading: Reading


class Watched(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Viewers of one stream by one protocol through one play domain ("" by address)."""

    stream: str
    protocol: PullProtocol
    domain_id: str
    online: int
    bps: int


class _Chunk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    unique_name: str
    app: str
    streams: msgspec.Raw = msgspec.Raw(b"\x90")
    watched: msgspec.Raw = msgspec.Raw(b"\x90")
    names: msgspec.Raw = msgspec.Raw(b"\x90")
    """Those of ``streams``, for who only asks where a stream lives."""


class _Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    boot_id: str
    node: str
    read_time: int
    chunks: list[_Chunk]
    relay: str = ""


class RemoteStream(msgspec.Struct, frozen=True, gc=False):
    """A live stream of another process, as it was read there. It is asked what a Session is asked."""

    facts: SessionFacts
    reading: Reading
    at: int
    ended: bool = False

    @property
    def key(self) -> StreamKey:
        """The key it is published under."""
        return self.facts.key

    def read(self, now: float) -> Reading:
        """The quality of the push at the last reading, whatever ``now`` is."""
        return self.reading

    def read_time(self, now: int) -> int:
        """When that was, in Unix seconds by that node's clock."""
        return self.at


@dataclass(frozen=True, slots=True)
class AppShown:
    """One app of one snapshot."""

    streams: list[RemoteStream]
    watched: list[Watched]


_NOTHING_SHOWN = AppShown([], [])
_ENCODER = msgspec.msgpack.Encoder()
_SNAPSHOTS = msgspec.msgpack.Decoder(_Snapshot)
_STREAMS = msgspec.msgpack.Decoder(list[_StreamRow])
_WATCHED = msgspec.msgpack.Decoder(list[Watched])
_NAMES = msgspec.msgpack.Decoder(list[str])


class Snapshot:
    """A snapshot that was received. Raises msgspec.DecodeError for what is none."""

    def __init__(self, payload: bytes) -> None:
        shown = _SNAPSHOTS.decode(payload)
        self.boot_id = shown.boot_id
        self.node = shown.node
        self.read_time = shown.read_time
        self.relay = shown.relay
        """The address its streams are relayed from, ``host:port``; "" where they are not."""
        self._names: dict[tuple[str, str], frozenset[str]] = {}
        self._chunks: dict[tuple[str, str], list[_Chunk]] = {}
        self._read: dict[tuple[str, str], AppShown] = {}
        for chunk in shown.chunks:
            self._chunks.setdefault((chunk.unique_name, chunk.app), []).append(chunk)

    async def app(self, unique_name: str, app: str) -> AppShown:
        """What it shows of an app, made when it is first asked for. Raises msgspec.DecodeError."""
        known = self._read.get((unique_name, app))
        if known is not None or (unique_name, app) not in self._chunks:
            return known or _NOTHING_SHOWN
        streams: list[RemoteStream] = []
        watched: list[Watched] = []
        for chunk in self._chunks.get((unique_name, app), ()):
            streams += [self._stream(unique_name, app, row) for row in _STREAMS.decode(chunk.streams)]
            watched += _WATCHED.decode(chunk.watched)
            await asyncio.sleep(0)
        shown = self._read[unique_name, app] = AppShown(streams, watched)
        return shown

    def has(self, name: StreamName) -> bool:
        """Whether the name is among the live streams. Raises msgspec.DecodeError."""
        app = name.unique_name, name.app
        names = self._names.get(app)
        if names is None:
            decoded = [_NAMES.decode(chunk.names) for chunk in self._chunks.get(app, ())]
            names = self._names[app] = frozenset(chain.from_iterable(decoded))
        return name.stream in names

    def publishes(self, key: StreamKey) -> bool:
        """Whether the key is among the live streams."""
        return any(
            (row.stream, row.pubdomain) == (key.stream, key.pubdomain)
            for chunk in self._chunks.get((key.unique_name, key.app), ())
            for row in _STREAMS.decode(chunk.streams)
        )

    def _stream(self, unique_name: str, app: str, row: _StreamRow) -> RemoteStream:
        key = StreamKey(unique_name, row.pubdomain, app, row.stream)
        facts = SessionFacts(row.session_id, key, row.client_ip, row.client_port, self.node, self.boot_id, row.pub_time)
        return RemoteStream(facts, row.reading, self.read_time)


async def build_snapshot(
    boot_id: str, node: str, registry: Registry, viewers: Viewers, read_time: int, now: float, relay: str = ""
) -> bytes:
    """What is live and watched in this process, whose relay address is ``relay``. ``now`` in monotonic seconds."""
    chunks = []
    for unique_name, app in registry.apps():
        for sessions in _sliced([each for each in registry.sessions_of(unique_name, app) if each.started]):
            rows = [_row(session, now) for session in sessions if not session.ended]
            chunks.append(_Chunk(unique_name, app, streams=_raw(rows), names=_raw([row.stream for row in rows])))
            await asyncio.sleep(0)
    by_app: dict[tuple[str, str], list[tuple[StreamName, list[Group]]]] = {}
    for name, groups in viewers.groups():
        by_app.setdefault((name.unique_name, name.app), []).append((name, groups))
    for (unique_name, app), names in by_app.items():
        for slice_of in _sliced(names):
            watched = [
                Watched(name.stream, group.protocol, group.domain_id, group.online, round(group.sent.bps(now)))
                for name, groups in slice_of
                for group in groups
            ]
            chunks.append(_Chunk(unique_name, app, watched=_raw(watched)))
            await asyncio.sleep(0)
    return _ENCODER.encode(_Snapshot(boot_id, node, read_time, chunks, relay))


def _row(session: Session, now: float) -> _StreamRow:
    facts, reading = session.facts, session.read(now)
    return _StreamRow(
        facts.session_id,
        facts.key.pubdomain,
        facts.key.stream,
        facts.client_ip,
        facts.client_port,
        facts.pub_time,
        reading._replace(
            video_bps=round(reading.video_bps), audio_bps=round(reading.audio_bps), real_bps=round(reading.real_bps)
        ),
    )


def _raw(rows: list[Any]) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(rows))


def _sliced(rows: list[Any]) -> Iterator[list[Any]]:
    for begin in range(0, len(rows), CHUNK_ROWS):
        yield rows[begin : begin + CHUNK_ROWS]
