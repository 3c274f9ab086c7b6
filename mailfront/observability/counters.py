"""Named counters of the process, for `mailfront status`, the status page and metrics."""

from __future__ import annotations

from collections import Counter


class Counters:
    """Counts events by name. One object per process, handed to whoever counts."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        """Count `amount` events called `name`."""
        self._counts[name] += amount

    def values(self) -> dict[str, int]:
        """A copy of all counts, by name in order."""
        return dict(sorted(self._counts.items()))
