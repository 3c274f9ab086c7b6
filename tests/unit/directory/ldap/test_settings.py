from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.ldap.server import LdapServer, LdapTls
from mailfront.directory.ldap.settings import LdapSettings, ldap_settings, read_bind_password
from mailfront.errors import ConfigurationError

OPTIONS = {
    "local.ugldaphost": "ldap1.example.test ldaps://ldap2.example.test",
    "local.ugldapstarttls": "yes",
    "local.ugldapbasedn": "OU=People , dc=example,dc=test",
    "local.ugldapbinddn": "cn=mailfront,dc=example,dc=test",
    "local.domains": "Example.test bücher.example",
    "service.defaultdomain": "example.test",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_password(tmp_path, b"secret word\nanything\n")
    return tmp_path


def write_password(root: Path, content: bytes) -> Path:
    (root / "config").mkdir(exist_ok=True)
    path = root / "config" / "ldappassword"
    path.touch(0o600)
    path.write_bytes(content)
    return path


def settings(root: Path, **more: str) -> LdapSettings:
    options = OPTIONS | {name.replace("_", "."): value for name, value in more.items()}
    found = ldap_settings(Configuration.of(options), root)
    assert found is not None
    return found


def test_without_servers_users_are_not_in_ldap(tmp_path: Path) -> None:
    assert ldap_settings(Configuration.of({}), tmp_path) is None


def test_options_become_settings(root: Path) -> None:
    found = settings(root)
    assert found.servers == (
        LdapServer("ldap1.example.test", 389, LdapTls.STARTTLS),
        LdapServer("ldap2.example.test", 636, LdapTls.IMPLICIT),
    )
    assert found.base == "OU=People,DC=example,DC=test"
    assert found.bind_password.reveal() == "secret word"
    assert found.domains == {"example.test", "xn--bcher-kva.example"}
    assert found.binds_as_user


def test_an_anonymous_bind_needs_no_password(tmp_path: Path) -> None:
    found = settings(tmp_path, local_ugldapbinddn="")
    assert (found.bind_name, found.bind_password.reveal()) == ("", "")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("local.ugldaphost", "http://x", "not an LDAP server"),
        ("local.ugldapbasedn", "no name", r"local.ugldapbasedn is no distinguished name"),
        ("local.ugldapbinddn", "no name", r"local.ugldapbinddn is no distinguished name"),
        ("local.domains", "not a domain!", r"local.domains"),
        ("sasl.default.ldap.searchfilter", "uid=%U", "not an LDAP search filter"),
        ("local.ugldapbindcred", "file:config/none", "local.ugldapbinddn cannot be read"),
    ],
)
def test_a_wrong_option_is_told(root: Path, option: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ldap_settings(Configuration.of(OPTIONS | {option: value}), root)


@pytest.mark.parametrize("name", ["ldap1.example.test", "192.0.2.1"])
def test_passwords_never_travel_in_clear(root: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="in clear"):
        settings(root, local_ugldaphost=name, local_ugldapstarttls="no")
    for loopback in ("localhost", "127.0.0.1", "[::1]"):
        settings(root, local_ugldaphost=loopback, local_ugldapstarttls="no")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no password"), (b"\nx", "no password"), (b"\xff", "not UTF-8")]
)
def test_a_file_without_password_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_password(tmp_path, content)
    with pytest.raises(ConfigurationError, match=message):
        read_bind_password(path)


def test_a_file_that_others_can_read_is_refused_without_its_content(root: Path) -> None:
    path = root / "config" / "ldappassword"
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600") as refused:
        read_bind_password(path)
    assert "secret" not in str(refused.value)
