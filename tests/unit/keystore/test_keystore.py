"""The internal token and those of modules as one keystore."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore, qualified
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.records import NewEntry
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import PASSWORD, root_with_keystore, self_signed
from tests.support.softhsm import SoftHsm

KEY, CERTIFICATE = self_signed("token.example.test")
OWN_KEY, OWN_CERTIFICATE = self_signed("internal.example.test")


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token("HSM One")
    with hsm.in_this_process():
        yield hsm


@pytest.fixture
def root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    """A certificate and its key on the token, and another one in the database."""
    root = root_with_keystore(tmp_path / "root")
    hsm.install_into(root)
    with open_external_token(root, "HSM One", read_write=True) as token:
        key = token.import_private_key("imap", KEY)
        token.store_certificate("imap", [CERTIFICATE], key)
    return root


@pytest.fixture
def keystore(root: ServerRoot) -> Iterator[Keystore]:
    with InternalToken.open(root.certificate_database, PASSWORD) as internal:
        internal.add_key_and_certificate("own", OWN_KEY, [OWN_CERTIFICATE])
        keystore = Keystore(root, internal)
        keystore.look_at_tokens()
        yield keystore


def test_nicknames_name_what_is_in_the_database_or_on_a_token(keystore: Keystore) -> None:
    assert keystore.require("own").certificate == OWN_CERTIFICATE
    record = keystore.require("HSM One:imap")
    assert record.nickname == "HSM One:imap"
    assert record.certificate == CERTIFICATE
    assert record.token == "HSM One"


def test_credentials_of_a_token_name_the_key_and_its_module_and_hold_the_pin_apart(
    keystore: Keystore, hsm: SoftHsm
) -> None:
    assert keystore.credentials("own").module is None
    credentials = keystore.credentials("HSM One:imap")
    assert credentials.module == hsm.library
    assert b"PKCS#11 PROVIDER URI" in credentials.key_pem
    pin = hsm.pins["HSM One"].reveal()
    assert credentials.passphrase == pin.encode()
    assert pin.encode() not in credentials.key_pem
    assert pin not in repr(credentials)
    assert keystore.module_of("HSM One:imap") == hsm.library


def test_a_certificate_in_the_database_may_have_its_key_on_a_token(
    keystore: Keystore, hsm: SoftHsm
) -> None:
    with keystore.internal.change() as step:
        step.add(NewEntry("elsewhere", (CERTIFICATE,), None, TrustFlags.USER, True))
    assert keystore.credentials("elsewhere").module == hsm.library


def test_what_is_nowhere_is_told_with_what_is_near(keystore: Keystore) -> None:
    with pytest.raises(KeystoreError, match="did you mean imap"):
        keystore.require("HSM One:imao")
    with pytest.raises(KeystoreError, match="did you mean own"):
        keystore.require("ow")
    assert keystore.find("HSM One:imao") is None
    assert keystore.find("nothing") is None


def test_a_token_that_is_gone_is_the_fault_of_the_token(
    keystore: Keystore, hsm: SoftHsm, tmp_path: Path
) -> None:
    hsm.tokens.rename(tmp_path / "away")
    hsm.tokens.mkdir()
    keystore.look_at_tokens()
    with pytest.raises(TokenError, match="present are none") as caught:
        keystore.require("HSM One:imap")
    assert caught.value.temporary
    assert keystore.find("HSM One:imap") is None
    assert keystore.require("own").certificate == OWN_CERTIFICATE
    hsm.tokens.rmdir()
    (tmp_path / "away").rename(hsm.tokens)
    keystore.look_at_tokens()
    assert keystore.require("HSM One:imap").certificate == CERTIFICATE


def test_without_modules_the_internal_token_is_all_there_is(tmp_path: Path) -> None:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as internal:
        keystore = Keystore(root, internal)
        keystore.look_at_tokens()
        assert not keystore.has_modules
        assert keystore.tokens() == ()
        with pytest.raises(TokenError, match="modutil -add"):
            keystore.require("HSM One:imap")


def test_items_of_options_are_read() -> None:
    assert str(qualified("internal:x")) == "x"
    assert qualified("HSM One: imap").token == "HSM One"
