"""Certificate login on the running server: the table of services and certificates, and the rules
that options add.

A certificate with a fault means nothing (`local.ssl.invalidclientcert = password`): the handshake
goes on, EXTERNAL is not offered, and a password is taken as from anybody.
"""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.login_site import (
    ALERTS,
    CASES,
    DISABLED,
    NO_CERTIFICATE_ALERTS,
    OUTCOMES,
    REASONS,
    SERVICES,
    VERSIONS,
    LoginSite,
    WebClient,
    connect,
    expected,
    log_in,
    log_in_by_password,
)
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer
from tests.support.waiting import eventually

# Beginnings of the options of a service.
GROUPS = {"imaps": "imap", "pops": "pop", "submissions": "submit", "https": "http"}


@pytest.fixture(scope="module")
def prepared(server_root_template: Path, tmp_path_factory: pytest.TempPathFactory) -> LoginSite:
    """A site to copy; its server never runs."""
    directory = tmp_path_factory.mktemp("logins")
    return LoginSite(MailServer.copied(server_root_template, directory / "root"), directory)


@pytest.fixture(scope="module")
def site(prepared: LoginSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginSite]:
    """A running site as it is by default."""
    site = prepared.copied(tmp_path_factory.mktemp("site") / "root")
    with site.server:
        yield site


NewSite = Callable[[dict[str, str]], LoginSite]


@pytest.fixture
def new_site(prepared: LoginSite, tmp_path: Path) -> NewSite:
    """Makes a site with options, not yet started."""
    return lambda options: prepared.copied(tmp_path / "root", options)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("case", CASES)
def test_the_table(site: LoginSite, case: str, service: str, version: str) -> None:
    before = len(site.server.log)
    context, port = site.context(case, version), site.server.ports[service]
    assert log_in(service, port, context) == expected(service, OUTCOMES[case])
    if case in REASONS:
        eventually(lambda: REASONS[case] in site.server.log[before:], REASONS[case])


MODES = {
    "off": {f"service.{group}.clientauth": "off" for group in GROUPS.values()},
    "alert": {"local.ssl.invalidclientcert": "alert"},
    "require": {f"service.{group}.clientauth": "require" for group in GROUPS.values()},
}


def outcome_under(mode: str, case: str, version: str) -> str:
    """What a certificate leads to where it is not asked for, must be valid, or must be there."""
    if mode == "off":
        return "not offered"
    if mode == "require" and case == "none":
        return NO_CERTIFICATE_ALERTS[version]
    return ALERTS.get(case, OUTCOMES[case])


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def site_of_mode(
    prepared: LoginSite, tmp_path_factory: pytest.TempPathFactory, mode: str
) -> Iterator[LoginSite]:
    """A running site that asks for certificates in another way."""
    site = prepared.copied(tmp_path_factory.mktemp(mode) / "root", MODES[mode])
    with site.server:
        yield site


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("case", ["valid", *ALERTS, "unmapped", "none"])
def test_the_table_where_certificates_are_not_asked_for_must_be_valid_or_must_be_there(
    site_of_mode: LoginSite, mode: str, case: str, service: str, version: str
) -> None:
    context, port = site_of_mode.context(case, version), site_of_mode.server.ports[service]
    outcome = expected(service, outcome_under(mode, case, version))
    assert log_in(service, port, context) == outcome


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("case", [case for case in CASES if case not in ("valid", "disabled user")])
def test_beside_a_certificate_that_maps_to_nobody_a_password_goes_on_as_ever(
    site: LoginSite, case: str, service: str
) -> None:
    context, port = site.context(case), site.server.ports[service]
    password = site.server.password(ALICE)
    assert log_in_by_password(service, port, context, password) == "granted"


@pytest.mark.parametrize("service", SERVICES)
def test_beside_a_certificate_only_the_password_of_its_own_user_counts(
    site: LoginSite, service: str
) -> None:
    context, port = site.context("valid"), site.server.ports[service]
    password = site.server.password
    assert log_in_by_password(service, port, context, password(ALICE)) == "granted"
    assert log_in_by_password(service, port, context, password(BOB), BOB) == "refused"
    assert log_in_by_password(service, port, context, "anything") == "refused"


def test_an_administrator_acts_as_another_and_nobody_else_does(site: LoginSite) -> None:
    context, port = site.context("valid"), site.server.ports["imaps"]
    # `mailfront init --demo` makes alice the administrator.
    assert log_in("imaps", port, context, ALICE) == "granted"
    assert log_in("imaps", port, context, BOB) == "granted"
    eventually(lambda: f"user={BOB} acting={ALICE}" in site.server.log, "both names in the log")
    assert log_in("imaps", port, context, "nobody@example.test") == "refused"
    bob = site.staff.issue("bob")
    site.identities["bob"] = bob
    assert log_in("imaps", port, site.context("bob"), ALICE) == "refused"


@pytest.mark.parametrize("port", ["imap", "pop", "submission"])
def test_external_is_offered_once_tls_has_begun(site: LoginSite, port: str) -> None:
    context, number = site.context("valid"), site.server.ports[port]
    if port == "imap":
        with imaplib.IMAP4(LOOPBACK, number) as imap:
            assert "AUTH=EXTERNAL" not in imap.capabilities
            imap.starttls(context)
            assert "AUTH=EXTERNAL" in imap.capabilities
            assert imap.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
    elif port == "pop":
        pop = poplib.POP3(LOOPBACK, number)
        assert "EXTERNAL" not in pop.capa().get("SASL", [])
        pop.stls(context)
        assert "EXTERNAL" in pop.capa()["SASL"]
        assert pop._shortcmd("AUTH EXTERNAL =").startswith(b"+OK")  # type: ignore[attr-defined]
        pop.quit()
    else:
        with smtplib.SMTP(LOOPBACK, number) as smtp:
            smtp.ehlo()
            assert "EXTERNAL" not in smtp.esmtp_features.get("auth", "")
            smtp.starttls(context=context)
            smtp.ehlo()
            assert "EXTERNAL" in smtp.esmtp_features["auth"]
            assert smtp.docmd("AUTH", "EXTERNAL =")[0] == 235
            smtp.sendmail(ALICE, BOB, "Subject: by certificate\r\n\r\nHello\r\n")


def test_an_imap_session_by_certificate_is_a_session_like_any_other(site: LoginSite) -> None:
    port = site.server.ports["imaps"]
    with imaplib.IMAP4_SSL(LOOPBACK, port, ssl_context=site.context("valid")) as imap:
        assert imap.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
        assert imap.select("INBOX")[0] == "OK"
    eventually(lambda: "method=EXTERNAL" in site.server.log, "the method in the connection's line")


# Options.


def test_a_client_that_knows_no_external_is_greeted_as_its_user(
    new_site: NewSite,
) -> None:
    site = new_site({"service.imap.certpreauth": "yes"})
    with site.server:
        port = site.server.ports["imaps"]
        with connect(port, site.context("valid")) as client:
            assert client.line().startswith(b"* PREAUTH [CAPABILITY IMAP4rev1 ")
            assert client.ask(b"a SELECT INBOX", b"a ")[-1].startswith(b"a OK")
        for case in ("unmapped", "disabled user", "expired", "none"):
            with connect(port, site.context(case)) as client:
                assert client.line().startswith(b"* OK [CAPABILITY ")
        with imaplib.IMAP4(LOOPBACK, site.server.ports["imap"]) as imap:
            assert imap.welcome.startswith(b"* OK")
            imap.starttls(site.context("valid"))
            assert imap.state == "NONAUTH"


@pytest.mark.parametrize("service", SERVICES)
def test_where_certificates_are_the_only_door_passwords_are_neither_offered_nor_taken(
    new_site: NewSite, service: str
) -> None:
    site = new_site({f"service.{GROUPS[service]}.allowpasswordlogin": "no"})
    with site.server:
        port, password = site.server.ports[service], site.server.password(ALICE)
        for case in ("valid", "none"):
            context = site.context(case)
            assert log_in_by_password(service, port, context, password) == "refused"
        assert log_in(service, port, site.context("valid")) == "granted"
        if service == "imaps":
            with connect(port, site.context("none")) as client:
                greeting = client.line()
                assert b"LOGINDISABLED" in greeting
                assert b"AUTH=" not in greeting
        elif service == "https":
            page = WebClient(port, site.context("none")).request("GET", "/sign-in")[1]
            assert 'type="password"' not in page


@pytest.mark.parametrize("service", SERVICES)
def test_any_password_may_be_enough_for_exactly_the_certificates_user(
    new_site: NewSite, service: str
) -> None:
    site = new_site({f"service.{GROUPS[service]}.certanypassword": "yes"})
    with site.server:
        port = site.server.ports[service]
        valid, none = site.context("valid"), site.context("none")
        assert log_in_by_password(service, port, valid, "anything") == "granted"
        assert log_in_by_password(service, port, valid, "anything", BOB) == "refused"
        assert log_in_by_password(service, port, none, "anything") == "refused"
        disabled = site.context("disabled user")
        assert log_in_by_password(service, port, disabled, "anything", DISABLED) != "granted"


# Webmail.


def test_a_stolen_cookie_of_a_certificate_session_opens_nothing(site: LoginSite) -> None:
    port = site.server.ports["https"]
    alice = WebClient(port, site.context("valid"))
    token = alice.form_token()
    status, _ = alice.request("POST", "/sign-in/certificate", {"csrf_token": token})
    assert status == 303
    assert alice.request("GET", "/mail")[0] == 200
    for case in ("none", "unmapped"):
        thief = WebClient(port, site.context(case))
        thief.cookies = dict(alice.cookies)
        assert thief.request("GET", "/mail")[0] == 303
    assert alice.request("GET", "/mail")[0] == 200


def test_nobody_is_signed_in_by_a_certificate_without_the_forms_token(site: LoginSite) -> None:
    client = WebClient(site.server.ports["https"], site.context("valid"))
    page = client.request("GET", "/sign-in")[1]
    assert f"Continue as {ALICE}" in page
    assert client.request("GET", "/mail")[0] == 303
    for token in ("", base64.b64encode(b"guess").decode()):
        status, _ = client.request("POST", "/sign-in/certificate", {"csrf_token": token})
        assert status == 403
