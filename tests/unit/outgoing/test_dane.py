"""DANE: which records count, where they are looked for, what fits them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dns.rdata
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import DnsUnavailableError
from mailfront.outgoing.dane import DaneState, DaneStatus, TlsaRecord, dane_state, judge
from mailfront.outgoing.mail_exchangers import HostAddresses, MailExchangers
from mailfront.outgoing.resolver import Answer
from tests.support.issuing import Issued, Issuer
from tests.support.outgoing import MemoryDns

HOST = "mx.example.test"
PROVED = MailExchangers((HOST,), authenticated=True)
AT_HOST = HostAddresses(("127.0.0.1",), HOST, authenticated=True)


def tlsa(text: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text("IN", "TLSA", text)


def answer(*texts: str, authenticated: bool = True) -> Answer:
    return Answer("any", tuple(map(tlsa, texts)), authenticated)


async def state_with(*texts: str, authenticated: bool = True, **more: object) -> DaneState:
    dns_ = MemoryDns({(f"_25._tcp.{HOST}", "TLSA"): answer(*texts, authenticated=authenticated)})
    return await dane_state(dns_, PROVED, AT_HOST, HOST, 25)


SHA256, SHA512 = "ab" * 32, "cd" * 64


@pytest.mark.parametrize(
    ("texts", "status", "kept"),
    [
        ((f"3 1 1 {SHA256}",), DaneStatus.USABLE, 1),
        ((f"2 0 2 {SHA512}",), DaneStatus.USABLE, 1),
        ((f"0 0 1 {SHA256}", f"1 1 1 {SHA256}"), DaneStatus.UNUSABLE, 0),
        ((f"1 1 1 {SHA256}", f"3 1 1 {SHA256}"), DaneStatus.USABLE, 1),
        ((f"3 2 1 {SHA256}",), DaneStatus.UNUSABLE, 0),
        ((f"3 1 3 {SHA256}",), DaneStatus.UNUSABLE, 0),
        # Digest agility: the weaker digest of the same kind does not count.
        ((f"3 1 1 {SHA256}", f"3 1 2 {SHA512}"), DaneStatus.USABLE, 1),
        ((f"3 1 1 {SHA256}", f"2 1 2 {SHA512}"), DaneStatus.USABLE, 2),
        ((), DaneStatus.ABSENT, 0),
    ],
)
async def test_records_count_by_usage_selector_and_digest(
    texts: Sequence[str], status: DaneStatus, kept: int
) -> None:
    state = await state_with(*texts)
    assert (state.status, len(state.records), len(state.texts)) == (status, kept, len(texts))


async def test_nothing_counts_that_dnssec_does_not_prove() -> None:
    record = f"3 1 1 {SHA256}"
    assert (await state_with(record, authenticated=False)).status is DaneStatus.ABSENT
    dns_ = MemoryDns({(f"_25._tcp.{HOST}", "TLSA"): answer(record)})
    unproved = MailExchangers((HOST,), authenticated=False)
    state = await dane_state(dns_, unproved, AT_HOST, HOST, 25)
    assert state.status is DaneStatus.INSECURE
    elsewhere = HostAddresses(("127.0.0.1",), HOST, authenticated=False)
    state = await dane_state(dns_, PROVED, elsewhere, HOST, 25)
    assert state.status is DaneStatus.INSECURE


async def test_records_of_an_alias_are_looked_for_at_its_end_first() -> None:
    alias = HostAddresses(("127.0.0.1",), "real.test", authenticated=True, is_alias=True)
    record = answer(f"3 1 1 {SHA256}")
    both = MemoryDns({("_25._tcp.real.test", "TLSA"): record, (f"_25._tcp.{HOST}", "TLSA"): record})
    assert (await dane_state(both, PROVED, alias, HOST, 25)).base == "real.test"
    first = MemoryDns({(f"_25._tcp.{HOST}", "TLSA"): record})
    assert (await dane_state(first, PROVED, alias, HOST, 25)).base == HOST


async def test_an_alias_that_leads_out_of_dnssec_has_the_records_of_its_own_name() -> None:
    alias = HostAddresses(("127.0.0.1",), "real.test", authenticated=False, is_alias=True)
    dns_ = MemoryDns(
        {
            (f"_25._tcp.{HOST}", "TLSA"): answer(f"3 1 1 {SHA256}"),
            (HOST, "CNAME"): Answer(HOST, authenticated=True),
        }
    )
    state = await dane_state(dns_, PROVED, alias, HOST, 25)
    assert (state.status, state.base) == (DaneStatus.USABLE, HOST)


async def test_a_look_up_that_fails_is_no_absence() -> None:
    class Failing:
        async def lookup(self, name: str, kind: str) -> Answer:
            raise DnsUnavailableError("SERVFAIL")

    state = await dane_state(Failing(), PROVED, AT_HOST, HOST, 25)
    assert (state.status, state.problem) == (DaneStatus.FAILED, "SERVFAIL")


# What a server presents.

ISSUER = Issuer()
GOOD = ISSUER.issue(HOST)
EXPIRED = ISSUER.issue(HOST, begins=datetime.now(UTC) - timedelta(days=30), days=10)
OTHER = ISSUER.issue("elsewhere.test")


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def chain(issued: Issued) -> list[bytes]:
    return [der(one) for one in issued.chain]


def record(certificate: x509.Certificate, usage: int, selector: int, matching: int) -> TlsaRecord:
    data = der(certificate)
    if selector:
        key = certificate.public_key()
        data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if matching:
        data = hashlib.new("sha256" if matching == 1 else "sha512", data).digest()
    return TlsaRecord(usage, selector, matching, data)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("usage", [2, 3])
def test_a_certificate_fits_its_record(usage: int, selector: int, matching: int) -> None:
    named = GOOD.chain[1] if usage == 2 else GOOD.leaf
    verdict = judge([record(named, usage, selector, matching)], der(GOOD.leaf), chain(GOOD), [HOST])
    assert verdict.record is not None, verdict.problem
    assert judge([record(named, usage, selector, matching)], der(OTHER.leaf), [], [HOST]).problem


@pytest.mark.parametrize("issued", [EXPIRED, OTHER])
def test_names_and_dates_count_below_a_trust_anchor_alone(issued: Issued) -> None:
    leaf = der(issued.leaf)
    assert judge([record(issued.leaf, 3, 1, 1)], leaf, chain(issued), [HOST]).record
    verdict = judge([record(issued.chain[1], 2, 1, 1)], leaf, chain(issued), [HOST])
    assert (verdict.record, bool(verdict.problem)) == (None, True)


def test_a_trust_anchor_that_is_not_sent_counts_if_the_record_is_the_certificate() -> None:
    leaf = der(GOOD.leaf)
    assert judge([record(GOOD.chain[1], 2, 0, 0)], leaf, [leaf], [HOST]).record is not None
    assert judge([record(GOOD.chain[1], 2, 0, 1)], leaf, [leaf], [HOST]).record is None


def test_a_trust_anchor_that_only_came_along_vouches_for_nobody() -> None:
    stranger = Issuer().issue(HOST)
    presented = [*chain(stranger), der(ISSUER.intermediate)]
    records = [record(ISSUER.intermediate, 2, 1, 1)]
    assert judge(records, der(stranger.leaf), presented, [HOST]).record is None


def test_without_a_certificate_nothing_fits() -> None:
    assert judge([TlsaRecord(3, 0, 0, b"")], b"", [], [HOST]).record is None


@given(st.binary(min_size=1, max_size=80), st.lists(st.binary(max_size=80), max_size=3))
def test_octets_that_are_no_certificate_fit_nothing(leaf: bytes, others: list[bytes]) -> None:
    records = [record(GOOD.leaf, 3, 1, 1), record(GOOD.chain[1], 2, 0, 0)]
    assert judge(records, leaf, others, [HOST]).record is None
