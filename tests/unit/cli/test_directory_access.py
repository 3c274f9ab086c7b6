from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.directory_access import is_ldap, opened_directory, opened_keystore
from mailfront.configuration.default_files import install_default_configuration
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration, set_option
from mailfront.directory.editing import add_entry
from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.directory.ldap.directory import LdapDirectory
from mailfront.errors import DirectoryUnavailableError
from tests.support.keystores import root_with_keystore
from tests.support.ports import free_ports


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    install_default_configuration(root)
    return root


async def test_users_are_those_of_the_file_unless_ldap_is_configured(root: ServerRoot) -> None:
    add_entry(root.users_ldif, "ann@example.test", "{ARGON2}x")
    configuration = load_configuration(root.msg_conf)
    assert not is_ldap(configuration)
    with opened_directory(root, configuration) as directory:
        assert isinstance(directory, EmbeddedDirectory)
        assert await directory.entry_for_address("ann@example.test") is not None


async def test_an_ldap_server_is_asked_and_let_go(root: ServerRoot) -> None:
    set_option(root.msg_conf, "local.ugldaphost", f"ldap://127.0.0.1:{free_ports(1)[0]}")
    set_option(root.msg_conf, "service.defaultdomain", "example.test")
    configuration = load_configuration(root.msg_conf)
    assert is_ldap(configuration)
    with opened_directory(root, configuration) as directory:
        assert isinstance(directory, LdapDirectory)
        with pytest.raises(DirectoryUnavailableError):
            await directory.entry_for_address("ann@example.test")


def test_the_keystore_is_opened_with_the_password_of_its_file(root: ServerRoot) -> None:
    with opened_keystore(root) as token:
        assert token.list() == []
