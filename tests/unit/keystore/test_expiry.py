"""Days left and states, at chosen moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mailfront.keystore.expiry import ValidityState, days_left, validity_fault, validity_state
from tests.support.keystores import self_signed

MADE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_, CERTIFICATE = self_signed(now=MADE, days=90)
END = MADE + timedelta(days=90)


@pytest.mark.parametrize(
    ("now", "days"),
    [
        (MADE, 90),
        (MADE + timedelta(seconds=1), 89),
        (END - timedelta(days=1), 1),
        (END - timedelta(seconds=1), 0),
        (END + timedelta(seconds=1), -1),
        (END + timedelta(days=10), -10),
    ],
)
def test_days_left_are_whole_days_and_negative_afterwards(now: datetime, days: int) -> None:
    assert days_left(CERTIFICATE, now) == days


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (MADE - timedelta(days=1), ValidityState.NOT_YET_VALID),
        (MADE, ValidityState.VALID),
        (END - timedelta(days=30), ValidityState.VALID),
        (END - timedelta(days=30) + timedelta(seconds=1), ValidityState.EXPIRING),
        (END, ValidityState.EXPIRING),
        (END + timedelta(seconds=1), ValidityState.EXPIRED),
    ],
)
def test_the_state_follows_from_the_present(now: datetime, state: ValidityState) -> None:
    assert validity_state(CERTIFICATE, now) is state


def test_how_early_a_certificate_counts_as_expiring_can_be_chosen() -> None:
    now = END - timedelta(days=40)
    assert validity_state(CERTIFICATE, now, expiring_days=41) is ValidityState.EXPIRING


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "not valid before"), (0, ""), (89, ""), (91, "expired on")]
)
def test_why_clients_refuse_a_certificate_is_said_in_words(days: int, words: str) -> None:
    fault = validity_fault(CERTIFICATE, MADE + timedelta(days=days))
    assert words in fault
    assert bool(fault) == bool(words)
