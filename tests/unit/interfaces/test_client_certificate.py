from __future__ import annotations

import pytest

from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate


def test_a_certificate_without_a_fault_is_verified() -> None:
    assert ClientCertificate(b"leaf").verified


@pytest.mark.parametrize("fault", [fault for fault in CertificateFault if fault.value])
def test_every_fault_keeps_a_certificate_from_identifying(fault: CertificateFault) -> None:
    assert not ClientCertificate(b"leaf", fault=fault).verified


def test_its_representation_shows_no_octets() -> None:
    assert repr(ClientCertificate(b"leaf", (b"issuer",))) == "ClientCertificate(fault=NONE)"
