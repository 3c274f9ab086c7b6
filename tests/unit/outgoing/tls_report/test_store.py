"""Results on disk: counted, kept over restarts, bounded, forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mailfront.outgoing.tls_report import store as module
from mailfront.outgoing.tls_report.store import ReportStore, without_details
from tests.unit.outgoing.tls_report.test_document import BAD, GOOD

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReportStore]:
    opened = ReportStore(tmp_path / "reports.sqlite")
    yield opened
    opened.close()


def test_results_add_up_and_outlive_a_restart(store: ReportStore, tmp_path: Path) -> None:
    store.add({(MONDAY, GOOD): 2, (MONDAY, BAD): 1})
    store.add({(MONDAY, GOOD): 3})
    again = ReportStore(tmp_path / "reports.sqlite")
    assert dict(again.results(MONDAY, "example.com")) == {GOOD: 5, BAD: 1}
    again.close()
    assert (tmp_path / "reports.sqlite").stat().st_mode & 0o077 == 0


def test_only_days_that_have_ended_are_due(store: ReportStore) -> None:
    store.add({(MONDAY, GOOD): 1, (TUESDAY, GOOD): 1})
    assert store.ended(MONDAY) == []
    assert store.ended(TUESDAY) == [(MONDAY, "example.com")]


def test_what_was_reported_is_forgotten_with_its_places(store: ReportStore) -> None:
    store.add({(MONDAY, GOOD): 1})
    store.handed_over(MONDAY, "example.com", "mailto:a@b.example")
    assert store.places_done(MONDAY, "example.com") == {"mailto:a@b.example"}
    store.forget(MONDAY, "example.com")
    assert store.ended(TUESDAY) == []
    assert store.places_done(MONDAY, "example.com") == frozenset()


def test_beyond_a_number_details_are_left_out(
    store: ReportStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DETAILED", 3)
    for number in range(10):
        store.add({(MONDAY, replace(BAD, receiving_address=f"192.0.2.{number}")): 1})
    found = dict(store.results(MONDAY, "example.com"))
    assert len(found) == 4
    assert found[without_details(BAD)] == 7


def test_beyond_another_number_nothing_new_is_kept(
    store: ReportStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    store.add({(MONDAY, replace(GOOD, domain=f"d{number}.example")): 1 for number in range(5)})
    assert len(store.ended(TUESDAY)) == 2
    store.add({(MONDAY, replace(GOOD, domain="d0.example")): 4})
    assert store.results(MONDAY, "d0.example")[0][1] == 5
