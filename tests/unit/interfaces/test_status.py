"""The server's status as JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailfront.interfaces.status import CertificateStatus, PortStatus, QueueStatus, ServerStatus

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
CLEAR = PortStatus("http", "http", "*", 80, "none", "", "", None, 0)
IMAPS = PortStatus("imap", "imaps", "*", 993, "implicit", "imap-cert", "AB:CD", NOW, 3, "old")
STATUS = ServerStatus("1.0", 42, NOW, "uvloop", (CLEAR, IMAPS), ("a problem",), {"imap.logins": 3})


def test_a_status_survives_json() -> None:
    assert ServerStatus.from_json(json.loads(json.dumps(STATUS.as_json()))) == STATUS


def test_warnings_survive_too() -> None:
    warned = replace(STATUS, warnings=("pop: dangerous",))
    assert ServerStatus.from_json(json.loads(json.dumps(warned.as_json()))) == warned


@pytest.mark.parametrize(("until", "problem"), [(None, ""), (NOW, ""), (None, "no answer")])
def test_what_is_stapled_survives_too(until: datetime | None, problem: str) -> None:
    certificate = CertificateStatus("c", ("imap",), "AB", NOW, 3, False, until, problem)
    told = replace(STATUS, certificates=(certificate,))
    assert ServerStatus.from_json(json.loads(json.dumps(told.as_json()))) == told


def test_the_queue_survives_too() -> None:
    told = replace(STATUS, queue=QueueStatus(3, 4, 1, ("tcp_local example.org",)))
    assert ServerStatus.from_json(json.loads(json.dumps(told.as_json()))) == told


def test_times_are_iso_8601() -> None:
    record = json.loads(json.dumps(STATUS.as_json()))
    assert record["started"] == "2030-01-02T03:04:05+00:00"
    assert [port["expires"] for port in record["ports"]] == [None, "2030-01-02T03:04:05+00:00"]


@pytest.mark.parametrize("record", [{}, {"ports": 3}, {"ports": [], "started": "yesterday"}])
def test_anything_else_is_an_error_of_a_known_kind(record: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        ServerStatus.from_json(record)
