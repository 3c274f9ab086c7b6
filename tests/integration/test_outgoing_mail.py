"""Mail to other servers through the real process: sent, bounced, held, and never lost."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Iterator

import pytest

from tests.conftest import NewServer
from tests.support.mail_receiver import MailReceiver
from tests.support.ports import LOOPBACK, free_ports
from tests.support.queue_crashes import RETRY_OPTIONS, run_campaign, send_everything_to
from tests.support.server import ALICE, BOB, MailServer
from tests.support.waiting import eventually

CAROL = "carol@there.example"
SLOWLY = 60.0


@pytest.fixture
def receiver() -> Iterator[MailReceiver]:
    with MailReceiver() as running:
        yield running


def submit(
    server: MailServer, *recipients: str, subject: str = "hello", options: tuple[str, ...] = ()
) -> dict[str, tuple[int, bytes]]:
    """Send a message as Alice; return the refused recipients."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP_SSL(
        LOOPBACK, server.ports["submissions"], timeout=60, context=context
    ) as session:
        session.login(ALICE, server.password(ALICE))
        letter = f"From: {ALICE}\r\nSubject: {subject}\r\n\r\nbody\r\n"
        return session.sendmail(ALICE, list(recipients), letter, rcpt_options=options)


def inbox(server: MailServer, user: str) -> list[str]:
    """The messages of a user as they are on disk."""
    name, _, domain = user.partition("@")
    new = server.root.store_directory / domain / name / "Maildir/new"
    return [path.read_text() for path in new.iterdir()] if new.is_dir() else []


def queued(server: MailServer) -> list[dict[str, object]]:
    listed = server.mailfront("queue", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    records: list[dict[str, object]] = json.loads(listed.stdout)
    return records


def test_a_user_sends_to_users_here_and_elsewhere(
    new_server: NewServer, receiver: MailReceiver
) -> None:
    server = new_server(RETRY_OPTIONS)
    send_everything_to(server.root.path, receiver.port)
    with server:
        assert submit(server, BOB, CAROL, "dave@there.example") == {}
        eventually(lambda: len(receiver.messages) == 1, server.log, seconds=SLOWLY)
        (message,) = receiver.messages
        assert (message.sender, message.recipients) == (ALICE, [CAROL, "dave@there.example"])
        assert b"Received: from" in message.content
        assert "Subject: hello" in "".join(inbox(server, BOB))
        eventually(lambda: queued(server) == [], server.log, seconds=SLOWLY)
        assert "to=carol@there.example outcome=delivered host=" in server.log


def test_a_refused_recipient_comes_back_and_strangers_cannot_relay(
    new_server: NewServer, receiver: MailReceiver
) -> None:
    receiver.judge = lambda _: "550 5.1.1 nobody of that name"
    server = new_server(RETRY_OPTIONS)
    send_everything_to(server.root.path, receiver.port)
    with server:
        submit(server, CAROL, options=("NOTIFY=FAILURE", f"ORCPT=rfc822;{CAROL}"))
        eventually(
            lambda: "Action: failed" in "".join(inbox(server, ALICE)), server.log, seconds=SLOWLY
        )
        (bounce,) = [text for text in inbox(server, ALICE) if "Action: failed" in text]
        assert bounce.startswith("Return-Path: <>")
        assert f"Original-Recipient: rfc822;{CAROL}" in bounce
        assert "550 5.1.1 nobody of that name" in bounce
        with smtplib.SMTP(LOOPBACK, server.ports["smtp"], timeout=60) as stranger:
            stranger.ehlo("there.example")
            stranger.mail("x@there.example")
            assert stranger.rcpt(CAROL) == (550, b"5.7.1 Relaying denied")


def test_webmail_and_options_of_the_queue_say_what_the_server_does(new_server: NewServer) -> None:
    with new_server({"queue.enable": "no"}) as server:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            submit(server, CAROL)
        assert caught.value.recipients[CAROL][0] == 550
        refused = server.mailfront("queue", "retry", "--all")
        assert refused.returncode == 1
        assert "queue.enable" in refused.stderr


def test_an_operator_sees_holds_releases_and_deletes(
    new_server: NewServer, receiver: MailReceiver
) -> None:
    receiver.judge = lambda _: "451 4.7.1 come again"
    server = new_server()
    send_everything_to(server.root.path, receiver.port)
    with server:
        for recipient in (CAROL, "dave@elsewhere.example"):
            submit(server, recipient)
        eventually(lambda: server.log.count("outcome=deferred") == 2, server.log, seconds=SLOWLY)
        by_destination = {
            str(record["recipients"][0]["address"]): str(record["id"])  # type: ignore[index]
            for record in queued(server)
        }
        name = by_destination[CAROL]
        shown = server.mailfront("queue", "show", name)
        assert "451 4.7.1 come again" in shown.stdout
        assert "Subject: hello" in server.mailfront("queue", "show", name, "--content").stdout
        assert server.mailfront("queue", "hold", "--destination", "there.example").returncode == 0
        assert "held" in server.mailfront("queue", "list").stdout
        receiver.judge = lambda _: "250 2.1.5 now"
        assert server.mailfront("queue", "retry", "--all").returncode == 0
        eventually(lambda: len(receiver.messages) == 1, server.log, seconds=SLOWLY)
        assert receiver.messages[0].recipients == ["dave@elsewhere.example"]
        assert server.mailfront("queue", "delete", "feedbeeffeedbeef").returncode == 1
    # The server is stopped: the same commands work on the disk.
    assert server.mailfront("queue", "release", name).returncode == 0
    assert "held" not in server.mailfront("queue", "list").stdout
    with server:
        eventually(lambda: len(receiver.messages) == 2, server.log, seconds=SLOWLY)
        assert server.mailfront("queue", "list", "--destination", "there.example").returncode == 0
        eventually(lambda: queued(server) == [], server.log, seconds=SLOWLY)


def test_messages_wait_while_the_other_side_is_down_and_go_when_it_is_back(
    new_server: NewServer,
) -> None:
    (port,) = free_ports(1)
    server = new_server(RETRY_OPTIONS | {"service.workers": "2"})
    send_everything_to(server.root.path, port)
    with server:
        for number in range(4):
            submit(server, CAROL, subject=f"letter {number}")
        eventually(lambda: "outcome=deferred" in server.log, server.log, seconds=SLOWLY)
        assert len(queued(server)) == 4
        held = server.mailfront("queue", "hold", "--all")
        assert "4 messages" in held.stderr
        assert server.mailfront("queue", "delete", "--all").returncode == 0
        assert queued(server) == []


def test_a_disk_without_room_is_told_and_nothing_is_half_written(
    new_server: NewServer, receiver: MailReceiver
) -> None:
    server = new_server(RETRY_OPTIONS | {"queue.diskreserve": str(2**40)})
    send_everything_to(server.root.path, receiver.port)
    with server:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            submit(server, BOB, CAROL)
        assert caught.value.smtp_code in (451, 452)
        # Neither here nor there: the sender tries again, and nobody gets it twice.
        assert not any("Subject: hello" in text for text in inbox(server, BOB))
        files = [path for path in server.root.queue_directory.rglob("*") if path.is_file()]
        assert [path.name for path in files if not path.name.startswith("queue.sqlite")] == []
        assert submit(server, BOB) == {}


def test_a_queue_directory_that_cannot_be_written_is_told_and_local_mail_goes_on(
    new_server: NewServer,
) -> None:
    server = new_server()
    server.root.queue_directory.write_text("not a directory")
    with server:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            submit(server, CAROL)
        assert caught.value.smtp_code in (451, 452)
        assert submit(server, BOB) == {}
        assert "queue" in server.mailfront("status").stderr


def test_what_was_acknowledged_arrives_however_often_the_process_is_killed(
    new_server: NewServer, receiver: MailReceiver
) -> None:
    server = new_server(RETRY_OPTIONS)
    send_everything_to(server.root.path, receiver.port)
    campaign = run_campaign(server, receiver, 300, most_seconds=40)
    server.stop()
    assert campaign.lost == []
    assert campaign.kills >= 1
    assert campaign.acknowledged
    # Only what a server had taken when we were killed, before we had written that down.
    assert campaign.duplicates <= campaign.kills * 10, str(campaign)


def test_the_queue_is_private(new_server: NewServer) -> None:
    with new_server() as server:
        eventually(lambda: (server.root.queue_directory / "new").is_dir(), server.log)
        for path in [server.root.queue_directory, *server.root.queue_directory.rglob("*")]:
            assert path.stat().st_mode & 0o077 == 0, path
