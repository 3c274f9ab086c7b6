"""Mail of our own pages that the server behind the submission ports sends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mailfront.errors import BackendError, SubmissionRefusedError
from mailfront.front.smtp import SmtpSettings, WebmailSubmission
from mailfront.front.smtp.relay_sink import RelaySink
from mailfront.interfaces.mail_relay import (
    RelayAnswer,
    RelayClient,
    RelayConversation,
    RelayedMail,
    RelayOffer,
)
from mailfront.interfaces.message_sink import RecipientOptions

ALICE, STRANGER = "alice@example.test", "stranger@elsewhere.example"
SETTINGS = SmtpSettings("mx.example.test", size_limit=3_000_000, recipient_limit=5)
MESSAGE = b"From: alice@example.test\r\nSubject: x\r\n\r\nhello\r\n"
OK = RelayAnswer(250, ("2.0.0 ok",))


@dataclass
class Behind:
    """A `MailRelay` and its one conversation; `answers` by what is asked, exceptions are raised."""

    answers: dict[str, RelayAnswer | Exception] = field(default_factory=dict)
    client: RelayClient | None = None
    mailed: RelayedMail | None = None
    recipients: list[str] = field(default_factory=list)
    content: bytes = b""
    ended: bool = False
    drops: int = 0

    async def offer(self) -> RelayOffer:
        return RelayOffer()

    def conversation(self, client: RelayClient) -> RelayConversation:
        self.client = client
        return self

    async def mail(self, mail: RelayedMail) -> RelayAnswer:
        self.mailed = mail
        return self._answer("mail", OK)

    async def recipient(self, address: str, options: RecipientOptions | None = None) -> RelayAnswer:
        self.recipients.append(address)
        return self._answer(address, OK)

    async def data(self, *, chunked: bool = False) -> RelayAnswer:
        return self._answer("data", RelayAnswer(354, ("go on",)))

    async def send(self, octets: bytes) -> RelayAnswer | None:
        self.content += octets
        found = self.answers.get("send")
        return found if isinstance(found, RelayAnswer) else None

    async def finish(self, octets: bytes) -> RelayAnswer:
        self.content += octets
        self.ended = True
        return self._answer("finish", OK)

    def drop(self) -> None:
        self.drops += 1

    def _answer(self, step: str, default: RelayAnswer) -> RelayAnswer:
        found = self.answers.get(step, default)
        if isinstance(found, Exception):
            raise found
        return found


async def submit(behind: Behind, message: bytes = MESSAGE) -> None:
    submission = WebmailSubmission(SETTINGS, RelaySink(behind, "mx.example.test"))
    await submission.submit(ALICE, frozenset({ALICE}), (ALICE, STRANGER), message)


async def test_a_message_is_a_transaction_of_the_users() -> None:
    behind = Behind()
    await submit(behind)
    assert behind.client is not None
    assert behind.mailed is not None
    assert (behind.client.user, behind.client.hello) == (ALICE, "mx.example.test")
    assert behind.mailed.sender == ALICE
    assert behind.recipients == [ALICE, STRANGER]
    assert behind.content.startswith(b"Received: by mx.example.test (webmail)")
    assert behind.content.endswith(MESSAGE)
    assert behind.mailed.size == len(behind.content)
    assert (behind.ended, behind.drops) == (True, 1)


async def test_a_large_message_goes_in_pieces() -> None:
    behind = Behind()
    await submit(behind, MESSAGE + b"line\r\n" * 400_000)
    assert behind.content.endswith(b"line\r\n" * 400_000)


@pytest.mark.parametrize("step", ["mail", STRANGER, "data", "send", "finish"])
async def test_a_refusal_is_told_in_the_servers_words_and_nothing_is_sent(step: str) -> None:
    behind = Behind({step: RelayAnswer(550, ("5.7.1 not from here",))})
    with pytest.raises(SubmissionRefusedError, match=r"5\.7\.1 not from here") as refusal:
        await submit(behind)
    assert (STRANGER in str(refusal.value)) == (step == STRANGER)
    assert behind.ended == (step == "finish")
    assert behind.drops == 1


async def test_a_refusal_for_now_says_so() -> None:
    behind = Behind({"finish": RelayAnswer(451, ("4.3.0 queue is full",))})
    with pytest.raises(SubmissionRefusedError, match="Try again later"):
        await submit(behind)


@pytest.mark.parametrize("step", ["mail", STRANGER, "data", "finish"])
async def test_a_server_that_is_away_leaves_the_message_unsent(step: str) -> None:
    behind = Behind({step: BackendError("gone", temporary=True)})
    with pytest.raises(SubmissionRefusedError, match="Try again later"):
        await submit(behind)
    assert behind.drops == 1
