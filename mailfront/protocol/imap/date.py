"""Dates of IMAP (RFC 3501 §9 `date`, `date-time`): of SEARCH, APPEND and INTERNALDATE."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.lexer import Cursor

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {name.upper().encode(): number for number, name in enumerate(_MONTHS, 1)}

_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) '
    rb'([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_MINUTES_PER_HOUR = 60


def search_date(cursor: Cursor) -> date:
    """Consume `1-Feb-1994`, quoted or not."""
    match = _matched(cursor, _DATE, "date")
    return _date(match.group(4), match.group(3), match.group(2))


def date_time(cursor: Cursor) -> datetime:
    """Consume `"17-Jul-1996 02:44:25 -0700"`; the time returned knows its zone."""
    match = _matched(cursor, _DATE_TIME, "date and time")
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    on = _date(year, month, day)
    zone = int(zone_hours) * _MINUTES_PER_HOUR + int(zone_minutes)
    offset = timedelta(minutes=-zone if sign == b"-" else zone)
    try:
        moment = datetime(
            on.year, on.month, on.day, int(hour), int(minute), int(second), tzinfo=timezone(offset)
        )
        # What cannot be said in UTC cannot be stored.
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ImapSyntaxError("Invalid date and time") from error


def format_internal_date(seconds: float) -> bytes:
    """A POSIX time as INTERNALDATE without quotes, in UTC: `17-Jul-1996 09:44:25 +0000`."""
    moment = time.gmtime(seconds)
    return b"%02d-%b-%04d %02d:%02d:%02d +0000" % (
        moment.tm_mday, _MONTHS[moment.tm_mon - 1].encode(), moment.tm_year,
        moment.tm_hour, moment.tm_min, moment.tm_sec,
    )  # fmt: skip


def _matched(cursor: Cursor, expression: re.Pattern[bytes], what: str) -> re.Match[bytes]:
    start = cursor.position
    cursor.pattern(expression, what)
    match = expression.match(cursor.text, start)
    assert match is not None
    return match


def _date(year: bytes, month: bytes, day: bytes) -> date:
    try:
        return date(int(year), _NUMBERS[month.upper()], int(day))
    except (ValueError, KeyError) as error:
        raise ImapSyntaxError("Invalid date") from error
