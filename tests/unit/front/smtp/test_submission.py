"""Mail from users: over the submission ports and from webmail."""

from __future__ import annotations

import base64

import pytest

from mailfront.errors import BackendError, SubmissionRefusedError
from mailfront.front.smtp import Role, SmtpSettings, WebmailSubmission
from tests.support.smtp_session import (
    ALICE,
    BOB,
    PASSWORD,
    TLS,
    Sink,
    SmtpConversation,
    code_of,
)

SETTINGS = SmtpSettings("mx.example.test", size_limit=10_000, recipient_limit=5)
ADDRESSES = frozenset({ALICE, "alias@example.test"})
MESSAGE = b"From: alice@example.test\r\nSubject: x\r\n\r\n.hello\r\n"


async def logged_in() -> SmtpConversation:
    client = await SmtpConversation(Role.SUBMISSION, tls=TLS).greeted()
    response = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
    assert code_of(await client.say(f"AUTH PLAIN {response}")) == "235 2.7.0"
    return client


@pytest.mark.parametrize(
    ("sender", "codes"),
    [
        (ALICE, "250 2.1.0"), ("Alias@Example.TEST", "250 2.1.0"), ("", "250 2.1.0"),
        (BOB, "553 5.7.1"), ("alice@elsewhere.example", "553 5.7.1"),
        ('"alice"@example.test', "250 2.1.0"), ("alice@[192.0.2.1]", "553 5.7.1"),
    ],
)  # fmt: skip
async def test_the_sender_is_an_address_of_the_user_or_nobody(sender: str, codes: str) -> None:
    client = await logged_in()
    assert code_of(await client.say(f"MAIL FROM:<{sender}>")) == codes


async def test_mail_to_other_domains_is_refused_honestly() -> None:
    client = await logged_in()
    [_, answer] = await client.say(f"MAIL FROM:<{ALICE}>", "RCPT TO:<a@elsewhere.example>")
    assert answer == "550 5.7.1 This server sends no mail to other domains"


async def test_a_submitted_message_is_completed_and_names_the_user() -> None:
    client = await logged_in()
    await client.say(f"MAIL FROM:<{ALICE}> SIZE=100 AUTH=<>", f"RCPT TO:<{BOB}>", "DATA")
    await client.send(b"Subject: x\r\n\r\nhello\r\n.\r\n")
    [(envelope, content)] = client.sink.accepted
    assert envelope.authenticated_user == ALICE
    assert b"with ESMTPSA (TLSv1.3" in content
    header, _, _ = content.partition(b"\r\n\r\n")
    assert header.count(b"\r\nDate: ") == header.count(b"\r\nMessage-ID: <") == 1
    assert client.counters["submit.messages"] == 1


async def test_fields_that_are_there_are_not_added_again() -> None:
    client = await logged_in()
    await client.say(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{BOB}>", "DATA")
    await client.send(b"Date: then\r\nMessage-ID: <1@x>\r\n\r\n.\r\n")
    content = client.sink.accepted[0][1]
    assert content.count(b"Date: ") == content.count(b"Message-ID: ") == 1


async def submit(
    *recipients: str, user: str = ALICE, message: bytes = MESSAGE, sink: Sink | None = None
) -> Sink:
    sink = sink or Sink()
    await WebmailSubmission(SETTINGS, sink).submit(user, ADDRESSES, recipients, message)
    return sink


async def test_webmail_sends_as_the_user() -> None:
    sink = await submit(BOB, BOB)
    [(envelope, content)] = sink.accepted
    assert (envelope.sender, envelope.recipients) == (ALICE, (BOB,))
    assert envelope.authenticated_user == ALICE
    assert content.startswith(b"Received: by mx.example.test (webmail) id ")
    assert b"\r\nDate: " in content
    assert content.endswith(MESSAGE)


@pytest.mark.parametrize(
    ("recipients", "more", "text"),
    [
        ((), {}, "no recipient"),
        (("nobody@example.test",), {}, "There is no user nobody@example.test here."),
        ((BOB, "a@elsewhere.example"), {}, "to other domains: a@elsewhere.example"),
        (("not an address",), {}, "Not a mail address: not an address"),
        ((BOB,) * 6, {}, "at most 5 recipients"),
        ((BOB,), {"user": BOB}, "not yours"),
        ((BOB,), {"user": "nonsense"}, "not a mail address"),
        ((BOB,), {"message": b"x" * 10_001}, "larger than 9 KiB"),
        ((BOB,), {"message": b"a\nb"}, "line ends"),
        ((BOB,), {"message": b"a\0b"}, "line ends or octets"),
        ((BOB,), {"message": b"Received: x\r\n" * 100 + b"\r\n"}, "loop"),
    ],
)
async def test_webmail_is_refused_with_a_text_for_people(
    recipients: tuple[str, ...], more: dict[str, object], text: str
) -> None:
    sink = Sink()
    with pytest.raises(SubmissionRefusedError, match=text):
        await submit(*recipients, sink=sink, **more)  # type: ignore[arg-type]
    assert sink.accepted == []


@pytest.mark.parametrize("temporary", [True, False])
async def test_webmail_tells_a_failing_store_without_details(temporary: bool) -> None:
    sink = Sink()
    sink.failure = BackendError("disk /dev/secret", temporary=temporary)
    with pytest.raises(SubmissionRefusedError) as refused:
        await submit(BOB, sink=sink)
    assert "secret" not in str(refused.value)
    assert ("later" in str(refused.value)) == temporary


async def test_webmail_without_the_directory_says_later_and_not_unknown() -> None:
    sink = Sink()
    sink.unavailable = True
    with pytest.raises(SubmissionRefusedError, match=r"cannot be checked now. Try again later"):
        await submit(BOB, sink=sink)
