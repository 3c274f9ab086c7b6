"""The server root."""

from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.errors import ConfigurationError


def test_the_option_wins_over_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILFRONT_HOME", str(tmp_path / "other"))
    assert ServerRoot.from_environment(str(tmp_path)).path == tmp_path


def test_the_variable_counts_without_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILFRONT_HOME", str(tmp_path))
    assert ServerRoot.from_environment(None).path == tmp_path


def test_neither_is_refused_with_both_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILFRONT_HOME", raising=False)
    with pytest.raises(ConfigurationError, match=r"--home DIR.*MAILFRONT_HOME"):
        ServerRoot.from_environment(None)


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ServerRoot.from_environment("var").path == tmp_path / "var"


def test_everything_lies_inside_the_server_root() -> None:
    root = ServerRoot(Path("/srv/mail"))
    assert {
        "msg_conf": root.msg_conf,
        "sslpassword_conf": root.sslpassword_conf,
        "certmap_conf": root.certmap_conf,
        "imta_cnf": root.imta_cnf,
        "users_ldif": root.users_ldif,
        "certificate_database": root.certificate_database,
        "store_directory": root.store_directory,
        "log_directory": root.log_directory,
        "control_socket": root.control_socket,
        "lock_file": root.lock_file,
        "initial_passwords": root.initial_passwords,
    } == {
        "msg_conf": Path("/srv/mail/config/msg.conf"),
        "sslpassword_conf": Path("/srv/mail/config/sslpassword.conf"),
        "certmap_conf": Path("/srv/mail/config/certmap.conf"),
        "imta_cnf": Path("/srv/mail/config/imta.cnf"),
        "users_ldif": Path("/srv/mail/config/users.ldif"),
        "certificate_database": Path("/srv/mail/certdb/keystore.sqlite"),
        "store_directory": Path("/srv/mail/store"),
        "log_directory": Path("/srv/mail/log"),
        "control_socket": Path("/srv/mail/run/control.sock"),
        "lock_file": Path("/srv/mail/run/mailfront.lock"),
        "initial_passwords": Path("/srv/mail/initial-passwords.txt"),
    }


def test_a_directory_without_msg_conf_is_not_initialised_and_the_remedy_says_how(
    tmp_path: Path,
) -> None:
    root = ServerRoot(tmp_path)
    assert not root.is_initialised()
    with pytest.raises(ConfigurationError, match="mailfront init --home"):
        root.require_initialised()


def test_a_directory_with_msg_conf_is_initialised(tmp_path: Path) -> None:
    root = ServerRoot(tmp_path)
    root.config_directory.mkdir()
    root.msg_conf.touch()
    assert root.is_initialised()
    root.require_initialised()
