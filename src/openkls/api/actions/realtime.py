"""ListRealtimeStreamsInfo and ListRealtimePubStreamsInfo (contract, 6 and 7).

Rule: one synchronous reading of what is live now. The first action speaks kbps (1 kbps is 1000 bit/s) with one digit
after the point, and bit/s for viewers; the second bytes a second, with most numbers in strings.
"""

from collections.abc import Mapping
from typing import Any

from openkls import config
from openkls.api.services import Place, Services
from openkls.control.live import ROWS_LIMIT, LiveStream
from openkls.domain.errors import BusinessError
from openkls.domain.quality import Reading, round_half_up, whole
from openkls.domain.session import Session
from openkls.domain.viewers import PullProtocol

KBPS_DIGITS = 1


async def list_realtime_streams(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The live streams of an app: pushed and pulled (Type absent), ``push`` or ``pull``."""
    asked, stream = parameters.get("Type"), parameters.get("Stream")
    now = services.monotonic()
    rows = services.live.sources(
        place.space.unique_name,
        parameters["App"],
        place.space.settings_of(parameters["App"]).rendition_suffixes,
        PullProtocol(parameters["PullProtocol"]),
        domain_ids_of(place.space, parameters.get("DomainIds")),
        now,
    )
    if stream is not None:
        rows = [row for row in rows if row.session.key.stream == stream]
    if asked != "push":
        rows = [row for row in rows if row.pulls]
    streams = [_stream_row(row, asked, now) for row in rows[:ROWS_LIMIT]]
    return {
        "UniqueName": parameters["UniqueName"],
        "App": parameters["App"],
        "Count": len(streams),
        "Bw": sum(row.get("Bw", 0) for row in streams),
        "OnlineUser": sum(row.get("OnlineUser", 0) for row in streams),
        "Streams": streams,
    }


async def list_realtime_pub_streams(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page of the streams pushed through a publish domain, by push start."""
    stream = parameters.get("Stream")
    sessions = [
        session
        for session in services.live.published(place.space.unique_name, parameters["App"], place.pubdomain)
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


def _stream_row(row: LiveStream, asked: str | None, now: float) -> dict[str, Any]:
    fields: dict[str, Any] = {"Stream": row.session.key.stream}
    if asked != "pull":
        fields |= _push_fields(row.session, row.session.quality.read(now))
    if asked != "push":
        pulls = [{"Stream": pull.stream, "OnlineUser": pull.online, "Bw": _bps(pull.bps)} for pull in row.pulls]
        fields["OnlineUser"] = row.online
        fields["Bw"] = sum(pull["Bw"] for pull in pulls)
        fields["Pulls"] = pulls
    return fields


def _push_fields(session: Session, reading: Reading) -> dict[str, Any]:
    # Sums and differences are taken of the rounded figures, so that the row adds up for its reader.
    video, audio, real = _kbps(reading.video_bps), _kbps(reading.audio_bps), whole(reading.real_bps / 1000)
    made = round_half_up(video + audio, KBPS_DIGITS)
    return {
        "ClientIP": session.facts.client_ip,
        "Node": session.facts.node,
        "PubTime": session.facts.pub_time,
        "FrameRate": reading.frame_rate,
        "Curfps": reading.curfps,
        "FLR": reading.flr,
        "Curbitrate": video,
        "BwInAudio": audio,
        "BwIn": made,
        "BwReal": real,
        "BwDiff": round_half_up(made - real, KBPS_DIGITS),
        "Width": reading.width,
        "Height": reading.height,
        "SampleRate": reading.sample_rate,
        "Vcodec": reading.vcodec,
        "Acodec": reading.acodec,
    }


def _pub_row(session: Session, now: float, update_time: int) -> dict[str, Any]:
    reading = session.quality.read(now)
    video, audio = whole(reading.video_bps / 8), whole(reading.audio_bps / 8)
    return {
        "Stream": session.key.stream,
        "Clientip": session.facts.client_ip,
        "Pubtime": session.facts.pub_time,
        "UpdateTime": update_time,
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


def _kbps(bps: float) -> float:
    return round_half_up(bps / 1000, KBPS_DIGITS)


def _bps(bps: float) -> int:
    """Viewers' bandwidth is a Long: a popular stream has more than 2^31 bit/s."""
    return int(round_half_up(bps))
