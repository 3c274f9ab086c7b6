import ssl
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.directory.ldap.directory import LdapDirectory
from mailfront.errors import DirectoryError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import NewEntry
from mailfront.keystore.trust import TrustFlags
from mailfront.server.user_directory import (
    check_directory,
    directory_trust,
    open_directory,
)
from tests.support.keystores import CHEAP, PASSWORD, authority

LDAP = Configuration.of(
    {"local.ugldaphost": "ldaps://localhost:1", "service.defaultdomain": "example.test"}
)
CA = authority("Directory CA")[1]
CLIENT_CA = authority("Client CA")[1]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "users.ldif").touch(0o600)
    return ServerRoot(tmp_path)


@pytest.fixture
def token(tmp_path: Path) -> InternalToken:
    entries = [NewEntry("Client CA", (CLIENT_CA,), None, TrustFlags.CLIENTS)]
    return InternalToken.create(tmp_path / "keystore.sqlite", PASSWORD, entries=entries, cost=CHEAP)


def trusted(context: ssl.SSLContext) -> list[x509.Certificate]:
    return [
        x509.load_der_x509_certificate(octets) for octets in context.get_ca_certs(binary_form=True)
    ]


async def test_the_option_chooses_the_directory(root: ServerRoot, token: InternalToken) -> None:
    for configuration, kind in ((Configuration.of({}), EmbeddedDirectory), (LDAP, LdapDirectory)):
        trust = directory_trust(configuration, token)
        directory = open_directory(root, configuration, trust)
        assert isinstance(directory, kind)
        directory.close()


def test_only_cas_that_are_trusted_for_servers_count_and_changes_are_followed(
    token: InternalToken,
) -> None:
    trust = directory_trust(LDAP, token)
    assert trusted(trust.context()) == []
    with token.change() as step:
        step.add(NewEntry("Directory CA", (CA,), None, TrustFlags.SERVERS))
    trust.follow(token)
    assert trusted(trust.context()) == [CA]


def test_a_check_tells_what_is_wrong(root: ServerRoot, token: InternalToken) -> None:
    assert check_directory(root, Configuration.of({}), token) == []
    [problem] = check_directory(root, LDAP, token)
    assert problem == "LDAP server ldaps://localhost:1: connection refused"
    assert check_directory(root, LDAP, None) == []
    homeless = Configuration.of({"local.ugldaphost": "localhost"})
    [problem] = check_directory(root, homeless, None)
    assert "no domain is ours" in problem
    root.users_ldif.chmod(0o644)
    with pytest.raises(DirectoryError):
        check_directory(root, Configuration.of({}), token)
