"""Certificate login with the users in a real slapd: the table of services and certificates, and
what becomes of logins while slapd is away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.keystore.formats import chain_pem
from tests.support.login_site import (
    CASES,
    OUTCOMES,
    REASONS,
    SERVICES,
    VERSIONS,
    LoginSite,
    connect,
    expected,
    log_in,
    log_in_by_password,
)
from tests.support.peers import require_program
from tests.support.server import ALICE, MailServer
from tests.support.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, user
from tests.support.waiting import eventually

RECOVERY = 2.0  # seconds from slapd's return
UNCACHED = {"local__ldapcachettl": "0", "local__ldapnegativecachettl": "0"}


@pytest.fixture(scope="module")
def prepared(server_root_template: Path, tmp_path_factory: pytest.TempPathFactory) -> LoginSite:
    """A site to copy; its server never runs."""
    directory = tmp_path_factory.mktemp("logins")
    return LoginSite(MailServer.copied(server_root_template, directory / "root"), directory)


@pytest.fixture(scope="module")
def slapd(prepared: LoginSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The users of the site, in slapd."""
    require_program("slapd")
    users = [
        user("alice", prepared.server.password(ALICE)),
        user("bob"),
        user("carol", inetUserStatus="inactive"),
        user("twin1", cn="Twin"),
        user("twin2", cn="Twin"),
    ]
    with Slapd(tmp_path_factory.mktemp("slapd") / "ldap", users) as running:
        prepared.server.root.users_ldif.write_text("version: 1\n")
        authority = prepared.directory / "ldap.pem"
        authority.write_bytes(chain_pem([running.authority]))
        prepared.msgcert("add-cert", "-C", "LDAP CA", str(authority))
        yield running


def site_over(prepared: LoginSite, slapd: Slapd, path: Path, **options: str) -> LoginSite:
    """Return a site, not yet started, whose users are in slapd."""
    site = prepared.copied(
        path,
        {
            "local.ugldaphost": slapd.tls_url,
            "local.ugldapbasedn": PEOPLE,
            "local.ugldapbinddn": READER,
            "service.defaultdomain": "example.test",
            **{name.replace("__", "."): value for name, value in options.items()},
        },
    )
    password = site.server.root.config_directory / "ldappassword"
    password.touch(mode=0o600)
    password.write_text(READER_PASSWORD)
    return site


@pytest.fixture(scope="module")
def site(
    prepared: LoginSite, slapd: Slapd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoginSite]:
    site = site_over(prepared, slapd, tmp_path_factory.mktemp("site") / "root")
    with site.server:
        yield site


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("case", CASES)
def test_the_table(site: LoginSite, case: str, service: str, version: str) -> None:
    before = len(site.server.log)
    context, port = site.context(case, version), site.server.ports[service]
    assert log_in(service, port, context) == expected(service, OUTCOMES[case])
    if case in REASONS:
        eventually(lambda: REASONS[case] in site.server.log[before:], REASONS[case])


def test_while_slapd_is_away_every_service_says_later_and_nobody_is_taken_for_somebody_else(
    prepared: LoginSite, slapd: Slapd, tmp_path: Path
) -> None:
    options = {"service__imap__certpreauth": "yes", **UNCACHED}
    site = site_over(prepared, slapd, tmp_path / "root", **options)
    with site.server:
        ports = site.server.ports
        assert log_in("pops", ports["pops"], site.context("valid")) == "granted"
        slapd.kill()
        for service in SERVICES:
            for case in ("valid", "unmapped", "disabled user"):
                assert log_in(service, ports[service], site.context(case)) == "later"
            outcome = log_in_by_password(service, ports[service], site.context("valid"), "wrong")
            assert outcome == ("later" if service == "https" else "refused")
        with connect(ports["imaps"], site.context("valid")) as client:
            assert client.line().startswith(b"* OK [CAPABILITY ")
        slapd.start()
        eventually(
            lambda: log_in("pops", ports["pops"], site.context("valid")) == "granted",
            "no recovery",
            seconds=RECOVERY,
        )
        assert log_in("pops", ports["pops"], site.context("unmapped")) == "refused"
        with connect(ports["imaps"], site.context("valid")) as client:
            assert client.line().startswith(b"* PREAUTH [CAPABILITY ")


def test_restarts_of_slapd_during_logins_by_certificate_give_no_wrong_answer(
    prepared: LoginSite, slapd: Slapd, tmp_path: Path
) -> None:
    site = site_over(prepared, slapd, tmp_path / "root", **UNCACHED)
    outcomes: Counter[tuple[str, str]] = Counter()
    failures: list[BaseException] = []
    ended = threading.Event()

    def log_in_again_and_again(case: str, service: str) -> None:
        try:
            context, port = site.context(case), site.server.ports[service]
            while not ended.is_set():
                outcomes[case, log_in(service, port, context)] += 1
        except BaseException as failure:
            failures.append(failure)

    def one_more(outcome: str, seconds: float = 20.0) -> None:
        before = outcomes["valid", outcome]
        eventually(
            lambda: outcomes["valid", outcome] > before or bool(failures),
            f"no login was {outcome}",
            seconds=seconds,
        )

    with site.server:
        threads = [
            threading.Thread(target=log_in_again_and_again, args=arguments)
            for arguments in (("valid", "imaps"), ("valid", "submissions"), ("unmapped", "pops"))
        ]
        for thread in threads:
            thread.start()
        one_more("granted")
        for _ in range(3):
            slapd.kill()
            one_more("later")
            slapd.start()
            one_more("granted", RECOVERY)
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert {outcome for case, outcome in outcomes if case == "valid"} == {"granted", "later"}
    assert {outcome for case, outcome in outcomes if case == "unmapped"} <= {"refused", "later"}
