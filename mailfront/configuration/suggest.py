"""The nearest known name to a mistyped one, for the remedy in an error message.

Takes a name and the known names, returns the nearest one or nothing. Long input is not compared,
since the comparison costs the product of the lengths.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_COMPARED_NAME = 100
LEAST_SIMILARITY = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to `name`, without regard to case, or None."""
    if len(name) > LONGEST_COMPARED_NAME:
        return None
    spelling = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), list(spelling), n=1, cutoff=LEAST_SIMILARITY)
    return spelling[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return the question that names the nearest known name, or `otherwise` if none is near."""
    suggestion = nearest(name, known)
    return otherwise if suggestion is None else f"did you mean {suggestion}?"
