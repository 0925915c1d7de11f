"""What is live, read for a scrape. Rule: others have their turn after every CHUNK_ROWS streams; a reading of one costs
some 5 microseconds.
"""

import asyncio
import heapq
import time
from collections.abc import Iterator
from typing import Final

from openkls.domain.keys import StreamName
from openkls.domain.session import Session
from openkls.domain.tally import PLACES_LIMIT
from openkls.domain.trouble import Trouble, trouble_of
from openkls.domain.viewers import PullProtocol
from openkls.meters.parts import Media, Parts
from openkls.meters.sheet import Sheet

CHUNK_ROWS: Final = 500


def read_apps(parts: Parts, sheet: Sheet) -> None:
    """Put a 0 for every app that the configuration names, so that nothing live is not mistaken for nothing known."""
    for unique_name, app in parts.directory.named_apps()[:PLACES_LIMIT]:
        sheet.put("openkls_streams", 0, unique_name, app)
        for trouble in Trouble:
            sheet.put("openkls_streams_troubled", 0, unique_name, app, trouble)
        for protocol in PullProtocol:
            sheet.put("openkls_viewers", 0, unique_name, app, protocol)


async def read_streams(parts: Parts, sheet: Sheet) -> float:
    """Put what is said of all streams of this process; returns the bits a second that arrive of them."""
    tally = parts.endings.tally
    real_bps, wall = 0.0, time.time()
    for place, received_bytes in tally.received_bytes.items():
        sheet.put("openkls_received_bytes_total", received_bytes, *place)
    for number, session in enumerate(_started(parts)):
        if number % CHUNK_ROWS == CHUNK_ROWS - 1:
            await asyncio.sleep(0)
        if session.ended:
            continue
        place = tally.place(session.key.unique_name, session.key.app)
        reading = session.read(time.monotonic())
        real_bps += reading.real_bps
        sheet.put("openkls_streams", 1, *place)
        sheet.put("openkls_received_bytes_total", session.quality.received_bytes, *place)
        trouble = trouble_of(
            wall - session.facts.pub_time,
            reading.frame_rate,
            reading.curfps,
            reading.flr,
            reading.video_bps + reading.audio_bps,
            reading.real_bps,
        )
        if trouble is not None:
            sheet.put("openkls_streams_troubled", 1, *place, trouble)
    return real_bps


def read_viewers(parts: Parts, sheet: Sheet) -> float:
    """Put what is said of all viewers at this process; returns the bits a second that they are sent."""
    tally, now = parts.endings.tally, time.monotonic()
    sent_bps = 0.0
    for (unique_name, app, protocol), sent_bytes in tally.sent_bytes.items():
        sheet.put("openkls_sent_bytes_total", sent_bytes, unique_name, app, protocol)
    for name, groups in parts.viewers.groups():
        place = tally.place(name.unique_name, name.app)
        for group in groups:
            sheet.put("openkls_viewers", group.online, *place, group.protocol)
            sent_bps += group.sent.bps(now)
            if group.protocol is not PullProtocol.HLS:
                sheet.put("openkls_sent_bytes_total", group.sent.total_bytes, *place, group.protocol)
    if parts.media is not None:
        for name, sent_bytes in parts.media.hls.sent():
            place = tally.place(name.unique_name, name.app)
            sheet.put("openkls_sent_bytes_total", sent_bytes, *place, PullProtocol.HLS)
    return sent_bps


def read_publishes(parts: Parts, sheet: Sheet) -> None:
    """Put what became of publishes."""
    for (unique_name, app, code, reason), count in parts.endings.tally.ends.items():
        sheet.put("openkls_publishes_ended_total", count, unique_name, app, code, reason)
    knocks = parts.admission.knocks
    sheet.put("openkls_publishes_admitted_total", knocks.admitted)
    sheet.put("openkls_publishes_unknown_domain_total", knocks.unknown_domain)
    sheet.put("openkls_publishes_opened_late_total", knocks.late_opens)
    sheet.put("openkls_refusal_rows_suppressed_total", parts.admission.quota.suppressed)
    sheet.put("openkls_bans", parts.blacklist.count())
    sheet.put("openkls_external_auth_asking", len(parts.hooks))
    for answer, count in parts.hooks.answers.items():
        sheet.put("openkls_external_auth_answers_total", count, answer.name.lower())


def read_media(media: Media, parts: Parts, sheet: Sheet) -> None:
    """Put what the media ports count."""
    sheet.put("openkls_viewers_skipped_total", parts.hubs.lags.skipped)
    sheet.put("openkls_viewers_dropped_total", parts.hubs.lags.dropped)
    sheet.put("openkls_streams_resumed_total", parts.hubs.resumed)
    sheet.put("openkls_connections", len(media.rtmp.connections), "rtmp")
    sheet.put("openkls_connections", len(media.play.connections), "http_flv")
    sheet.put("openkls_connections_refused_total", media.doors.cap.refused, "media")
    for fault, count in media.doors.faults.items():
        sheet.put("openkls_protocol_faults_total", count, fault)
    sheet.put("openkls_hls_streams", len(media.hls))
    sheet.put("openkls_hls_sessions", len(media.hls.sessions))
    sheet.put("openkls_hls_sessions_refused_total", media.hls.sessions.refused_full, "all")
    sheet.put("openkls_hls_sessions_refused_total", media.hls.sessions.refused_by_address, "address")
    if media.relay_port is not None:
        sheet.put("openkls_connections", len(media.relay_port.sources), "relay")
        sheet.put("openkls_connections_refused_total", media.relay_port.cap.refused, "relay")
    if media.relays is not None:
        sheet.put("openkls_relays", len(media.relays))
        sheet.put("openkls_relays_opened_total", media.relays.opened)
        sheet.put("openkls_relays_lost_total", media.relays.losses)
        sheet.put("openkls_relays_refused_total", media.relays.refused)
    if media.proxy is not None:
        for outcome, count in (
            ("passed", media.proxy.passed),
            ("failed", media.proxy.failed),
            ("refused", media.proxy.refused),
        ):
            sheet.put("openkls_hls_passed_total", count, outcome)


def read_largest(parts: Parts, sheet: Sheet, limit: int) -> None:
    """Put what is said of single streams: of those with the most viewers, ``limit`` at most."""
    if not limit:
        return
    online: dict[StreamName, int] = {}
    for name, groups in parts.viewers.groups():
        online[name] = sum(group.online for group in groups)
    now = time.monotonic()
    largest = heapq.nlargest(
        limit, _started(parts), key=lambda session: (online.get(session.key.name, 0), session.facts.pub_time)
    )
    for session in largest:
        key, reading = session.key, session.read(now)
        said = key.unique_name, key.app, key.pubdomain, key.stream
        shares = parts.viewers.shares(key.name, now)
        for protocol, count in (
            (PullProtocol.RTMP, shares.rtmp),
            (PullProtocol.HTTP_FLV, shares.http_flv),
            (PullProtocol.HLS, shares.hls),
        ):
            sheet.put("openkls_stream_viewers", count, *said, protocol)
        sheet.put("openkls_stream_received_bytes_per_second", reading.real_bps / 8, *said)
        sheet.put("openkls_stream_encoded_bytes_per_second", (reading.video_bps + reading.audio_bps) / 8, *said)
        sheet.put("openkls_stream_sent_bytes_per_second", shares.bps / 8, *said)
        sheet.put("openkls_stream_frames_per_second", reading.curfps, *said)
        sheet.put("openkls_stream_declared_frames_per_second", reading.frame_rate, *said)
        sheet.put("openkls_stream_lost_frames_percent", reading.flr, *said)


def _started(parts: Parts) -> Iterator[Session]:
    return (session for session in parts.registry.sessions() if session.started)
