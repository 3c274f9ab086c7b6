"""The default configuration in a new server root."""

import stat
from pathlib import Path

import pytest

from mailfront.configuration import default_files
from mailfront.configuration.default_files import (
    FILE_NAMES,
    default_configuration_directory,
    install_default_configuration,
)
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.errors import ConfigurationError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_default_file_is_installed_and_private(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path / "new" / "root")
    made = install_default_configuration(root)
    assert made == tuple(root.config_directory / name for name in FILE_NAMES)
    assert [mode_of(path) for path in made] == [0o600] * len(FILE_NAMES)
    assert mode_of(root.path) == 0o700
    assert mode_of(root.config_directory) == 0o700
    assert root.is_initialised()


def test_the_installed_options_are_the_defaults(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path)
    install_default_configuration(root)
    configuration = load_configuration(root.msg_conf)
    assert not configuration.is_set("service.imap.port")


def test_what_is_already_there_is_left_alone(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path)
    root.config_directory.mkdir()
    root.msg_conf.write_text("# mine\n")
    made = install_default_configuration(root)
    assert root.msg_conf not in made
    assert root.msg_conf.read_text() == "# mine\n"
    assert install_default_configuration(root) == ()


def test_the_directory_of_the_defaults_holds_exactly_the_files_that_are_installed() -> None:
    directory = default_configuration_directory()
    assert sorted(path.name for path in directory.iterdir()) == sorted(FILE_NAMES)


def test_an_installation_without_the_files_is_told_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_files, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.setattr(default_files, "INSTALLED_DIRECTORY", Path("nowhere", "at-all"))
    with pytest.raises(ConfigurationError, match="install mailfront again"):
        default_configuration_directory()


def test_no_default_file_holds_a_password() -> None:
    lines = (default_configuration_directory() / "sslpassword.conf").read_text().splitlines()
    assert all(line.startswith("#") for line in lines)
    lines = (default_configuration_directory() / "users.ldif").read_text().splitlines()
    assert all(line.startswith("#") for line in lines)


def test_every_default_file_is_read() -> None:
    directory = default_configuration_directory()
    said = [path.name for path in directory.iterdir() if "NOT READ YET" in path.read_text()]
    assert said == []
