"""Which certificates are for a name, and which of several is presented."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mailfront.keystore.host_names import patterns_for
from mailfront.tls.certificate_names import CertificateNames, names_of
from tests.support.server_names import certificate, record

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def groups(names: CertificateNames, *asked: str) -> list[tuple[str, ...] | None]:
    return [names.find(name) for name in asked]


def test_a_name_finds_its_certificate_in_any_case() -> None:
    names = CertificateNames.of_records(
        [record("a", "A.example.test"), record("b", "b.example.test")]
    )
    assert groups(names, "a.example.test", "B.EXAMPLE.TEST", "c.example.test", "") == [
        ("a",), ("b",), None, None,
    ]  # fmt: skip


def test_a_wildcard_stands_for_the_whole_left_most_label_alone() -> None:
    names = CertificateNames.of_records(
        [record("a", "*.example.test"), record("b", "exact.example.test")]
    )
    assert groups(names, "mail.example.test", "exact.example.test") == [("a",), ("b",)]
    assert groups(names, "example.test", "x.mail.example.test", ".test") == [None, None, None]


@pytest.mark.parametrize("pattern", ["m*.example.test", "*.*.example.test", "mail.*.test", "*"])
def test_other_patterns_are_no_names(pattern: str) -> None:
    names = CertificateNames.of_records([record("a", pattern)])
    assert len(names) == 0


@given(st.text(max_size=300))
def test_whatever_is_asked_for_costs_two_look_ups_at_most(name: str) -> None:
    patterns = list(patterns_for(name))
    assert 1 <= len(patterns) <= 2
    assert CertificateNames.of_records([]).find(name) is None


def test_a_common_name_is_no_host_name() -> None:
    assert names_of(certificate()) == frozenset()


def test_certificates_without_key_or_for_clients_alone_do_not_count() -> None:
    without_key = replace(record("a", "a.example.test"), has_key=False)
    of_client = record(
        "b", made=certificate("b.example.test", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    )
    of_server = record(
        "c", made=certificate("c.example.test", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    )
    names = CertificateNames.of_records([without_key, of_client, of_server])
    assert groups(names, "a.example.test", "b.example.test", "c.example.test") == [
        None, None, ("c",),
    ]  # fmt: skip


NOW = datetime.now(UTC)
TOMORROW = NOW + timedelta(days=1)
LONG_AGO = NOW - timedelta(days=99)


def test_of_several_for_a_name_the_first_in_the_alphabet_that_is_valid_is_presented() -> None:
    candidates = [
        record("short", made=certificate("a.example.test", days=10)),
        record("very-long", made=certificate("a.example.test", days=800)),
        record("not-yet", made=certificate("a.example.test", begins=TOMORROW)),
        record("expired", made=certificate("a.example.test", begins=LONG_AGO, days=9)),
    ]
    for records in (candidates, candidates[::-1]):
        assert CertificateNames.of_records(records).find("a.example.test") == ("short",)


def test_one_that_an_option_names_comes_before_those_that_none_does() -> None:
    records = [record("a", "x.example.test"), record("b", "x.example.test")]
    names = CertificateNames.of_records(records, configured={"b"})
    assert names.find("x.example.test") == ("b",)
    assert names.presented == {"b"}


def test_an_expired_certificate_stays_the_one_for_its_name_where_there_is_no_other() -> None:
    expired = record("old", made=certificate("a.example.test", begins=LONG_AGO, days=9))
    assert CertificateNames.of_records([expired]).find("a.example.test") == ("old",)


def test_the_choice_is_due_again_when_one_of_several_begins_or_ends() -> None:
    first = record("a", made=certificate("x.example.test", "y.example.test", days=10))
    second = record("b", made=certificate("x.example.test", days=90))
    alone = record("c", made=certificate("z.example.test", days=1))
    names = CertificateNames.of_records([first, second, alone])
    ends = first.certificate.not_valid_after_utc
    assert names.changes_at == ends
    later = CertificateNames.of_records([first, second, alone], ends + timedelta(seconds=1))
    assert groups(later, "x.example.test", "y.example.test") == [("b",), ("a",)]
    assert CertificateNames.of_records([alone]).changes_at is None


def test_a_choice_is_told_with_both_nicknames_once_for_all_names() -> None:
    both = ("x.example.test", "y.example.test")
    names = CertificateNames.of_records([record("a", *both), record("b", *both, "z.example.test")])
    [contest] = names.contests
    assert str(contest).startswith(
        "'a' and 'b' (both ec) are for x.example.test and 1 more names: clients that ask for it "
        "are shown 'a'; "
    )


def test_a_choice_that_an_option_decides_is_not_told() -> None:
    records = [record("a", "x.example.test"), record("b", "x.example.test")]
    assert list(CertificateNames.of_records(records, configured={"b"}).contests) == []
    assert len(list(CertificateNames.of_records(records, configured={"c"}).contests)) == 1


def test_certificates_of_different_keys_present_a_name_together() -> None:
    both = [
        record("rsa", made=certificate("a.example.test", "b.example.test", key=RSA_KEY)),
        record("ec", "a.example.test"),
    ]
    assert groups(CertificateNames.of_records(both), "a.example.test", "b.example.test") == [
        ("ec", "rsa"), ("rsa",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ("a.example.test", None),
        ("*.example.test", ("a",)),
        ("b.example.test", ("a",)),
    ],
)
def test_the_personality_comes_first_where_its_name_is_as_near(
    own: str, found: tuple[str, ...] | None
) -> None:
    names = CertificateNames.of_records([record("a", "a.example.test", "*.example.test")])
    assert names.find("a.example.test", frozenset([own])) == found
