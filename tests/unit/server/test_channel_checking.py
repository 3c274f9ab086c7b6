"""What is found in imta.cnf and in what it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError, ConfigurationProblems
from mailfront.server.channel_checking import check_channels


def root_with(directory: Path, keywords: str) -> ServerRoot:
    root = ServerRoot(directory)
    root.config_directory.mkdir()
    root.imta_cnf.write_text(
        f". $U%$H@tcp-daemon\n\nl\nlocalhost\n\ntcp_local smtp {keywords}\ntcp-daemon\n"
    )
    root.imta_cnf.chmod(0o600)
    return root


def test_what_is_missing_is_a_warning(tmp_path: Path) -> None:
    warnings = check_channels(root_with(tmp_path, "maytls"), None)
    assert [warning.partition(": ")[2] for warning in warnings] == [
        "has no channel tcp_submit; what is standard holds"
    ]


def test_a_login_must_be_readable_and_by_its_owner_alone(tmp_path: Path) -> None:
    root = root_with(tmp_path, "mustsaslclient saslcredentials relay.login")
    with pytest.raises(ConfigurationProblems, match="there is no such file"):
        check_channels(root, None)
    credentials = root.config_directory / "relay.login"
    credentials.write_text("user:secret\n")
    credentials.chmod(0o644)
    with pytest.raises(ConfigurationProblems, match="other users may read") as caught:
        check_channels(root, None)
    assert "secret" not in str(caught.value)
    credentials.chmod(0o600)
    check_channels(root, None)


def test_an_option_that_has_no_effect_is_told(tmp_path: Path) -> None:
    root = root_with(tmp_path, "maytls")
    lowered = Configuration.of({"service.submit.plaintextmincipher": "0"})
    assert "no password is taken in clear" in check_channels(root, None, lowered)[-1]
    assert len(check_channels(root, None, Configuration.of({}))) == 1


def test_a_mistake_in_the_file_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"imta\.cnf:6: unknown keyword maytsl"):
        check_channels(root_with(tmp_path, "maytsl"), None)
