"""The arguments of MAIL and RCPT, as far as they can be judged by what EHLO offered.

Takes the text behind the verb, gives what was parsed or the refusal (RFC 5321 sections 4.1.1.2 and
4.1.1.3). Syntax errors are raised as `SmtpRefusalError`.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.front.smtp.extensions import size_limit
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.front.smtp.transaction import SessionFacts, Transaction
from mailfront.interfaces.message_sink import RecipientOptions
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.address import Mailbox, parse_forward_path, parse_reverse_path
from mailfront.protocol.smtp.parameters import (
    MailParameters,
    parse_mail_parameters,
    parse_recipient_parameters,
)
from mailfront.protocol.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class MailCommand:
    """What MAIL said; `sender` is None for the null reverse-path."""

    sender: Mailbox | None
    parameters: MailParameters


@dataclass(frozen=True, slots=True)
class RecipientCommand:
    """What RCPT said."""

    recipient: Mailbox
    options: RecipientOptions


def read_mail(
    argument: str, facts: SessionFacts, transaction: Transaction, settings: SmtpSettings
) -> MailCommand | Reply:
    """Read the argument of MAIL. Raises `SmtpRefusalError`."""
    path = _behind("FROM:", argument)
    if path is None:
        return reply.MAIL_SYNTAX
    if transaction.mail_from is not None:
        return reply.MAIL_ALREADY
    sender, rest = parse_reverse_path(path)
    if rest and not facts.extended_smtp:
        return reply.PARAMETERS_NEED_EHLO
    parameters = parse_mail_parameters(
        rest, facts.offer, auth=facts.identity is not None, tls=facts.tls is not None
    )
    if parameters.size is not None and parameters.size > size_limit(settings, facts.offer):
        return reply.MESSAGE_TOO_LARGE
    if sender is not None and not sender.is_ascii and not parameters.options.utf8:
        return reply.INTERNATIONAL_ADDRESS
    return MailCommand(sender, parameters)


def read_recipient(
    argument: str, facts: SessionFacts, transaction: Transaction, settings: SmtpSettings
) -> RecipientCommand | Reply:
    """Read the argument of RCPT. Raises `SmtpRefusalError`."""
    path = _behind("TO:", argument)
    if path is None:
        return reply.RCPT_SYNTAX
    if transaction.mail_from is None:
        return reply.MAIL_FIRST
    if transaction.chunks is not None:
        return reply.RECIPIENT_TOO_LATE
    recipient, rest = parse_forward_path(path, settings.domain or settings.hostname)
    if rest and not facts.extended_smtp:
        return reply.PARAMETERS_NEED_EHLO
    utf8 = transaction.options.utf8
    options = parse_recipient_parameters(rest, dsn=facts.offer.dsn, utf8=utf8)
    if not recipient.is_ascii and not utf8:
        return reply.INTERNATIONAL_ADDRESS
    if len(transaction.rcpt_tos) >= settings.recipient_limit:
        return reply.TOO_MANY_RECIPIENTS
    return RecipientCommand(recipient, options)


def _behind(keyword: str, argument: str) -> str | None:
    found = argument[: len(keyword)].upper() == keyword
    return argument[len(keyword) :].strip() if found else None
