"""Judging client certificates: faults, what is said of them, how long a judgement holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from mailfront.interfaces.client_certificate import CertificateFault
from mailfront.keystore.revocation_lists import (
    Revocations,
    authority_key,
    parse_revocation_list,
)
from mailfront.tls import certificate_bridge, client_verification
from mailfront.tls.client_verification import ClientTrust
from tests.support.client_authority import DAY, NOW, ClientAuthority, ClientIdentity

pytestmark = pytest.mark.skipif(
    bool(certificate_bridge.problem()), reason=certificate_bridge.problem()
)

STAFF = ClientAuthority()
BELOW = ClientAuthority("Issuing CA", parent=STAFF)


def late(*revoked: int) -> bytes:
    """A list of the staff's CA that is out of date."""
    return STAFF.revocation_list(revoked, begins=NOW - 9 * DAY, ends=NOW - DAY)


class Clock:
    """The present, which a test may move."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


def trust(
    *lists: tuple[ClientAuthority, bytes], hard: bool = True, clock: Clock | None = None
) -> ClientTrust:
    known = {authority_key(ca.certificate): parse_revocation_list(content) for ca, content in lists}
    return ClientTrust([STAFF.certificate], Revocations(known), hard=hard, clock=clock or Clock())


def fault(known: ClientTrust, identity: ClientIdentity) -> CertificateFault:
    return known.judge(identity.leaf, identity.presented).fault


def test_what_was_presented_is_told_with_its_fault() -> None:
    alice = BELOW.issue("alice")
    judged = trust().judge(alice.leaf, alice.presented)
    assert judged.verified
    assert (judged.leaf, judged.presented, judged.detail) == (alice.leaf, alice.presented, "")


def test_the_detail_says_which_certificate_of_the_chain_is_meant() -> None:
    old = ClientAuthority("Old CA", parent=STAFF, ends=NOW - DAY)
    alice = old.issue("alice")
    judged = trust().judge(alice.leaf, alice.presented)
    assert judged.fault is CertificateFault.EXPIRED
    assert judged.detail == "certificate has expired, its issuer"


def test_where_a_list_is_out_of_date_it_depends_whether_that_is_hard() -> None:
    alice, bob = STAFF.issue("alice"), STAFF.issue("bob")
    octets = late(bob.certificate.serial_number)
    hard, soft = trust((STAFF, octets)), trust((STAFF, octets), hard=False)
    assert fault(hard, alice) is CertificateFault.REVOCATION_UNKNOWN
    assert fault(soft, alice) is CertificateFault.NONE
    assert fault(hard, bob) is fault(soft, bob) is CertificateFault.REVOKED
    told = hard.judge(alice.leaf, ()).detail
    assert told == "the revocation list of CN=Staff CA is out of date"


def test_the_lists_of_all_cas_above_are_looked_into() -> None:
    alice = BELOW.issue("alice")
    serial = BELOW.certificate.serial_number
    assert fault(trust((STAFF, STAFF.revocation_list([serial]))), alice) is CertificateFault.REVOKED
    assert fault(trust((STAFF, late())), alice) is (CertificateFault.REVOCATION_UNKNOWN)
    own = BELOW.revocation_list([alice.certificate.serial_number])
    assert fault(trust((BELOW, own)), alice) is CertificateFault.REVOKED


def test_a_revoked_certificate_is_revoked_also_below_a_list_out_of_date() -> None:
    alice = BELOW.issue("alice")
    own = BELOW.revocation_list([alice.certificate.serial_number])
    known = trust((STAFF, late()), (BELOW, own))
    assert fault(known, alice) is CertificateFault.REVOKED


def test_a_judgement_is_kept_and_made_again_after_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, alice = Clock(), STAFF.issue("alice")
    known, made = trust(clock=clock), []
    monkeypatch.setattr(known._store, "verify", lambda *_: made.append(1))
    for later, judged in ((0, 1), (59, 1), (60, 2)):
        clock.now = NOW.timestamp() + later
        known.judge(alice.leaf, ())
        assert len(made) == judged


def test_a_judgement_is_of_leaf_and_chain_together() -> None:
    known, alice = trust(), BELOW.issue("alice")
    assert known.judge(alice.leaf, alice.presented).verified
    assert known.judge(alice.leaf, ()).fault is CertificateFault.UNTRUSTED
    joined = alice.leaf + alice.presented[0]
    assert known.judge(joined[:-1], (joined[-1:],)).fault is not None


def test_no_judgement_outlives_a_certificate_of_the_chain() -> None:
    clock = Clock()
    known = trust(clock=clock)
    brief = ClientAuthority("Brief CA", parent=STAFF, ends=NOW + timedelta(seconds=10))
    alice = brief.issue("alice")
    assert fault(known, alice) is CertificateFault.NONE
    clock.now += 10
    assert fault(known, alice) is CertificateFault.EXPIRED


def test_judgements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_verification, "MAXIMUM_JUDGEMENTS", 3)
    known = trust()
    for number in range(10):
        known.judge(STAFF.issue(f"user{number}").leaf, ())
    assert len(known._judgements) == 3


def test_a_chain_too_long_or_octets_that_are_none_are_malformed() -> None:
    alice = STAFF.issue("alice")
    assert trust().judge(alice.leaf, (alice.leaf,) * 17).fault is CertificateFault.MALFORMED
    assert trust().judge(b"\x30\x00", ()).fault is CertificateFault.MALFORMED


def test_the_digest_tells_whether_the_same_cas_are_trusted() -> None:
    one = ClientTrust([STAFF.certificate, BELOW.certificate])
    other = ClientTrust([BELOW.certificate, STAFF.certificate])
    assert one.digest == other.digest != ClientTrust([STAFF.certificate]).digest


def test_names_that_do_not_fit_into_a_request_are_left_out() -> None:
    long = [
        ClientAuthority(f"{number} {'x' * 60}", key=STAFF.key).certificate for number in range(2)
    ]
    assert ClientTrust(long).names_fit
    many: list[x509.Certificate] = long * 120
    assert not ClientTrust(many).names_fit
