"""What the check says of PKCS#11."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.pkcs11.modules import Module, changing_modules, list_file
from mailfront.server import token_checking
from mailfront.server.token_checking import check_tokens
from tests.support.keystores import PASSWORD, root_with_keystore

NO_OPTIONS = Configuration.of({})
WITH_TOKEN = Configuration.of({"local.imap.sslnicknames": "HSM One:imap"})


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


@pytest.fixture
def keystore(root: ServerRoot) -> Iterator[Keystore]:
    with InternalToken.open(root.certificate_database, PASSWORD) as internal:
        yield Keystore(root, internal)


@pytest.fixture
def no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_checking, "provider_fault", lambda: "no provider: apt install it")


def install(root: ServerRoot, *, optional: bool = False) -> None:
    with changing_modules(root) as modules:
        modules.add(Module("missing", root.path / "missing.so", optional=optional))


@pytest.mark.usefixtures("no_provider")
def test_without_modules_there_is_nothing_to_say(root: ServerRoot, keystore: Keystore) -> None:
    assert check_tokens(root, WITH_TOKEN, keystore) == ([], [])


@pytest.mark.usefixtures("no_provider")
def test_the_provider_is_missed_where_a_service_wants_a_token(
    root: ServerRoot, keystore: Keystore
) -> None:
    install(root)
    problems, _ = check_tokens(root, WITH_TOKEN, keystore)
    assert "no provider: apt install it" in problems
    problems, warnings = check_tokens(root, NO_OPTIONS, keystore)
    assert "no provider: apt install it" in warnings
    assert "no provider: apt install it" not in problems


def test_a_module_that_does_not_load_is_a_problem_unless_optional(
    root: ServerRoot, keystore: Keystore
) -> None:
    install(root)
    keystore.look_at_tokens()
    problems, _ = check_tokens(root, NO_OPTIONS, keystore)
    assert len([each for each in problems if "missing.so" in each]) == 2
    with changing_modules(root) as modules:
        modules.delete("missing")
    install(root, optional=True)
    keystore.look_at_tokens()
    problems, warnings = check_tokens(root, NO_OPTIONS, keystore)
    assert problems == []
    assert len([each for each in warnings if "missing.so" in each]) == 2


def test_a_list_that_cannot_be_read_is_a_problem(root: ServerRoot, keystore: Keystore) -> None:
    install(root)
    list_file(root).write_text("{}")
    problems, _ = check_tokens(root, NO_OPTIONS, keystore)
    assert "is no list of PKCS#11 modules" in problems[0]
