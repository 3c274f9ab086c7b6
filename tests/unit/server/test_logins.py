"""Options of logins become policies; those that contradict each other are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailfront.authentication.scram_verifier import make_value
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.directory.editing import add_entry, replace_password
from mailfront.interfaces.secret import Secret
from mailfront.server.logins import (
    GROUPS,
    administrators,
    login_policy,
    login_problems,
    login_warnings,
    mechanisms,
)

Configured = Callable[..., Configuration]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    def make(**options: str) -> Configuration:
        lines = [f"{name.replace('__', '.')} = {text}\n" for name, text in options.items()]
        path = tmp_path / "msg.conf"
        path.write_text("".join(lines))
        return load_configuration(path)

    return make


def test_what_works_for_every_user_is_offered_unless_the_operator_chooses(
    configured: Configured,
) -> None:
    assert mechanisms(configured()) == ("EXTERNAL", "PLAIN", "LOGIN")
    issuer = configured(oauth__issuer="https://login.example.test")
    assert mechanisms(issuer) == ("EXTERNAL", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN")
    named = configured(sasl__default__mech_list="scram-sha-256 plain")
    assert mechanisms(named) == ("SCRAM-SHA-256", "PLAIN")


def test_each_service_has_its_own_policy(configured: Configured) -> None:
    configuration = configured(
        service__imap__certpreauth="yes",
        service__pop__allowpasswordlogin="no",
        service__submit__certanypassword="yes",
        service__submit__plaintextmincipher="256",
        oauth__issuer="https://login.example.test/",
    )
    found = {service: login_policy(configuration, service) for service in GROUPS}
    assert [service for service, each in found.items() if each.preauthenticated] == ["imap"]
    assert [service for service, each in found.items() if not each.password_login] == ["pop"]
    assert [service for service, each in found.items() if each.any_password] == ["imta"]
    strengths = {service: each.plaintext_minimum_cipher for service, each in found.items()}
    assert strengths == {"imta": 256, "imap": 128, "pop": 128, "http": 0}
    assert found["imap"].discovery == (
        "https://login.example.test/.well-known/openid-configuration"
    )


def test_administrators_are_addresses(configured: Configured) -> None:
    configuration = configured(
        store__admins="Ann bob@example.org", service__defaultdomain="example.test"
    )
    assert administrators(configuration) == ("ann@example.test", "bob@example.org")


def test_options_that_contradict_each_other_are_told(configured: Configured) -> None:
    assert login_problems(configured()) == []
    [audience] = login_problems(configured(oauth__issuer="https://login.example.test"))
    assert "oauth.audience" in audience
    [issuer] = login_problems(configured(sasl__default__mech_list="plain xoauth2"))
    assert "XOAUTH2" in issuer
    assert (
        login_problems(
            configured(oauth__issuer="https://login.example.test", oauth__audience="mail")
        )
        == []
    )


def test_users_whom_scram_would_keep_out_are_told(configured: Configured, tmp_path: Path) -> None:
    root = ServerRoot(tmp_path)
    root.config_directory.mkdir()
    value = make_value(Secret("secret"), 4096)
    for name in ("ann", "bob", "carl"):
        add_entry(root.users_ldif, f"{name}@example.test", "{ARGON2}x")
    replace_password(root.users_ldif, "bob@example.test", "{ARGON2}x", verifier=value)
    offered = configured(sasl__default__mech_list="scram-sha-256 plain")
    [warning] = login_warnings(root, offered)
    assert "ann@example.test and 1 more cannot log in by it" in warning
    assert login_warnings(root, configured()) == []
    for name in ("ann", "carl"):
        replace_password(root.users_ldif, f"{name}@example.test", "{ARGON2}x", verifier=value)
    assert login_warnings(root, offered) == []
    root.users_ldif.write_text("no ldif")
    assert login_warnings(root, offered) == []
