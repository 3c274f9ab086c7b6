"""Facts of a session and of a transaction."""

from __future__ import annotations

import asyncio

from mailfront.front.smtp.transaction import SessionFacts, Transaction
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.peer import Peer
from tests.support.smtp_session import ALICE, TLS


async def test_the_protocol_is_named_after_what_was_done() -> None:
    facts = SessionFacts(asyncio.get_running_loop(), Peer("192.0.2.7", 1, "192.0.2.1", 25), TLS)
    assert facts.protocol(utf8=False) == "SMTP"
    facts.extended_smtp = True
    facts.identity = Identity(ALICE, frozenset({ALICE}), "PLAIN")
    # A user who did not say AUTH (POP before SMTP).
    assert facts.protocol(utf8=False) == "ESMTPS"
    facts.authenticated = True
    assert facts.protocol(utf8=False) == "ESMTPSA"
    assert facts.protocol(utf8=True) == "UTF8SMTPSA"


def test_a_transaction_begins_without_sender_and_recipients() -> None:
    transaction = Transaction()
    assert (transaction.mail_from, transaction.rcpt_tos) == (None, [])
