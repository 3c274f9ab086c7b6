"""Whom we believe as a TLS client."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import NewEntry
from mailfront.keystore.trust import TrustFlags
from mailfront.server.server_trust import ServerTrust
from tests.support.keystores import CHEAP, PASSWORD, authority

FIRST, SECOND, CLIENT_CA = (authority(name)[1] for name in ("First CA", "Second CA", "Client CA"))


@pytest.fixture
def token(tmp_path: Path) -> InternalToken:
    entries = [
        NewEntry("First CA", (FIRST,), None, TrustFlags.SERVERS),
        NewEntry("Client CA", (CLIENT_CA,), None, TrustFlags.CLIENTS),
    ]
    return InternalToken.create(tmp_path / "keystore.sqlite", PASSWORD, entries=entries, cost=CHEAP)


def trusted(context: ssl.SSLContext) -> set[x509.Certificate]:
    return {
        x509.load_der_x509_certificate(octets) for octets in context.get_ca_certs(binary_form=True)
    }


def add_second(token: InternalToken) -> None:
    with token.change() as step:
        step.add(NewEntry("Second CA", (SECOND,), None, TrustFlags.SERVERS))


def test_authorities_for_servers_count_and_no_others(token: InternalToken) -> None:
    context = ServerTrust(token).context()
    assert trusted(context) == {FIRST}
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_all_connections_share_a_context_until_the_trust_changes(token: InternalToken) -> None:
    trust = ServerTrust(token)
    before = trust.context()
    assert trust.context() is before
    add_second(token)
    trust.follow(token)
    assert trust.context() is not before
    assert trusted(trust.context()) == {FIRST, SECOND}


def test_the_keystore_is_read_when_the_first_connection_needs_it(token: InternalToken) -> None:
    trust = ServerTrust(token)
    add_second(token)
    assert trusted(trust.context()) == {FIRST, SECOND}


def test_without_a_check_anybody_is_believed(token: InternalToken) -> None:
    context = ServerTrust(token, check=False).context()
    assert context.verify_mode == ssl.CERT_NONE
    assert not context.check_hostname


def test_a_certificate_that_cannot_be_presented_is_told_and_the_authorities_count(
    token: InternalToken,
) -> None:
    trust = ServerTrust(token, presented="Front")
    assert trusted(trust.context()) == {FIRST}
    assert trust.problem.startswith("local.service.proxy.sslnicknames: ")


def test_a_certificate_that_went_away_stays_in_use(token: InternalToken) -> None:
    key, certificate = authority("Front")
    with token.change() as step:
        step.add(NewEntry("Front", (certificate,), key, TrustFlags.NONE))
    trust = ServerTrust(token, presented="Front")
    trust.context()
    assert trust.problem == ""
    with token.change() as step:
        step.remove("Front")
    trust.follow(token)
    assert trust.problem
    assert trusted(trust.context()) == {FIRST}
