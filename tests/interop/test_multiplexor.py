"""Front ends behind front ends, loops of them, and what becomes of sessions when Dovecot dies."""

from __future__ import annotations

import imaplib
import json
import poplib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import NewServer
from tests.support.dovecot import Dovecot
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.token_issuer import AUDIENCE, TokenIssuer
from tests.support.waiting import eventually

CONTEXT = ssl._create_unverified_context()
LOOP = "handed on by too many front ends"
# Front ends speak to each other in clear here, over loopback.
IN_CLEAR = {"service.imap.plaintextmincipher": "0", "service.pop.plaintextmincipher": "0"}


def passwords(server: MailServer) -> dict[str, str]:
    return {user: server.password(user) for user in (ALICE, BOB)}


def behind(ports: dict[str, int]) -> dict[str, str]:
    """The options of a front end whose upstream has these ports."""
    return {
        "service.imap.upstream": f"imap://{LOOPBACK}:{ports['imap']}",
        "service.pop.upstream": f"pop://{LOOPBACK}:{ports['pop']}",
    }


def configure(server: MailServer, *options: dict[str, str]) -> None:
    if not server.ports:
        server.choose_ports()
    for each in options:
        for name, value in each.items():
            server.set_option(name, value)


def logged_in(server: MailServer, user: str = ALICE) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=CONTEXT, timeout=60)
    client.login(user, server.password(user))
    return client


def unavailable(server: MailServer) -> None:
    """Alice hears that her mailbox cannot be reached, by IMAP and by POP3."""
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        logged_in(server)
    pop = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=CONTEXT, timeout=60)
    pop.user(ALICE)
    with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
        pop.pass_(server.password(ALICE))


def curl(server: MailServer, directory: Path, url: str, *more: str, source: str = LOOPBACK) -> str:
    netrc = directory / "netrc"
    netrc.touch(mode=0o600)
    netrc.write_text(f"machine {LOOPBACK} login {ALICE} password {server.password(ALICE)}\n")
    login = more or ["--netrc-file", str(netrc)]
    return subprocess.run(
        [require_program("curl"), "-sSk", "-m", "60", "--interface", source, *login, url],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    ).stdout


def status(server: MailServer) -> str:
    told = server.mailfront("status")
    return told.stdout + told.stderr


def field(name: str, line: str) -> str:
    return line.partition(f" {name}=")[2].split()[0]


def test_a_front_end_behind_another_knows_the_client_and_so_does_dovecot(
    new_server: NewServer, tmp_path: Path
) -> None:
    outer, inner = new_server(name="outer"), new_server(name="inner")
    with Dovecot(passwords(inner)) as dovecot:
        configure(inner, IN_CLEAR, behind(dovecot.ports))
        configure(inner, {"service.frontnetworks": "127.0.0.1"})
        configure(outer, behind(inner.ports))
        with inner, outer:
            ports = outer.ports
            curl(outer, tmp_path, f"imaps://{LOOPBACK}:{ports['imaps']}/", source="127.0.0.77")
            curl(outer, tmp_path, f"pop3s://{LOOPBACK}:{ports['pops']}/", source="127.0.0.78")
        logins = [line for line in dovecot.log.splitlines() if "Login: " in line]
        assert ["rip=127.0.0.77" in line for line in logins] == [True, False]
        assert ["rip=127.0.0.78" in line for line in logins] == [False, True]
        for address in ("127.0.0.77", "127.0.0.78"):
            said = [line for line in inner.log.splitlines() if f" client={address}:" in line]
            heard = [line for line in outer.log.splitlines() if f" peer={address}:" in line]
            # One name for the session in all three logs.
            name = field("session", said[0])
            assert name == field("session", heard[0])
            assert f"session=<{name}>" in dovecot.log


def test_a_stranger_may_claim_nothing(new_server: NewServer, tmp_path: Path) -> None:
    outer, inner = new_server(name="outer"), new_server(name="inner")
    with Dovecot(passwords(inner)) as dovecot:
        configure(inner, IN_CLEAR, behind(dovecot.ports))
        configure(outer, behind(inner.ports))
        with inner, outer:
            url = f"imaps://{LOOPBACK}:{outer.ports['imaps']}/"
            curl(outer, tmp_path, url, source="127.0.0.77")
        assert " client=" not in inner.log
        assert "rip=127.0.0.77" not in dovecot.log


def test_two_front_ends_that_hand_users_to_each_other_end_it_by_themselves(
    new_server: NewServer,
) -> None:
    one, two = new_server(name="one"), new_server(name="two")
    one.choose_ports()
    two.choose_ports()
    configure(one, IN_CLEAR, behind(two.ports), {"service.frontnetworks": "127.0.0.1"})
    configure(two, IN_CLEAR, behind(one.ports), {"service.frontnetworks": "127.0.0.1"})
    with one, two:
        unavailable(one)
    lines = (one.log + two.log).splitlines()
    assert any(f"user={ALICE}" in line and LOOP in line for line in lines)
    # At most six front ends in a row, for each of the two logins and a second try of each.
    assert len([line for line in lines if "service=" in line and f" user={ALICE}" in line]) <= 24


def test_a_server_is_no_upstream_of_its_own(new_server: NewServer) -> None:
    server = new_server()
    server.choose_ports()
    configure(server, IN_CLEAR, behind(server.ports))
    with server:
        unavailable(server)
        assert "a port of our own" in server.log
        assert f"upstream {LOOPBACK}:{server.ports['imap']}" in status(server)
    assert LOOP not in server.log


def test_a_map_says_where_users_are_and_is_followed(new_server: NewServer) -> None:
    server = new_server()
    path = server.root.upstream_map
    with Dovecot(passwords(server)) as one, Dovecot(passwords(server)) as two:
        for dovecot, subject in ((one, b"one"), (two, b"two")):
            dovecot.deliver(ALICE, b"Subject: %s\r\n\r\n" % subject)
        configure(server, behind(one.ports))
        urls = ",".join(behind(two.ports).values())
        path.write_text(f"{ALICE} {urls}\n@example.test embedded:\n")
        with server:
            assert subject_of_first(server) == "two"
            # Bob's mailbox is here, for his domain's line says so.
            assert logged_in(server, BOB).select()[0] == "OK"
            assert f"<{BOB}>" not in one.log + two.log
            path.write_text(f"{ALICE} imap//mistyped\n")
            eventually(lambda: f"{path}:1: " in status(server), "the mistake")
            assert subject_of_first(server) == "two"
            assert f"{path}:1: " in server.mailfront("check").stdout
            path.write_text("# everybody is on the first\n")
            eventually(lambda: subject_of_first(server) == "one", "the changed map")


def subject_of_first(server: MailServer) -> str:
    client = logged_in(server)
    client.select()
    found = client.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0]
    assert isinstance(found, tuple)
    client.logout()
    return found[1].decode().partition(": ")[2].strip()


def test_what_upstreams_have_is_announced_before_the_login(new_server: NewServer) -> None:
    server = new_server()
    with Dovecot(passwords(server)) as dovecot:
        configure(server, behind(dovecot.ports))
        with server:
            eventually(lambda: "IDLE" in announced(server), "IMAP's capabilities are learned")
            before = announced(server)
            assert {"IMAP4REV1", "LITERAL+", "ID", "SASL-IR", "AUTH=PLAIN"} <= before
            assert not {"STARTTLS", "LOGINDISABLED", "LOGIN-REFERRALS"} & before
            after = {word.upper() for word in logged_in(server).capabilities}
            assert {word for word in before if not word.startswith("AUTH=")} <= after
            pop = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=CONTEXT, timeout=60)
            promised = {*pop.capa()} - {"SASL", "USER"}
            assert {"TOP", "UIDL", "RESP-CODES"} <= promised
            pop.user(ALICE)
            pop.pass_(server.password(ALICE))
            assert promised <= {*pop.capa()}


def announced(server: MailServer) -> set[str]:
    client = imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=CONTEXT, timeout=60)
    words = {word.upper() for word in client.capabilities}
    client.logout()
    return words


def test_an_upstream_that_was_down_comes_back_without_a_login(new_server: NewServer) -> None:
    server = new_server()
    with Dovecot(passwords(server)) as one, Dovecot(passwords(server)) as two:
        urls = ",".join(behind(each.ports)["service.imap.upstream"] for each in (one, two))
        configure(server, {"service.imap.upstream": urls, "service.upstream.probeinterval": "1"})
        with server:
            one.kill()
            place = f"upstream {LOOPBACK}:{one.ports['imap']}"
            # Whose turn it is, the lot decides; the dead one is found in the end.
            eventually(lambda: found_dead(server, place), "the dead one is told")
            one.start()
            eventually(lambda: place not in status(server), "it is back")
            assert f"upstream={LOOPBACK}:{one.ports['imap']} protocol=imap answers again" in (
                server.log
            )


def found_dead(server: MailServer, place: str) -> bool:
    logged_in(server).logout()
    return place in status(server)


def test_a_server_killed_in_the_middle_of_a_message_leaves_nobody_hanging(
    new_server: NewServer,
) -> None:
    server = new_server()
    message = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200_000
    many = "mail_max_userip_connections = 100"
    with Dovecot(passwords(server), extra=many) as one, Dovecot(passwords(server)) as two:
        one.deliver(ALICE, message)
        configure(server, {"service.imap.upstream": behind(one.ports)["service.imap.upstream"]})
        with server:
            reading = logged_in(server)
            reading.select()
            waiting = [logged_in(server) for _ in range(30)]
            reading.send(b"a FETCH 1 BODY.PEEK[]\r\n")
            assert reading.readline().startswith(b"* 1 FETCH")
            one.kill()
            while reading.read(65536):
                pass
            for client in waiting:
                assert client.readline().startswith(b"* BYE [UNAVAILABLE]")
                assert client.readline() == b""
            assert b"* BYE" not in reading.readline()
            one.start()
            eventually(lambda: can_log_in(server), "it is up again and is not used")
            # And with another one beside it, the next login goes there.
            server.stop()
            urls = ",".join(behind(each.ports)["service.imap.upstream"] for each in (one, two))
            server.set_option("service.imap.upstream", urls)
            server.start()
            one.kill()
            for _ in range(4):
                logged_in(server).logout()


def can_log_in(server: MailServer) -> bool:
    try:
        logged_in(server).logout()
    except imaplib.IMAP4.error:
        return False
    return True


def test_a_certificate_is_presented_to_upstreams_and_its_successor_too(
    new_server: NewServer, tmp_path: Path
) -> None:
    server, issuer = new_server(), Issuer()
    stores = issuer.issue("store1.example.test")
    authorities = certificate_pem_file(tmp_path / "ca.pem", [issuer.root, issuer.intermediate])
    with Dovecot(
        passwords(server),
        certificate=certificate_pem_file(tmp_path / "store.pem", stores.chain),
        key=key_pem_file(tmp_path / "store.key", stores.key),
        extra=f"ssl_ca = <{authorities}\nssl_require_crl = no\nssl_verify_client_cert = yes\n"
        "auth_ssl_require_client_cert = yes\nverbose_ssl = yes\n",
    ) as dovecot:
        url = f"imaps://{LOOPBACK}:{dovecot.ports['imaps']}?name=store1.example.test"
        configure(server, {"service.imap.upstream": url})
        root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])
        msgcert(server, "add-cert", "-C", "Example-Root", str(root))
        with server, pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            logged_in(server)
        present(server, issuer, tmp_path, "front1.example.test")
        server.set_option("local.service.proxy.sslnicknames", "Front")
        with server:
            logged_in(server).logout()
            assert "front1.example.test" in dovecot.log
            present(server, issuer, tmp_path, "front2.example.test", "--replace")
            eventually(lambda: successor_seen(server, dovecot), "the successor is presented")


def successor_seen(server: MailServer, dovecot: Dovecot) -> bool:
    logged_in(server).logout()
    return "front2.example.test" in dovecot.log


def present(server: MailServer, issuer: Issuer, directory: Path, name: str, *options: str) -> None:
    issued = issuer.issue(name)
    chain = certificate_pem_file(directory / f"{name}.pem", issued.chain)
    key = key_pem_file(directory / f"{name}.key", issued.key)
    msgcert(server, "import-cert", *options, "--key", str(key), "Front", str(chain))


def msgcert(server: MailServer, *arguments: str) -> None:
    done = run_command("msgcert", *arguments, "--home", str(server.root.path))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def introspection() -> Iterator[str]:
    """A server that tells Dovecot whose an access token is: everything it is shown is alice's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
            body = json.dumps({"active": token.count(".") == 2, "username": ALICE}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{LOOPBACK}:{server.server_address[1]}/?token="
    server.shutdown()
    server.server_close()


def test_access_tokens_are_passed_on_to_dovecot(
    new_server: NewServer, tmp_path: Path, introspection: str
) -> None:
    oauth = tmp_path / "oauth2.conf"
    oauth.write_text(
        f"tokeninfo_url = {introspection}\nactive_attribute = active\nactive_value = true\n"
        "username_attribute = username\nusername_format = %u\n"
    )
    tmp_path.chmod(0o755)
    extra = (
        "auth_mechanisms = plain login oauthbearer xoauth2\n"
        f"passdb {{\n driver = oauth2\n mechanisms = oauthbearer xoauth2\n args = {oauth}\n}}\n"
    )
    server = new_server()
    with TokenIssuer() as issuer, Dovecot({BOB: "unknown"}, extra=extra) as dovecot:
        upstreams = behind(dovecot.ports)
        configure(
            server,
            {
                "oauth.issuer": issuer.address,
                "oauth.audience": AUDIENCE,
                "sasl.default.mech_list": "OAUTHBEARER XOAUTH2 PLAIN LOGIN",
                "service.imap.upstream": f"{upstreams['service.imap.upstream']}?token=oauthbearer",
                "service.pop.upstream": f"{upstreams['service.pop.upstream']}?token=xoauth2",
            },
        )
        configuration = tmp_path / "curl.conf"
        configuration.write_text(f'oauth2-bearer = "{issuer.token(ALICE)}"\n')
        with server:
            for scheme, port in (("imaps", "imaps"), ("pop3s", "pops")):
                curl(
                    server, tmp_path, f"{scheme}://{LOOPBACK}:{server.ports[port]}/",
                    "--config", str(configuration), "--user", ALICE,
                    "--login-options", "AUTH=OAUTHBEARER",
                )  # fmt: skip
        assert f"imap-login: Info: Login: user=<{ALICE}>, method=OAUTHBEARER" in dovecot.log
        assert f"pop3-login: Info: Login: user=<{ALICE}>, method=XOAUTH2" in dovecot.log
