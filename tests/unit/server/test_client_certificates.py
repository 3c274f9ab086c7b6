"""Which groups of ports ask for client certificates, of which CAs, with which revocation lists."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.errors import ConfigurationError, KeystoreError
from mailfront.interfaces.client_certificate import CertificateFault
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.revocation_lists import parse_revocation_list
from mailfront.keystore.trust import TrustFlags
from mailfront.server import client_certificates
from mailfront.server.client_certificates import GROUPS, ClientCertificates
from mailfront.tls import certificate_bridge
from tests.support.client_authority import DAY, NOW, ClientAuthority, ClientIdentity
from tests.support.keystores import new_token

STAFF, OTHERS = ClientAuthority(), ClientAuthority("Other CA")
HOUR = timedelta(hours=1)
needs_bridge = pytest.mark.skipif(
    bool(certificate_bridge.problem()), reason=certificate_bridge.problem()
)


@pytest.fixture
def token(tmp_path: Path) -> InternalToken:
    return new_token(tmp_path)


def configured(directory: Path, **options: str) -> Configuration:
    """A configuration of the given options, whose dots are written as underscores."""
    path = directory / "msg.conf"
    lines = [f"{name.replace('_', '.')} = {value}\n" for name, value in options.items()]
    path.write_text("".join(lines))
    path.chmod(0o600)
    return load_configuration(path)


def asked(clients: ClientCertificates) -> dict[str, str]:
    return {group: each.description for group, each in clients.authentications.items()}


def put_list(token: InternalToken, authority: ClientAuthority, content: bytes) -> None:
    with token.change() as step:
        step.revocation_lists.put(authority.certificate, content)


def fault(clients: ClientCertificates, identity: ClientIdentity) -> CertificateFault:
    trust = clients._trust
    assert trust is not None
    return trust.judge(identity.leaf, identity.presented).fault


def test_without_a_ca_trusted_for_clients_nobody_is_asked(
    token: InternalToken, tmp_path: Path
) -> None:
    token.add_authority("Servers' CA", OTHERS.certificate, "C")
    clients = ClientCertificates()
    clients.load(configured(tmp_path), token)
    assert asked(clients) == dict.fromkeys(GROUPS, "")
    assert clients.warnings() == []


@needs_bridge
def test_with_one_all_but_the_port_for_other_servers_ask(
    token: InternalToken, tmp_path: Path
) -> None:
    clients = ClientCertificates()
    clients.load(configured(tmp_path), token)
    token.add_authority("Staff CA", STAFF.certificate, "T")
    clients.load(configured(tmp_path), token)
    request = "request: CN=Staff CA"
    assert asked(clients) == {**dict.fromkeys(GROUPS, request), "smtp": ""}
    token.set_trust("Staff CA", TrustFlags.SERVERS)
    clients.load(configured(tmp_path), token)
    assert asked(clients) == dict.fromkeys(GROUPS, "")


@needs_bridge
def test_each_group_has_its_option(token: InternalToken, tmp_path: Path) -> None:
    token.add_authority("Staff CA", STAFF.certificate, "T")
    clients = ClientCertificates()
    options = {"service_imap_clientauth": "require", "service_pop_clientauth": "off"}
    clients.load(configured(tmp_path, **options, service_smtp_clientauth="request"), token)
    told = asked(clients)
    assert told["imap"] == "require: CN=Staff CA"
    assert told["pop"] == ""
    assert told["smtp"] == told["submit"] == "request: CN=Staff CA"


@needs_bridge
def test_a_certificate_that_is_no_ca_vouches_for_nobody(
    token: InternalToken, tmp_path: Path
) -> None:
    token.add_authority("a person", STAFF.issue().certificate, "T")
    clients = ClientCertificates()
    clients.load(configured(tmp_path), token)
    assert clients.authentications["imap"].authorities == ()


def test_a_requirement_that_nobody_can_meet_is_warned_of(
    token: InternalToken, tmp_path: Path
) -> None:
    clients = ClientCertificates()
    clients.load(configured(tmp_path, service_imap_clientauth="require"), token)
    [warning] = clients.warnings()
    assert warning.startswith("service.imap.clientauth is require, and no CA is trusted")
    assert asked(clients)["imap"] == "require: no CA is trusted for clients"


@needs_bridge
def test_services_that_nobody_can_log_in_to_are_warned_of(
    token: InternalToken, tmp_path: Path
) -> None:
    clients = ClientCertificates()
    only = {"service_imap_allowpasswordlogin": "no", "service_pop_allowpasswordlogin": "no"}
    configuration = configured(tmp_path, **only, service_pop_clientauth="off")
    clients.load(configuration, token)
    assert [warning.partition(" is no")[0] for warning in clients.warnings()] == [
        "service.imap.allowpasswordlogin",
        "service.pop.allowpasswordlogin",
    ]
    token.add_authority("Staff CA", STAFF.certificate, "T")
    clients.load(configuration, token)
    [warning] = clients.warnings()
    assert warning.startswith("service.pop.allowpasswordlogin is no, and clients are asked for no")
    clients.authentications["pop"].takes_any = lambda: True
    clients.load(configured(tmp_path, **only), token)
    assert clients.warnings() == []


@needs_bridge
def test_lists_are_followed_and_parsed_once(
    token: InternalToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    def counting(der: bytes) -> object:
        parsed.append(len(der))
        return parse_revocation_list(der)

    monkeypatch.setattr(client_certificates, "parse_revocation_list", counting)
    token.add_authority("Staff CA", STAFF.certificate, "T")
    alice, clients = STAFF.issue("alice"), ClientCertificates()
    clients.load(configured(tmp_path), token)
    before = clients._trust
    clients.load(configured(tmp_path), token)
    assert clients._trust is before
    assert fault(clients, alice) is CertificateFault.NONE
    put_list(token, STAFF, STAFF.revocation_list([alice.certificate.serial_number]))
    for _ in range(3):
        clients.load(configured(tmp_path), token)
    assert len(parsed) == 1
    assert fault(clients, alice) is CertificateFault.REVOKED
    with token.change() as step:
        for issuer in step.revocation_lists.issuers():
            step.revocation_lists.remove(issuer)
    clients.load(configured(tmp_path), token)
    assert fault(clients, alice) is CertificateFault.NONE


@needs_bridge
@pytest.mark.parametrize("way", ["hard", "soft"])
def test_a_list_out_of_date_counts_as_the_option_says(
    token: InternalToken, tmp_path: Path, way: str
) -> None:
    token.add_authority("Staff CA", STAFF.certificate, "T")
    put_list(token, STAFF, STAFF.revocation_list(begins=NOW - 9 * DAY, ends=NOW - HOUR))
    clients = ClientCertificates()
    clients.load(configured(tmp_path, local_ssl_crlexpired=way), token)
    expected = {"hard": CertificateFault.REVOCATION_UNKNOWN, "soft": CertificateFault.NONE}[way]
    assert fault(clients, STAFF.issue()) is expected
    [warning] = clients.warnings(NOW)
    assert "the revocation list of CN=Staff CA is out of date since" in warning


@needs_bridge
def test_a_list_that_ends_soon_is_warned_of_unless_it_was_made_so(
    token: InternalToken, tmp_path: Path
) -> None:
    put_list(token, STAFF, STAFF.revocation_list(begins=NOW - 6 * DAY, ends=NOW + HOUR))
    put_list(token, OTHERS, OTHERS.revocation_list(begins=NOW - HOUR, ends=NOW + HOUR))
    clients = ClientCertificates()
    clients.load(configured(tmp_path), token)
    [warning] = clients.warnings(NOW)
    assert warning.startswith("the revocation list of CN=Staff CA is good until")


@needs_bridge
def test_an_altered_list_stops_the_start_and_changes_nothing_later(
    token: InternalToken, tmp_path: Path
) -> None:
    token.add_authority("Staff CA", STAFF.certificate, "T")
    bob, clients = STAFF.issue("bob"), ClientCertificates()
    put_list(token, STAFF, STAFF.revocation_list([bob.certificate.serial_number]))
    clients.load(configured(tmp_path), token)
    with closing(sqlite3.connect(token.path)) as connection, connection:
        connection.execute("DELETE FROM revocation_list")
    clients.load(configured(tmp_path), token)
    assert "a revocation list was removed outside mailfront" in clients.problem
    assert fault(clients, bob) is CertificateFault.REVOKED
    with pytest.raises(KeystoreError):
        ClientCertificates().load(configured(tmp_path), token)
    put_list(token, STAFF, STAFF.revocation_list([bob.certificate.serial_number], number=2))
    clients.load(configured(tmp_path), token)
    assert clients.problem == ""


def test_where_certificates_cannot_be_verified_a_requirement_stops_the_start(
    token: InternalToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_bridge, "problem", lambda: "no such library")
    token.add_authority("Staff CA", STAFF.certificate, "T")
    clients = ClientCertificates()
    clients.load(configured(tmp_path), token)
    assert asked(clients) == dict.fromkeys(GROUPS, "")
    assert clients.warnings() == ["client certificates are not asked for: no such library"]
    required = configured(tmp_path, service_imap_clientauth="require")
    with pytest.raises(ConfigurationError, match="clientauth = require: no such library"):
        ClientCertificates().load(required, token)
    clients.load(required, token)
    assert "no such library" in clients.problem
