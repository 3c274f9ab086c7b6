"""Revocation lists: which are believed, and what they say of a certificate."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as some

from mailfront.errors import KeystoreError
from mailfront.keystore import revocation_lists
from mailfront.keystore.revocation_lists import (
    Revocations,
    RevocationState,
    authority_key,
    parse_revocation_list,
    require_believable,
    revocation_list_der,
)
from tests.support.client_authority import DAY, NOW, ClientAuthority, new_key

STAFF = ClientAuthority()
INTACT = STAFF.revocation_list([5, 7])
POINT = "http://pki.example.test/staff.crl"


def scope(**given: object) -> tuple[x509.ExtensionType, bool]:
    """An issuing distribution point, all of whose fields but those given say nothing."""
    fields: dict[str, object] = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False,
        "only_contains_ca_certs": False, "only_some_reasons": None, "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }  # fmt: skip
    return x509.IssuingDistributionPoint(**{**fields, **given}), True  # type: ignore[arg-type]


def judged(octets: bytes, certificate: x509.Certificate) -> RevocationState:
    lists = {authority_key(STAFF.certificate): parse_revocation_list(octets)}
    return Revocations(lists).state(certificate, STAFF.certificate, NOW)


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_a_list_that_the_ca_signed_is_believed(kind: str) -> None:
    authority = ClientAuthority(key=new_key(kind))
    der = authority.revocation_list([5, 7], number=12)
    found = parse_revocation_list(der)
    require_believable(der, found, authority.certificate, NOW)
    assert (found.number, found.entries, found.is_current(NOW)) == (12, 2, True)


def test_pem_is_read_as_der_is() -> None:
    der = STAFF.revocation_list([5])
    pem = x509.load_der_x509_crl(der).public_bytes(serialization.Encoding.PEM)
    assert revocation_list_der(b"\n" + pem) == revocation_list_der(der) == der


def test_who_is_on_the_list_is_revoked_and_nobody_else() -> None:
    alice, bob = STAFF.issue("alice"), STAFF.issue("bob")
    octets = STAFF.revocation_list([alice.certificate.serial_number])
    assert judged(octets, alice.certificate) is RevocationState.REVOKED
    assert judged(octets, bob.certificate) is RevocationState.GOOD


def test_without_a_list_of_the_issuer_nothing_is_known() -> None:
    other = ClientAuthority("Other CA")
    lists = {authority_key(STAFF.certificate): parse_revocation_list(STAFF.revocation_list())}
    state = Revocations(lists).state(other.issue().certificate, other.certificate, NOW)
    assert state is RevocationState.NO_LIST


def test_the_list_of_a_ca_holds_for_all_its_certificates_of_the_same_key() -> None:
    renewed = ClientAuthority(key=STAFF.key)
    assert authority_key(renewed.certificate) == authority_key(STAFF.certificate)
    assert authority_key(ClientAuthority().certificate) != authority_key(STAFF.certificate)


def test_a_list_past_its_next_update_still_knows_whom_it_revoked() -> None:
    alice, bob = STAFF.issue("alice"), STAFF.issue("bob")
    octets = STAFF.revocation_list(
        [alice.certificate.serial_number], begins=NOW - 9 * DAY, ends=NOW - DAY
    )
    assert judged(octets, alice.certificate) is RevocationState.REVOKED
    assert judged(octets, bob.certificate) is RevocationState.OUT_OF_DATE


def test_a_list_for_users_says_nothing_of_cas_and_the_other_way_round() -> None:
    below = ClientAuthority("Issuing CA", parent=STAFF).certificate
    alice = STAFF.issue("alice").certificate
    users = STAFF.revocation_list(
        [alice.serial_number, below.serial_number],
        extensions=[scope(only_contains_user_certs=True)],
    )
    assert judged(users, alice) is RevocationState.REVOKED
    assert judged(users, below) is RevocationState.NO_LIST
    authorities = STAFF.revocation_list(
        [alice.serial_number, below.serial_number],
        extensions=[scope(only_contains_ca_certs=True)],
    )
    assert judged(authorities, alice) is RevocationState.NO_LIST
    assert judged(authorities, below) is RevocationState.REVOKED


def test_a_list_of_one_distribution_point_says_nothing_of_certificates_of_another() -> None:
    point = x509.UniformResourceIdentifier(POINT)
    octets = STAFF.revocation_list(extensions=[scope(full_name=[point])])
    assert judged(octets, STAFF.issue(list_at=POINT).certificate) is RevocationState.GOOD
    elsewhere = STAFF.issue(list_at="http://pki.example.test/other.crl").certificate
    assert judged(octets, elsewhere) is RevocationState.NO_LIST
    assert judged(octets, STAFF.issue().certificate) is RevocationState.NO_LIST


REASONS = frozenset([x509.ReasonFlags.key_compromise])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


@pytest.mark.parametrize(
    ("extension", "what"),
    [
        ((x509.DeltaCRLIndicator(4), True), "delta list"),
        (scope(indirect_crl=True), "indirect list"),
        (scope(only_some_reasons=REASONS), "for some reasons"),
        (scope(only_contains_attribute_certs=True), "attribute certificates"),
        ((UNKNOWN, True), "critical extension"),
    ],
    ids=["delta", "indirect", "some reasons", "attribute certificates", "unknown"],
)
def test_a_list_that_is_not_all_of_it_is_refused(
    extension: tuple[x509.ExtensionType, bool], what: str
) -> None:
    with pytest.raises(KeystoreError, match=what):
        parse_revocation_list(STAFF.revocation_list(extensions=[extension]))


def test_an_unknown_extension_that_is_not_critical_is_nothing_to_us() -> None:
    assert parse_revocation_list(STAFF.revocation_list(extensions=[(UNKNOWN, False)])).entries == 0


def test_a_list_of_another_ca_is_not_believed() -> None:
    der = ClientAuthority("Other CA").revocation_list()
    with pytest.raises(KeystoreError, match="is of CN=Other CA"):
        require_believable(der, parse_revocation_list(der), STAFF.certificate, NOW)


def test_a_list_signed_with_another_key_is_not_believed() -> None:
    der = STAFF.revocation_list(key=new_key())
    with pytest.raises(KeystoreError, match="not signed with the key"):
        require_believable(der, parse_revocation_list(der), STAFF.certificate, NOW)


def test_a_ca_whose_key_usage_has_no_lists_signs_none() -> None:
    authority = ClientAuthority(lists=False)
    der = authority.revocation_list()
    with pytest.raises(KeystoreError, match="may not sign"):
        require_believable(der, parse_revocation_list(der), authority.certificate, NOW)


def test_a_list_of_the_future_is_not_believed() -> None:
    der = STAFF.revocation_list(begins=NOW + timedelta(hours=1))
    with pytest.raises(KeystoreError, match="begins only"):
        require_believable(der, parse_revocation_list(der), STAFF.certificate, NOW)


def test_a_list_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation_lists, "MAXIMUM_OCTETS", 10)
    with pytest.raises(KeystoreError, match="more than"):
        revocation_list_der(bytes(11))


@settings(max_examples=50, deadline=None)
@given(
    some.sets(some.integers(1, (1 << 159) - 1), max_size=30),
    some.sets(some.integers(0, 1 << 200), max_size=30),
)
def test_a_serial_number_is_found_whatever_its_length(on: set[int], off: set[int]) -> None:
    found = parse_revocation_list(STAFF.revocation_list(sorted(on)))
    assert found.entries == len(on)
    assert all(found.has(serial) for serial in on)
    assert not any(found.has(serial) for serial in off - on)
    assert not found.has(-1)


@settings(max_examples=200, deadline=None)
@given(some.data())
def test_damaged_octets_are_refused_with_one_kind_of_error(data: some.DataObject) -> None:
    octets = bytearray(INTACT)
    for _ in range(data.draw(some.integers(1, 4))):
        octets[data.draw(some.integers(0, len(octets) - 1))] = data.draw(some.integers(0, 255))
    cut = data.draw(some.integers(0, len(octets)))
    for damaged in (bytes(octets), bytes(octets[:cut])):
        try:
            der = revocation_list_der(damaged)
            require_believable(der, parse_revocation_list(der), STAFF.certificate, NOW)
        except KeystoreError:
            pass
