"""Logins by programs that others wrote: gsasl for SCRAM with and without channel binding, curl for
certificates and access tokens, swaks and openssl for certificates."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.authentication.password import verify
from mailfront.interfaces.secret import Secret
from tests.support.clients import run
from tests.support.login_site import LoginSite, fresh_address
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.token_issuer import AUDIENCE, TokenIssuer
from tests.support.waiting import eventually

PASSWORD = "correct horse battery"
SCRAM = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")


@pytest.fixture(scope="module")
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def site(
    server_root_template: Path, tmp_path_factory: pytest.TempPathFactory, issuer: TokenIssuer
) -> Iterator[LoginSite]:
    """A server that offers every mechanism; alice has a verifier, bob has none."""
    directory = tmp_path_factory.mktemp("mechanisms")
    options = {
        "sasl.default.mech_list": f"EXTERNAL {' '.join(SCRAM)} OAUTHBEARER XOAUTH2 PLAIN LOGIN",
        "oauth.issuer": issuer.address,
        "oauth.audience": AUDIENCE,
    }
    server = MailServer.copied(server_root_template, directory / "root", options)
    for name, value in options.items():
        server.set_option(name, value)
    for user in (ALICE, BOB):
        changed = run_command(
            "mailfront", "user", "passwd", user, "--home", str(server.root.path),
            "--password-stdin", *(["--no-scram"] if user == BOB else []),
            text_input=f"{PASSWORD}\n",
        )  # fmt: skip
        assert changed.returncode == 0, changed.stderr
    site = LoginSite(server, directory)
    with server:
        yield site


def gsasl(
    site: LoginSite, protocol: str, *arguments: str, user: str = ALICE, password: str = PASSWORD
) -> subprocess.CompletedProcess[str]:
    program = str(require_program("gsasl"))
    port = site.server.ports["imap" if protocol == "imap" else "submission"]
    # The password of a user who exists in this test alone may stand in the arguments.
    return run(
        [
            program, f"--{protocol}", "--connect", f"{LOOPBACK}:{port}", "--starttls",
            "--x509-ca-file=", "-a", user, "-p", password, *arguments,
        ]
    )  # fmt: skip


def logged_in(answer: subprocess.CompletedProcess[str], protocol: str) -> bool:
    return ("Logged in" if protocol == "imap" else "235 2.7.0") in answer.stdout


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
@pytest.mark.parametrize("mechanism", [*SCRAM, "PLAIN"])
def test_gsasl_logs_in(site: LoginSite, protocol: str, mechanism: str) -> None:
    bound = [] if mechanism.endswith("PLUS") else ["--no-cb"]
    answer = gsasl(site, protocol, "-m", mechanism, *bound)
    assert logged_in(answer, protocol), answer.stdout + answer.stderr
    eventually(lambda: f"auth={mechanism} " in site.server.log, "the mechanism in the log")


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl_that_may_choose_takes_plus_and_under_tls_1_2_is_not_offered_it(
    site: LoginSite, protocol: str
) -> None:
    answer = gsasl(site, protocol)
    assert logged_in(answer, protocol), answer.stdout + answer.stderr
    assert "SCRAM-SHA-256-PLUS\n" in answer.stdout.replace("\r", "")
    # Where it has something to bind, gsasl 2.2 refuses to go on without.
    old = gsasl(site, protocol, "--priority=NORMAL:-VERS-TLS1.3", "--no-cb")
    assert "SCRAM-SHA-256-PLUS" not in old.stdout
    assert logged_in(old, protocol), old.stdout + old.stderr


@pytest.mark.parametrize(
    ("user", "password"), [(ALICE, "wrong"), (BOB, PASSWORD), ("nobody@example.test", PASSWORD)]
)
def test_gsasl_is_refused_in_the_same_words_whatever_is_wrong(
    site: LoginSite, user: str, password: str
) -> None:
    answer = gsasl(site, "imap", "-m", "SCRAM-SHA-256-PLUS", user=user, password=password)
    assert "NO [AUTHENTICATIONFAILED] Invalid user name or password." in answer.stdout


def test_a_verifier_made_by_gsasl_is_read() -> None:
    program = str(require_program("gsasl"))
    made = run([program, "--mkpasswd", "-m", "SCRAM-SHA-256", "-p", "pencil"])
    assert verify([made.stdout.strip()], Secret("pencil"))
    assert not verify([made.stdout.strip()], Secret("crayon"))


def curl(site: LoginSite, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(require_program("curl"))
    quiet = ["--silent", "--show-error", "--insecure", "--max-time", "30"]
    quiet += ["--interface", fresh_address()]
    return run([program, *quiet, *arguments, url])


def urls(site: LoginSite) -> dict[str, str]:
    ports = site.server.ports
    return {
        "imaps": f"imaps://{LOOPBACK}:{ports['imaps']}/INBOX?ALL",
        "pops": f"pop3s://{LOOPBACK}:{ports['pops']}/",
        "submissions": f"smtps://{LOOPBACK}:{ports['submissions']}/client.example",
    }


def mail_arguments(service: str, letter: Path) -> list[str]:
    if service != "submissions":
        return []
    letter.write_text("From: alice@example.test\r\nSubject: by curl\r\n\r\nHello\r\n")
    return ["--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", str(letter)]


@pytest.mark.parametrize("service", ["imaps", "pops", "submissions"])
def test_curl_logs_in_by_certificate(site: LoginSite, service: str, tmp_path: Path) -> None:
    certificate = str(site.certificate_file("valid"))
    more = mail_arguments(service, tmp_path / "letter")
    external = ["--cert", certificate, "--login-options", "AUTH=EXTERNAL", "--user", f"{ALICE}:"]
    url = urls(site)[service]
    done = curl(site, url, *external, *more)
    assert done.returncode == 0, done.stderr
    without = curl(site, url, "--login-options", "AUTH=EXTERNAL", "--user", f"{ALICE}:", *more)
    assert without.returncode == 67, without.stderr


@pytest.mark.parametrize("service", ["imaps", "pops", "submissions"])
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_curl_logs_in_with_an_access_token(
    site: LoginSite, issuer: TokenIssuer, service: str, mechanism: str, tmp_path: Path
) -> None:
    more = mail_arguments(service, tmp_path / "letter")

    def with_token(token: str) -> subprocess.CompletedProcess[str]:
        configuration = tmp_path / "curl.conf"
        configuration.write_text(f'oauth2-bearer = "{token}"\n')
        login = ["--user", ALICE, "--login-options", f"AUTH={mechanism}"]
        return curl(site, urls(site)[service], "--config", str(configuration), *login, *more)

    done = with_token(issuer.token(ALICE))
    assert done.returncode == 0, done.stderr
    for bad in (issuer.token(BOB), issuer.token(ALICE, aud="somebody"), "opaque"):
        assert with_token(bad).returncode == 67


def test_swaks_sends_mail_by_certificate(site: LoginSite) -> None:
    # swaks knows no EXTERNAL; openssl speaks it for it below. With any certificate it may use the
    # password of its own user.
    program = str(require_program("swaks"))
    certificate = str(site.certificate_file("valid"))
    sent = run(
        [
            program, "--server", LOOPBACK, "--port", str(site.server.ports["submission"]),
            "--from", ALICE, "--to", BOB, "--tls", "--tls-cert", certificate,
            "--tls-key", certificate, "--auth", "PLAIN", "--auth-user", ALICE,
            "--auth-password", PASSWORD, "--auth-hide-password",
        ]
    )  # fmt: skip
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert "EXTERNAL" in sent.stdout


@pytest.mark.parametrize(
    ("port", "starttls", "conversation", "answer"),
    [
        ("imap", "imap", "a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r\n", "a OK ["),
        ("pop", "pop3", "AUTH EXTERNAL =\r\nQUIT\r\n", "+OK"),
        ("submission", "smtp", "EHLO x.example\r\nAUTH EXTERNAL =\r\nQUIT\r\n", "235 2.7.0"),
    ],
)
def test_openssl_logs_in_by_certificate_after_starttls(
    site: LoginSite, port: str, starttls: str, conversation: str, answer: str
) -> None:
    program = str(require_program("openssl"))
    certificate = str(site.certificate_file("valid"))
    before = len(site.server.log)
    done = run(
        [
            program, "s_client", "-connect", f"{LOOPBACK}:{site.server.ports[port]}", "-starttls",
            starttls, "-cert", certificate, "-key", certificate, "-quiet", "-ign_eof",
        ],
        text_input=conversation,
    )  # fmt: skip
    assert answer in done.stdout, done.stdout + done.stderr
    eventually(lambda: "auth=EXTERNAL " in site.server.log[before:], "the mechanism in the log")
