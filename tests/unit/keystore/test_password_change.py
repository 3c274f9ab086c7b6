"""Another password: whatever is interrupted, the one in `sslpassword.conf` opens the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import data_key, passwords
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.password_change import change_password, was_interrupted
from tests.support.keystores import PASSWORD, root_with_keystore, self_signed

NEW = Secret("the new one")
NEWER = Secret("the newer one")


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    key, certificate = self_signed()
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", key, [certificate])
    return root


def change(root: ServerRoot, old: Secret, new: Secret) -> bool:
    return change_password(root.certificate_database, root.sslpassword_conf, old, new)


def noted(root: ServerRoot) -> Secret:
    return passwords.read_password(root.sslpassword_conf, INTERNAL_TOKEN)


def opens(root: ServerRoot, password: Secret) -> bool:
    try:
        with InternalToken.open(root.certificate_database, password) as token:
            token.credentials("imap-cert")
    except KeystoreError:
        return False
    return True


def test_the_new_password_opens_the_same_keys_and_the_old_nothing(root: ServerRoot) -> None:
    assert change(root, PASSWORD, NEW)
    assert noted(root) == NEW
    assert opens(root, NEW)
    assert not opens(root, PASSWORD)
    assert not was_interrupted(root.certificate_database)


def test_a_wrong_password_changes_nothing(root: ServerRoot) -> None:
    with pytest.raises(KeystoreError, match="does not open"):
        change(root, Secret("a guess"), NEW)
    assert noted(root) == PASSWORD
    assert opens(root, PASSWORD)
    assert not opens(root, NEW)


def test_who_keeps_no_password_file_gets_none(root: ServerRoot) -> None:
    root.sslpassword_conf.unlink()
    assert not change(root, PASSWORD, NEW)
    assert not root.sslpassword_conf.exists()
    assert opens(root, NEW)


def test_an_opened_token_goes_on(root: ServerRoot) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        change(root, PASSWORD, NEW)
        assert token.credentials("imap-cert").nickname == "imap-cert"


class Crash(Exception):
    """The machine stops here."""


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the next change stop right before its `step`-th write: 1, 2 and 3 as in the module."""
    original_others = data_key.write_others
    calls = []

    def others(*arguments: object) -> None:
        calls.append(arguments)
        if (step, len(calls)) in ((1, 1), (3, 2)):
            raise Crash
        original_others(*arguments)  # type: ignore[arg-type]

    def password(*arguments: object) -> None:
        raise Crash

    monkeypatch.setattr(data_key, "write_others", others)
    if step == 2:
        monkeypatch.setattr(passwords, "write_password", password)


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("second", [1, 2, 3])
def test_the_noted_password_opens_after_any_two_interruptions_and_settles_them(
    root: ServerRoot, first: int, second: int
) -> None:
    for step, new in ((first, NEW), (second, NEWER)):
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, step)
            with pytest.raises(Crash):
                change(root, noted(root), new)
        assert opens(root, noted(root))
        assert was_interrupted(root.certificate_database) == (step > 1 or (first > 1 and step == 1))
    last = noted(root)
    change(root, last, Secret("the last one"))
    assert noted(root) == Secret("the last one")
    assert opens(root, noted(root))
    for old in (PASSWORD, NEW, NEWER):
        assert not opens(root, old)
    assert not was_interrupted(root.certificate_database)


def test_the_noted_password_stays_open_when_the_other_one_is_given(root: ServerRoot) -> None:
    """After an interruption somebody gives the password that `sslpassword.conf` does not hold."""
    with pytest.MonkeyPatch.context() as patch:
        crash_at(patch, 3)
        with pytest.raises(Crash):
            change(root, PASSWORD, NEW)
    assert noted(root) == NEW
    with pytest.MonkeyPatch.context() as patch:
        crash_at(patch, 2)
        with pytest.raises(Crash):
            change(root, PASSWORD, NEWER)
    assert noted(root) == NEW
    assert opens(root, NEW)


def test_a_noted_password_that_is_wrong_is_put_right(root: ServerRoot) -> None:
    passwords.write_password(root.sslpassword_conf, INTERNAL_TOKEN, Secret("mistyped"))
    change(root, PASSWORD, NEW)
    assert noted(root) == NEW
    assert opens(root, NEW)
