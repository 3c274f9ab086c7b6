"""Sessions on tokens, with the PIN of the password file."""

from __future__ import annotations

from pathlib import Path

import pkcs11
import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.modules import Module, external_modules
from mailfront.keystore.pkcs11.sessions import (
    change_file,
    describe_token,
    load,
    open_token,
    token_error,
    tokens,
    tokens_of,
)
from tests.support.keystores import root_with_keystore
from tests.support.softhsm import SoftHsm


@pytest.fixture
def root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    hsm.install_into(root)
    return root


def test_a_token_is_found_by_its_label_or_its_module(root: ServerRoot) -> None:
    [token] = tokens(root)
    assert token.label == "HSM One"
    assert token.login_required
    assert token.tries_left == "the token reports no wrong PIN"
    [module] = external_modules(root)
    assert describe_token(root, module.name) == describe_token(root, "HSM One") == token
    assert tokens_of(module) == [token]


def test_a_session_is_logged_in_and_only_one_that_may_write_is_told_to_the_server(
    root: ServerRoot,
) -> None:
    with open_token(root, "HSM One") as session, open_token(root, "HSM One") as second:
        assert session.token.label == second.token.label == "HSM One"
    assert not change_file(root).exists()
    with open_token(root, "HSM One", read_write=True) as session:
        assert session.rw
    assert change_file(root).exists()


def test_an_unknown_token_is_told_with_those_that_are_there(root: ServerRoot) -> None:
    with pytest.raises(TokenError, match="present are 'HSM One'") as caught:
        describe_token(root, "HSM Two")
    assert caught.value.temporary


def test_without_a_module_it_is_said_how_to_install_one(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="modutil -add"):
        describe_token(ServerRoot(tmp_path), "HSM One")


def test_two_tokens_of_one_module_need_their_labels(root: ServerRoot, hsm: SoftHsm) -> None:
    hsm.new_token("HSM Two")
    [module] = external_modules(root)
    load(module).reinitialize()
    with pytest.raises(TokenError, match="2 tokens answer"):
        describe_token(root, module.name)
    assert describe_token(root, "HSM Two").label == "HSM Two"


def test_a_module_may_be_restricted_to_one_slot(root: ServerRoot) -> None:
    [module] = external_modules(root)
    assert module.library is not None
    assert tokens_of(Module("restricted", module.library, slot="99999")) == []
    [token] = tokens(root)
    by_number = Module("restricted", module.library, slot=str(token.slot))
    assert [one.label for one in tokens_of(by_number)] == ["HSM One"]


def test_a_refused_pin_is_told_once_with_the_tries_and_then_not_tried(root: ServerRoot) -> None:
    write_password(root.sslpassword_conf, "HSM One", Secret("wrong"))
    for reason in ("refuses the PIN .a wrong PIN was tried before", "is not tried again"):
        with pytest.raises(TokenError, match=reason) as caught, open_token(root, "HSM One"):
            pass
        assert "wrong1" not in str(caught.value)


def test_a_token_that_is_gone_may_come_back_and_other_answers_may_not() -> None:
    assert token_error(pkcs11.DeviceRemoved(), "the token 'x'").temporary
    assert not token_error(pkcs11.MechanismInvalid(), "the token 'x'").temporary


def test_a_library_that_does_not_load_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="cannot be loaded"):
        load(Module("broken", tmp_path / "broken.so"))
