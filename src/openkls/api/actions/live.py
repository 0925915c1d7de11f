"""DescribeLiveStreams: all that is live in one list, for whoever looks on (version 2026-01-01).

Rule: a row is one synchronous reading; figures are those of ListRealtimeStreamsInfo, with BwReal to one digit as well.

The list may have 10,000 rows: they are made, and written as JSON, in slices of SLICE_ROWS, between which others get
their turn. So what an answer costs the loop at a time does not grow with the list.
"""

import asyncio
from collections.abc import Mapping
from math import floor
from typing import Any, Final

import msgspec

from openkls.api.services import Place, Services
from openkls.control.live import ROWS_LIMIT, Found
from openkls.domain.quality import round_half_up
from openkls.domain.viewers import Shares

# About 8 ms to make and write.
SLICE_ROWS: Final = 400
# Ten of them make a kbps, which has one digit after the point.
KBPS_STEP_BPS: Final = 100

_encode = msgspec.json.Encoder().encode


class LiveRow(msgspec.Struct, frozen=True, gc=False):
    """One live stream: its push, its quality, its viewers; the model's order."""

    UniqueName: str
    App: str
    Pubdomain: str
    Stream: str
    SessionId: str
    ClientIp: str
    ClientPort: int
    Node: str
    PubTime: int
    FrameRate: int
    Curfps: int
    FLR: int
    Curbitrate: float
    BwInAudio: float
    BwIn: float
    BwReal: float
    BwDiff: float
    Width: int
    Height: int
    SampleRate: int
    Vcodec: str
    Acodec: str
    OnlineUser: int
    OnlineRtmp: int
    OnlineFlv: int
    OnlineHls: int
    Bw: int


class _Sums:
    """What the rows add up to."""

    __slots__ = ("bps", "online", "real_steps", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.online = 0
        self.bps = 0
        self.real_steps = 0

    def add(self, row: LiveRow) -> None:
        self.rows += 1
        self.online += row.OnlineUser
        self.bps += row.Bw
        self.real_steps += round(row.BwReal * 10)


async def describe_live_streams(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The live streams of the account, of a space or of an app, newest push first."""
    spaces = (place.only,) if place.only is not None else services.directory.spaces(place.account_id)
    names = frozenset(space.unique_name for space in spaces)
    found = await services.live.found(names, parameters.get("App"), parameters.get("Stream"))
    del found[ROWS_LIMIT:]
    sums, written = _Sums(), []
    for begin in range(0, len(found), SLICE_ROWS):
        if begin:
            await asyncio.sleep(0)
        now = services.monotonic()
        # A stream may have ended while others had their turn.
        rows = [
            live_row(each, services.live.shares(each, now), now)
            for each in found[begin : begin + SLICE_ROWS]
            if not each.session.ended
        ]
        for row in rows:
            sums.add(row)
        if rows:
            written.append(_encode(rows)[1:-1])
    return {
        "Count": sums.rows,
        "UpdateTime": int(services.clock()),
        "OnlineUser": sums.online,
        "BwReal": sums.real_steps / 10,
        "Bw": sums.bps,
        "Streams": msgspec.Raw(b"[" + b",".join(written) + b"]"),
    }


def live_row(found: Found, shares: Shares, now: float) -> LiveRow:
    """A stream at ``now`` (monotonic seconds). Sums and differences are taken of the rounded figures, in steps of
    KBPS_STEP_BPS, which are integers, so that the row adds up for its reader."""
    facts, reading = found.session.facts, found.session.read(now)
    key = facts.key
    video, audio = floor(reading.video_bps / KBPS_STEP_BPS + 0.5), floor(reading.audio_bps / KBPS_STEP_BPS + 0.5)
    real = floor(reading.real_bps / KBPS_STEP_BPS + 0.5)
    return LiveRow(
        key.unique_name,
        key.app,
        key.pubdomain,
        key.stream,
        facts.session_id,
        facts.client_ip,
        facts.client_port,
        facts.node,
        facts.pub_time,
        reading.frame_rate,
        reading.curfps,
        reading.flr,
        video / 10,
        audio / 10,
        (video + audio) / 10,
        real / 10,
        (video + audio - real) / 10,
        reading.width,
        reading.height,
        reading.sample_rate,
        reading.vcodec,
        reading.acodec,
        shares.online,
        shares.rtmp,
        shares.http_flv,
        shares.hls,
        int(round_half_up(shares.bps)),
    )
