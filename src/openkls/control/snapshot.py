"""What a process shows of its live streams and their viewers, as bytes: the names with the address they are relayed
from, which change when a stream begins or ends, and apart from them the readings, which always do.

Rule: made and read in slices, so that the loop never stands still for a whole node; of an app nobody asks for only the
bytes are kept. Rates are whole bits a second here: what is lost is below what any list shows.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.ports import Part
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


class _Published(msgspec.Struct, frozen=True, array_like=True, gc=False):
    unique_name: str
    app: str
    pubdomain: str
    streams: msgspec.Raw


class _Names(msgspec.Struct, frozen=True, array_like=True, gc=False):
    relay: str
    published: list[_Published]


class _Chunk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    unique_name: str
    app: str
    streams: msgspec.Raw = msgspec.Raw(b"\x90")
    watched: msgspec.Raw = msgspec.Raw(b"\x90")


class _Readings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    boot_id: str
    node: str
    read_time: int
    chunks: list[_Chunk]
    # UniqueName, App, and how many publishes have failed there since the start.
    failures: list[tuple[str, str, int]] = []


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
_SHOWN_NAMES = msgspec.msgpack.Decoder(_Names)
_SHOWN_READINGS = msgspec.msgpack.Decoder(_Readings)
_STREAMS = msgspec.msgpack.Decoder(list[_StreamRow])
_WATCHED = msgspec.msgpack.Decoder(list[Watched])
_STREAM_NAMES = msgspec.msgpack.Decoder(list[str])


class Names:
    """What a process publishes, as it was received. Raises msgspec.DecodeError for what is none."""

    def __init__(self, payload: bytes) -> None:
        shown = _SHOWN_NAMES.decode(payload)
        self.relay = shown.relay
        """The address its streams are relayed from, ``host:port``; "" where they are not."""
        self._published: dict[tuple[str, str], list[_Published]] = {}
        self._pubdomains: dict[tuple[str, str], dict[str, str]] = {}
        for each in shown.published:
            self._published.setdefault((each.unique_name, each.app), []).append(each)

    def has(self, name: StreamName) -> bool:
        """Whether the name is among the live streams. Raises msgspec.DecodeError."""
        return name.stream in self._app(name.unique_name, name.app)

    def publishes(self, key: StreamKey) -> bool:
        """Whether the key is among the live streams. Raises msgspec.DecodeError."""
        return self._app(key.unique_name, key.app).get(key.stream) == key.pubdomain

    def _app(self, unique_name: str, app: str) -> dict[str, str]:
        """The publish domain of each live stream of an app, made when one is first asked for."""
        app_of = unique_name, app
        if app_of in self._published and app_of not in self._pubdomains:
            self._pubdomains[app_of] = {
                stream: each.pubdomain
                for each in self._published[app_of]
                for stream in _STREAM_NAMES.decode(each.streams)
            }
        return self._pubdomains.get(app_of, {})


class Readings:
    """Readings that were received. Raises msgspec.DecodeError for what are none."""

    def __init__(self, payload: bytes) -> None:
        shown = _SHOWN_READINGS.decode(payload)
        self.boot_id = shown.boot_id
        self.node = shown.node
        self.read_time = shown.read_time
        self.failures = shown.failures
        self._chunks: dict[tuple[str, str], list[_Chunk]] = {}
        self._read: dict[tuple[str, str], AppShown] = {}
        for chunk in shown.chunks:
            self._chunks.setdefault((chunk.unique_name, chunk.app), []).append(chunk)

    def apps(self) -> list[tuple[str, str]]:
        """The apps, each with its space, that have a stream or a viewer there."""
        return list(self._chunks)

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

    def _stream(self, unique_name: str, app: str, row: _StreamRow) -> RemoteStream:
        key = StreamKey(unique_name, row.pubdomain, app, row.stream)
        facts = SessionFacts(row.session_id, key, row.client_ip, row.client_port, self.node, self.boot_id, row.pub_time)
        return RemoteStream(facts, row.reading, self.read_time)


async def build_snapshot(
    boot_id: str,
    node: str,
    registry: Registry,
    viewers: Viewers,
    read_time: int,
    now: float,
    relay: str = "",
    failures: Iterable[tuple[str, str, int]] = (),
) -> dict[Part, bytes]:
    """What is live and watched in this process, whose relay address is ``relay``. ``now`` in monotonic seconds."""
    chunks = []
    published: dict[tuple[str, str, str], list[str]] = {}
    for unique_name, app in registry.apps():
        for sessions in _sliced([each for each in registry.sessions_of(unique_name, app) if each.started]):
            rows = [_row(session, now) for session in sessions if not session.ended]
            chunks.append(_Chunk(unique_name, app, streams=_raw(rows)))
            for row in rows:
                published.setdefault((unique_name, app, row.pubdomain), []).append(row.stream)
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
    listed = [_Published(*of, _raw(streams)) for of, streams in published.items()]
    return {
        Part.NAMES: _ENCODER.encode(_Names(relay, listed)),
        Part.READINGS: _ENCODER.encode(_Readings(boot_id, node, read_time, chunks, list(failures))),
    }


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
