"""Making keys on a token: they never leave it, and are paired as NSS would pair them."""

from __future__ import annotations

from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from mailfront.errors import KeystoreError
from mailfront.keystore.pkcs11 import generation
from mailfront.keystore.pkcs11.generation import generate_key_pair
from mailfront.keystore.pkcs11.objects import read_contents
from mailfront.keystore.pkcs11.public_keys import key_identifier
from mailfront.keystore.requests import KeyKind
from tests.support.softhsm import SoftHsm

KINDS = {
    "RSA 2048": KeyKind("rsa"),
    "RSA 3072": KeyKind("rsa", size=3072),
    "RSA 4096": KeyKind("rsa", size=4096),
    "EC P-256": KeyKind("ec"),
    "EC P-384": KeyKind("ec", curve="p-384"),
}


@pytest.mark.parametrize("description", KINDS)
def test_a_key_is_made_that_never_leaves(session: pkcs11.Session, description: str) -> None:
    key = generate_key_pair(session, "imap", KINDS[description])
    assert key.description == description
    assert str(key.protection) == "sensitive, always sensitive, never extractable, local"
    assert key.public_key is not None
    assert key.identifier == key_identifier(key.public_key)
    assert key.found[Attribute.DECRYPT] is False
    halves = list(session.get_objects({Attribute.ID: key.identifier}))
    assert {one[Attribute.CLASS] for one in halves} == {
        ObjectClass.PRIVATE_KEY,
        ObjectClass.PUBLIC_KEY,
    }
    assert all(one[Attribute.LABEL] == "imap" and one[Attribute.TOKEN] for one in halves)
    with pytest.raises(pkcs11.PKCS11Error):
        _ = key.found[Attribute.VALUE if key.family == "ec" else Attribute.PRIVATE_EXPONENT]


def test_the_key_is_there_in_the_next_session(hsm: SoftHsm) -> None:
    with hsm.session("HSM One") as session:
        made = generate_key_pair(session, "imap", KeyKind("ec"))
    with hsm.session("HSM One", read_write=False) as session:
        assert read_contents(session).keys == (made,)


def test_a_nickname_is_given_once(session: pkcs11.Session) -> None:
    generate_key_pair(session, "imap", KeyKind("ec"))
    with pytest.raises(KeystoreError, match="HSM One:imap already, without certificate"):
        generate_key_pair(session, "imap", KeyKind("ec"))
    assert len(read_contents(session).keys) == 1


@pytest.mark.parametrize("nickname", ["", "a:b", "a,b", " a"])
def test_a_nickname_that_no_option_can_name_is_refused(
    session: pkcs11.Session, nickname: str
) -> None:
    with pytest.raises(KeystoreError, match="nickname"):
        generate_key_pair(session, nickname, KeyKind("ec"))


def test_ed25519_is_not_made_on_tokens(session: pkcs11.Session) -> None:
    with pytest.raises(KeystoreError, match="ed25519"):
        generate_key_pair(session, "imap", KeyKind("ed25519"))


def test_a_session_that_only_reads_makes_nothing(hsm: SoftHsm) -> None:
    with (
        hsm.session("HSM One", read_write=False) as session,
        pytest.raises(KeystoreError, match="does not make a key of EC P-256"),
    ):
        generate_key_pair(session, "imap", KeyKind("ec"))


def test_a_token_that_wants_to_be_told_everything_at_once_is(
    session: pkcs11.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = generation._pair
    refused: list[object] = []

    def refuse_once(*arguments: Any) -> Any:
        if not refused:
            refused.append(arguments)
            raise pkcs11.TemplateIncomplete
        return pair(*arguments)

    monkeypatch.setattr(generation, "_pair", refuse_once)
    key = generate_key_pair(session, "imap", KeyKind("ec"))
    assert key.found[Attribute.DECRYPT] is False
