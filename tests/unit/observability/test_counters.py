"""Counters by name."""

from __future__ import annotations

from mailfront.observability.counters import Counters


def test_events_are_counted_by_name_and_told_in_order() -> None:
    counters = Counters()
    counters.add("b")
    counters.add("a", 2)
    counters.add("b")
    assert list(counters.values().items()) == [("a", 2), ("b", 2)]


def test_what_is_told_is_a_copy() -> None:
    counters = Counters()
    counters.values()["a"] = 1
    assert counters.values() == {}
