"""Verification: an intact database has no findings, each fault has its own."""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.keystore import data_key, requests
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import NewEntry
from mailfront.keystore.trust import TrustFlags
from mailfront.keystore.verification import Finding, covers, verify
from tests.support.client_authority import ClientAuthority
from tests.support.keystores import (
    authority,
    certificate_for,
    issued_by,
    new_token,
    self_signed,
)

NOW = datetime.now(UTC)
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")
OWN_KEY, OWN = self_signed("own.example.test")


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as token:
        token.add_authority("Example CA", CA, "CT")
        token.add_key_and_certificate("imap-cert", KEY, [LEAF])
        token.add_key_and_certificate("own", OWN_KEY, [OWN])
        token.add_pending_key("waiting", requests.KeyKind().generate())
        yield token


def alter(token: InternalToken, statement: str) -> None:
    with closing(sqlite3.connect(token.path)) as connection, connection:
        connection.execute(statement)


def findings(token: InternalToken, **host_names: tuple[str, ...]) -> list[Finding]:
    return verify(token, NOW, {name.replace("_", "-"): names for name, names in host_names.items()})


def test_an_intact_database_has_no_findings(token: InternalToken) -> None:
    assert findings(token) == []
    assert findings(token, own=("own.example.test",)) == []


@pytest.mark.parametrize(
    ("statement", "nickname", "problem"),
    [
        ("UPDATE entry SET trust = 'CTu' WHERE nickname = 'own'", "own", "altered"),
        ("UPDATE entry SET sealed_key = zeroblob(99) WHERE nickname = 'own'", "own", "altered"),
        ("UPDATE entry SET sealed_key = zeroblob(9) WHERE nickname = 'waiting'", "waiting", "alt"),
        ("DELETE FROM entry WHERE nickname = 'Example CA'", "Example CA", "removed outside"),
        ("UPDATE manifest SET tag = zeroblob(32)", "", "list of its entries was altered"),
        ("DELETE FROM manifest", "", "list of its entries was altered"),
    ],
)
def test_what_was_altered_is_found(
    token: InternalToken, statement: str, nickname: str, problem: str
) -> None:
    alter(token, statement)
    found = [one for one in findings(token) if one.nickname == nickname]
    assert any(problem in one.problem for one in found)


def test_an_interrupted_change_of_the_password_is_found(token: InternalToken) -> None:
    with closing(sqlite3.connect(token.path)) as connection, connection:
        data_key.write_others(connection, [data_key.read(connection, token.path)])
    (found,) = findings(token)
    assert "change-password" in found.remedy


@pytest.mark.parametrize(("days", "problem"), [(-400, "expired on"), (400, "not valid before")])
def test_dates_out_of_range_are_found(token: InternalToken, days: int, problem: str) -> None:
    key, certificate = self_signed(now=NOW + timedelta(days=days))
    token.add_key_and_certificate("dated", key, [certificate])
    (found,) = findings(token)
    assert (found.nickname, problem in found.problem) == ("dated", True)


def test_a_chain_without_its_issuer_is_found(token: InternalToken) -> None:
    token.remove("Example CA")
    (found,) = findings(token)
    assert found.nickname == "imap-cert"
    assert "the certificate of CN=Example CA is missing" in found.problem


def test_a_chain_that_ends_at_a_ca_that_is_not_trusted_is_found(token: InternalToken) -> None:
    token.remove("Example CA")
    token.replace("imap-cert", [LEAF, CA])
    (found,) = findings(token)
    assert "CN=Example CA, which is no trusted CA" in found.problem


def test_a_weak_key_is_found(token: InternalToken) -> None:
    key = rsa.generate_private_key(65537, 1024)
    token.add_key_and_certificate("weak", key, [certificate_for(key)])
    (found,) = findings(token)
    assert "RSA 1024 is too weak" in found.problem


def test_names_that_are_not_covered_are_found(token: InternalToken) -> None:
    (found,) = findings(token, own=("own.example.test", "mail.example.test"))
    assert found.problem == "the certificate is not for mail.example.test"


@pytest.mark.parametrize("nickname", ["nothing", "Example CA", "waiting"])
def test_what_a_service_is_to_present_and_cannot_is_found(
    token: InternalToken, nickname: str
) -> None:
    (found,) = verify(token, NOW, {nickname: ()})
    assert "not there with its key" in found.problem


def test_a_finding_is_one_line() -> None:
    assert str(Finding("own", "is wrong", "mend it")) == "own: is wrong: mend it"
    assert str(Finding("", "is wrong", "")) == "is wrong"


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("a.example.test", True),
        ("A.Example.Test.", True),
        ("b.example.test", False),
        ("x.wild.test", True),
        ("x.y.wild.test", False),
        ("wild.test", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
    ],
)
def test_names_are_covered_as_clients_compare_them(name: str, covered: bool) -> None:
    key = requests.KeyKind().generate()
    names = [
        x509.DNSName("a.example.test"),
        x509.DNSName("*.wild.test"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    ]
    certificate = requests.self_signed_certificate(
        key, LEAF.subject, names, now=NOW, expires=NOW + timedelta(days=1)
    )
    assert covers(certificate, name) is covered


def test_a_certificate_without_alternative_names_covers_nothing() -> None:
    assert not covers(CA, "Example CA")


def test_a_certificate_whose_key_is_on_a_token_is_checked_like_others(
    token: InternalToken,
) -> None:
    _, certificate = self_signed(now=NOW - timedelta(days=9), days=1)
    entry = NewEntry("on-token", (certificate,), None, TrustFlags.NONE, key_on_other_token=True)
    with token.change() as step:
        step.add(entry)
    (finding,) = findings(token, on_token=("mail.example.test",))
    assert "expired" in finding.problem


def test_a_revocation_list_that_was_altered_is_found(token: InternalToken) -> None:
    staff = ClientAuthority()
    with token.change() as step:
        step.revocation_lists.put(staff.certificate, staff.revocation_list([5]))
    assert verify(token, NOW, {}) == []
    with closing(sqlite3.connect(token.path)) as connection, connection:
        connection.execute("UPDATE revocation_list SET list = x'00'")
    [finding] = verify(token, NOW, {})
    assert finding.problem == "a revocation list was altered outside mailfront"
    assert "add-crl" in finding.remedy
