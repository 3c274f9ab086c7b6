"""Full handshakes at a steady pace, from a process of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from tests.support.dialogue import unverified_context
from tests.support.ports import LOOPBACK


def handshakes(port: int, sources: Sequence[str], per_second: float, seconds: float) -> int:
    """Connect from `sources` in turn; return how many handshakes were finished."""
    context = unverified_context()
    begun = time.monotonic()
    done = 0
    number = 0
    while (now := time.monotonic()) < begun + seconds:
        time.sleep(max(0.0, begun + number / per_second - now))
        source = (sources[number % len(sources)], 0)
        number += 1
        plain = socket.create_connection((LOOPBACK, port), timeout=20, source_address=source)
        with plain, context.wrap_socket(plain, server_hostname="localhost"):
            done += 1
    return done
