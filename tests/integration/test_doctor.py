"""`mailfront doctor` and `mailfront check --live` against real servers, good and bad ones."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.configuration.msg_conf import load_configuration
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.server.live_check import check_live
from tests.conftest import NewServer
from tests.support.bad_servers import openssl_server, script, stub
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.server import PORT_OPTIONS, MailServer, run_command

STARTTLS = {"smtp": "smtp", "submission": "smtp", "imap": "imap", "pop": "pop3"}
CLEAR_OF_SMTP = (b"220 stub ESMTP\r\n", b"250-stub\r\n250 STARTTLS\r\n")


def doctor(port: int, *arguments: str, status: int | None = None) -> dict[str, Any]:
    """The report on a port of loopback."""
    ran = run_command("mailfront", "doctor", f"127.0.0.1:{port}", "--json", *arguments)
    assert ran.stdout, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    if status is not None:
        assert ran.returncode == status, report["findings"]
    return report


def weighty(report: dict[str, Any]) -> list[str]:
    """What is objected to, advice aside."""
    return [one["what"] for one in report["findings"] if one["severity"] != "advice"]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def root_file(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "root.pem"
    return str(certificate_pem_file(path, [issuer.root]))


@pytest.fixture
def old_server(issuer: Issuer, tmp_path: Path) -> Iterator[int]:
    """TLS 1.2 with RSA key transport and CBC alone."""
    issued = issuer.issue("localhost", "127.0.0.1", key=rsa.generate_private_key(65537, 2048))
    with openssl_server(tmp_path, issued, "-tls1_2", "-cipher", "AES128-SHA:AES256-SHA") as port:
        yield port


@pytest.mark.parametrize("name", ["smtp", "submission", "imap", "pop", "imaps", "pops", "https"])
def test_our_own_ports_are_clean_but_for_their_demo_certificate(
    server: MailServer, name: str
) -> None:
    how = ["--starttls", STARTTLS[name]] if name in STARTTLS else ["--implicit"]
    report = doctor(server.ports[name], *how, "--name", "localhost", status=1)
    (objection,) = report["findings"]
    assert "self" in objection["what"]
    assert report["name_matches"] is True
    assert [version for version, yes in report["versions"].items() if yes] == ["TLSv1.3", "TLSv1.2"]
    assert report["groups"]["TLSv1.3"]
    assert report["signature_algorithms"]["TLSv1.3"] == "ecdsa_secp256r1_sha256"
    assert report["compression"] is False
    assert report["foreign_alpn_refused"] is True
    if name in STARTTLS:
        assert report["starttls_facts"]["injected_executed"] is False
        assert report["starttls_facts"]["accepted_again"] is False


def test_a_certificate_that_is_trusted_leaves_no_objection(
    server: MailServer, tmp_path: Path
) -> None:
    pem = ssl.get_server_certificate(("127.0.0.1", server.ports["imaps"]))
    (tmp_path / "leaf.pem").write_text(pem)
    report = doctor(
        server.ports["imaps"], "--implicit", "--ca", str(tmp_path / "leaf.pem"), status=0
    )
    assert report["findings"] == []
    assert report["trusted"] is True


def test_the_text_says_what_was_found_and_what_was_not_examined(server: MailServer) -> None:
    ran = run_command(
        "mailfront", "doctor", f"127.0.0.1:{server.ports['imap']}", "--starttls", "imap"
    )
    assert ran.returncode == 1
    for words in ("TLSv1.3, TLSv1.2", "TLS_AES_128_GCM_SHA256", "days left", "LOGINDISABLED",
                  "Not examined:", "Objections:", "RFC "):  # fmt: skip
        assert words in ran.stdout


def test_a_chain_of_an_own_authority_is_complete_and_trusted(
    issuer: Issuer, root_file: str, tmp_path: Path
) -> None:
    with openssl_server(tmp_path, issuer.issue("localhost", "127.0.0.1")) as port:
        report = doctor(port, "--implicit", "--ca", root_file)
    assert report["trusted"] is True
    assert report["missing_issuer"] == ""
    assert len(report["chain"]) == 2
    assert weighty(report) == []


def test_a_missing_intermediate_is_named(issuer: Issuer, root_file: str, tmp_path: Path) -> None:
    issued = issuer.issue("localhost", "127.0.0.1")
    with openssl_server(tmp_path, issued, chain=False) as port:
        report = doctor(port, "--implicit", "--ca", root_file, status=1)
    (objection,) = weighty(report)
    assert "Example Issuing CA" in objection
    assert len(report["chain"]) == 1


def test_an_expired_certificate_is_objected_to(
    issuer: Issuer, root_file: str, tmp_path: Path
) -> None:
    issued = issuer.issue("127.0.0.1", begins=datetime.now(UTC) - timedelta(days=100), days=90)
    with openssl_server(tmp_path, issued) as port:
        report = doctor(port, "--implicit", "--ca", root_file, status=1)
    assert any("expired on" in what for what in weighty(report))
    assert report["name_matches"] is True


def test_a_wrong_name_is_objected_to_and_the_chain_is_not(
    issuer: Issuer, root_file: str, tmp_path: Path
) -> None:
    with openssl_server(tmp_path, issuer.issue("other.example.org")) as port:
        report = doctor(
            port, "--implicit", "--ca", root_file, "--name", "mail.example.org", status=1
        )
    (objection,) = weighty(report)
    assert "not for mail.example.org" in objection
    assert report["trusted"] is True


def test_key_transport_and_the_lack_of_tls_1_3_are_objected_to(
    old_server: int, root_file: str
) -> None:
    report = doctor(old_server, "--implicit", "--ca", root_file, status=1)
    (objection,) = weighty(report)
    assert "forward secrecy" in objection
    assert report["versions"]["TLSv1.3"] is False
    assert set(report["suites"]["TLSv1.2"]["suites"]) == {
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
    }


def test_versions_that_the_local_openssl_refuses_are_seen_all_the_same(
    issuer: Issuer, root_file: str, tmp_path: Path
) -> None:
    issued = issuer.issue("localhost", "127.0.0.1")
    with openssl_server(tmp_path, issued, "-tls1", "-cipher", "ALL:@SECLEVEL=0") as port:
        report = doctor(port, "--implicit", "--ca", root_file, status=1)
    assert report["versions"]["TLSv1"] is True
    assert any("old versions" in what for what in weighty(report))


def test_starttls_that_was_stripped_is_objected_to() -> None:
    answers = (b"220 stub ESMTP\r\n", b"250-stub\r\n250 XXXXXXXA\r\n")
    with stub(partial(script, answers=answers)) as port:
        report = doctor(port, "--starttls", "smtp", status=1)
    (objection,) = weighty(report)
    assert "not offered, or was removed" in objection
    assert report["versions"] == {}


def test_octets_injected_behind_the_go_ahead_are_objected_to() -> None:
    answers = (*CLEAR_OF_SMTP, b"220 go ahead\r\n250 injected\r\n")
    with stub(partial(script, answers=answers)) as port:
        report = doctor(port, "--starttls", "smtp", status=1)
    assert "behind the go-ahead" in weighty(report)[0]


def test_a_server_that_executes_what_was_injected_is_found(issuer: Issuer, tmp_path: Path) -> None:
    issued = issuer.issue("localhost", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificate_pem_file(tmp_path / "chain.pem", issued.chain),
        key_pem_file(tmp_path / "key.pem", issued.key),
    )
    with stub(partial(forgetful_smtp, context=context)) as port:
        report = doctor(port, "--starttls", "smtp", status=1)
    assert report["starttls_facts"]["injected_executed"] is True
    assert any("executed inside TLS" in what for what in weighty(report))


def forgetful_smtp(connection: socket.socket, context: ssl.SSLContext) -> None:
    """An SMTP server of the kind of CVE-2011-0411: its buffer outlives the handshake."""
    connection.sendall(b"220 stub ESMTP\r\n")
    buffer = b""
    while True:
        while b"\n" not in buffer:
            data = connection.recv(4096)
            if not data:
                return
            buffer += data
        line, _, buffer = buffer.partition(b"\n")
        if line.startswith(b"EHLO"):
            inside = isinstance(connection, ssl.SSLSocket)
            connection.sendall(b"250 stub\r\n" if inside else CLEAR_OF_SMTP[1])
        elif line.startswith(b"STARTTLS") and not isinstance(connection, ssl.SSLSocket):
            connection.sendall(b"220 go ahead\r\n")
            connection = context.wrap_socket(connection, server_side=True)
        else:
            connection.sendall(b"502 no\r\n")


def test_a_silent_server_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        report = doctor(silent.getsockname()[1], "--starttls", "imap", status=1)
    assert "no answer in clear" in weighty(report)[0]


def test_a_port_without_tls_is_told() -> None:
    with stub(partial(script, answers=[b"* OK ready\r\n"])) as port:
        report = doctor(port, "--implicit", status=1)
    assert "no version of TLS is accepted (the answer is not TLS)" in weighty(report)


def test_a_closed_port_and_wrong_usage_have_their_exit_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ran = run_command("mailfront", "doctor", f"127.0.0.1:{port}", "--implicit")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no connection" in ran.stderr
    assert run_command("mailfront", "doctor", f"127.0.0.1:{port}").returncode == 2
    assert run_command("mailfront", "doctor").returncode == 2


def test_check_live_finds_a_fresh_server_as_configured(server: MailServer) -> None:
    checked = server.mailfront("check", "--live")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name in ("smtp", "submission", "submissions", "imaps", "pop3", "https"):
        assert f"{name}: 127.0.0.1:" in checked.stderr


def test_check_live_knows_that_a_name_may_choose_the_certificate(new_server: NewServer) -> None:
    options = {"service.hostname": "mx.example.test", "local.imap.sslnicknames": "imap-cert"}
    chosen = new_server(options)
    made = run_command(
        "msgcert", "add-selfsign-cert", "--home", str(chosen.root.path), "--name",
        "mx.example.test", "mx-cert",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with chosen:
        checked = chosen.mailfront("check", "--live")
        assert checked.stdout == ""
        assert checked.returncode == 0, checked.stderr


def test_check_live_says_that_no_server_runs(new_server: NewServer) -> None:
    stopped = new_server()
    stopped.choose_ports()
    checked = stopped.mailfront("check", "--live")
    assert checked.returncode == 1
    assert "is the server running?" in checked.stdout


def test_check_live_compares_with_the_configuration(new_server: NewServer) -> None:
    """What runs has a wider profile and another certificate than the server root compared with."""
    with new_server({"encryption.tlsprofile": "intermediate"}) as running:
        other = new_server(name="other")
        for name, option in PORT_OPTIONS.items():
            other.set_option(option, str(running.ports[name]))
        other.set_option("service.listenaddr", "127.0.0.1")
        other.set_option("encryption.tlsprofile", "modern")
        other.set_option("local.imap.sslnicknames", "pop-cert")
        password = read_password(other.root.sslpassword_conf, INTERNAL_TOKEN)
        with InternalToken.open(other.root.certificate_database, password) as token:
            ports = list(check_live(load_configuration(other.root.msg_conf), token))
    problems = {port.name: " ".join(port.problems) for port in ports}
    assert all("TLSv1.2, which the profile does not allow" in text for text in problems.values())
    assert all("suites that the profile does not allow" in text for text in problems.values())
    assert {name for name, text in problems.items() if "another certificate" in text} == {
        "imap",
        "imaps",
    }
