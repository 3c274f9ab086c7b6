"""The sink that splits: mailboxes here, the queue for others, and nothing in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.interfaces.message_sink import Envelope, MailOptions, Message, RecipientOptions
from mailfront.interfaces.tasks import start_task
from mailfront.outgoing.sink import OctetMessage
from tests.support.mail_queues import (
    ALICE,
    BOB,
    LETTER,
    QueueSite,
    ScriptedServers,
    letter,
    letter_to,
    queue_site,
)

FOREIGN = "carol@there.example"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[QueueSite]:
    async with queue_site(tmp_path / "queue", ScriptedServers(), start=False) as made:
        yield made


async def queued(site: QueueSite) -> list[tuple[str, ...]]:
    await site.queue.take_in()
    names = await site.queue.select("")
    mails = [await site.queue.find(name) for name in names]
    return [tuple(each.address for each in mail.recipients) for mail in mails if mail is not None]


async def test_each_recipient_gets_it_where_it_is(site: QueueSite) -> None:
    notices: list[bool] = []
    site.sink.on_accepted = lambda: notices.append(True)
    await site.sink.accept(letter_to(BOB, FOREIGN), letter())
    ((envelope, content),) = site.mailboxes.taken
    assert (envelope.recipients, content) == ((BOB,), LETTER)
    assert await queued(site) == [(FOREIGN,)]
    assert notices == [True]


async def test_the_message_is_named_as_its_sender_was_told(site: QueueSite) -> None:
    name = "00112233aabbccdd"
    await site.sink.accept(replace(letter_to(FOREIGN), identifier=name), letter())
    assert site.spool.accepted(9) == [name]


async def test_who_has_not_logged_in_sends_to_nobody_else(site: QueueSite) -> None:
    stranger = Envelope("x@there.example", (BOB, FOREIGN))
    with pytest.raises(BackendError) as caught:
        await site.sink.accept(stranger, letter())
    assert not caught.value.temporary
    assert site.mailboxes.taken == []
    assert await queued(site) == []


async def test_what_the_mailboxes_refuse_is_not_queued_either(site: QueueSite) -> None:
    site.mailboxes.failure = BackendError("full", temporary=True)
    with pytest.raises(BackendError, match="full"):
        await site.sink.accept(letter_to(BOB, FOREIGN), letter())
    assert await queued(site) == []
    assert list(site.spool.temporary.iterdir()) == []


async def test_what_the_queue_refuses_is_not_in_the_mailboxes_either(site: QueueSite) -> None:
    site.spool.temporary.rmdir()
    with pytest.raises(BackendError) as caught:
        await site.sink.accept(letter_to(BOB, FOREIGN), letter())
    assert caught.value.temporary
    assert site.mailboxes.taken == []


async def test_mail_for_users_here_needs_no_queue(site: QueueSite) -> None:
    site.spool.temporary.rmdir()
    await site.sink.accept(letter_to(BOB), letter())
    assert len(site.mailboxes.taken) == 1


async def test_success_of_a_local_delivery_is_told_where_asked_for(site: QueueSite) -> None:
    asked = {BOB: RecipientOptions(frozenset({"SUCCESS"}))}
    await site.sink.accept(replace(letter_to(BOB), recipient_options=asked), letter())
    _, (envelope, content) = site.mailboxes.taken
    assert (envelope.sender, envelope.recipients) == ("", (ALICE,))
    assert b"Action: delivered" in content
    assert b"Final-Recipient: rfc822;bob@example.test" in content


async def test_a_stranger_has_no_notification_sent_to_somebody_else(site: QueueSite) -> None:
    asked = {BOB: RecipientOptions(frozenset({"SUCCESS"}))}
    stranger = Envelope(FOREIGN, (BOB,), recipient_options=asked)
    await site.sink.accept(stranger, letter())
    assert await queued(site) == []
    await site.sink.accept(replace(stranger, from_inside=True), letter())
    assert await queued(site) == [(FOREIGN,)]


async def test_a_notification_of_what_needs_tls_all_the_way_needs_it_too(site: QueueSite) -> None:
    asked = {BOB: RecipientOptions(frozenset({"SUCCESS"}))}
    options = MailOptions(require_tls=True)
    sent = replace(letter_to(BOB), recipient_options=asked, options=options)
    await site.sink.accept(sent, letter())
    _, (envelope, _) = site.mailboxes.taken
    assert envelope.options.require_tls


class Held:
    """A message whose octets come when they are let go."""

    size = len(LETTER)

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def chunks(self) -> Iterator[bytes]:
        self.begun.set()
        self.go.wait(60)
        yield LETTER


async def test_a_client_that_gives_up_leaves_no_file_behind(site: QueueSite) -> None:
    message = Held()
    accepting = start_task(site.sink.accept(letter_to(FOREIGN), message), name="accepting")
    await asyncio.to_thread(message.begun.wait, 60)
    accepting.cancel()
    await asyncio.wait([accepting])
    message.go.set()
    site.sink.close()
    assert list(site.spool.temporary.iterdir()) == []
    assert site.spool.accepted(9) == []


async def test_what_was_said_of_the_message_is_kept(site: QueueSite) -> None:
    options = MailOptions(require_tls=True, envelope_id="x")
    said = {FOREIGN: RecipientOptions(frozenset({"NEVER"}))}
    await site.sink.accept(
        replace(letter_to(FOREIGN), options=options, recipient_options=said), letter()
    )
    await site.queue.take_in()
    (name,) = await site.queue.select("")
    mail = await site.queue.find(name)
    assert mail is not None
    assert mail.options == options
    assert mail.recipients[0].options == said[FOREIGN]


async def test_fields_of_a_signature_stand_before_the_message(site: QueueSite) -> None:
    async def sign(_envelope: Envelope, _message: Message) -> bytes:
        return b"DKIM-Signature: x\r\n"

    site.sink.sign = sign
    await site.sink.accept(letter_to(FOREIGN), letter())
    (name,) = site.spool.accepted(9)
    with site.spool.open(name) as message:
        assert b"".join(message.chunks()) == b"DKIM-Signature: x\r\n" + LETTER


async def test_octets_make_a_message_that_can_be_read_again() -> None:
    message = OctetMessage(b"a", OctetMessage(b"bc"))
    assert message.size == 3
    assert [b"".join(message.chunks()) for _ in "12"] == [b"abc", b"abc"]
