"""DescribeStreamMetrics: how a stream, or everything of an app, a space or the account, went of late (2026-01-01).

Rule: what the sampler has noted, from memory; of a stream or app that nothing is known of there are no instants.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from openkls.api.services import Place, Services
from openkls.domain.errors import BusinessError
from openkls.domain.series import (
    COARSE_SECONDS,
    Row,
    Series,
    StreamPoint,
    TotalPoint,
)

Point = TypeVar("Point")

# Bitrates are kept in steps of 100 bit/s.
STEPS_PER_KBPS: Final = 10
STEP_BPS: Final = 100

STREAM_SERIES: Final[tuple[tuple[str, str, Callable[[StreamPoint], float]], ...]] = (
    ("Curfps", "frames/s", lambda point: point.curfps),
    ("FrameRate", "frames/s", lambda point: point.frame_rate),
    ("FLR", "%", lambda point: point.flr),
    ("BwIn", "kbps", lambda point: point.in_steps / STEPS_PER_KBPS),
    ("BwInAudio", "kbps", lambda point: point.audio_steps / STEPS_PER_KBPS),
    ("BwReal", "kbps", lambda point: point.real_steps / STEPS_PER_KBPS),
    ("OnlineUser", "viewers", lambda point: point.online),
    ("Bw", "bit/s", lambda point: point.sent_steps * STEP_BPS),
)
TOTAL_SERIES: Final[tuple[tuple[str, str, Callable[[TotalPoint], float]], ...]] = (
    ("Streams", "streams", lambda point: point.streams),
    ("OnlineUser", "viewers", lambda point: point.online),
    ("BwReal", "kbps", lambda point: point.real_steps / STEPS_PER_KBPS),
    ("Bw", "bit/s", lambda point: point.sent_bps),
    ("Errors", "errors", lambda point: point.errors),
)


async def describe_stream_metrics(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The series of a stream, or the totals. Raises BusinessError 1000, 4001."""
    unique_name, app = parameters.get("UniqueName", ""), parameters.get("App", "")
    stream, period = parameters.get("Stream", ""), parameters["Period"]
    if (stream and not app) or (app and not unique_name):
        raise BusinessError(1000, "Stream needs UniqueName and App, App needs UniqueName")
    now = services.clock()
    start, end = parameters.get("StartUnixTime", 0), parameters.get("EndUnixTime", int(now))
    if start > end:
        raise BusinessError(4001, "reversed")
    if stream:
        series = services.metrics.streams.find((unique_name, app, stream))
        times, told = _told(_read(series, period, start, end, now), StreamPoint, STREAM_SERIES)
    else:
        names = (place.account_id, *[name for name in (unique_name, app) if name])
        times, told = _told(
            _read(services.metrics.totals.find(names), period, start, end, now), TotalPoint, TOTAL_SERIES
        )
    return {
        "UniqueName": unique_name,
        "App": app,
        "Stream": stream,
        "Period": period,
        "Times": times,
        "Series": told,
    }


def _read(series: Series | None, period: int, start: int, end: int, now: float) -> list[tuple[int, Row]]:
    if series is None:
        return []
    return series.coarse(start, end, now) if period == COARSE_SECONDS else series.fine(start, end)


def _told(
    rows: list[tuple[int, Row]],
    point: Callable[..., Point],
    series: tuple[tuple[str, str, Callable[[Point], float]], ...],
) -> tuple[list[int], list[dict[str, Any]]]:
    """The instants, and each series with its values."""
    points = [point(*row) for _, row in rows]
    told = [{"Name": name, "Unit": unit, "Values": [pick(each) for each in points]} for name, unit, pick in series]
    return [at for at, _ in rows], told
