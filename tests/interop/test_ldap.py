"""Users in a real slapd: logins on every service, delivery, outages, failover, TLS.

slapd (OpenLDAP) runs on loopback with the schema that operators are given and thousands of users;
mailfront runs as a process of its own. An outage may make a login impossible for a while, but
never gives a wrong answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.ldap.directory import LdapDirectory
from mailfront.directory.ldap.settings import ldap_settings
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import And, Equal
from mailfront.tls.client_context import build_client_context
from tests.conftest import NewServer
from tests.support import clients
from tests.support.dialogue import Dialogue
from tests.support.issuing import Issuer, certificate_pem_file
from tests.support.logins import LATER, LOGINS, OK, WRONG, imap
from tests.support.server import MailServer, run_command
from tests.support.slapd import PEOPLE, READER, READER_PASSWORD, SUFFIX, Slapd, user
from tests.support.waiting import eventually

USERS = 3000
CERTIFICATE = b"\x30\x03\x02\x01\x07"


def password(uid: str) -> str:
    return f"password of {uid}"


def some_user(uid: str, **attributes: str | bytes | list[str]) -> bytes:
    return user(uid, password(uid), **attributes)


def all_users() -> Iterator[bytes]:
    for number in range(USERS):
        yield some_user(f"user{number}")
    yield some_user(
        "alice",
        mail="Alice.Liddell@example.test",
        cn="Alice Liddell",
        mailAlternateAddress=["alice@example.test", "sales@shop.test"],
        mailEquivalentAddress="wonder@example.test",
        certSubjectDN="CN=Alice Liddell,O=Example",
        userCertificate__binary=CERTIFICATE,
    )
    yield some_user("inactive", inetUserStatus="inactive")
    yield some_user("held", mailUserStatus="hold")
    yield some_user("gone", inetUserStatus="deleted")
    yield some_user("poponly", mailAllowedServiceAccess="+pop:ALL")
    yield some_user("elsewhere", mailAllowedServiceAccess="+imap,pop,http,smtp:192.0.2.")
    yield some_user("odd", mail="no address")
    yield some_user("changing")
    yield some_user("namesake", mail="namesake@shop.test")


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Slapd]:
    """The slapd that tests share; they leave it running."""
    with Slapd(tmp_path_factory.mktemp("ldap") / "slapd", all_users(), issuer=issuer) as running:
        yield running


@pytest.fixture
def own_slapd(tmp_path: Path, issuer: Issuer) -> Iterator[Slapd]:
    """A slapd that a test may treat badly."""
    users = (some_user(f"user{number}") for number in range(50))
    with Slapd(tmp_path / "slapd", users, issuer=issuer) as running:
        yield running


Options = dict[str, str]
NewLdapServer = Callable[..., MailServer]


@pytest.fixture
def ldap_server(new_server: NewServer, issuer: Issuer, tmp_path: Path) -> NewLdapServer:
    """Makes a server whose users are in LDAP at `hosts`, not yet started."""

    def make(*hosts: str, trusts: bool = True, **more: str) -> MailServer:
        options = {
            "local.ugldaphost": " ".join(hosts),
            "local.ugldapbasedn": PEOPLE,
            "local.ugldapbinddn": READER,
            "local.domains": "shop.test",
            "service.defaultdomain": "example.test",
            "service.draintimeout": "1",
            **{name.replace("__", "."): value for name, value in more.items()},
        }
        server = new_server(options)
        write_password(server, READER_PASSWORD)
        if trusts:
            trust(server, issuer, tmp_path)
        return server

    return make


def write_password(server: MailServer, text: str) -> None:
    path = server.root.config_directory / "ldappassword"
    path.touch(mode=0o600)
    path.write_text(text + "\n")


def trust(server: MailServer, issuer: Issuer, directory: Path) -> None:
    authority = certificate_pem_file(directory / "ca.pem", [issuer.root])
    done = run_command(
        "msgcert", "--home", str(server.root.path), "add-cert", "-C", "LDAP CA", str(authority)
    )
    assert done.returncode == 0, done.stderr


def login(server: MailServer, uid: str, text: str | None = None, port: str = "imaps") -> str:
    return LOGINS[port](server.ports[port], uid, password(uid) if text is None else text)


@pytest.mark.parametrize("checked", ["bind", "userpassword"])
@pytest.mark.parametrize("tls", ["clear", "StartTLS", "ldaps"])
def test_logins_by_every_way_to_slapd(
    ldap_server: NewLdapServer, slapd: Slapd, tls: str, checked: str
) -> None:
    starttls = "yes" if tls == "StartTLS" else "no"
    host = slapd.tls_url if tls == "ldaps" else slapd.url
    options = {"local__ugldapstarttls": starttls, "local__ugldapauth": checked}
    with ldap_server(host, **options) as server:
        assert login(server, "user7") == OK
        for name in ("alice", "ALICE@example.test", "alice.liddell@example.test"):
            assert login(server, name, password("alice")) == OK
        assert login(server, "namesake@shop.test", password("namesake")) == OK
        assert login(server, "user7", "wrong") == WRONG
        assert login(server, "nobody") == WRONG


@pytest.mark.parametrize("starttls", ["no", "yes"])
def test_pythons_own_event_loop_will_do(
    ldap_server: NewLdapServer, slapd: Slapd, starttls: str
) -> None:
    host = slapd.url if starttls == "yes" else slapd.tls_url
    options = {"service__eventloop": "asyncio", "local__ugldapstarttls": starttls}
    with ldap_server(host, **options) as server:
        assert login(server, "user9") == OK


@pytest.mark.parametrize("name", ["*", "user7)(uid=*", "namesake@example.test"])
def test_a_name_is_its_users_alone_and_never_part_of_a_filter(
    ldap_server: NewLdapServer, slapd: Slapd, name: str
) -> None:
    with ldap_server(slapd.url) as server:
        uid = name.partition("@")[0].partition(")")[0]
        assert login(server, name, password(uid)) == WRONG


def test_every_service_judges_statuses_and_access_filters(
    ldap_server: NewLdapServer, slapd: Slapd
) -> None:
    expected = {
        "user1": (OK, OK, OK, OK),
        "inactive": (LATER, LATER, LATER, LATER),
        "held": (WRONG, WRONG, WRONG, WRONG),
        "elsewhere": (WRONG, WRONG, WRONG, WRONG),
        "poponly": (WRONG, OK, WRONG, WRONG),
        "odd": (LATER, LATER, LATER, LATER),
    }
    with ldap_server(slapd.url) as server:
        outcome = {uid: tuple(login(server, uid, port=port) for port in LOGINS) for uid in expected}
        assert outcome == expected
        assert "'uid=odd," in server.log


def test_mail_reaches_the_mailboxes_of_ldap_users(
    ldap_server: NewLdapServer, slapd: Slapd, tmp_path: Path
) -> None:
    with ldap_server(slapd.url) as server:
        port = server.ports["smtp"]
        for number, address in enumerate(
            ("sales@shop.test", "wonder@example.test", "alice+tag@example.test")
        ):
            clients.deliver(port, "a@example.org", address, "--header", f"Subject: letter {number}")
        shown = clients.curl(
            tmp_path, "alice", password("alice"),
            f"imaps://127.0.0.1:{server.ports['imaps']}/INBOX?ALL",
        )  # fmt: skip
        assert shown.stdout.split() == ["*", "SEARCH", "1", "2", "3"], shown.stderr
        for address, code in (
            ("nobody@shop.test", "550 5.1.1"),
            ("nobody@example.test", "550 5.1.1"),
            ("gone@example.test", "550 5.1.1"),
            ("alice@elsewhere.test", "550 5.7.1"),
        ):
            refused = clients.swaks(port, "--from", "a@example.org", "--to", address, "--tls")
            assert code in refused.stdout, refused.stdout


def test_ldapsearch_shows_the_entry_that_a_search_by_certificate_finds(
    slapd: Slapd, issuer: Issuer, tmp_path: Path
) -> None:
    shown = slapd.search("(certSubjectDN=cn=alice  liddell,o=example)", "mail", "entryCSN")
    assert f"dn: uid=alice,{PEOPLE}" in shown
    (tmp_path / "config").mkdir()
    secret = tmp_path / "config" / "ldappassword"
    secret.touch(0o600)
    secret.write_text(READER_PASSWORD)
    settings = ldap_settings(
        Configuration.of(
            {
                "local.ugldaphost": slapd.tls_url,
                "local.ugldapbasedn": PEOPLE,
                "local.ugldapbinddn": READER,
            }
        ),
        tmp_path,
    )
    assert settings is not None
    context = build_client_context([issuer.root])

    async def found(condition: Equal | And, base: str | None = None) -> list[str]:
        directory = LdapDirectory(settings, lambda: context)
        try:
            where = None if base is None else DistinguishedName.parse(base)
            entries = await directory.search(where, condition)
        finally:
            directory.close()
        assert all(
            f"entryCSN: {entry.revision}" in shown for entry in entries if entry.uid == "alice"
        )
        return [entry.user for entry in entries]

    alice = ["alice.liddell@example.test"]
    subject = DistinguishedName.parse("cn=Alice Liddell, o=Example")
    for condition, base, users in (
        (Equal("certSubjectDN", subject), None, alice),
        (Equal("mail", "ALICE.LIDDELL@example.test"), SUFFIX, alice),
        (Equal("uid", "alice"), "ou=Nowhere,dc=example,dc=test", []),
        (And((Equal("uid", "alice"), Equal("cn", "alice liddell"))), None, alice),
        (Equal("userCertificate;binary", b"no certificate"), None, []),
        (Equal("cn", "alice)(uid=*"), None, []),
    ):
        assert asyncio.run(found(condition, base)) == users
    assert len(asyncio.run(found(Equal("objectClass", "inetMailUser")))) == 2


def test_a_certificate_of_an_unknown_ca_gives_no_login_until_the_ca_is_trusted(
    ldap_server: NewLdapServer, slapd: Slapd, issuer: Issuer, tmp_path: Path
) -> None:
    with ldap_server(slapd.tls_url, trusts=False) as server:
        assert login(server, "user3") == LATER
        assert "its certificate is not accepted" in server.mailfront("status").stderr
        trust(server, issuer, tmp_path)
        eventually(lambda: login(server, "user3") == OK, "the CA is not followed")
        assert "not accepted" not in server.mailfront("status").stderr


def test_a_certificate_for_another_host_gives_no_login(
    ldap_server: NewLdapServer, slapd: Slapd
) -> None:
    other = slapd.tls_url.replace("localhost", "localhost.localdomain")
    try:
        server = ldap_server(other)
        with server:
            assert login(server, "user3") == LATER
    finally:
        assert "not accepted" in server.log or "no address" in server.log


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no problems"),
        ({"local__ugldapbasedn": "ou=Nowhere,dc=example,dc=test"}, "there is no base OU=Nowhere"),
        ({"local__ugldapbinddn": "cn=x,dc=example,dc=test"}, "is refused: invalid credentials"),
        ({"sasl__default__ldap__searchfilter": "(uid=%Q)"}, "%Q stands for nothing"),
    ],
)
def test_check_tells_what_is_wrong_with_ldap(
    ldap_server: NewLdapServer, slapd: Slapd, options: Options, words: str
) -> None:
    server = ldap_server(slapd.tls_url, **options)
    server.choose_ports()
    told = server.mailfront("check")
    assert words in told.stdout + told.stderr
    assert READER_PASSWORD not in told.stdout + told.stderr
    assert (told.returncode == 0) == (not options)


def test_check_tells_why_tls_fails_and_that_nobody_listens(
    ldap_server: NewLdapServer, slapd: Slapd
) -> None:
    server = ldap_server(slapd.tls_url, "ldaps://localhost:1", trusts=False)
    server.choose_ports()
    told = server.mailfront("check").stdout
    assert f"LDAP server {slapd.tls_url}: its certificate is not accepted: " in told
    assert "LDAP server ldaps://localhost:1: connection refused" in told


def test_a_changed_password_and_a_shut_account_count_within_the_lifetime_of_the_cache(
    ldap_server: NewLdapServer, slapd: Slapd
) -> None:
    with ldap_server(slapd.url, local__ldapcachettl="1") as server:
        assert login(server, "changing") == OK
        slapd.modify(
            f"dn: uid=changing,{PEOPLE}\nchangetype: modify\nreplace: userPassword\n"
            "userPassword: new one\n"
        )
        eventually(lambda: login(server, "changing") == WRONG, "the old password is still taken")
        assert login(server, "changing", "new one") == OK
        slapd.modify(
            f"dn: uid=changing,{PEOPLE}\nchangetype: modify\nreplace: inetUserStatus\n"
            "inetUserStatus: inactive\n"
        )
        eventually(lambda: login(server, "changing", "new one") == LATER, "it is still open")


def test_an_outage_is_answered_by_every_service_as_one(
    ldap_server: NewLdapServer, own_slapd: Slapd
) -> None:
    with ldap_server(own_slapd.url, local__ldapcachettl="0") as server:
        assert login(server, "user1") == OK
        own_slapd.kill()
        for port in LOGINS:
            assert login(server, "user1", port=port) == LATER
            assert login(server, "nobody", port=port) == LATER
        told = clients.swaks(
            server.ports["smtp"], "--from", "a@example.org", "--to", "user1@example.test", "--tls"
        )
        assert "451 4.4.3 " in told.stdout
        assert "connection refused" in server.mailfront("status").stderr
        own_slapd.start()
        eventually(lambda: login(server, "user1") == OK, "no recovery")
        clients.deliver(server.ports["smtp"], "a@example.org", "user1@example.test")
        assert "connection refused" not in server.mailfront("status").stderr


def test_what_is_cached_outlives_an_outage(ldap_server: NewLdapServer, own_slapd: Slapd) -> None:
    with ldap_server(own_slapd.url) as server:
        assert login(server, "user1") == OK
        own_slapd.kill()
        assert login(server, "user1") == OK
        assert login(server, "user1", "wrong") == LATER
        assert login(server, "user2") == LATER


def test_a_frozen_slapd_costs_nobody_more_than_the_time_out(
    ldap_server: NewLdapServer, own_slapd: Slapd
) -> None:
    options = {"local__ldapconnecttimeout": "1", "local__ldapsearchtimeout": "1"}
    with ldap_server(own_slapd.tls_url, **options) as server:
        assert login(server, "user1") == OK
        with Dialogue(server.ports["imaps"], tls=True) as session:
            session.line()
            session.ask(f'a LOGIN user1 "{password("user1")}"'.encode(), b"a OK")
            own_slapd.freeze()
            outcomes: list[str] = []
            waiting = threading.Thread(target=lambda: outcomes.append(login(server, "user2")))
            waiting.start()
            # The loop is not held up: other sessions go on meanwhile.
            for _ in range(5):
                session.ask(b"b NOOP", b"b OK")
            waiting.join()
            assert outcomes == [LATER]
            own_slapd.thaw()
            eventually(lambda: login(server, "user2") == OK, "no recovery")


def test_the_second_server_is_asked_while_the_first_is_away(
    ldap_server: NewLdapServer, own_slapd: Slapd, tmp_path: Path, issuer: Issuer
) -> None:
    users = (some_user(f"user{number}") for number in range(50))
    with (
        Slapd(tmp_path / "second", users, issuer=issuer) as second,
        ldap_server(own_slapd.tls_url, second.tls_url, local__ldapcachettl="0") as server,
    ):
        for number in range(4):
            assert login(server, f"user{number}") == OK
        own_slapd.kill()
        for number in range(4, 12):
            assert login(server, f"user{number}") == OK
        assert login(server, "user4", "wrong") == WRONG
        assert f"{own_slapd.tls_url}: " in server.mailfront("status").stderr
        own_slapd.start()
        again = f"{own_slapd.tls_url} answers again"
        eventually(lambda: again in server.log, "the first is not used again")
        second.kill()
        assert login(server, "user20") == OK


def test_restarts_of_slapd_during_constant_logins_give_no_wrong_answer(
    ldap_server: NewLdapServer, own_slapd: Slapd
) -> None:
    with ldap_server(own_slapd.url, local__ldapcachettl="0") as server:
        port = server.ports["imaps"]
        ended = threading.Event()
        outcomes: Counter[tuple[str, str]] = Counter()
        failures: list[BaseException] = []

        def log_in_again_and_again(first: int, kind: str, text: str | None) -> None:
            try:
                number = first
                while not ended.is_set():
                    uid = f"user{number % 50}"
                    outcomes[kind, imap(port, uid, password(uid) if text is None else text)] += 1
                    number += 1
            except BaseException as failure:
                failures.append(failure)

        threads = [
            threading.Thread(target=log_in_again_and_again, args=arguments)
            for arguments in ((0, "right", None), (17, "right", None), (34, "wrong", "wrong"))
        ]
        for thread in threads:
            thread.start()

        def one_more(outcome: str) -> None:
            before = outcomes["right", outcome]
            eventually(lambda: outcomes["right", outcome] > before, f"no login was {outcome}")

        for _ in range(3):
            own_slapd.kill()
            one_more(LATER)
            own_slapd.start()
            one_more(OK)
        ended.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert {outcome for kind, outcome in outcomes if kind == "right"} == {OK, LATER}
        assert {outcome for kind, outcome in outcomes if kind == "wrong"} <= {WRONG, LATER}
