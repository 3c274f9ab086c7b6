"""Values of a token: nicknames, which key belongs to which certificate, what waits."""

from __future__ import annotations

from typing import cast

import pkcs11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.keystore.formats import public_key_der
from mailfront.keystore.pkcs11.public_keys import ServablePublicKey
from mailfront.keystore.pkcs11.token_records import (
    KeyProtection,
    TokenCertificate,
    TokenContents,
    TokenKey,
    nickname_of,
    with_keys,
)
from tests.support.keystores import authority, intermediate, issued_by, self_signed

KEY, CERTIFICATE = self_signed()
OTHER_KEY, OTHER = self_signed("other.example.test")
NOT_FOUND = cast(pkcs11.PrivateKey, None)


def token_key(key: object, nickname: str = "imap", identifier: bytes = b"\1") -> TokenKey:
    public = cast(ServablePublicKey, key)
    return TokenKey("HSM", nickname, identifier, "ec", public, KeyProtection(), NOT_FOUND)


def token_certificate(identifier: bytes = b"\1") -> TokenCertificate:
    return TokenCertificate("HSM", "imap", identifier, CERTIFICATE, None, NOT_FOUND)


@pytest.mark.parametrize(
    ("label", "identifier", "nickname"),
    [
        ("imap-ec", b"\1", "imap-ec"),
        ("two  blanks", b"\1", "two  blanks"),
        ("a,b:c", b"\1", "a-b-c"),
        ("line\nfeed", b"\1", "line feed"),
        ("", b"\x01\xab", "01ab"),
        ("", b"", ""),
        ("\udcff", b"\2", "02"),
    ],
)
def test_a_label_is_made_a_nickname(label: str, identifier: bytes, nickname: str) -> None:
    assert nickname_of(label, identifier) == nickname


@given(st.text(max_size=300), st.binary(max_size=30))
def test_every_nickname_can_be_named_in_an_option(label: str, identifier: bytes) -> None:
    nickname = nickname_of(label, identifier)
    assert not set(nickname) & set(",:")
    assert nickname.isprintable()


def test_the_public_key_pairs_whatever_identifiers_say() -> None:
    key = token_key(KEY.public_key(), identifier=b"\2")
    liar = token_key(OTHER_KEY.public_key(), identifier=b"\1")
    (paired,) = with_keys([token_certificate()], [liar, key])
    assert paired.key is key


def test_of_two_copies_the_one_with_the_certificates_identifier_is_taken() -> None:
    copies = [token_key(KEY.public_key(), identifier=bytes((one,))) for one in (3, 1)]
    (paired,) = with_keys([token_certificate()], copies)
    assert paired.key is copies[1]


def test_a_key_whose_public_half_nothing_tells_is_paired_with_nothing() -> None:
    unknown = token_key(None)
    (paired,) = with_keys([token_certificate()], [unknown])
    assert paired.key is None
    assert (unknown.public_der, unknown.description, unknown.pending) == (b"", "EC", None)


def test_a_key_without_certificate_waits() -> None:
    key, waiting = token_key(KEY.public_key()), token_key(OTHER_KEY.public_key(), "pop")
    contents = TokenContents("HSM", (token_certificate(),), (key, waiting, token_key(None)))
    assert contents.waiting == (waiting,)
    pending = waiting.pending
    assert pending is not None
    assert pending.qualified_nickname == "HSM:pop"
    assert waiting.public_der == public_key_der(OTHER_KEY.public_key())


def test_a_record_has_its_chain_out_of_what_is_on_the_token() -> None:
    root_key, root = authority()
    issuer_key, issuer = intermediate(root_key, root, "Issuing CA")
    _, leaf = issued_by(issuer_key, issuer, "mail.example.test")
    certificates = tuple(
        TokenCertificate("HSM", name, b"", one, None, NOT_FOUND)
        for name, one in (("leaf", leaf), ("issuer", issuer), ("root", root))
    )
    records = TokenContents("HSM", certificates, ()).records()
    assert [record.nickname for record in records] == ["issuer", "leaf", "root"]
    assert records[1].chain == (issuer,)
    assert records[1].qualified_nickname == "HSM:leaf"
    assert not records[1].has_key


def test_the_protection_is_told_in_the_words_of_pkcs11_tool() -> None:
    made = KeyProtection(True, True, False, True, True, False)
    assert str(made) == "sensitive, always sensitive, never extractable, local"
    assert str(KeyProtection()) == "not told"
    assert str(KeyProtection(always_authenticate=True)) == "PIN for every signature"
