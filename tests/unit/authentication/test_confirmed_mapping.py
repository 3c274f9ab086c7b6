"""Certificates are judged and confirmed before they are mapped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.authentication.confirmed_mapping import ConfirmedMapper
from mailfront.authentication.present_trust import PresentTrust
from mailfront.directory.entry import Entry
from mailfront.errors import MappingRefusedError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.tls import certificate_bridge
from mailfront.tls.client_verification import ClientTrust
from tests.support.client_authority import ClientAuthority

pytestmark = pytest.mark.skipif(
    bool(certificate_bridge.problem()), reason=certificate_bridge.problem()
)

STAFF = ClientAuthority()
CERTIFICATE = ClientCertificate(STAFF.issue("alice").leaf)


class Mapper:
    """Refuses everybody, and notes what it was given."""

    def __init__(self) -> None:
        self.given: list[ClientCertificate] = []

    async def map(self, certificate: ClientCertificate, service: str) -> Entry:
        self.given.append(certificate)
        raise MappingRefusedError(f"{service}: {certificate.fault.value}")

    def accepts(self, certificate: ClientCertificate) -> bool:
        return certificate.verified


async def revoked(certificate: ClientCertificate) -> ClientCertificate:
    return replace(certificate, fault=CertificateFault.REVOKED)


async def test_the_mapper_is_given_what_was_confirmed() -> None:
    trust, mapper = ClientTrust([STAFF.certificate]), Mapper()
    confirmed = ConfirmedMapper(mapper, PresentTrust(lambda: trust, revoked))
    with pytest.raises(MappingRefusedError, match="imap: it is revoked"):
        await confirmed.map(CERTIFICATE, "imap")
    assert [one.fault for one in mapper.given] == [CertificateFault.REVOKED]


async def test_what_the_handshake_found_counts_no_more_once_the_ca_is_not_trusted() -> None:
    trusts, mapper = [ClientTrust([STAFF.certificate])], Mapper()
    confirmed = ConfirmedMapper(mapper, PresentTrust(lambda: trusts[-1]))
    assert confirmed.accepts(CERTIFICATE)
    trusts.append(ClientTrust([]))
    assert not confirmed.accepts(CERTIFICATE)
    with pytest.raises(MappingRefusedError, match="no CA that is trusted"):
        await confirmed.map(CERTIFICATE, "imap")
