"""What the doctor says of a stapled response: good, bad, none."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from mailfront.keystore import formats
from mailfront.keystore.internal_token import Credentials
from mailfront.keystore.ocsp import fingerprint_of
from mailfront.tls import stapling_bridge
from mailfront.tls.context import build_server_context
from mailfront.tls.doctor.facts import StapleFacts, StapleState
from mailfront.tls.doctor.staple import Handshake, examine_staple
from mailfront.tls.policy import policy_named
from mailfront.tls.stapling_bridge import Staples
from tests.support.ocsp import OcspAuthority

AUTHORITY = OcspAuthority()
KEY, LEAF = AUTHORITY.issue("mail.example.org")
NOW = datetime.now(UTC)
PASSPHRASE = b"0123456789abcdef0123456789abcdef"
CREDENTIALS = Credentials(
    "Server-Cert",
    LEAF,
    formats.certificate_pem(LEAF),
    formats.encrypted_key_pem(formats.private_key_der(KEY), PASSPHRASE),
    PASSPHRASE,
)

pytestmark = pytest.mark.skipif(
    bool(stapling_bridge.unavailable()), reason=stapling_bridge.unavailable()
)


def server_with(response: bytes) -> Handshake:
    server_context = build_server_context(
        [CREDENTIALS], policy_named("intermediate"), alpn=(), tickets=False
    ).ssl_context
    staples = Staples()
    staples.bind(server_context)
    if response:
        staples.put(fingerprint_of(LEAF), response, float("inf"))

    def handshake(context: ssl.SSLContext) -> bytes:
        # The context does not keep them.
        assert staples is not None
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname="mail.example.org")
        server = server_context.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        client.do_handshake()
        return client.getpeercert(binary_form=True) or b""

    return handshake


def examined(
    response: bytes, issuers: Sequence[x509.Certificate] = (AUTHORITY.certificate,)
) -> StapleFacts:
    found = examine_staple(server_with(response), issuers, NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (ocsp.OCSPCertStatus.GOOD, StapleState.GOOD),
        (ocsp.OCSPCertStatus.REVOKED, StapleState.REVOKED),
        (ocsp.OCSPCertStatus.UNKNOWN, StapleState.UNKNOWN),
    ],
)
def test_an_authentic_response_is_told_with_its_end(
    status: ocsp.OCSPCertStatus, state: StapleState
) -> None:
    found = examined(AUTHORITY.response(LEAF, status))
    assert found.state is state
    assert found.until is not None
    assert found.until > NOW


def test_no_response_is_told() -> None:
    assert examined(b"") == StapleFacts(StapleState.NONE)


def test_a_response_that_does_not_count_is_told_with_the_reason() -> None:
    found = examined(OcspAuthority().response(LEAF, issuer=AUTHORITY.certificate))
    assert found.state is StapleState.BAD
    assert "signature" in found.problem


def test_without_the_issuer_nobody_can_tell() -> None:
    other = OcspAuthority().certificate
    found = examined(AUTHORITY.response(LEAF), issuers=[other])
    assert found.state is StapleState.UNJUDGED


def test_where_openssl_cannot_be_asked_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    handshake = server_with(b"")
    monkeypatch.setattr(stapling_bridge, "_library", lambda: "not to be had")
    assert examine_staple(handshake, [AUTHORITY.certificate], NOW) is None
