"""A look at all tokens by another process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.pkcs11.modules import Module, changing_modules
from mailfront.keystore.pkcs11.survey import Survey, format_survey, look, parse_survey, survey
from tests.support.keystores import root_with_keystore, self_signed
from tests.support.softhsm import SoftHsm

KEY, CERTIFICATE = self_signed()


@pytest.fixture
def root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    hsm.install_into(root)
    return root


def test_without_modules_nobody_is_asked(tmp_path: Path) -> None:
    assert survey(ServerRoot(tmp_path)) == Survey()


def test_certificates_and_keys_are_found(root: ServerRoot) -> None:
    with open_external_token(root, "HSM One", read_write=True) as token:
        key = token.import_private_key("imap", KEY)
        token.store_certificate("imap", [CERTIFICATE], key)
    found = survey(root)
    assert found.module_faults == {}
    [token_found] = found.tokens
    assert token_found.fault == ""
    assert token_found.description.label == "HSM One"
    [one] = token_found.certificates
    assert one.nickname == "imap"
    assert one.key is not None
    assert one.key.public_der == key.public_der
    assert parse_survey(format_survey(found)) == found == look(root)


def test_a_token_without_a_pin_line_says_which_line_to_write(root: ServerRoot) -> None:
    root.sslpassword_conf.unlink()
    write_password(root.sslpassword_conf, "Another", Secret("x"))
    [found] = survey(root).tokens
    assert "add the line `HSM One:`" in found.fault


def test_a_wrong_pin_is_tried_by_one_look_only(root: ServerRoot) -> None:
    write_password(root.sslpassword_conf, "HSM One", Secret("wrong"))
    [found] = survey(root).tokens
    assert "refuses the PIN (a wrong PIN was tried before" in found.fault
    [found] = survey(root).tokens
    assert "is not tried again" in found.fault


def test_a_module_that_does_not_load_is_told_and_the_others_are_asked(
    root: ServerRoot, tmp_path: Path
) -> None:
    with changing_modules(root) as modules:
        modules.add(Module("broken", tmp_path / "broken.so"))
    found = survey(root)
    assert list(found.module_faults) == ["broken"]
    assert [one.description.label for one in found.tokens] == ["HSM One"]


@given(st.binary(max_size=100))
def test_an_answer_that_is_none_is_told(content: bytes) -> None:
    with pytest.raises(TokenError):
        parse_survey(content)
