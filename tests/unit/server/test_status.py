"""The status of the server out of its parts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.interfaces.status import CertificateStatus, PortStatus
from mailfront.listener.handshake_turns import HandshakeTurns
from mailfront.listener.limits import ConnectionLimits
from mailfront.listener.service_port import ServicePort
from mailfront.listener.sockets import bind
from mailfront.observability.counters import Counters
from mailfront.server.certificates import ALPN, ServiceContexts
from mailfront.server.ports import planned_ports
from mailfront.server.status import StatusReport
from tests.support.keystores import new_token, self_signed
from tests.support.ports import LOOPBACK

CERTIFICATE = CertificateStatus(
    nickname="Server-Cert",
    services=("imap", "pop"),
    fingerprint="AA:BB",
    expires=datetime(2027, 1, 1, tzinfo=UTC),
    days_left=39,
    self_signed=True,
)


@pytest.fixture
def contexts(tmp_path: Path) -> Iterator[ServiceContexts]:
    key, certificate = self_signed()
    made = ServiceContexts(ALPN)
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("Server-Cert", key, (certificate,))
        made.load(Configuration.of({}), token)
        yield made


def reported(contexts: ServiceContexts, options: dict[str, str]) -> dict[str, PortStatus]:
    configuration = Configuration.of({"service.http.port": "80", **options})
    counters = Counters()
    counters.add("imap.logins")
    report = StatusReport(
        configuration,
        counters,
        lambda: ["something is wrong"],
        lambda: [CERTIFICATE],
        lambda: ["something is dangerous"],
    )
    report.event_loop = "uvloop"
    ports = []
    for settings in planned_ports(configuration):
        listener = bind(LOOPBACK, 0, option="", client_speaks_first=False)
        slot = contexts.slots[settings.service]
        limits = ConnectionLimits(total=0, per_address=0)
        turns = HandshakeTurns(total=0, per_address=0, per_minute=0)
        ports.append(ServicePort(settings, listener, slot, _no_front, limits, turns, counters))
    report.ports = ports
    status = report.status()
    for port in ports:
        assert port.bound_port
        port.stop_accepting()
    assert status.pid == os.getpid()
    assert status.event_loop == "uvloop"
    assert status.problems == ("something is wrong",)
    assert status.warnings == ("something is dangerous",)
    assert status.counters == {"imap.logins": 1}
    assert status.certificates == (CERTIFICATE,)
    return {port.name: port for port in status.ports}


def _no_front() -> asyncio.Protocol:
    raise AssertionError("nobody connects")


def test_a_port_tells_its_tls_and_the_certificate_it_presents(contexts: ServiceContexts) -> None:
    ports = reported(contexts, {})
    assert (ports["imaps"].tls, ports["imap"].tls) == ("implicit", "starttls")
    assert ports["imaps"].nickname == ports["imap"].nickname == "Server-Cert"
    assert len(ports["imaps"].fingerprint.split(":")) == 32
    assert ports["imaps"].expires is not None
    assert ports["imaps"].address == "*"
    assert ports["imaps"].policy == "intermediate-2026-11"


def test_a_port_without_tls_presents_nothing(contexts: ServiceContexts) -> None:
    ports = reported(contexts, {"service.imap.sslusessl": "off"})
    for name in ("http", "imap"):
        assert ports[name].tls == "none"
        assert (ports[name].nickname, ports[name].expires) == ("", None)
        assert ports[name].policy == ""


def test_a_port_tells_why_its_certificate_is_an_old_one(contexts: ServiceContexts) -> None:
    contexts.slots["pop"].problem = "no such nickname"
    ports = reported(contexts, {})
    assert ports["pop3"].problem == ports["pop3s"].problem == "no such nickname"
    assert ports["imap"].problem == ""


def test_a_port_tells_what_the_keystore_has_instead(contexts: ServiceContexts) -> None:
    assert not reported(contexts, {})["imap"].is_outdated
    contexts.slots["imap"].wanted_fingerprint = "00:11"
    outdated = reported(contexts, {})["imap"]
    assert outdated.is_outdated
    assert outdated.keystore_fingerprint == "00:11"
