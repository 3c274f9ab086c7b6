"""Moments as LDAP writes them: Generalized Time (RFC 4517 section 3.3.13) in, a moment out, and
back. `20261124183000Z` is the form that is written; all forms with a zone are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_TIME = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})?)?(?:[.,][0-9]{1,9})?"
    r"(?:Z|([+-])([0-9]{2})([0-9]{2}))",
    re.ASCII,
)


def parse_time(text: str) -> datetime:
    """Return the moment, without its fraction. Raises `ValueError`."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not of the form 20261124183000Z")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    zone = UTC
    if match[7]:
        offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
        zone = timezone(offset if match[7] == "+" else -offset)
    try:
        # A leap second has no place in a datetime.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


def format_time(moment: datetime) -> str:
    """Return `moment` to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}Z".rjust(15, "0")
