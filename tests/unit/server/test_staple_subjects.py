"""Which certificates an OCSP responder is asked about, and what can be stapled to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import OcspError
from mailfront.keystore.ocsp import Revocation, fingerprint_of
from mailfront.keystore.records import CertificateRecord, Inventory
from mailfront.keystore.trust import TrustFlags
from mailfront.server.staple_subjects import Subject, find_wanted, judged, subject_of
from mailfront.tls import stapling_bridge
from mailfront.tls.context import PresentedChain
from mailfront.tls.stapling_bridge import MAXIMUM_STAPLE
from tests.support.ocsp import RESPONDER, OcspAuthority

AUTHORITY = OcspAuthority()
_, LEAF = AUTHORITY.issue("mail.example.test")
_, DEMANDING = AUTHORITY.issue("mail.example.test", url=None, must_staple=True)
_, WITHOUT = AUTHORITY.issue("mail.example.test", url=None)
NOW = datetime.now(UTC)


def record(nickname: str, certificate: x509.Certificate) -> CertificateRecord:
    return CertificateRecord(nickname, certificate, (), TrustFlags(0), has_key=True)


def inventory() -> Inventory:
    trusted = TrustFlags.SERVERS
    return Inventory((CertificateRecord("ca", AUTHORITY.certificate, (), trusted, False),), ())


def subject(issuer: x509.Certificate | None = AUTHORITY.certificate) -> Subject:
    return Subject("Server-Cert", LEAF, issuer, (RESPONDER,), demanded=False)


def test_a_certificate_without_a_responder_is_no_subject() -> None:
    assert subject_of("one", WITHOUT, (), (AUTHORITY.certificate,)) is None


def test_a_certificate_that_demands_a_response_is_one_all_the_same() -> None:
    found = subject_of("one", DEMANDING, (), (AUTHORITY.certificate,))
    assert found == Subject("one", DEMANDING, AUTHORITY.certificate, (), demanded=True)


def test_the_issuer_is_in_the_chain_or_among_the_authorities() -> None:
    impostor = OcspAuthority()
    for chain, authorities in [
        ((impostor.certificate, AUTHORITY.certificate), ()),
        ((), (impostor.certificate, AUTHORITY.certificate)),
    ]:
        found = subject_of("one", LEAF, chain, authorities)
        assert found is not None
        assert found.issuer == AUTHORITY.certificate
    found = subject_of("one", LEAF, (impostor.certificate,), ())
    assert found is not None
    assert found.issuer is None


def test_what_is_presented_is_wanted_at_once_and_the_rest_by_name() -> None:
    _, other = AUTHORITY.issue("other.example.test")
    presented = [PresentedChain("a", LEAF, ()), PresentedChain("b", WITHOUT, ())]
    by_name = [record("other", other), record("without", WITHOUT)]
    wanted = find_wanted(Configuration.of({}), presented, by_name, inventory)
    assert wanted.enabled is not bool(stapling_bridge.unavailable())
    assert wanted.seconds == 10
    assert list(wanted.served) == [fingerprint_of(LEAF)]
    assert list(wanted.by_name) == [fingerprint_of(other)]
    for fingerprint in (fingerprint_of(LEAF), fingerprint_of(other)):
        found = wanted.subject(fingerprint)
        assert found is not None
        assert found.issuer == AUTHORITY.certificate
    assert wanted.subject(fingerprint_of(WITHOUT)) is None


def test_the_keystore_is_not_read_where_nobody_can_be_asked() -> None:
    def unread() -> Inventory:
        raise AssertionError("the inventory was read")

    presented = [PresentedChain("b", WITHOUT, ())]
    wanted = find_wanted(Configuration.of({}), presented, [record("b", WITHOUT)], unread)
    assert (wanted.served, wanted.by_name) == ({}, {})


def test_the_options_turn_it_off_and_bound_the_time() -> None:
    options = {"local.ssl.ocspstapling": "no", "local.ssl.ocsptimeout": "3"}
    wanted = find_wanted(Configuration.of(options), [], [], inventory)
    assert not wanted.enabled
    assert wanted.seconds == 3


def test_good_and_revoked_can_be_stapled() -> None:
    for status, revocation in [
        (ocsp.OCSPCertStatus.GOOD, Revocation.GOOD),
        (ocsp.OCSPCertStatus.REVOKED, Revocation.REVOKED),
    ]:
        answer = judged(AUTHORITY.response(LEAF, status), subject(), NOW)
        assert answer.revocation is revocation


def test_unknown_cannot() -> None:
    response = AUTHORITY.response(LEAF, ocsp.OCSPCertStatus.UNKNOWN)
    with pytest.raises(OcspError, match="does not know"):
        judged(response, subject(), NOW)


def test_nothing_can_without_the_issuer() -> None:
    with pytest.raises(OcspError, match="not in the database"):
        judged(AUTHORITY.response(LEAF), subject(issuer=None), NOW)


def test_a_response_that_tls12_cannot_carry_cannot() -> None:
    delegates = [AUTHORITY.delegate() for _ in range(60)]
    included = [certificate for _, certificate in delegates]
    response = AUTHORITY.response(LEAF, signer=delegates[0], included=included)
    assert len(response) > MAXIMUM_STAPLE
    with pytest.raises(OcspError, match="too large for TLS"):
        judged(response, subject(), NOW)


def test_a_response_near_its_end_cannot() -> None:
    response = AUTHORITY.response(LEAF, begins=NOW - timedelta(minutes=57))
    with pytest.raises(OcspError, match="ends at once"):
        judged(response, subject(), NOW)
