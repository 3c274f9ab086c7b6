"""What logins may count on: the cipher, the certificate, channel binding."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import cast

import pytest

from mailfront.front.agreed_channel import channel_of
from mailfront.front.login_channel import CLEAR, LoginChannel
from mailfront.interfaces.authenticator import Authenticator, LoginClient
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.interfaces.transport import UpgradableTransport

FACTS = TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", 128, resumed=False, nickname="Server-Cert")
GOOD = ClientCertificate(b"leaf")
PEER = Peer("192.0.2.7", 40000, "192.0.2.1", 993)


@dataclass
class Transport:
    """A connection with these facts; `exporter` tells whether keying material can be had."""

    tls_facts: TlsFacts | None
    exporter: bool = True
    peer: Peer = PEER

    def channel_binding(self, kind: str) -> bytes | None:
        return hashlib.sha256(kind.encode()).digest() if self.exporter else None


class Verifying:
    """Takes every certificate without a fault, of users of IMAP."""

    def accepts_certificate(self, client: LoginClient) -> bool:
        assert client.certificate is not None
        return client.certificate.verified and client.service == "imap"


def channel(transport: Transport, *, binding: bool = True, service: str = "imap") -> LoginChannel:
    return channel_of(
        cast(UpgradableTransport, transport), service, cast(Authenticator, Verifying()),
        binding=binding,
    )  # fmt: skip


def test_in_clear_there_is_nothing() -> None:
    assert channel(Transport(None)) == CLEAR


@pytest.mark.parametrize(
    ("version", "exporter", "wanted", "bound"),
    [
        ("TLSv1.3", True, True, True),
        ("TLSv1.3", True, False, False),
        ("TLSv1.3", False, True, False),
        ("TLSv1.2", True, True, False),
    ],
)
def test_binding_is_there_under_tls_1_3_if_it_is_wanted_and_can_be_had(
    version: str, exporter: bool, wanted: bool, bound: bool
) -> None:
    found = channel(Transport(replace(FACTS, version=version), exporter), binding=wanted)
    assert found.cipher_bits == 128
    assert (found.channel_binding is not None) is bound
    if found.channel_binding is not None:
        assert found.channel_binding("tls-exporter")


@pytest.mark.parametrize(
    ("certificate", "service", "counts"),
    [
        (GOOD, "imap", True),
        (GOOD, "pop", False),
        (replace(GOOD, fault=CertificateFault.EXPIRED), "imap", False),
        (None, "imap", False),
    ],
)
def test_a_certificate_counts_if_the_authenticator_says_so(
    certificate: ClientCertificate | None, service: str, counts: bool
) -> None:
    transport = Transport(replace(FACTS, client_certificate=certificate))
    assert channel(transport, service=service).certificate is counts
