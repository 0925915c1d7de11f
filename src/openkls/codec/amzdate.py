"""The dates of signed requests: text to Unix seconds and back.

Rule: calendar arithmetic on plain integers, proleptic Gregorian, UTC, years 1970 to 9999; no clock, no time zone.
"""

import re
from typing import Final

SECONDS_PER_DAY: Final = 86_400
MAX_UNIX_SECONDS: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second four digits of year can say

# X-Amz-Date: ISO 8601 basic and extended, UTC as `Z` or as the Node SDK's `+00:00`
_ISO: Final = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})T([0-9]{2})(:?)([0-9]{2})\6([0-9]{2})(?:Z|\+00:?00)")
# RFC 7231, 7.1.1.1: IMF-fixdate. The two obsolete forms have no signer that would send them.
_HTTP: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_amz_date(text: str) -> int | None:
    """Return Unix seconds of ``20261122T153900Z``, ``...+00:00`` or an HTTP date; None for anything else."""
    iso = _ISO.fullmatch(text)
    if iso:
        year, _, month, day, hour, _, minute, second = iso.groups()
        return _unix_seconds(int(year), int(month), int(day), int(hour), int(minute), int(second))
    http = _HTTP.fullmatch(text)
    if http:
        day, name, year, hour, minute, second = http.groups()
        month_number = _MONTHS.index(name) + 1
        return _unix_seconds(int(year), month_number, int(day), int(hour), int(minute), int(second))
    return None


def build_amz_date(unix_seconds: int) -> str:
    """Return ``YYYYMMDDTHHMMSSZ``. ValueError outside 0 to `MAX_UNIX_SECONDS`."""
    if not 0 <= unix_seconds <= MAX_UNIX_SECONDS:
        raise ValueError(f"{unix_seconds} is no time between 1970 and 9999")
    days, second = divmod(unix_seconds, SECONDS_PER_DAY)
    year = 1970 + days // 366  # never too late; at most a few steps too early
    while _days_before_year(year + 1) <= days:
        year += 1
    day = days - _days_before_year(year)
    month = 1
    while day >= _days_in_month(year, month):
        day -= _days_in_month(year, month)
        month += 1
    hour, minute, second = second // 3_600, second // 60 % 60, second % 60
    return f"{year:04}{month:02}{day + 1:02}T{hour:02}{minute:02}{second:02}Z"


def _unix_seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= _days_in_month(year, month):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    days = _days_before_year(year) + sum(_days_in_month(year, earlier) for earlier in range(1, month)) + day - 1
    return days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second


def _days_in_month(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


def _days_before_year(year: int) -> int:
    """Days from 1970-01-01 to the first of January of the year."""
    past = year - 1
    return (year - 1970) * 365 + past // 4 - past // 100 + past // 400 - 477
