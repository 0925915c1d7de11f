"""ListRealtimeStreamsInfo and ListRealtimePubStreamsInfo (contract, 6 and 7).

Rule: a row is one synchronous reading of what is live now. The first action speaks kbps (1 kbps is 1000 bit/s) with one
digit after the point, and bit/s for viewers; the second bytes a second, with most numbers in strings.

The first list may have 10,000 rows, and the loop stands still while rows are made: others get their turn after every
SLICE_ROWS. The rows are structs, which are made and encoded in less time than dicts, and are nothing to the garbage
collector.
"""

import asyncio
from collections.abc import Mapping
from math import floor
from typing import Any

import msgspec

from openkls import config
from openkls.api.services import Place, Services
from openkls.control.live import ROWS_LIMIT, LiveStream, LiveStreams
from openkls.control.peers import NOWHERE, Elsewhere
from openkls.control.snapshot import RemoteStream
from openkls.domain.errors import BusinessError
from openkls.domain.quality import round_half_up, whole
from openkls.domain.session import Session
from openkls.domain.viewers import PullProtocol

# About 5 ms of rows, half of what a turn of the loop may take (design: Fan-out).
SLICE_ROWS = 500
# Ten of them make a kbps, which has one digit after the point.
KBPS_STEP_BPS = 100


class PullRow(msgspec.Struct, frozen=True, gc=False):
    """The viewers of one pulled name."""

    Stream: str
    OnlineUser: int
    Bw: int


class PushedRow(msgspec.Struct, frozen=True, gc=False):
    """One live stream as it is pushed; the document's order."""

    Stream: str
    ClientIP: str
    Node: str
    PubTime: int
    FrameRate: int
    Curfps: int
    FLR: int
    Curbitrate: float
    BwInAudio: float
    BwIn: float
    BwReal: int
    BwDiff: float
    Width: int
    Height: int
    SampleRate: int
    Vcodec: str
    Acodec: str


class PulledRow(msgspec.Struct, frozen=True, gc=False):
    """One live stream as it is pulled."""

    Stream: str
    OnlineUser: int
    Bw: int
    Pulls: list[PullRow]


class StreamRow(PushedRow, frozen=True, gc=False):
    """One live stream as it is pushed and pulled."""

    OnlineUser: int
    Bw: int
    Pulls: list[PullRow]


async def list_realtime_streams(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The live streams of an app: pushed and pulled (Type absent), ``push`` or ``pull``."""
    asked, stream = parameters.get("Type"), parameters.get("Stream")
    protocol = PullProtocol(parameters["PullProtocol"])
    domain_ids = domain_ids_of(place.space, parameters.get("DomainIds"))
    suffixes = place.space.settings_of(parameters["App"]).rendition_suffixes
    elsewhere = await _elsewhere(services, place, parameters)
    sources = services.live.sources(place.space.unique_name, parameters["App"], suffixes, elsewhere)
    if stream is not None:
        sources = [source for source in sources if source.session.key.stream == stream]
    rows: list[Any] = []
    for begin in range(0, len(sources), SLICE_ROWS):
        if begin:
            await asyncio.sleep(0)
        now = services.monotonic()
        for source in sources[begin : begin + SLICE_ROWS]:
            # It may have ended while others had their turn.
            if source.session.ended:
                continue
            row = _row(services.live, source, asked, protocol, domain_ids, now, elsewhere)
            if row is not None:
                rows.append(row)
    del rows[ROWS_LIMIT:]
    pulled = () if asked == "push" else rows
    return {
        "UniqueName": parameters["UniqueName"],
        "App": parameters["App"],
        "Count": len(rows),
        "Bw": sum([row.Bw for row in pulled]),
        "OnlineUser": sum([row.OnlineUser for row in pulled]),
        "Streams": rows,
    }


async def list_realtime_pub_streams(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page of the streams pushed through a publish domain, by push start."""
    stream = parameters.get("Stream")
    sessions = [
        session
        for session in services.live.published(
            place.space.unique_name, parameters["App"], place.pubdomain, await _elsewhere(services, place, parameters)
        )
        if stream in (None, session.key.stream)
    ]
    sessions.sort(
        key=lambda session: (session.facts.pub_time, session.facts.session_id),
        reverse=not parameters["OrderTime"],
    )
    offset = parameters["Marker"] * parameters["Limit"]
    now, update_time = services.monotonic(), int(services.clock())
    result = [_pub_row(session, now, update_time) for session in sessions[offset : offset + parameters["Limit"]]]
    return {
        "UniqueName": parameters["UniqueName"],
        "App": parameters["App"],
        "Pubdomain": parameters["Pubdomain"],
        "Count": len(result),
        "Total": len(sessions),
        "Marker": parameters["Marker"],
        "OrderTime": parameters["OrderTime"],
        "Result": result,
    }


def domain_ids_of(space: config.Space, text: str | None) -> frozenset[str] | None:
    """The play domains that DomainIds names, None for all. Raises BusinessError 4000 for one of another space."""
    if text is None:
        return None
    asked = frozenset(text.split(","))
    unknown = asked - {domain.id for domain in space.play_domain}
    if unknown:
        raise BusinessError(4000, f"DomainIds: {', '.join(sorted(unknown))}")
    return asked


async def _elsewhere(services: Services, place: Place, parameters: Mapping[str, Any]) -> Elsewhere:
    """What other processes of a cluster have of the app."""
    peers = services.live.peers
    return NOWHERE if peers is None else await peers.app(place.space.unique_name, parameters["App"])


def _row(
    live: LiveStreams,
    source: LiveStream,
    asked: str | None,
    protocol: PullProtocol,
    domain_ids: frozenset[str] | None,
    now: float,
    elsewhere: Elsewhere,
) -> PushedRow | PulledRow | StreamRow | None:
    """What the list shows of a stream by its Type; None for one that is to be pulled and is not."""
    if asked == "push":
        return PushedRow(*_pushed(source.session, now))
    pulls = [
        PullRow(pull.stream, pull.online, _bps(pull.bps))
        for pull in live.pulls(source, protocol, domain_ids, now, elsewhere)
    ]
    if not pulls:
        return None
    online, bps = sum([pull.OnlineUser for pull in pulls]), sum([pull.Bw for pull in pulls])
    if asked == "pull":
        return PulledRow(source.session.key.stream, online, bps, pulls)
    members = (*_pushed(source.session, now), online, bps, pulls)
    return StreamRow(*members)


def _pushed(session: Session | RemoteStream, now: float) -> tuple[Any, ...]:
    """The members of a PushedRow. Sums and differences are taken of the rounded figures, so that the row adds up for
    its reader: in steps of KBPS_STEP_BPS, which are integers."""
    facts, reading = session.facts, session.read(now)
    video, audio = floor(reading.video_bps / KBPS_STEP_BPS + 0.5), floor(reading.audio_bps / KBPS_STEP_BPS + 0.5)
    real_kbps = whole(reading.real_bps / 1000)
    return (
        facts.key.stream,
        facts.client_ip,
        facts.node,
        facts.pub_time,
        reading.frame_rate,
        reading.curfps,
        reading.flr,
        video / 10,
        audio / 10,
        (video + audio) / 10,
        real_kbps,
        (video + audio - real_kbps * 10) / 10,
        reading.width,
        reading.height,
        reading.sample_rate,
        reading.vcodec,
        reading.acodec,
    )


def _pub_row(session: Session | RemoteStream, now: float, update_time: int) -> dict[str, Any]:
    reading = session.read(now)
    video, audio = whole(reading.video_bps / 8), whole(reading.audio_bps / 8)
    return {
        "Stream": session.key.stream,
        "Clientip": session.facts.client_ip,
        "Pubtime": session.facts.pub_time,
        "UpdateTime": session.read_time(update_time),
        "Width": str(reading.width),
        "Height": str(reading.height),
        "FrameRate": str(reading.frame_rate),
        "Curfps": reading.curfps,
        "Curbitrate": video,
        "BwInAudio": str(audio),
        "SampleRate": str(reading.sample_rate),
        "BwReal": str(whole(reading.real_bps / 8)),
        "BwIn": str(video + audio),
    }


def _bps(bps: float) -> int:
    """Viewers' bandwidth is a Long: a popular stream has more than 2^31 bit/s."""
    return int(round_half_up(bps))
