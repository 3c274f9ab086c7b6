"""When an OCSP response is fetched anew, when it is tried again, and how long it is stapled.

Pure: takes times and a random fraction from 0 to 1, returns times. A response is fetched anew
halfway through its life, so that a responder may be away for the other half. Failures are tried
again after 5 seconds and then ever later, an hour at most, and nobody is in step with anybody else.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mailfront.keystore.ocsp import OcspAnswer

MOST_MARGIN = timedelta(minutes=10)
FIRST_RETRY = timedelta(seconds=5)
LAST_RETRY = timedelta(hours=1)
_MOST_DOUBLINGS = 12
_SOONEST = timedelta(seconds=10)


def stapled_until(answer: OcspAnswer) -> datetime:
    """A little before its end, for clients whose clocks are ahead."""
    life = answer.next_update - answer.this_update
    return answer.next_update - min(MOST_MARGIN, life / 10)


def refresh_at(answer: OcspAnswer, now: datetime, fraction: float) -> datetime:
    """Halfway through its life, or through what is left of it, and up to a tenth sooner."""
    half = answer.this_update + (answer.next_update - answer.this_update) / 2
    if half <= now:
        half = now + (answer.next_update - now) / 2
    return max(half - (half - now) / 10 * fraction, now + _SOONEST)


def retry_at(failures: int, now: datetime, fraction: float) -> datetime:
    """After so many failures in a row; up to a half later than the others."""
    doublings = min(failures - 1, _MOST_DOUBLINGS)
    wait = min(FIRST_RETRY * (1 << doublings), LAST_RETRY)
    return now + wait + wait / 2 * fraction
