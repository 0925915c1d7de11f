"""What is live, read for a scrape. Rule: others have their turn after every CHUNK_ROWS streams; a reading of one costs
some 5 microseconds.
"""

import asyncio
import heapq
import time
from collections import Counter
from typing import Final

from openkls.domain.keys import StreamName
from openkls.domain.session import Session
from openkls.domain.tally import PLACES_LIMIT
from openkls.domain.trouble import Trouble, trouble_of
from openkls.domain.viewers import Group, PullProtocol, Viewers
from openkls.meters.parts import Media, Parts
from openkls.meters.sheet import Sheet

CHUNK_ROWS: Final = 500
# Of single streams, of whom ten values are put each.
CHUNK_ROWS_LARGEST: Final = 50


def read_apps(parts: Parts, sheet: Sheet) -> None:
    """Put a 0 for every app that the configuration names, so that nothing live is not mistaken for nothing known."""
    for unique_name, app in parts.directory.named_apps()[:PLACES_LIMIT]:
        sheet.put("openkls_streams", 0, unique_name, app)
        for trouble in Trouble:
            sheet.put("openkls_streams_troubled", 0, unique_name, app, trouble)
        for protocol in PullProtocol:
            sheet.put("openkls_viewers", 0, unique_name, app, protocol)


Audiences = dict[tuple[str, str], dict[PullProtocol, list[int]]]
"""Viewers, and bytes sent to them, by app and protocol."""


async def read_sums(parts: Parts, sheet: Sheet) -> Audiences:
    """Put the bytes in and out, and the viewers, which are returned.

    What ends moves from where it lives to the tally. So what there is and what the tally says are noted at one moment,
    and added up afterwards: nothing is in both, or in neither, and no sum is ever less than the one before.
    """
    tally = parts.endings.tally
    live = [(app, parts.registry.sessions_of(*app)) for app in parts.registry.apps()]
    groups = parts.viewers.groups()
    for place, received_bytes in tally.received_bytes.items():
        sheet.put("openkls_received_bytes_total", received_bytes, *place)
    for (unique_name, app), sessions in live:
        received_bytes = sum([session.quality.received_bytes for session in sessions])
        sheet.put("openkls_received_bytes_total", received_bytes, *tally.place(unique_name, app))
    for (unique_name, app, protocol), sent_bytes in tally.sent_bytes.items():
        sheet.put("openkls_sent_bytes_total", sent_bytes, unique_name, app, protocol)
    if parts.media is not None:
        for name, sent_bytes in parts.media.hls.sent():
            place = tally.place(name.unique_name, name.app)
            sheet.put("openkls_sent_bytes_total", sent_bytes, *place, PullProtocol.HLS)
    found = await _add_up(groups)
    for (unique_name, app), sums in found.items():
        place = tally.place(unique_name, app)
        for protocol, (online, sent_bytes) in sums.items():
            sheet.put("openkls_viewers", online, *place, protocol)
            if protocol is not PullProtocol.HLS:
                sheet.put("openkls_sent_bytes_total", sent_bytes, *place, protocol)
    return found


async def _add_up(watched: list[tuple[StreamName, list[Group]]]) -> Audiences:
    found: dict[tuple[str, str], tuple[list[int], list[int], list[int]]] = {}
    for number, (name, groups) in enumerate(watched):
        if number % CHUNK_ROWS == CHUNK_ROWS - 1:
            await asyncio.sleep(0)
        app = name[:2]
        sums = found.get(app)
        if sums is None:
            sums = found[app] = ([0, 0], [0, 0], [0, 0])
        rtmp, flv, hls = sums
        for group in groups:
            protocol = group.protocol
            # Looked up by it in a dict ten thousand times, an enum's member takes longer than all the rest.
            of = flv if protocol is PullProtocol.HTTP_FLV else rtmp if protocol is PullProtocol.RTMP else hls
            of[0] += group.online
            of[1] += group.sent.total_bytes
    order = PullProtocol.RTMP, PullProtocol.HTTP_FLV, PullProtocol.HLS
    return {app: dict(zip(order, sums, strict=True)) for app, sums in found.items()}


async def read_streams(parts: Parts, sheet: Sheet) -> float:
    """Put how all streams of this process are; returns the bits a second that arrive of them."""
    tally = parts.endings.tally
    real_bps, wall = 0.0, time.time()
    for unique_name, app in parts.registry.apps():
        place = tally.place(unique_name, app)
        streams, troubled = 0, Counter[Trouble]()
        for number, session in enumerate(parts.registry.sessions_of(unique_name, app)):
            if number % CHUNK_ROWS == CHUNK_ROWS - 1:
                await asyncio.sleep(0)
            if session.ended or not session.started:
                continue
            reading = session.read(time.monotonic())
            streams += 1
            real_bps += reading.real_bps
            trouble = trouble_of(
                wall - session.facts.pub_time,
                reading.frame_rate,
                reading.curfps,
                reading.flr,
                reading.video_bps + reading.audio_bps,
                reading.real_bps,
            )
            if trouble is not None:
                troubled[trouble] += 1
        sheet.put("openkls_streams", streams, *place)
        for trouble, count in troubled.items():
            sheet.put("openkls_streams_troubled", count, *place, trouble)
        await asyncio.sleep(0)
    return real_bps


async def sent_bps(viewers: Viewers) -> float:
    """The bits a second that all viewers at this process are sent."""
    bps = 0.0
    for number, (_, groups) in enumerate(viewers.groups()):
        if number % CHUNK_ROWS == CHUNK_ROWS - 1:
            await asyncio.sleep(0)
        now = time.monotonic()
        for group in groups:
            bps += group.sent.bps(now)
    return bps


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


async def read_largest(parts: Parts, sheet: Sheet, limit: int) -> None:
    """Put what is said of single streams: of those with the most viewers, ``limit`` at most."""
    if not limit:
        return
    for number, session in enumerate(await _largest(parts, limit)):
        if number % CHUNK_ROWS_LARGEST == CHUNK_ROWS_LARGEST - 1:
            await asyncio.sleep(0)
        now = time.monotonic()
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


async def _largest(parts: Parts, limit: int) -> list[Session]:
    """The streams with the most viewers, of as many the newest."""
    online = {name: sum([group.online for group in groups]) for name, groups in parts.viewers.groups()}
    heap: list[tuple[int, int, str, Session]] = []
    for number, session in enumerate(parts.registry.sessions()):
        if number % CHUNK_ROWS == CHUNK_ROWS - 1:
            await asyncio.sleep(0)
        if session.ended or not session.started:
            continue
        facts = session.facts
        # No two have the same id, so that nothing compares sessions.
        entry = online.get(facts.key.name, 0), facts.pub_time, facts.session_id, session
        if len(heap) < limit:
            heapq.heappush(heap, entry)
        elif entry > heap[0]:
            heapq.heapreplace(heap, entry)
    return [session for *_, session in sorted(heap, reverse=True)]
