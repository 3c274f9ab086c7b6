"""Keys that should be on tokens, and are or are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.records import NewEntry
from mailfront.keystore.token_verification import verify_tokens
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import PASSWORD, root_with_keystore, self_signed
from tests.support.softhsm import SoftHsm

KEY, CERTIFICATE = self_signed("token.example.test")


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token("HSM One")
    with hsm.in_this_process(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
        yield hsm


@pytest.fixture
def root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    hsm.install_into(root)
    with open_external_token(root, "HSM One", read_write=True) as token:
        key = token.import_private_key("imap", KEY)
        token.store_certificate("imap", [CERTIFICATE], key)
    return root


@pytest.fixture
def keystore(root: ServerRoot) -> Iterator[Keystore]:
    """The same certificate is in the database, without its key."""
    with InternalToken.open(root.certificate_database, PASSWORD) as internal:
        with internal.change() as step:
            step.add(NewEntry("here", (CERTIFICATE,), None, TrustFlags.USER, True))
        keystore = Keystore(root, internal)
        keystore.look_at_tokens()
        yield keystore


def test_keys_that_are_there_are_no_finding(keystore: Keystore) -> None:
    assert not list(verify_tokens(keystore, ["HSM One:imap", "own"]))


def test_a_key_or_certificate_that_is_gone_is_found(root: ServerRoot, keystore: Keystore) -> None:
    with open_external_token(root, "HSM One", read_write=True) as token:
        token.remove("imap")
    keystore.look_at_tokens()
    findings = {each.nickname: each.problem for each in verify_tokens(keystore, ["HSM One:imap"])}
    assert findings.keys() == {"here", "HSM One:imap"}
    assert "is on none of the tokens" in findings["here"]
    assert "no certificate with the nickname 'imap'" in findings["HSM One:imap"]
