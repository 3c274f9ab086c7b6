"""A message that swaks delivers over STARTTLS is read by curl and by Python's own clients, on
uvloop and on plain asyncio; what the clients send themselves arrives too."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import curl, deliver, swaks
from tests.support.dialogue import unverified_context
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer

SUBJECT = "Mail from far away"
BODY = "The first line.\r\n.. and one that begins with dots.\r\n"
STRANGER = "stranger@example.org"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(
    request: pytest.FixtureRequest,
    server_root_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MailServer]:
    """A server on either event loop, with one message for alice from another system."""
    path = tmp_path_factory.mktemp(request.param) / "root"
    options = {"service.eventloop": request.param}
    with MailServer.copied(server_root_template, path, options) as running:
        letter = path.with_name("letter.eml")
        letter.write_bytes(
            f"From: <{STRANGER}>\r\nTo: <{ALICE}>\r\nSubject: {SUBJECT}\r\n\r\n{BODY}".encode()
        )
        deliver(running.ports["smtp"], STRANGER, ALICE, "--data", f"@{letter}")
        yield running


def curl_as(server: MailServer, directory: Path, user: str, url: str, *more: str) -> str:
    """Run curl as a user with the right password; return what it wrote."""
    ended = curl(directory, user, server.password(user), url, *more)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_curl_reads_the_message_by_imaps(server: MailServer, tmp_path: Path) -> None:
    base = f"imaps://{LOOPBACK}:{server.ports['imaps']}/INBOX"
    found = curl_as(server, tmp_path, ALICE, base + "?SUBJECT%20%22far%20away%22")
    number = found.split()[-1]
    message = curl_as(server, tmp_path, ALICE, f"{base};MAILINDEX={number}")
    assert f"Subject: {SUBJECT}" in message
    assert ".. and one that begins with dots." in message


def test_curl_reads_the_message_by_imap_with_starttls(server: MailServer, tmp_path: Path) -> None:
    base = f"imap://{LOOPBACK}:{server.ports['imap']}/"
    listed = curl_as(server, tmp_path, ALICE, base, "--ssl-reqd")
    assert "INBOX" in listed


@pytest.mark.parametrize(("scheme", "port"), [("pop3s", "pops"), ("pop3", "pop")])
def test_curl_reads_the_message_by_pop3(
    server: MailServer, tmp_path: Path, scheme: str, port: str
) -> None:
    base = f"{scheme}://{LOOPBACK}:{server.ports[port]}/"
    numbers = [
        line.split()[0]
        for line in curl_as(server, tmp_path, ALICE, base, "--ssl-reqd").splitlines()
        if line.strip()
    ]
    messages = [curl_as(server, tmp_path, ALICE, base + number, "--ssl-reqd") for number in numbers]
    (message,) = [text for text in messages if f"Subject: {SUBJECT}" in text]
    assert ".. and one that begins with dots." in message


def test_the_received_field_tells_the_tls_of_the_delivery(server: MailServer) -> None:
    context = unverified_context()
    with imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=context) as client:
        client.login(ALICE, server.password(ALICE))
        client.select("INBOX", readonly=True)
        _, found = client.search(None, "SUBJECT", '"far away"')
        number = found[0].split()[-1].decode()
        _, data = client.fetch(number, "(BODY.PEEK[])")
    assert isinstance(data[0], tuple)
    message = data[0][1]
    received = message[: message.index(b"From:")].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")
    assert b"with ESMTPS" in received
    assert b"TLSv1.3" in received
    # swaks ends what it sends with a line end of its own.
    assert message.removesuffix(b"\r\n").endswith(BODY.encode())


def test_poplib_reads_the_message_byte_for_byte(server: MailServer) -> None:
    client = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=unverified_context())
    try:
        client.user(ALICE)
        client.pass_(server.password(ALICE))
        count, _ = client.stat()
        texts = [b"\r\n".join(client.retr(number)[1]) for number in range(1, count + 1)]
    finally:
        client.quit()
    assert sum(SUBJECT.encode() in text for text in texts) == 1


@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_smtplib_sends_from_alice_to_bob(server: MailServer, port: str) -> None:
    context = unverified_context()
    client: smtplib.SMTP
    if port == "submission":
        client = smtplib.SMTP(LOOPBACK, server.ports[port])
        client.starttls(context=context)
    else:
        client = smtplib.SMTP_SSL(LOOPBACK, server.ports[port], context=context)
    with client:
        client.login(ALICE, server.password(ALICE))
        refused = client.sendmail(ALICE, [BOB], f"Subject: by {port}\r\n\r\nHello.\r\n")
    assert refused == {}
    with imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=context) as reader:
        reader.login(BOB, server.password(BOB))
        reader.select("INBOX")
        _, found = reader.search(None, "SUBJECT", f'"by {port}"')
        assert len(found[0].split()) == 1


def test_curl_sends_by_smtps(server: MailServer, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(b"Subject: by curl\r\n\r\nHello.\r\n")
    url = f"smtps://{LOOPBACK}:{server.ports['submissions']}/client.example.org"
    curl_as(
        server,
        tmp_path,
        BOB,
        url,
        "--mail-from",
        BOB,
        "--mail-rcpt",
        ALICE,
        "--upload-file",
        str(letter),
    )


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [("nobody@example.test", "550 5.1.1"), ("someone@example.com", "550 5.7.1")],
)
def test_swaks_is_told_which_recipients_are_not_taken(
    server: MailServer, recipient: str, answer: str
) -> None:
    sent = swaks(server.ports["smtp"], "--from", STRANGER, "--to", recipient, "--tls")
    assert sent.returncode != 0
    assert answer in sent.stdout


def test_submission_demands_a_login(server: MailServer) -> None:
    sent = swaks(server.ports["submission"], "--from", ALICE, "--to", BOB, "--tls")
    assert sent.returncode != 0
    assert "530 5.7.0" in sent.stdout


def test_submission_refuses_a_sender_that_the_user_does_not_own(server: MailServer) -> None:
    with smtplib.SMTP(LOOPBACK, server.ports["submission"]) as client:
        client.starttls(context=unverified_context())
        client.login(ALICE, server.password(ALICE))
        with pytest.raises(smtplib.SMTPException) as refused:
            client.sendmail(BOB, [ALICE], "Subject: forged\r\n\r\n")
    assert "5.7.1" in str(refused.value)
