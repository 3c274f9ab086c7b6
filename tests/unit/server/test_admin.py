"""The metrics say what the status says."""

from __future__ import annotations

import asyncio
import urllib.request
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailfront.errors import ListenError
from mailfront.interfaces.status import CertificateStatus, PortStatus, QueueStatus, ServerStatus
from mailfront.server.admin import AdminSite, bind_admin
from tests.support.ports import free_ports

EXPIRES = datetime(2027, 1, 1, tzinfo=UTC)
STAPLED = datetime(2026, 12, 1, tzinfo=UTC)
STATUS = ServerStatus(
    version="1", pid=1, started=EXPIRES, event_loop="uvloop",
    ports=(PortStatus("imap", "imaps", "*", 993, "implicit", "c", "AA", EXPIRES, 7, "", "BB"),),
    problems=("one",),
    counters={"imap.logins": 3},
    certificates=(CertificateStatus("c", ("imap", "pop"), "AA", EXPIRES, 39, False, STAPLED),),
    queue=QueueStatus(5, 6, 2, ("tcp_local example.org",)),
)  # fmt: skip


class Source:
    def status(self) -> ServerStatus:
        return STATUS


def test_no_port_is_no_listener() -> None:
    assert bind_admin(0) is None


def test_a_taken_port_is_told_with_its_option() -> None:
    [port] = free_ports(1)
    listener = bind_admin(port)
    assert listener is not None
    with listener, pytest.raises(ListenError, match=r"service\.admin\.port"):
        bind_admin(port)


async def test_metrics_tell_connections_expiry_and_events() -> None:
    [port] = free_ports(1)
    listener = bind_admin(port)
    assert listener is not None
    site = AdminSite(Source())
    await site.start(listener)
    try:
        body = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/metrics")
    finally:
        await site.stop()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert samples["mailfront_connections", "imaps:*:993"] == 7
    assert samples["mailfront_certificate_outdated", "imaps:*:993"] == 1
    served = samples["mailfront_port_certificate_expiry_seconds", "imaps:*:993"]
    assert served == EXPIRES.timestamp()
    assert samples["mailfront_certificate_expiry_seconds", "c", "imap,pop"] == EXPIRES.timestamp()
    stapled = samples["mailfront_certificate_stapled_until_seconds", "c", "imap,pop"]
    assert stapled == STAPLED.timestamp()
    assert samples["mailfront_events_total", "imap.logins"] == 3
    assert samples["mailfront_problems",] == 1
    assert samples["mailfront_queue_messages",] == 5
    assert samples["mailfront_queue_recipients", "waiting"] == 6
    assert samples["mailfront_queue_recipients", "held"] == 2
    assert samples["mailfront_queue_unreachable_destinations",] == 1


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()
