"""The server's side of imta.cnf: each keyword as clients meet it, on a real server."""

from __future__ import annotations

import base64
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailfront.server.control import ask_server
from tests.support.clients import swaks
from tests.support.dialogue import Dialogue, unverified_context
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.waiting import eventually

ELSEWHERE = "somebody@elsewhere.invalid"
RULES = ". $U%$H@tcp-daemon\n"
BLOCKS = {
    "l": "l\nlocalhost\n",
    "tcp_local": "tcp_local smtp mx maytls\ntcp-daemon\n",
    "tcp_submit": "tcp_submit submit smtp mx musttlsserver mustsaslserver\ntcp_submit-daemon\n",
    "tcp_auth": "tcp_auth smtp mx maytls mustsaslserver noswitchchannel\ntcp_auth-daemon\n",
    "tcp_inside": "tcp_inside smtp mx maytls allowswitchchannel\ntcp_inside-daemon\n",
}


@pytest.fixture(scope="module")
def running(
    server_root_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailServer]:
    path = tmp_path_factory.mktemp("channels") / "root"
    with MailServer.copied(server_root_template, path) as server:
        yield server


def configure(server: MailServer, rules: str = "", **blocks: str) -> None:
    """Put a file with these blocks in the place of the default, and let the server take it over."""
    text = "\n".join([RULES + rules, *(BLOCKS | blocks).values()])
    temporary = server.root.imta_cnf.with_name("next")
    temporary.write_text(text)
    temporary.chmod(0o600)
    temporary.replace(server.root.imta_cnf)
    assert ask_server(server.root.control_socket, "reload") == {"problems": []}


def local(keywords: str) -> dict[str, str]:
    return {"tcp_local": f"tcp_local smtp mx {keywords}\ntcp-daemon\n"}


def submit(keywords: str) -> dict[str, str]:
    return {"tcp_submit": f"tcp_submit submit smtp mx {keywords}\ntcp_submit-daemon\n"}


def client(server: MailServer, port: str, *, tls: bool = False) -> Dialogue:
    dialogue = Dialogue(server.ports[port])
    dialogue.line()
    if tls:
        dialogue.ask(b"EHLO client.example", b"250 ")
        dialogue.ask(b"STARTTLS", b"220")
        dialogue.start_tls()
    return dialogue


def offered(dialogue: Dialogue) -> str:
    lines = dialogue.ask(b"EHLO client.example", b"250 ")
    return "\n".join(line.decode() for line in lines)


def logged_in(server: MailServer, port: str) -> Dialogue:
    dialogue = client(server, port, tls=True)
    offered(dialogue)
    login = base64.b64encode(f"\0{ALICE}\0{server.password(ALICE)}".encode())
    dialogue.ask(b"AUTH PLAIN " + login, b"235")
    return dialogue


def recipient(dialogue: Dialogue, sender: str, address: str, answer: bytes) -> None:
    dialogue.ask(f"MAIL FROM:<{sender}>".encode(), b"250")
    dialogue.ask(f"RCPT TO:<{address}>".encode(), answer)
    dialogue.ask(b"RSET", b"250")


def test_the_default_file_asks_users_for_tls_and_a_login_and_servers_for_nothing(
    server: MailServer,
) -> None:
    with client(server, "smtp") as stranger:
        said = offered(stranger)
        assert "STARTTLS" in said
        assert "AUTH" not in said
        recipient(stranger, "x@example.org", ALICE, b"250")
        recipient(stranger, "x@example.org", ELSEWHERE, b"550 5.7.1")
    with client(server, "submission") as user:
        assert "AUTH" not in offered(user)
        user.ask(b"MAIL FROM:<alice@example.test>", b"530 5.7.0")
    with logged_in(server, "submission") as user:
        recipient(user, ALICE, ELSEWHERE, b"250")
        user.ask(b"MAIL FROM:<bob@example.test>", b"553")


def test_notlsserver_neither_announces_nor_takes_starttls(running: MailServer) -> None:
    configure(running, **local("notlsserver"))
    with client(running, "smtp") as stranger:
        assert "STARTTLS" not in offered(stranger)
        stranger.ask(b"STARTTLS", b"502")
        recipient(stranger, "x@example.org", ALICE, b"250")
    refused = swaks(running.ports["smtp"], "--to", ALICE, "--tls")
    assert refused.returncode == 29, refused.stdout


def test_musttlsserver_takes_no_mail_before_tls(running: MailServer) -> None:
    configure(running, **local("musttlsserver"))
    with client(running, "smtp") as stranger:
        assert "STARTTLS" in offered(stranger)
        stranger.ask(b"MAIL FROM:<x@example.org>", b"530 5.7.0")
        stranger.ask(b"NOOP", b"250")
    refused = swaks(running.ports["smtp"], "--to", ALICE, "--from", "x@example.org")
    assert "530 5.7.0" in refused.stdout
    sent = swaks(running.ports["smtp"], "--to", ALICE, "--from", "x@example.org", "--tls")
    assert sent.returncode == 0, sent.stdout


def test_maysaslserver_takes_logins_but_never_in_clear(running: MailServer) -> None:
    configure(running, **local("maytls maysaslserver saslswitchchannel tcp_auth"))
    with client(running, "smtp") as stranger:
        assert "AUTH" not in offered(stranger)
        stranger.ask(b"AUTH PLAIN AGEAYg==", b"538")
        recipient(stranger, "x@example.org", ALICE, b"250")
    with client(running, "smtp", tls=True) as stranger:
        assert "AUTH PLAIN" in offered(stranger)
        recipient(stranger, "x@example.org", ALICE, b"250")
        recipient(stranger, "x@example.org", ELSEWHERE, b"550 5.7.1")


def test_saslswitchchannel_lets_who_logged_in_send_to_others_as_themselves(
    running: MailServer,
) -> None:
    configure(running, **local("maytls maysaslserver saslswitchchannel tcp_auth"))
    with logged_in(running, "smtp") as user:
        recipient(user, ALICE, ELSEWHERE, b"250")
        user.ask(f"MAIL FROM:<{BOB}>".encode(), b"553")
    with smtplib.SMTP(LOOPBACK, running.ports["smtp"], timeout=30) as session:
        session.starttls(context=unverified_context())
        session.login(ALICE, running.password(ALICE))
        message = EmailMessage()
        message["From"], message["To"] = ALICE, BOB
        message.set_content("by port 25")
        assert session.send_message(message) == {}


def test_without_a_switch_a_login_on_port_25_does_not_open_the_relay(running: MailServer) -> None:
    configure(running, **local("maytls maysaslserver"))
    with logged_in(running, "smtp") as user:
        recipient(user, ALICE, BOB, b"250")
        recipient(user, ALICE, ELSEWHERE, b"550 5.7.1")


def test_mustsaslserver_takes_no_mail_without_a_login(running: MailServer) -> None:
    configure(running, **local("maytls mustsaslserver"))
    with client(running, "smtp", tls=True) as stranger:
        offered(stranger)
        stranger.ask(b"MAIL FROM:<x@example.org>", b"530 5.7.0")


def test_tlsswitchchannel_demands_what_the_new_channel_does(running: MailServer) -> None:
    configure(running, **local("maytls tlsswitchchannel tcp_auth"))
    with client(running, "smtp") as stranger:
        assert "AUTH" not in offered(stranger)
        recipient(stranger, "x@example.org", ALICE, b"250")
    with client(running, "smtp", tls=True) as stranger:
        assert "AUTH PLAIN" in offered(stranger)
        stranger.ask(b"MAIL FROM:<x@example.org>", b"530 5.7.0")


def test_switchchannel_lets_machines_of_a_named_network_send_to_others(
    running: MailServer,
) -> None:
    inside = "[127.0.0.2] $U%[$L]@tcp_inside-daemon\n"
    configure(running, inside, **local("maytls switchchannel"))
    with Dialogue(running.ports["smtp"], source="127.0.0.2") as machine:
        machine.line()
        offered(machine)
        recipient(machine, "printer@example.org", ELSEWHERE, b"250")
    with client(running, "smtp") as stranger:
        offered(stranger)
        recipient(stranger, "printer@example.org", ELSEWHERE, b"550 5.7.1")
    configure(running, inside, **local("maytls"))
    with Dialogue(running.ports["smtp"], source="127.0.0.2") as machine:
        machine.line()
        offered(machine)
        recipient(machine, "printer@example.org", ELSEWHERE, b"550 5.7.1")


def test_sourceblocklimit_refuses_larger_messages(running: MailServer) -> None:
    configure(running, **local("maytls sourceblocklimit 4"))
    with client(running, "smtp") as stranger:
        assert "SIZE 4096\n" in offered(stranger)
        stranger.ask(b"MAIL FROM:<x@example.org> SIZE=4097", b"552")
    large = swaks(
        running.ports["smtp"], "--to", ALICE, "--from", "x@example.org", "--body", "x\\n" * 4096
    )
    assert "552 5.3.4" in large.stdout
    with logged_in(running, "submission") as user:
        user.ask(f"MAIL FROM:<{ALICE}> SIZE=40970".encode(), b"250")


def test_only_an_explicit_word_takes_the_login_off_submission_and_no_relay_comes_of_it(
    running: MailServer,
) -> None:
    configure(running, **submit(""))
    with client(running, "submission", tls=True) as user:
        offered(user)
        user.ask(b"MAIL FROM:<x@example.org>", b"530 5.7.0")
    configure(running, **submit("maytlsserver maysaslserver"))
    with client(running, "submission") as user:
        assert "AUTH" not in offered(user)
        recipient(user, "x@example.org", ALICE, b"250")
        recipient(user, "x@example.org", ELSEWHERE, b"550 5.7.1")
    with logged_in(running, "submission") as user:
        recipient(user, ALICE, ELSEWHERE, b"250")


def test_a_mistake_is_told_by_check_reload_and_status_and_leaves_the_former_file_in_force(
    running: MailServer,
) -> None:
    configure(running, **local("notlsserver"))
    good = running.root.imta_cnf.read_text()
    running.root.imta_cnf.write_text(good.replace("notlsserver", "notlserver"))
    told = "imta.cnf:6: unknown keyword notlserver: did you mean notlsserver?"
    assert told in running.mailfront("check").stdout
    assert told in running.mailfront("reload").stderr
    assert told in running.mailfront("status").stderr
    with client(running, "smtp") as stranger:
        assert "STARTTLS" not in offered(stranger)
    running.root.imta_cnf.write_text(good)

    def is_well() -> bool:
        return told not in running.mailfront("status").stderr

    eventually(is_well, "the mended file is not in force")


def test_the_server_does_not_start_with_a_mistake(
    server_root_template: Path, tmp_path: Path
) -> None:
    server = MailServer.copied(server_root_template, tmp_path / "root")
    server.choose_ports()
    server.root.imta_cnf.write_text("tcp_local smtp\n")
    told = "imta.cnf:1: the template smtp is not user%domain@host"
    refused = run_command("mailfront", "serve", "--home", str(server.root.path))
    assert refused.returncode == 1
    assert told in refused.stderr
    assert told in server.mailfront("check").stdout
