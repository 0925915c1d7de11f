"""ListHistoryPubStreamsInfo, ListHistoryPubStreamsErrInfo and ListStreamDurations (contract, 6).

Rule: windows are pure functions of what was given and ``now``; days begin at 00:00 of the server's time zone.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from openkls import model
from openkls.api.services import Place, Services
from openkls.domain.errors import BusinessError
from openkls.domain.ports import HistoryQuery, Span
from openkls.domain.session import HistoryRow

log = logging.getLogger("openkls.api")

DAY_SECONDS: Final = 86_400
HISTORY_SPAN_DAYS: Final = 5
HISTORY_BACK_DAYS: Final = 28
DURATIONS_BACK_DAYS: Final = 60
DURATIONS_ROWS_LIMIT: Final = 100_000


async def list_history_pub_streams(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page of the accepted pushes that have ended."""
    return await _list_history(services, place, parameters, errors=False)


async def list_history_pub_streams_err(
    services: Services, place: Place, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """One page of the refused pushes and of those ended by a code other than 200."""
    return await _list_history(services, place, parameters, errors=True)


async def list_stream_durations(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Every push that overlaps the window, clipped to it, ascending by its start."""
    now = int(services.clock())
    begin, end = durations_window(parameters["StartUnixTime"], parameters["EndUnixTime"], now, services.timezone)
    spans = await services.history.spans(
        place.space.unique_name,
        parameters["App"],
        place.pubdomain,
        parameters.get("Stream"),
        begin,
        end,
        DURATIONS_ROWS_LIMIT,
    )
    if len(spans) > DURATIONS_ROWS_LIMIT:
        log.warning(
            "ListStreamDurations of %s: over %d rows; narrow the window", place.space.unique_name, DURATIONS_ROWS_LIMIT
        )
        raise BusinessError(4001, "too many rows: narrow the window")
    result = clip(spans, begin, end, now)
    return {
        "UniqueName": parameters["UniqueName"],
        "App": parameters["App"],
        "Pubdomain": parameters["Pubdomain"],
        "Count": len(result),
        "Result": result,
    }


# -- windows ------------------------------------------------------------------------------------------------------


def midnight(unix_seconds: int, zone: ZoneInfo, days_before: int = 0) -> int:
    """00:00 of the day that ``unix_seconds`` is in, or of so many days before it, as Unix seconds."""
    day = datetime.fromtimestamp(unix_seconds, zone).date() - timedelta(days=days_before)
    return int(datetime.combine(day, time.min, zone).timestamp())


def history_window(start: int | None, end: int | None, now: int, zone: ZoneInfo) -> tuple[int, int]:
    """The window [start, end] to use for the bounds given (None: not given). Raises BusinessError 4001 for given
    bounds that are reversed, over 5 days apart or older than 28 days."""
    oldest = now - HISTORY_BACK_DAYS * DAY_SECONDS
    for bound in (start, end):
        if bound is not None and bound < oldest:
            raise BusinessError(4001, f"older than {HISTORY_BACK_DAYS} days")
    if start is None:
        end = now if end is None else end
        return midnight(end, zone, HISTORY_SPAN_DAYS), end
    longest = start + HISTORY_SPAN_DAYS * DAY_SECONDS
    if end is None:
        end = min(now, longest)
    if not start <= end <= longest:
        raise BusinessError(4001, f"reversed, or over {HISTORY_SPAN_DAYS} days")
    return start, end


def durations_window(start: int, end: int, now: int, zone: ZoneInfo) -> tuple[int, int]:
    """The window [start, end) of whole days. Raises BusinessError 4001 for the same day, reversed days, and a first
    day over 60 days before today."""
    begin, finish = midnight(start, zone), midnight(end, zone)
    if begin >= finish:
        raise BusinessError(4001, "the same day, or reversed")
    if begin < midnight(now, zone, DURATIONS_BACK_DAYS):
        raise BusinessError(4001, f"over {DURATIONS_BACK_DAYS} days back")
    return begin, finish


def clip(spans: list[Span], begin: int, end: int, now: int) -> list[dict[str, Any]]:
    """The spans as rows of ListStreamDurations, cut to [begin, end]; a live one ends now."""
    rows = []
    for span in spans:
        first, last = max(span.start, begin), min(now if span.end is None else span.end, end)
        # What is live now has not reached a window that begins later.
        if first <= last:
            rows.append({"Stream": span.stream, "StartTime": first, "EndTime": last, "Duration": last - first})
    return rows


# -- history ------------------------------------------------------------------------------------------------------


async def _list_history(
    services: Services, place: Place, parameters: Mapping[str, Any], *, errors: bool
) -> dict[str, Any]:
    now = int(services.clock())
    start, end = history_window(parameters.get("StartUnixTime"), parameters.get("EndUnixTime"), now, services.timezone)
    page = await services.history.page(
        HistoryQuery(
            unique_name=place.space.unique_name,
            app=parameters["App"],
            pubdomain=place.pubdomain,
            stream=parameters.get("Stream"),
            start=start,
            end=end,
            errors=errors,
            ascending=bool(parameters["OrderTime"]),
            offset=parameters["Marker"] * parameters["Limit"],
            limit=parameters["Limit"],
        )
    )
    return {
        "UniqueName": parameters["UniqueName"],
        "App": parameters["App"],
        "Pubdomain": parameters["Pubdomain"],
        "StartUnixTime": start,
        "EndUnixTime": end,
        "Count": len(page.rows),
        "Total": page.total,
        "Marker": parameters["Marker"],
        "OrderTime": parameters["OrderTime"],
        "Result": _by_stream(page.rows),
    }


def _by_stream(rows: list[HistoryRow]) -> list[dict[str, Any]]:
    """A page's pushes grouped by stream, in order of first appearance."""
    texts = model.load().break_codes
    details: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        details.setdefault(row.facts.key.stream, []).append(
            {
                "Clientip": row.facts.client_ip,
                "Pubtime": row.facts.pub_time,
                "Fintime": row.fin_time,
                "StatusCode": int(row.code),
                "StatusMessage": texts[row.code].text,
            }
        )
    return [{"Stream": stream, "Detail": detail} for stream, detail in details.items()]
