"""What is thought of certificates, by the trust in force and who issued them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.authentication.present_trust import PresentTrust
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.revocation_lists import (
    Revocations,
    authority_key,
    parse_revocation_list,
)
from mailfront.tls import certificate_bridge
from mailfront.tls.client_verification import ClientTrust
from tests.support.client_authority import ClientAuthority

pytestmark = pytest.mark.skipif(
    bool(certificate_bridge.problem()), reason=certificate_bridge.problem()
)

STAFF = ClientAuthority()
ALICE = STAFF.issue("alice")
PRESENTED = ClientCertificate(ALICE.leaf)


def trust(*revoked: int) -> ClientTrust:
    known = parse_revocation_list(STAFF.revocation_list(revoked))
    return ClientTrust([STAFF.certificate], Revocations({authority_key(STAFF.certificate): known}))


async def unanswered(certificate: ClientCertificate) -> ClientCertificate:
    return replace(certificate, fault=CertificateFault.REVOCATION_UNKNOWN)


async def test_the_trust_in_force_decides_not_the_one_of_the_handshake() -> None:
    trusts = [trust()]
    present = PresentTrust(lambda: trusts[-1])
    assert present.judged(PRESENTED).verified
    assert (await present.enrolled(ALICE.leaf)).verified
    trusts.append(trust(ALICE.certificate.serial_number))
    assert present.judged(PRESENTED).fault is CertificateFault.REVOKED
    assert (await present.confirmed(PRESENTED)).fault is CertificateFault.REVOKED
    assert (await present.enrolled(ALICE.leaf)).fault is CertificateFault.REVOKED


async def test_issuers_are_asked_about_certificates_without_a_fault() -> None:
    known = trust()
    present = PresentTrust(lambda: known, unanswered)
    assert (await present.confirmed(PRESENTED)).fault is CertificateFault.REVOCATION_UNKNOWN
    assert (await present.enrolled(ALICE.leaf)).fault is CertificateFault.REVOCATION_UNKNOWN
    stranger = ClientAuthority("Strangers CA").issue("alice").leaf
    for judged in (
        await present.confirmed(ClientCertificate(stranger)),
        await present.enrolled(stranger),
    ):
        assert judged.fault is CertificateFault.UNTRUSTED


async def test_where_nothing_can_be_judged_nothing_is_taken() -> None:
    present = PresentTrust()
    assert present.judged(PRESENTED).fault is CertificateFault.UNTRUSTED
    assert (await present.enrolled(ALICE.leaf)).fault is CertificateFault.REVOCATION_UNKNOWN
