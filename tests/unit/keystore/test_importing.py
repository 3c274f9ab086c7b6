"""Imports: names, chains and doubts; stored together or not at all, replaced at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.errors import KeystoreError
from mailfront.keystore import importing, requests
from mailfront.keystore.importing import (
    Import,
    ImportedAuthority,
    doubts,
    identity_of,
    lost_names,
    store,
    with_chain,
)
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.pkcs12 import Identity
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import authority, issued_by, new_token, self_signed

CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")
NEW_KEY, NEW_LEAF = issued_by(CA_KEY, CA, "imap.example.test")
IDENTITY = Identity("imap-cert", KEY, LEAF)
NOW = datetime.now(UTC)


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as token:
        yield token


def imported(nickname: str = "imap-cert") -> Import:
    return Import(nickname, KEY, (LEAF,), "")


def test_a_key_finds_its_certificate_in_a_heap() -> None:
    identity, others = identity_of(KEY, [CA, NEW_LEAF, LEAF])
    assert identity.certificate == LEAF
    assert others == (CA, NEW_LEAF)


def test_a_key_without_its_certificate_is_refused_by_name() -> None:
    with pytest.raises(KeystoreError, match=r"not the one of the certificate of CN=imap\.example"):
        identity_of(KEY, [CA, NEW_LEAF])


def test_the_nickname_is_the_given_one_else_the_friendly_one_else_the_common_name() -> None:
    assert with_chain(IDENTITY, (), (), nickname="mine").nickname == "mine"
    assert with_chain(IDENTITY, (), ()).nickname == "imap-cert"
    assert with_chain(Identity("", KEY, LEAF), (), ()).nickname == "imap.example.test"


def test_without_any_name_a_nickname_is_asked_for() -> None:
    key = requests.KeyKind().generate()
    nameless = requests.self_signed_certificate(
        key, x509.Name([]), [x509.DNSName("a.test")], now=NOW, expires=NOW + timedelta(days=1)
    )
    with pytest.raises(KeystoreError, match="give a nickname"):
        with_chain(Identity("", key, nameless), (), ())


def test_a_missing_issuer_is_told_and_a_known_one_is_found() -> None:
    assert with_chain(IDENTITY, (), ()).missing_issuer == "CN=Example CA"
    for given, known in (((CA,), ()), ((), (CA,))):
        one = with_chain(IDENTITY, given, known)
        assert one.missing_issuer == ""
        assert one.chain == (LEAF,)


def test_a_weak_key_is_refused_unless_it_is_allowed() -> None:
    key = rsa.generate_private_key(65537, 1024)
    weak = requests.self_signed_certificate(
        key, LEAF.subject, [x509.DNSName("a.test")], now=NOW, expires=NOW + timedelta(days=1)
    )
    with pytest.raises(KeystoreError, match="RSA 1024 is too weak"):
        with_chain(Identity("", key, weak), (), ())
    assert with_chain(Identity("", key, weak), (), (), allow_weak=True).certificate == weak


def test_nicknames_given_twice_get_numbers() -> None:
    imports = importing.with_distinct_nicknames([imported(), imported(), imported("imap-cert 2")])
    assert [one.nickname for one in imports] == ["imap-cert", "imap-cert 2", "imap-cert 2 2"]


@pytest.mark.parametrize(
    ("days", "doubt"),
    [(-400, "expired on"), (400, "not valid before"), (0, None)],
)
def test_dates_out_of_range_are_doubted(days: int, doubt: str | None) -> None:
    key, certificate = self_signed(now=NOW + timedelta(days=days))
    found = doubts(Import("imap-cert", key, (certificate,), ""), NOW)
    assert [doubt in text for text in found if doubt] == ([] if doubt is None else [True])


def test_an_incomplete_chain_is_doubted() -> None:
    (text,) = doubts(with_chain(IDENTITY, (), ()), NOW)
    assert "CN=Example CA is missing" in text


def test_what_is_stored_is_served(token: InternalToken) -> None:
    (stored,) = store(token, [imported()], replacing=False)
    assert stored.is_new
    assert stored.former is None
    assert token.credentials("imap-cert").certificate == LEAF


def test_a_taken_nickname_stores_nothing_at_all(token: InternalToken) -> None:
    store(token, [imported("b")], replacing=False)
    with pytest.raises(KeystoreError, match="--replace"):
        store(token, [imported("a"), imported("b")], replacing=False)
    assert token.nicknames() == ("b",)


def test_replacing_changes_key_and_certificate_together(token: InternalToken) -> None:
    store(token, [imported()], replacing=False)
    renewed = Import("imap-cert", NEW_KEY, (NEW_LEAF,), "")
    (stored,) = store(token, [renewed], replacing=True)
    assert stored.former is not None
    assert stored.former.certificate == LEAF
    assert token.credentials("imap-cert").certificate == NEW_LEAF


def test_the_same_again_changes_nothing(token: InternalToken) -> None:
    store(token, [imported()], replacing=True)
    (stored,) = store(token, [imported()], replacing=True)
    assert not stored.is_new


def test_a_pending_key_may_be_replaced(token: InternalToken) -> None:
    token.add_pending_key("imap-cert", KEY)
    (stored,) = store(token, [imported()], replacing=True)
    assert stored.is_new
    assert token.credentials("imap-cert").certificate == LEAF


def test_names_that_get_lost_are_told(token: InternalToken) -> None:
    key, wide = self_signed("old.example.test")
    store(token, [Import("imap-cert", key, (wide,), "")], replacing=False)
    (stored,) = store(token, [imported()], replacing=True)
    assert lost_names(stored) == ["DNS:old.example.test"]


def test_the_tokens_cas_and_intermediates_are_known_issuers(token: InternalToken) -> None:
    token.add_authority("Example CA", CA)
    token.add_key_and_certificate("imap-cert", KEY, [LEAF, NEW_LEAF])
    assert set(importing.known_issuers(token)) == {CA, NEW_LEAF}


def test_cas_are_stored_with_the_keys_or_not_at_all(token: InternalToken) -> None:
    trusted = ImportedAuthority("Example CA", CA, TrustFlags.CLIENTS)
    store(token, [imported()], [trusted], replacing=False)
    assert token.require("Example CA").trust is TrustFlags.CLIENTS
    with pytest.raises(KeystoreError, match="--replace"):
        store(
            token,
            [imported()],
            [ImportedAuthority("x", NEW_LEAF, TrustFlags.SERVERS)],
            replacing=False,
        )
    assert token.nicknames() == ("Example CA", "imap-cert")


def test_a_known_ca_is_trusted_for_what_either_says(token: InternalToken) -> None:
    token.add_authority("public", CA, "C")
    trusted = ImportedAuthority("Example CA", CA, TrustFlags.CLIENTS)
    (first,) = store(token, [], [trusted], replacing=False)
    (second,) = store(token, [], [trusted], replacing=False)
    assert (first.is_new, second.is_new) == (True, False)
    assert token.require("public").trust.letters == "CT"
    assert token.nicknames() == ("public",)
