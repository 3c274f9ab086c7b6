"""Waiting for what another process does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

# The server is meant to notice within 2 s; a loaded machine gets more before the test fails.
DEADLINE = 20.0


def eventually(condition: Callable[[], bool], what: str, *, seconds: float = DEADLINE) -> None:
    """Return once `condition` holds; fail with `what` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
