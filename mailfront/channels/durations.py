"""Times in channel keywords: ISO 8601 durations (`PT5M`, `P1DT12H`), and bare numbers of days."""

from __future__ import annotations

import re

_DAY = 86400.0
_LONGEST = 365 * _DAY
_DURATION = re.compile(
    r"P(?:(?P<weeks>[0-9]{1,4})W)?(?:(?P<days>[0-9]{1,4})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,6})H)?(?:(?P<minutes>[0-9]{1,6})M)?"
    r"(?:(?P<seconds>[0-9]{1,8})S)?)?",
    re.IGNORECASE,
)
_SECONDS = {"weeks": 7 * _DAY, "days": _DAY, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def parse_duration(text: str) -> float | None:
    """Return the seconds of an ISO 8601 duration; None for another text, none, or over a year."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    return _bounded(sum(int(found[unit] or 0) * size for unit, size in _SECONDS.items()))


def parse_age(text: str) -> float | None:
    """Return the seconds of a duration, or of a bare number of days, as `notices` has them."""
    if text.isascii() and text.isdigit() and len(text) < 5:
        return _bounded(int(text) * _DAY)
    return parse_duration(text)


def duration_text(seconds: float) -> str:
    """Return a duration for people: `5 min`, `4 h`, `5 days`."""
    for size, unit in ((_DAY, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {'day' if unit == 'days' and count == 1 else unit}"
    return f"{seconds:g} s"


def _bounded(seconds: float) -> float | None:
    return seconds if 0 < seconds <= _LONGEST else None
