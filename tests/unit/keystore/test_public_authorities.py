"""Public authorities: from the bundle to entries trusted for servers, with legal nicknames."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from mailfront.errors import KeystoreError
from mailfront.keystore import public_authorities as module
from mailfront.keystore.formats import chain_pem
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import check_nickname
from mailfront.keystore.public_authorities import (
    authority_nickname,
    bundle_path,
    public_authorities,
)
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import CHEAP, PASSWORD, authority, self_signed


def named(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Certificate:
    key, pattern = authority()
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(pattern.not_valid_before_utc)
        .not_valid_after(pattern.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )


def test_authorities_are_trusted_for_servers_only(tmp_path: Path) -> None:
    (_, first), (_, second), (_, leaf) = authority("One"), authority("Two"), self_signed()
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(chain_pem([first, leaf, second]))
    entries = public_authorities(bundle)
    assert [(entry.nickname, entry.trust) for entry in entries] == [
        ("One", TrustFlags.SERVERS),
        ("Two", TrustFlags.SERVERS),
    ]
    assert [tuple(entry.chain) for entry in entries] == [(first,), (second,)]


def test_two_of_one_name_are_told_apart_by_a_number(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(chain_pem(authority("Same")[1] for _ in range(3)))
    assert [entry.nickname for entry in public_authorities(bundle)] == ["Same", "Same 2", "Same 3"]


@pytest.mark.parametrize(
    ("attributes", "nickname"),
    [
        ([(NameOID.COMMON_NAME, "Root: A, B\x00C ")], "Root- A- B C"),
        ([(NameOID.ORGANIZATION_NAME, "O"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "Unit")], "Unit"),
        ([(NameOID.ORGANIZATION_NAME, "Example")], "Example"),
        ([(NameOID.COMMON_NAME, "Server-Cert")], "Server-Cert 2"),
        ([(NameOID.COMMON_NAME, "NetLock Arany (Főtanúsítvány)")], "NetLock Arany (Főtanúsítvány)"),
    ],
)
def test_nicknames_are_legal(
    attributes: list[tuple[x509.ObjectIdentifier, str]], nickname: str
) -> None:
    found = authority_nickname(named(*attributes), {"Server-Cert"})
    check_nickname(found)
    assert found == nickname


@pytest.mark.parametrize("attributes", [[], [(NameOID.ORGANIZATION_NAME, "\x00")]])
def test_an_authority_without_a_name_gets_one(
    attributes: list[tuple[x509.ObjectIdentifier, str]],
) -> None:
    nickname = authority_nickname(named(*attributes), ())
    check_nickname(nickname)
    assert nickname.startswith("CA ")


def test_the_bundle_of_certifi_serves_where_the_system_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_SYSTEM_BUNDLES", (tmp_path / "none",))
    assert bundle_path().name == "cacert.pem"
    assert len(public_authorities()) > 50


def test_this_machines_authorities_all_go_into_a_database(tmp_path: Path) -> None:
    entries = public_authorities()
    path = tmp_path / "keystore.sqlite"
    with InternalToken.create(path, PASSWORD, entries=entries, cost=CHEAP) as token:
        records = token.list()
    assert len(records) == len(entries) > 50
    assert {record.trust.letters for record in records} == {"C"}


def test_a_bundle_that_is_none_is_named(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"nothing")
    with pytest.raises(KeystoreError, match=r"bundle\.pem"):
        public_authorities(bundle)
