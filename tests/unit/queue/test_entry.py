"""The records of the queue: what is sent is the envelope of those who are meant."""

from __future__ import annotations

from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.queue.entry import QueuedMail, QueuedRecipient, State


def test_the_envelope_has_these_recipients_and_what_was_said_of_them() -> None:
    said = RecipientOptions(frozenset({"NEVER"}), "rfc822;x@y")
    recipient = QueuedRecipient(1, "x@y", said, State.WAITING, "h", 0.0)
    mail = QueuedMail("id", "", MailOptions(utf8=True), 0.0, 1, None, (recipient,))
    envelope = mail.envelope()
    assert (envelope.sender, envelope.recipients) == ("", ("x@y",))
    assert envelope.options.utf8
    assert envelope.options_of("x@y") == said


def test_states_have_names_for_people() -> None:
    assert [state.word for state in State] == ["waiting", "held", "delivered", "failed"]
