"""The status of several workers as that of one server.

Takes one status per worker, the leading one first; sums what is counted, and tells of each problem
and warning once. Certificates are the same everywhere, so those of the first are told. No input or
output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mailfront.interfaces.status import PortStatus, ServerStatus
from mailfront.version import VERSION


def merged(
    statuses: Sequence[ServerStatus],
    *,
    pid: int,
    started: datetime,
    problems: Iterable[str] = (),
    counters: Mapping[str, int] | None = None,
) -> ServerStatus:
    """Return the status of the whole; `problems` and `counters` are the supervisor's own."""
    counts: Counter[str] = Counter(counters or {})
    ports: dict[tuple[str, str, int], PortStatus] = {}
    for status in statuses:
        counts.update(status.counters)
        for port in status.ports:
            key = (port.name, port.address, port.port)
            known = ports.get(key)
            ports[key] = port if known is None else _both(known, port)
    told = [problem for status in statuses for problem in status.problems]
    warned = [warning for status in statuses for warning in status.warnings]
    first = statuses[0] if statuses else None
    return ServerStatus(
        version=VERSION,
        pid=pid,
        started=started,
        event_loop=first.event_loop if first else "",
        ports=tuple(ports.values()),
        problems=tuple(dict.fromkeys((*problems, *told))),
        counters=dict(sorted(counts.items())),
        certificates=first.certificates if first else (),
        warnings=tuple(dict.fromkeys(warned)),
        server_names=first.server_names if first else None,
        queue=next((status.queue for status in statuses if status.queue), None),
    )


def _both(one: PortStatus, other: PortStatus) -> PortStatus:
    # Of two that differ the one that is behind tells more.
    told = other if (other.is_outdated or other.problem) and not one.problem else one
    return replace(told, connections=one.connections + other.connections)
