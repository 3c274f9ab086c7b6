"""The status of several workers as one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from mailfront.interfaces.status import PortStatus, QueueStatus, ServerStatus
from mailfront.server.status_merging import merged

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def port(name: str, connections: int, problem: str = "") -> PortStatus:
    return PortStatus("imap", name, "*", 993, "implicit", "n", "f", None, connections, problem)


def worker(
    *ports: PortStatus, problems: tuple[str, ...] = (), counters: dict[str, int] | None = None
) -> ServerStatus:
    return ServerStatus("1", 7, STARTED, "uvloop", ports, problems, counters or {}, (), problems)


def test_connections_and_counters_are_summed() -> None:
    whole = merged(
        [
            worker(port("imaps", 2), port("https", 1), counters={"a": 1, "b": 2}),
            worker(port("imaps", 3), counters={"b": 3}),
        ],
        pid=42,
        started=STARTED,
        counters={"workers.restarted": 1},
    )
    assert [(each.name, each.connections) for each in whole.ports] == [("imaps", 5), ("https", 1)]
    assert whole.counters == {"a": 1, "b": 5, "workers.restarted": 1}
    assert (whole.pid, whole.event_loop) == (42, "uvloop")


def test_problems_and_warnings_are_told_once() -> None:
    both = worker(port("imaps", 0), problems=("bad",))
    whole = merged([both, both], pid=1, started=STARTED, problems=["worker 3 is not running"])
    assert whole.problems == ("worker 3 is not running", "bad")
    assert whole.warnings == ("bad",)


def test_a_port_that_is_behind_at_one_worker_is_told_as_behind() -> None:
    whole = merged(
        [worker(port("imaps", 1)), worker(port("imaps", 1, "refused"))], pid=1, started=STARTED
    )
    assert [each.problem for each in whole.ports] == ["refused"]


def test_the_queue_is_told_by_the_worker_that_delivers() -> None:
    queue = QueueStatus(1, 1, 0)
    workers = [worker(), replace(worker(), queue=queue)]
    assert merged(workers, pid=1, started=STARTED).queue == queue


def test_without_workers_there_is_a_status_all_the_same() -> None:
    assert merged([], pid=1, started=STARTED).ports == ()
