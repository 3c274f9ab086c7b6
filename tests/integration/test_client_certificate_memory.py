"""Thousands of handshakes with client certificates leave nothing behind in the server."""

from __future__ import annotations

import gc
import os
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from mailfront.tls import certificate_bridge
from mailfront.tls.client_authentication import Asking, ClientAuthentication
from mailfront.tls.client_verification import ClientTrust
from mailfront.tls.context import build_server_context
from mailfront.tls.describe import describe
from mailfront.tls.policy import policy_named
from mailfront.tls.records import TlsRecords
from tests.support.authority import self_signed
from tests.support.client_authority import ClientAuthority
from tests.support.memory_tls import client_context

HANDSHAKES = 2000
WARM_UP = 300
GROWTH = 512 * 1024

pytestmark = pytest.mark.skipif(
    bool(certificate_bridge.problem()), reason=certificate_bridge.problem()
)


def resident() -> int:
    """Octets of memory that this process has."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("resumed", [False, True], ids=["fresh", "resumed"])
def test_memory_stays_flat(version: ssl.TLSVersion, *, resumed: bool, tmp_path: Path) -> None:
    root = ClientAuthority()
    authentication = ClientAuthentication()
    trust = ClientTrust([root.certificate])
    authentication.follow(Asking.REQUIRE, trust, refuses=True)
    server = build_server_context(
        [self_signed("imap-cert")], policy_named("intermediate"), alpn=(), tickets=True
    ).ssl_context
    client = client_context()
    client.minimum_version = client.maximum_version = version
    ClientAuthority("Issuing CA", parent=root).issue().load_into(client, tmp_path)

    def connect(session: ssl.SSLSession | None) -> ssl.SSLObject:
        records = TlsRecords(server, ask=authentication.ask)
        peer = client.wrap_bio(
            records.outgoing, records.incoming, server_hostname="localhost", session=session
        )
        for _ in range(3):
            with suppress(ssl.SSLWantReadError):
                peer.do_handshake()
            records.handshake()
        with suppress(ssl.SSLWantReadError):
            peer.read(1)
        facts = describe(records.tls, "imap-cert")
        assert facts.resumed is (session is not None)
        assert facts.client_certificate is not None
        assert facts.client_certificate.verified
        return peer

    # Asked once: reading the session of a client leaks in CPython itself.
    session = connect(None).session if resumed else None
    before = 0
    for number in range(WARM_UP + HANDSHAKES):
        if number == WARM_UP:
            gc.collect()
            before = resident()
        connect(session)
    gc.collect()
    assert resident() - before < GROWTH
