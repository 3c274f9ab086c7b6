"""Judging client certificates: faults, what is said of them, how long a judgement holds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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


class Meeting(dict[bytes, object]):
    """Judgements at which threads wait for each other, unless something keeps them apart."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__()
        self._barrier = barrier

    def __iter__(self) -> Iterator[bytes]:
        first = next(super().__iter__())
        with contextlib.suppress(threading.BrokenBarrierError):
            self._barrier.wait(0.2)
        return iter([first])


def test_several_threads_judge_while_there_is_no_place_for_more_judgements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_verification, "MAXIMUM_JUDGEMENTS", 1)
    known, alice, bob, carol = trust(), *(STAFF.issue(name) for name in ("alice", "bob", "carol"))
    monkeypatch.setattr(known, "_judgements", Meeting(threading.Barrier(2)))
    assert fault(known, alice) is CertificateFault.NONE
    with ThreadPoolExecutor(2) as threads:
        faults = list(threads.map(lambda one: fault(known, one), (bob, carol)))
    assert faults == [CertificateFault.NONE, CertificateFault.NONE]
    assert len(known._judgements) == 1


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


def test_without_its_chain_a_certificate_is_looked_for_in_the_lists_of_cas_of_that_name() -> None:
    alice, bob, self_signed = BELOW.issue("alice"), BELOW.issue("bob"), ClientAuthority("Ann")
    octets = BELOW.revocation_list([bob.certificate.serial_number])
    known = trust((BELOW, octets))
    assert known.judge_alone(alice.leaf).fault is CertificateFault.UNTRUSTED
    assert known.judge(bob.leaf, ()).fault is CertificateFault.UNTRUSTED
    assert known.judge_alone(bob.leaf).fault is CertificateFault.REVOKED
    ours = ClientIdentity(self_signed.key, self_signed.certificate)
    assert known.judge_alone(ours.leaf).fault is CertificateFault.UNTRUSTED
    assert known.judge_alone(STAFF.issue("carol").leaf).verified


def test_without_its_chain_too_it_depends_whether_a_list_out_of_date_is_hard() -> None:
    alice = BELOW.issue("alice")
    octets = BELOW.revocation_list(begins=NOW - 9 * DAY, ends=NOW - DAY)
    judged = trust((BELOW, octets)).judge_alone(alice.leaf)
    assert judged.fault is CertificateFault.REVOCATION_UNKNOWN
    assert judged.detail == "the revocation list of CN=Issuing CA is out of date"
    soft = trust((BELOW, octets), hard=False)
    assert soft.judge_alone(alice.leaf).fault is CertificateFault.UNTRUSTED
