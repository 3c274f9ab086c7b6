"""Asking for client certificates, in handshakes in memory: who gets in, who gets which alert."""

from __future__ import annotations

import gc
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.revocation_lists import (
    Revocations,
    authority_key,
    parse_revocation_list,
)
from mailfront.tls import certificate_bridge, client_authentication, connection_bridge
from mailfront.tls.client_authentication import (
    Asking,
    ClientAuthentication,
    refused_certificate,
)
from mailfront.tls.client_verification import ClientTrust
from mailfront.tls.context import build_server_context
from mailfront.tls.describe import describe
from mailfront.tls.failure import failure_reason
from mailfront.tls.policy import policy_named
from mailfront.tls.records import TlsRecords
from tests.support.authority import self_signed
from tests.support.client_authority import DAY, NOW, ClientAuthority, ClientIdentity, new_key
from tests.support.memory_tls import client_context

pytestmark = pytest.mark.skipif(
    bool(certificate_bridge.problem()), reason=certificate_bridge.problem()
)

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
CREDENTIALS = self_signed("imap-cert")
STAFF = ClientAuthority()
BELOW = ClientAuthority("Issuing CA", parent=STAFF)
STRANGERS = ClientAuthority("Strangers CA")
SHORT = ClientAuthority("Short CA", path_length=0)
TOO_DEEP = ClientAuthority("Too deep", parent=SHORT)
MAIL_ONLY = ClientAuthority("Mail only CA", permitted=["example.test"])
ROOTS = (STAFF, SHORT, MAIL_ONLY)
REVOKED = STAFF.issue("revoked")
REVOKED_BELOW = ClientAuthority("Revoked CA", parent=STAFF)
UP_TO_DATE = STAFF.revocation_list(
    [REVOKED.certificate.serial_number, REVOKED_BELOW.certificate.serial_number]
)
SERVERS_ONLY = (ExtendedKeyUsageOID.SERVER_AUTH,)
GOOD = {
    "ec": STAFF.issue("ec"),
    "rsa": STAFF.issue("rsa", key=new_key("rsa")),
    "ed25519": STAFF.issue("ed25519", key=new_key("ed25519")),
    "any use": STAFF.issue("any", usage=()),
    "intermediate": BELOW.issue("below"),
    "permitted name": MAIL_ONLY.issue("named"),
}
# What is presented: its fault, the alert of the handshake that it ends, the reason in our log.
BAD = {
    "expired": (
        STAFF.issue("expired", ends=NOW - timedelta(hours=1)),
        CertificateFault.EXPIRED, "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "client's certificate has expired",
    ),
    "not yet valid": (
        STAFF.issue("early", begins=NOW + timedelta(hours=1)),
        CertificateFault.NOT_YET_VALID, "SSLV3_ALERT_BAD_CERTIFICATE",
        "client's certificate is not valid yet",
    ),
    "revoked": (
        REVOKED, CertificateFault.REVOKED, "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "client's certificate is revoked",
    ),
    "intermediate revoked": (
        REVOKED_BELOW.issue("below"), CertificateFault.REVOKED,
        "SSLV3_ALERT_CERTIFICATE_REVOKED", "client's certificate is revoked",
    ),
    "unknown CA": (
        STRANGERS.issue("stranger"), CertificateFault.UNTRUSTED, "TLSV1_ALERT_UNKNOWN_CA",
        "client's certificate is of an unknown CA",
    ),
    "missing intermediate": (
        BELOW.issue("below", with_issuers=False), CertificateFault.UNTRUSTED,
        "TLSV1_ALERT_UNKNOWN_CA", "client's certificate is of an unknown CA",
    ),
    "same name, other key": (
        ClientAuthority().issue("impostor"), CertificateFault.UNTRUSTED,
        "TLSV1_ALERT_UNKNOWN_CA", "client's certificate is of an unknown CA",
    ),
    "servers only": (
        STAFF.issue("server", usage=SERVERS_ONLY), CertificateFault.WRONG_USE,
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "client's certificate is not for TLS clients",
    ),
    "path too long": (
        TOO_DEEP.issue("deep"), CertificateFault.MALFORMED, "SSLV3_ALERT_BAD_CERTIFICATE",
        "client's certificate is malformed",
    ),
    "name not permitted": (
        MAIL_ONLY.issue("named", email="eve@elsewhere.test"), CertificateFault.MALFORMED,
        "SSLV3_ALERT_BAD_CERTIFICATE", "client's certificate is malformed",
    ),
}  # fmt: skip
FAULTS = pytest.mark.parametrize("bad", BAD)


def trust(*authorities: ClientAuthority, now: list[float] | None = None) -> ClientTrust:
    lists = {authority_key(STAFF.certificate): parse_revocation_list(UP_TO_DATE)}
    clock = (lambda: now[0]) if now is not None else NOW.timestamp
    return ClientTrust(
        [one.certificate for one in authorities or ROOTS], Revocations(lists), clock=clock
    )


class Service:
    """One context, and a port's way of asking."""

    def __init__(
        self,
        asking: Asking = Asking.REQUEST,
        known: ClientTrust | None = None,
        *,
        refuses: bool = False,
    ) -> None:
        self.authentication = ClientAuthentication()
        self.authentication.follow(asking, known or trust(), refuses=refuses)
        self.context = build_server_context(
            [CREDENTIALS], policy_named("intermediate"), alpn=("imap",), tickets=True
        ).ssl_context


@dataclass
class Outcome:
    """How a handshake ended for both sides."""

    established: bool = False
    resumed: bool = False
    certificate: ClientCertificate | None = None
    alert: str = ""
    reason: str = ""
    refused: ClientCertificate | None = None


class Client:
    """A client of one version with or without a certificate, that keeps its session."""

    def __init__(
        self, version: ssl.TLSVersion, identity: ClientIdentity | None, directory: Path
    ) -> None:
        self._context = client_context()
        self._context.minimum_version = self._context.maximum_version = version
        if identity is not None:
            identity.load_into(self._context, directory)
        self._session: ssl.SSLSession | None = None

    def connect(self, service: Service, port: ClientAuthentication | None = None) -> Outcome:
        """Connect to `port` of the service, or to its own."""
        asking = port or service.authentication
        server = TlsRecords(service.context, ask=asking.ask)
        to_client = server.outgoing
        client = self._context.wrap_bio(
            to_client, server.incoming, server_hostname="localhost", session=self._session
        )
        outcome = Outcome()
        finished = False
        try:
            for _ in range(4):
                with suppress(ssl.SSLWantReadError):
                    client.do_handshake()
                finished = finished or server.handshake()
        except ssl.SSLCertVerificationError as failure:
            outcome.reason = failure_reason(failure)
            outcome.refused = refused_certificate(server.tls)
        except ssl.SSLError as failure:
            outcome.reason = failure_reason(failure)
        try:
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
                client.read(1)
        except ssl.SSLError as failure:
            outcome.alert = failure.reason or "?"
        if finished:
            facts = describe(server.tls, "imap-cert")
            outcome.established = True
            outcome.resumed = facts.resumed
            outcome.certificate = facts.client_certificate
            self._session = client.session
        return outcome


@VERSIONS
@pytest.mark.parametrize("asking", [Asking.REQUEST, Asking.REQUIRE])
@pytest.mark.parametrize("good", GOOD)
def test_a_good_certificate_identifies_also_when_the_session_is_resumed(
    version: ssl.TLSVersion, asking: Asking, good: str, tmp_path: Path
) -> None:
    service, client = Service(asking), Client(version, GOOD[good], tmp_path)
    for resumed in (False, True, True):
        outcome = client.connect(service)
        assert (outcome.established, outcome.resumed) == (True, resumed)
        assert outcome.certificate is not None
        assert outcome.certificate.verified
        assert outcome.certificate.leaf == GOOD[good].leaf
        assert outcome.certificate.presented == GOOD[good].presented


@VERSIONS
@FAULTS
def test_a_bad_certificate_that_is_only_requested_identifies_nobody_fresh_or_resumed(
    version: ssl.TLSVersion, bad: str, tmp_path: Path
) -> None:
    identity, fault, _, _ = BAD[bad]
    service, client = Service(), Client(version, identity, tmp_path)
    for resumed in (False, True):
        outcome = client.connect(service)
        assert (outcome.established, outcome.resumed) == (True, resumed)
        assert outcome.certificate is not None
        assert outcome.certificate.fault is fault
        assert outcome.certificate.leaf == identity.leaf


@VERSIONS
@FAULTS
@pytest.mark.parametrize(("asking", "refuses"), [(Asking.REQUIRE, False), (Asking.REQUEST, True)])
def test_a_bad_certificate_that_counts_ends_the_handshake_with_the_alert_that_fits(
    version: ssl.TLSVersion, bad: str, asking: Asking, refuses: bool, tmp_path: Path
) -> None:
    identity, fault, alert, reason = BAD[bad]
    client = Client(version, identity, tmp_path)
    outcome = client.connect(Service(asking, refuses=refuses))
    assert not outcome.established
    assert (outcome.alert, outcome.reason) == (alert, reason)
    assert outcome.refused is not None
    assert (outcome.refused.leaf, outcome.refused.fault) == (identity.leaf, fault)


@VERSIONS
def test_who_has_no_certificate_goes_on_without(version: ssl.TLSVersion, tmp_path: Path) -> None:
    service, client = Service(refuses=True), Client(version, None, tmp_path)
    assert client.connect(service) == Outcome(established=True)
    assert client.connect(service) == Outcome(established=True, resumed=True)


@VERSIONS
def test_who_has_no_certificate_where_one_is_required_is_refused(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    outcome = Client(version, None, tmp_path).connect(Service(Asking.REQUIRE))
    assert outcome.reason == "client has no certificate"
    alerts = {V12: "SSLV3_ALERT_HANDSHAKE_FAILURE", V13: "TLSV13_ALERT_CERTIFICATE_REQUIRED"}
    assert outcome.alert == alerts[version]
    assert outcome.refused is None


@VERSIONS
def test_nobody_is_asked_where_asking_is_off_or_no_ca_is_trusted(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    for service in (Service(Asking.OFF), Service(known=ClientTrust([]))):
        client = Client(version, GOOD["ec"], tmp_path)
        assert client.connect(service) == Outcome(established=True)
        assert service.authentication.authorities == ()


@VERSIONS
def test_where_keys_are_enrolled_any_certificate_is_asked_for_without_naming_cas(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    stranger = BAD["unknown CA"][0]
    for known in (ClientTrust([]), trust()):
        service = Service(known=known)
        service.authentication.takes_any = lambda: True
        outcome = Client(version, stranger, tmp_path).connect(service)
        assert outcome.certificate is not None
        assert outcome.certificate.fault is CertificateFault.UNTRUSTED
        assert service.authentication.description == "request: any certificate"


@VERSIONS
def test_enrolled_keys_change_nothing_where_clients_must_have_a_good_certificate(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    stranger = BAD["unknown CA"][0]
    for service in (Service(Asking.REQUIRE), Service(refuses=True), Service(Asking.OFF)):
        service.authentication.takes_any = lambda: True
        outcome = Client(version, stranger, tmp_path).connect(service)
        assert outcome.certificate is None
        assert outcome.established is (service.authentication.asking is Asking.OFF)


@VERSIONS
def test_where_a_certificate_is_required_and_no_ca_is_trusted_nobody_gets_in(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    service = Service(Asking.REQUIRE, ClientTrust([]))
    assert Client(version, GOOD["ec"], tmp_path).connect(service).refused is not None
    assert not Client(version, None, tmp_path).connect(service).established


@VERSIONS
def test_a_session_loses_its_identity_when_the_certificate_expires(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    now = [NOW.timestamp()]
    service = Service(known=trust(now=now))
    client = Client(version, STAFF.issue("brief", ends=NOW + timedelta(seconds=30)), tmp_path)
    first = client.connect(service)
    assert first.certificate is not None
    assert first.certificate.verified
    now[0] += 32
    second = client.connect(service)
    assert second.resumed
    assert second.certificate is not None
    assert second.certificate.fault is CertificateFault.EXPIRED


@VERSIONS
def test_a_session_loses_its_identity_when_the_certificate_is_revoked(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    identity = BELOW.issue("alice")
    service, client = Service(), Client(version, identity, tmp_path)
    assert client.connect(service).certificate is not None
    revoked = BELOW.revocation_list([identity.certificate.serial_number])
    lists = {authority_key(BELOW.certificate): parse_revocation_list(revoked)}
    later = ClientTrust([one.certificate for one in ROOTS], Revocations(lists))
    service.authentication.follow(Asking.REQUEST, later, refuses=False)
    outcome = client.connect(service)
    assert outcome.resumed
    assert outcome.certificate is not None
    assert outcome.certificate.fault is CertificateFault.REVOKED
    service.authentication.follow(Asking.REQUIRE, later, refuses=False)
    outcome = client.connect(service)
    assert not outcome.established
    assert outcome.alert == "SSLV3_ALERT_CERTIFICATE_REVOKED"


@VERSIONS
def test_a_session_is_not_resumed_when_other_cas_are_trusted(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    service, client = Service(), Client(version, GOOD["ec"], tmp_path)
    client.connect(service)
    service.authentication.follow(Asking.REQUEST, trust(STRANGERS), refuses=False)
    outcome = client.connect(service)
    assert not outcome.resumed
    assert outcome.certificate is not None
    assert outcome.certificate.fault is CertificateFault.UNTRUSTED


@VERSIONS
def test_a_ticket_of_a_port_that_does_not_ask_is_no_way_around_asking(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    service, client = Service(), Client(version, GOOD["ec"], tmp_path)
    silent = ClientAuthentication()
    assert client.connect(service, silent).certificate is None
    outcome = client.connect(service)
    assert not outcome.resumed
    assert outcome.certificate is not None
    assert outcome.certificate.verified


@VERSIONS
def test_a_port_that_does_not_ask_learns_nothing_from_a_ticket(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    service, client = Service(), Client(version, GOOD["ec"], tmp_path)
    assert client.connect(service).certificate is not None
    outcome = client.connect(service, ClientAuthentication())
    assert (outcome.resumed, outcome.certificate) == (True, None)


@VERSIONS
def test_a_ticket_without_certificate_is_no_way_past_a_requirement(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    service, client = Service(), Client(version, None, tmp_path)
    assert client.connect(service).established
    service.authentication.follow(Asking.REQUIRE, trust(), refuses=False)
    outcome = client.connect(service)
    assert (outcome.established, outcome.reason) == (False, "client has no certificate")


@VERSIONS
def test_a_chain_too_long_for_a_ticket_is_presented_each_time(
    version: ssl.TLSVersion, tmp_path: Path
) -> None:
    authority = STAFF
    for number in range(7):
        name = f"Level {number} {'x' * 50}"
        authority = ClientAuthority(name, parent=authority, key=new_key("rsa"))
    service, client = Service(), Client(version, authority.issue("alice"), tmp_path)
    for _ in range(2):
        outcome = client.connect(service)
        assert (outcome.established, outcome.resumed) == (True, False)
        assert outcome.certificate is not None
        assert outcome.certificate.verified


def test_the_request_names_the_cas() -> None:
    service = Service(known=trust(STAFF, SHORT))
    assert service.authentication.authorities == ("CN=Staff CA", "CN=Short CA")
    records = TlsRecords(service.context, ask=service.authentication.ask)
    client = client_context()
    client.maximum_version = V12  # whose CertificateRequest is in clear
    peer = client.wrap_bio(ssl.MemoryBIO(), records.incoming, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        peer.do_handshake()
    records.handshake()
    names = [one.certificate.subject.public_bytes() for one in (STAFF, SHORT)]
    listed = b"".join(len(name).to_bytes(2) + name for name in names)
    assert len(listed).to_bytes(2) + listed in records.outgoing.read()


def test_without_the_bridge_a_request_is_left_out_and_a_requirement_ends_the_handshake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connection_bridge, "connection_pointer", lambda tls: None)
    client = Client(V13, GOOD["ec"], tmp_path)
    assert client.connect(Service()) == Outcome(established=True)
    outcome = client.connect(Service(Asking.REQUIRE))
    assert not outcome.established
    assert outcome.reason == "client certificate cannot be asked for"


@VERSIONS
def test_a_judgement_that_fails_lets_nobody_in(
    version: ssl.TLSVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> ClientCertificate:
        raise RuntimeError

    monkeypatch.setattr(ClientTrust, "judge", broken)
    outcome = Client(version, GOOD["ec"], tmp_path).connect(Service())
    assert not outcome.established


def test_callbacks_outlive_their_contexts_and_requests_their_connections_not(
    tmp_path: Path,
) -> None:
    for _ in range(20):
        client = Client(V13, GOOD["ec"], tmp_path)
        assert client.connect(Service()).established
        gc.collect()
    assert len(client_authentication._requests) == 0


def test_expiry_is_told_to_the_second() -> None:
    now = [NOW.timestamp()]
    known = trust(now=now)
    brief = STAFF.issue("brief", ends=NOW + DAY)
    now[0] = (NOW + DAY).timestamp() - 1
    assert known.judge(brief.leaf, ()).verified
    now[0] += 1
    assert known.judge(brief.leaf, ()).fault is CertificateFault.EXPIRED
