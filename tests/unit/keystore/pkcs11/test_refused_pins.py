"""A PIN that a token refused is remembered, without the PIN."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.refused_pins import RefusedPins

PIN = Secret("123456")


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = ServerRoot(tmp_path)
    write_password(root.sslpassword_conf, "HSM", PIN)
    return root


def refuse(root: ServerRoot, pin: Secret = PIN) -> None:
    with RefusedPins(root).one_at_a_time() as refused:
        refused.add("HSM", pin)


def is_refused(root: ServerRoot, token: str = "HSM", pin: Secret = PIN) -> bool:
    with RefusedPins(root).one_at_a_time() as refused:
        return refused.includes(token, pin)


def test_nothing_is_refused_at_first(root: ServerRoot) -> None:
    assert not is_refused(root)


def test_a_refused_pin_stays_refused_for_every_process(root: ServerRoot) -> None:
    refuse(root)
    assert is_refused(root)
    assert not is_refused(root, pin=Secret("654321"))
    assert not is_refused(root, token="Other")


def test_a_password_file_that_is_saved_anew_allows_another_try(root: ServerRoot) -> None:
    refuse(root)
    os.utime(root.sslpassword_conf)
    assert not is_refused(root)


def test_a_token_that_is_content_is_forgotten(root: ServerRoot) -> None:
    refuse(root)
    with RefusedPins(root).one_at_a_time() as refused:
        refused.forget("HSM")
    assert not is_refused(root)


def test_the_pin_itself_is_not_kept(root: ServerRoot) -> None:
    refuse(root)
    [file] = (root.certdb_directory / "pkcs11").iterdir()
    assert PIN.reveal() not in file.read_text()
    assert file.stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"refused": 1}', b'{"refused": {"a": 1}}']
)
def test_a_damaged_file_lets_no_pin_be_tried(root: ServerRoot, content: bytes) -> None:
    refuse(root)
    [file] = (root.certdb_directory / "pkcs11").iterdir()
    file.write_bytes(content)
    with pytest.raises(TokenError):
        is_refused(root)
