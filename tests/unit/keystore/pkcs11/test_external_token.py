"""A token as commands use it, opened by the label with the configured PIN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.pkcs11.external_token import ExternalToken, open_external_token
from mailfront.keystore.requests import KeyKind
from tests.support.keystores import root_with_keystore, self_signed
from tests.support.softhsm import SoftHsm

KEY, CERTIFICATE = self_signed()


@pytest.fixture
def root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    hsm.install_into(root)
    return root


@pytest.fixture
def token(root: ServerRoot) -> Iterator[ExternalToken]:
    with open_external_token(root, "HSM One", read_write=True) as token:
        yield token


def test_a_certificate_lives_on_the_token(token: ExternalToken) -> None:
    assert token.label == "HSM One"
    key = token.import_private_key("imap", KEY)
    token.require_free("other")
    token.store_certificate("imap", [CERTIFICATE], key)
    assert token.require("imap").key == key
    assert token.find_private_key(key.public_der) == key
    token.replace_certificate(token.require("imap"), [CERTIFICATE], key)
    assert [record.nickname for record in token.contents().records()] == ["imap"]
    assert token.remove("imap") == (True, True)
    assert token.contents().keys == ()


@pytest.mark.parametrize("family", ["rsa", "ec"])
def test_a_key_proves_itself_by_a_signature(token: ExternalToken, family: str) -> None:
    key = token.generate_key_pair("imap", KeyKind(family))
    token.prove(token.rename_key(key, "smtp"))
    stranger = token.generate_key_pair("other", KeyKind(family))
    with pytest.raises(TokenError, match="is not the one of its public key"):
        token.prove(replace(key, public_key=stranger.public_key))
    token.remove_key(key)
    assert token.find_private_key(key.public_der) is None


def test_a_typed_pin_opens_the_token_once(root: ServerRoot, hsm: SoftHsm) -> None:
    pin = hsm.pins["HSM One"]
    root.sslpassword_conf.unlink()
    with open_external_token(root, "HSM One", typed_pin=pin) as token:
        assert token.contents().certificates == ()
    with (
        pytest.raises(TokenError, match="refuses the PIN"),
        open_external_token(root, "HSM One", typed_pin=Secret("wrong1")),
    ):
        pass


def test_an_unknown_nickname_is_told(token: ExternalToken) -> None:
    with pytest.raises(KeystoreError, match="list-certs --token"):
        token.require("imap")
