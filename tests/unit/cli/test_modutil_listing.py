"""What `modutil -list` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.cli.modutil_listing import list_module, list_modules
from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import write_password
from mailfront.keystore.pkcs11.modules import Module, changing_modules, external_modules
from tests.support.keystores import root_with_keystore
from tests.support.softhsm import SoftHsm

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    hsm = SoftHsm(tmp_path / "hsm")
    hsm.new_token("HSM One")
    with hsm.in_this_process():
        yield hsm


@pytest.fixture
def root(hsm: SoftHsm, tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    hsm.install_into(root)
    return root


def name_of_module(root: ServerRoot) -> str:
    return external_modules(root)[0].name


def test_all_modules_stand_in_a_table_with_their_tokens(root: ServerRoot, capsys: Captured) -> None:
    list_modules(root, as_json=False)
    table = capsys.readouterr().out
    assert "Internal (Software) Token  built in" in table
    assert "HSM One" in table


def test_one_module_is_told_with_library_slots_and_mechanisms(
    root: ServerRoot, capsys: Captured
) -> None:
    list_module(root, name_of_module(root), as_json=False)
    told = capsys.readouterr().out
    for text in ("Manufacturer: SoftHSM", "token: HSM One", "serial number", "login: yes", "ECDSA"):
        assert text in told


def test_a_pin_that_is_wrong_is_told_with_the_token(root: ServerRoot, capsys: Captured) -> None:
    write_password(root.sslpassword_conf, "HSM One", Secret("wrong"))
    list_module(root, name_of_module(root), as_json=False)
    assert "login: no: " in capsys.readouterr().out


def test_json_has_the_same(root: ServerRoot, hsm: SoftHsm, capsys: Captured) -> None:
    list_modules(root, as_json=True)
    internal, module = json.loads(capsys.readouterr().out)
    assert internal["library"] is None
    assert module["library"] == str(hsm.library)
    assert [token["label"] for token in module["tokens"]] == ["HSM One"]
    list_module(root, module["name"], as_json=True)
    assert json.loads(capsys.readouterr().out)["library_information"]["manufacturer"] == "SoftHSM"


def test_a_module_that_fails_stands_in_the_table_with_the_reason(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    with changing_modules(root) as modules:
        modules.add(Module("broken", tmp_path / "broken.so"))
        modules.enable(name_of_module(root), enabled=False)
    list_modules(root, as_json=False)
    table = capsys.readouterr().out
    assert "fails: " in table
    assert "disabled" in table
    with pytest.raises(TokenError):
        list_module(root, "broken", as_json=False)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_internal_module_is_told_too(
    root: ServerRoot, capsys: Captured, *, as_json: bool
) -> None:
    list_module(root, "internal", as_json=as_json)
    assert "Internal (Software) Token" in capsys.readouterr().out
