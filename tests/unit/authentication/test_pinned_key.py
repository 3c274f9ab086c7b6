from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.authentication.pinned_key import (
    check_enrolled,
    check_presented,
    enrolled_certificates,
    is_for_clients,
    pinned_condition,
)
from mailfront.directory.enrolled_keys import key_fingerprint
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import MappingRefusedError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.formats import certificate_der
from mailfront.protocol.ldap_filter import to_text
from tests.support.client_certificates import KEY, client_certificate

ANN = Entry(
    "ann@example.com", "ann", frozenset(["ann@example.com"]), (), AccountStatus.ACTIVE, "", "", (),
    1, 2,
)  # fmt: skip


def test_the_fingerprint_is_of_the_public_key_alone() -> None:
    info = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    expected = hashlib.sha256(info).hexdigest()
    for certificate in (client_certificate("CN=a"), client_certificate("CN=b")):
        assert key_fingerprint(certificate) == expected
    condition = pinned_condition(client_certificate())
    assert to_text(condition) == f"(mailFrontKeyFingerprint={expected})"


def test_an_entry_holds_a_key_in_any_of_its_certificates() -> None:
    mine = client_certificate("CN=mine")
    other = client_certificate(key=ec.generate_private_key(ec.SECP256R1()))
    junk = b"no certificate"
    entry = replace(ANN, certificates=(junk, certificate_der(other), certificate_der(mine)))
    found = enrolled_certificates(entry, client_certificate("CN=renewed"))
    assert found == (certificate_der(mine),)
    others = replace(ANN, certificates=(junk, certificate_der(other)))
    assert enrolled_certificates(others, mine) == enrolled_certificates(ANN, mine) == ()


def test_a_certificate_is_good_from_its_first_to_its_last_second() -> None:
    begins = datetime(2030, 1, 1, tzinfo=UTC)
    certificate = client_certificate(begins=begins, days=1)
    check_presented(certificate, begins)
    check_presented(certificate, begins + timedelta(days=1))
    with pytest.raises(MappingRefusedError, match="not valid yet"):
        check_presented(certificate, begins - timedelta(seconds=1))
    with pytest.raises(MappingRefusedError, match="expired"):
        check_presented(certificate, begins + timedelta(days=1, seconds=1))


@pytest.mark.parametrize(
    ("uses", "is_good"),
    [
        ([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION], True),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], True),
        ([ExtendedKeyUsageOID.SERVER_AUTH], False),
    ],
)
def test_the_extended_key_usage_must_allow_clients(
    uses: list[x509.ObjectIdentifier], is_good: bool
) -> None:
    certificate = client_certificate(extensions=[x509.ExtendedKeyUsage(uses)])
    assert is_for_clients(certificate) is is_good
    if not is_good:
        with pytest.raises(MappingRefusedError, match="not for TLS clients"):
            check_presented(certificate, datetime.now(UTC))
    assert is_for_clients(client_certificate())


class Judge:
    """Finds the faults that it was told of, and else that nobody vouches for a certificate."""

    def __init__(self, **faults: CertificateFault) -> None:
        self._faults = faults

    async def __call__(self, der: bytes) -> ClientCertificate:
        name = x509.load_der_x509_certificate(der).subject.rfc4514_string().removeprefix("CN=")
        return ClientCertificate(der, (), self._faults.get(name, CertificateFault.UNTRUSTED))


OLD, NEW = (certificate_der(client_certificate(f"CN={name}")) for name in ("old", "new"))


@pytest.mark.parametrize("fault", CertificateFault)
async def test_an_enrolled_certificate_may_lack_a_trusted_issuer_but_have_no_other_fault(
    fault: CertificateFault,
) -> None:
    checked = check_enrolled((OLD,), datetime.now(UTC), Judge(old=fault))
    if fault in (CertificateFault.NONE, CertificateFault.UNTRUSTED):
        await checked
        return
    with pytest.raises(MappingRefusedError, match=f"the enrolled certificate .*: {fault.value}"):
        await checked


@pytest.mark.parametrize(("days", "reason"), [(-1, "is not valid yet"), (60, "has expired")])
async def test_the_dates_of_an_enrolled_certificate_count_behind_the_missing_trust(
    days: int, reason: str
) -> None:
    then = datetime.now(UTC) + timedelta(days=days)
    with pytest.raises(MappingRefusedError, match=f"the enrolled certificate .*: it {reason}"):
        await check_enrolled((OLD, NEW), then, Judge())


async def test_of_several_for_a_key_one_must_be_good_and_none_revoked() -> None:
    now = datetime.now(UTC)
    await check_enrolled((OLD, NEW), now, Judge(old=CertificateFault.EXPIRED))
    with pytest.raises(MappingRefusedError, match="it is revoked"):
        await check_enrolled((NEW, OLD), now, Judge(old=CertificateFault.REVOKED))
