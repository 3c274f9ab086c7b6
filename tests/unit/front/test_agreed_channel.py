"""What a front learns of a connection before it offers logins."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from mailfront.front.agreed_channel import channel_of
from mailfront.front.login_channel import CLEAR, LoginChannel
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.peer import TlsFacts
from mailfront.interfaces.transport import UpgradableTransport
from tests.support.smtp_session import TLS, MemoryTransport, Users


def channel(
    tls: TlsFacts | None, *, binding: bool = True, exported: bytes | None = b"x"
) -> LoginChannel:
    transport = MemoryTransport(tls)
    transport.channel_binding = lambda kind: exported  # type: ignore[method-assign]
    return channel_of(cast(UpgradableTransport, transport), "imap", Users(), binding=binding)


def test_in_clear_there_is_nothing_to_know() -> None:
    assert channel(None) is CLEAR


@pytest.mark.parametrize(
    ("certificate", "counts"),
    [
        (None, False),
        (ClientCertificate(b"leaf"), True),
        (ClientCertificate(b"leaf", fault=CertificateFault.REVOKED), False),
    ],
)
def test_a_certificate_counts_if_it_may_log_somebody_in(
    certificate: ClientCertificate | None, counts: bool
) -> None:
    assert channel(replace(TLS, client_certificate=certificate)).certificate is counts


@pytest.mark.parametrize(
    ("version", "binding", "exported", "bound"),
    [
        ("TLSv1.3", True, b"x", True),
        ("TLSv1.2", True, b"x", False),
        ("TLSv1.3", False, b"x", False),
        ("TLSv1.3", True, None, False),
    ],
)
def test_channel_binding_is_there_under_tls_1_3_where_openssl_can_be_asked(
    version: str, binding: bool, exported: bytes | None, bound: bool
) -> None:
    found = channel(replace(TLS, version=version), binding=binding, exported=exported)
    assert (found.channel_binding is not None) is bound
    assert found.cipher_bits == 256
