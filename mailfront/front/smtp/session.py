"""An SMTP session: the commands, when each is allowed, and what each replies (RFC 5321).

Protocol lives here, policy behind the `handle_*` hooks of `reception`. Anything that the command
table does not allow is refused with the protocol's reply before a command's method is called.
"""

# The names of the command methods are aiosmtpd's.
# ruff: noqa: N802

from __future__ import annotations

import asyncio
import logging
import secrets

from mailfront.errors import (
    BackendError,
    DirectoryUnavailableError,
    KeystoreError,
    LineTooLongError,
    SmtpRefusalError,
)
from mailfront.front.settings import HTTP_VERBS
from mailfront.front.smtp.envelope_commands import read_mail, read_recipient
from mailfront.front.smtp.extensions import ehlo_response
from mailfront.front.smtp.inbound import OTHER_SERVERS, Inbound
from mailfront.front.smtp.login import SmtpLogin
from mailfront.front.smtp.message_session import MessageSession
from mailfront.front.smtp.reception import NO_OPTIONS, Reception
from mailfront.front.smtp.settings import Role, SmtpSettings
from mailfront.front.smtp.transaction import SessionFacts
from mailfront.interfaces.authenticator import Authenticator, Identity
from mailfront.interfaces.peer import TlsFacts
from mailfront.interfaces.tasks import run_at_once
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.address import Mailbox, is_hello_name
from mailfront.protocol.smtp.commands import (
    AUTH_LINE_LIMIT,
    COMMANDS,
    EXTENDED_LINE_LIMIT,
    Command,
)
from mailfront.protocol.smtp.reply import Reply

_log = logging.getLogger("mailfront.smtp")


class SmtpSession(MessageSession):
    """One connection's conversation."""

    def __init__(
        self,
        settings: SmtpSettings,
        reception: Reception,
        authenticator: Authenticator,
        users: Reception,
    ) -> None:
        super().__init__(settings, reception)
        self.authenticator = authenticator
        # The policy before a login, and the one after it.
        self._before_login, self._users = reception, users
        # Where the client comes back to behind a message that it may send without AUTH.
        self._comes_back_to: Inbound | None = None
        self._protocol_errors = 0
        self._refused_recipients = 0
        self._failed_logins = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`: greet at once, in one packet with the end of a handshake."""
        super().connection_made(transport)
        self._forget_everything()
        self.client.write(f"220 {self.hostname} ESMTP\r\n".encode("ascii"))

    def answer_failure(self, failure: Exception) -> None:
        """Reply to a command that raised: the protocol's reply, or a reference to our log."""
        if isinstance(failure, LineTooLongError):
            self.send(reply.LINE_TOO_LONG)
        elif isinstance(failure, SmtpRefusalError):
            self.send(Reply.of(failure))
        elif isinstance(failure, DirectoryUnavailableError):
            _log.warning("peer=%s a recipient cannot be checked: %s", self.client.peer, failure)
            self.send(reply.DIRECTORY_UNAVAILABLE)
        elif isinstance(failure, BackendError):
            _log.error("peer=%s command failed: %s", self.client.peer, failure)
            self.send(reply.TEMPORARY_FAILURE if failure.temporary else reply.PERMANENT_FAILURE)
        else:
            self._report_fault(failure)

    def line_limit(self) -> int:
        """How long the next command line may be."""
        return AUTH_LINE_LIMIT if self._login.mechanisms() else EXTENDED_LINE_LIMIT

    def perform(self, line: bytes) -> None:
        """Execute a command line."""
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        if verb in HTTP_VERBS:
            self.report_attack("http_requests", "HTTP request")
            self.end(reply.NOT_HTTP, "HTTP request")
            return
        name = verb.decode("ascii", errors="replace")
        command = COMMANDS.get(name)
        unfit = _unfit(command, line)
        if unfit is not None and line[:4].upper() == b"BDAT":
            # The octets that follow it would be taken for commands.
            self.end(unfit, "malformed BDAT")
        elif command is None or unfit is not None:
            self.send(unfit or reply.UNKNOWN_COMMAND)
        elif command.octets_follow:
            self.take_chunk(argument, self._refusal(command, argument))
        elif (refusal := self._refusal(command, argument)) is not None:
            self.send(refusal)
        else:
            try:
                text = argument.decode("utf-8").strip(" ")
            except UnicodeDecodeError:
                self.send(reply.NOT_TEXT)
                return
            work = getattr(self, f"smtp_{name}")(text)
            if command.waits:
                self.start(work)
            elif command.may_wait:
                self.start_if_it_waits(work)
            else:
                run_at_once(work)

    def _refusal(self, command: Command, argument: bytes) -> Reply | None:
        """Why the command is not allowed in this state."""
        if argument.strip(b" ") and not command.takes_argument:
            return reply.NO_ARGUMENT_EXPECTED
        if command.after_login and (missing := self._missing()) is not None:
            return missing
        if command.after_hello and self.facts.host_name is None:
            return reply.HELLO_FIRST
        return None

    def send(self, answer: Reply) -> None:
        """Queue a reply and count it if it answers bad protocol.

        RCPT and DATA behind a refused MAIL are no fault of a pipelining client.
        """
        super().send(answer)
        if answer.is_protocol_error and answer is not reply.MAIL_FIRST:
            self._protocol_errors += 1

    def command_ended(self) -> None:
        """End a session that went too far, or whose server stops."""
        if self._protocol_errors >= self.settings.bad_command_limit:
            self.reception.count("too_many_errors")
            self.end(reply.TOO_MANY_ERRORS, "too many errors")
        elif self._refused_recipients >= self.settings.refused_recipient_limit:
            self.reception.count("too_many_refused_recipients")
            self.end(reply.TOO_MANY_REFUSED_RECIPIENTS, "too many unknown recipients")
        elif self._failed_logins >= self.settings.failed_login_limit:
            self.end(reply.TOO_MANY_LOGINS, "too many failed logins")
        elif self.stopping:
            self.end(self.parting, "server stopping")

    def session_ended(self) -> None:
        """Let go what the session holds elsewhere."""
        self.forget_chunks()
        self.reception.forget(self.facts)

    def _forget_everything(self) -> None:
        """Begin a session: at the start, and after a TLS handshake (RFC 3207 section 4.2)."""
        peer, tls = self.client.peer, self.client.tls_facts
        self.facts = facts = SessionFacts(self.loop, peer, tls)
        self.session = facts
        self._comes_back_to = None
        self.event_handler = self.reception = self._before_login
        if self.settings.arrivals is not None:
            facts.inbound = self.settings.arrivals.of_client(peer, tls=tls is not None)
        elif self.reception.role is Role.MX:
            facts.inbound = OTHER_SERVERS
        possible = facts.inbound.offers_login and (tls is not None or not facts.inbound.demands_tls)
        self._login = SmtpLogin(self, self.authenticator, offered=possible)
        self.reset_transaction()

    def _missing(self) -> Reply | None:
        """What has to come before mail: TLS, a login, or nothing more."""
        facts, inbound = self.facts, self.facts.inbound
        if inbound.demands_tls and facts.tls is None:
            return reply.STARTTLS_FIRST
        if inbound.demands_login and facts.identity is None and not facts.is_known:
            in_vain = facts.tls is None and not self._login.mechanisms()
            return reply.STARTTLS_FIRST if in_vain else reply.AUTHENTICATION_REQUIRED
        return None

    def _report_fault(self, failure: Exception) -> None:
        """Log a fault of ours under a reference; reply no more than that."""
        reference = secrets.token_hex(4)
        self.reception.count("internal_errors")
        _log.error(
            "reference=%s peer=%s SMTP command failed",
            reference, self.client.peer, exc_info=failure,
        )  # fmt: skip
        self.send(reply.internal_error(reference))

    async def smtp_HELO(self, hostname: str) -> None:
        """RFC 5321 section 4.1.1.1."""
        if await self._hello(hostname, extended=False):
            await self.push(f"250 {self.hostname}")

    async def smtp_EHLO(self, hostname: str) -> None:
        """RFC 5321 section 4.1.1.1."""
        if await self._hello(hostname, extended=True):
            tls, mechanisms = self.facts.tls is not None, self._login.mechanisms()
            await self.push(
                ehlo_response(
                    self.settings, tls=tls, mechanisms=mechanisms, offer=self.facts.offer,
                    upgradable=self.facts.inbound.offers_tls,
                )
            )  # fmt: skip

    async def _hello(self, hostname: str, *, extended: bool) -> bool:
        if not is_hello_name(hostname):
            self.send(reply.BAD_HELLO)
            return False
        self.reset_transaction()
        self.facts.offer = self.facts.inbound.limited(await self.reception.offer())
        if self.settings.pop_before_smtp is not None:
            self.facts.is_known = await self.settings.pop_before_smtp.knows(self.facts.remote)
        self.facts.host_name = hostname
        self.facts.extended_smtp = extended
        return True

    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207. Nothing that came in clear survives it: neither octets nor facts."""
        if self.facts.tls is not None:
            self.send(reply.TLS_ALREADY)
        elif not (self.settings.tls_available and self.facts.inbound.offers_tls):
            self.send(reply.NOT_IMPLEMENTED)
        elif not self.settings.tls_ready():
            self.send(reply.TLS_UNAVAILABLE)
        elif self.has_unread_input():
            self.report_attack(
                "starttls_injection", "STARTTLS injection: octets in clear behind STARTTLS"
            )
            self.end(reply.STARTTLS_PIPELINED, "starttls injection")
        else:
            # No await between the proof above and the upgrade: nothing can arrive in between.
            self.send(reply.READY_FOR_TLS)
            self.write_replies()
            try:
                self.client.start_tls(self._tls_established)
            except KeystoreError as failure:
                _log.error("peer=%s no TLS: %s", self.client.peer, failure)
                self.end(None, "no certificate")
                return
            self.begin_handshake()

    def _tls_established(self, facts: TlsFacts) -> None:
        self.session_ended()
        self._forget_everything()
        self._protocol_errors = self._refused_recipients = self._failed_logins = 0
        self.handshake_ended()

    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954."""
        if (refusal := self._login_refusal(arg)) is not None:
            self.send(refusal)
            return
        identity = await self._login.run(self, arg)
        if isinstance(identity, Reply):
            if identity in (reply.AUTHENTICATION_FAILED, reply.AUTHENTICATION_UNAVAILABLE):
                self.reception.count("logins_refused")
                self._failed_logins += 1
            self.send(identity)
            return
        self.reception.count("logins")
        self._move_to_users(identity)
        self.facts.offer = self.facts.inbound.limited(await self.reception.offer())
        self.client.record.user = identity.user
        self.client.record.method = identity.method
        self.send(reply.AUTHENTICATION_OK)

    def _move_to_users(self, identity: Identity) -> None:
        """From now on the policy is the one for users, on the channel that the login leads to."""
        self.facts.identity = identity
        self.facts.authenticated = True
        self.facts.inbound = self.facts.inbound.logged_in()
        self.event_handler = self.reception = self._users

    async def _recognise(self, sender: Mailbox | None) -> None:
        """POP before SMTP: for one message the policy is the one for users."""
        self._forget_recognition()
        facts, kludge = self.facts, self.settings.pop_before_smtp
        # A bounce to the port of other servers is one of theirs.
        is_bounce = sender is None and not facts.inbound.demands_login
        if kludge is None or not facts.is_known or facts.identity is not None or is_bounce:
            return
        identity = await kludge.identity(facts.remote, sender)
        if identity is not None:
            self._comes_back_to, facts.identity = facts.inbound, identity
            facts.inbound = kludge.inbound(facts.inbound)
            self.event_handler = self.reception = self._users
            self.client.record.user, self.client.record.method = identity.user, identity.method
            self.reception.count("pop_before_smtp")

    def _forget_recognition(self) -> None:
        if self._comes_back_to is not None:
            self.facts.identity, self.facts.inbound = None, self._comes_back_to
            self._comes_back_to = None
            self.event_handler = self.reception = self._before_login

    def reset_transaction(self) -> None:
        """Part of `MessageSession`."""
        super().reset_transaction()
        self._forget_recognition()

    def _login_refusal(self, argument: str) -> Reply | None:
        if self.facts.identity is None and not self.facts.inbound.offers_login:
            return reply.AUTHENTICATION_NOT_HERE
        if not self._login.mechanisms():
            return self._login.impossible()
        if self.facts.identity is not None:
            return reply.AUTHENTICATED_ALREADY
        if self.transaction.mail_from is not None:
            return reply.AUTHENTICATION_IN_TRANSACTION
        return None if argument else reply.AUTH_SYNTAX

    async def smtp_MAIL(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.2."""
        command = read_mail(arg or "", self.facts, self.transaction, self.settings)
        if isinstance(command, Reply):
            self.send(command)
            return
        sender, parameters = command.sender, command.parameters
        if self.settings.pop_before_smtp is not None:
            await self._recognise(sender)
        answer = await self.reception.handle_MAIL(self.facts, sender, parameters)
        if answer.code == reply.SENDER_OK.code:
            self.skipped = 0
            self.transaction.mail_from = "" if sender is None else str(sender)
            self.transaction.options = parameters.options
            self.transaction.smtp_utf8 = parameters.options.utf8
        else:
            self._forget_recognition()
        self.send(answer)

    async def smtp_RCPT(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.3."""
        command = read_recipient(arg or "", self.facts, self.transaction, self.settings)
        if isinstance(command, Reply):
            self.send(command)
            return
        address = str(command.recipient)
        answer = await self.reception.handle_RCPT(self.facts, command.recipient, command.options)
        if 200 <= answer.code < 300:
            self.transaction.rcpt_tos.append(address)
            if command.options != NO_OPTIONS:
                self.transaction.recipient_options[address] = command.options
        elif answer.code >= 500:
            # What may be taken later tells nothing about who sends it.
            self._refused_recipients += 1
        self.send(answer)

    async def smtp_RSET(self, arg: str) -> None:
        """RFC 5321 section 4.1.1.5."""
        self.reset_transaction()
        self.send(reply.RESET)

    async def smtp_NOOP(self, arg: str) -> None:
        """RFC 5321 section 4.1.1.9."""
        self.send(reply.OK)

    async def smtp_QUIT(self, arg: str) -> None:
        """RFC 5321 section 4.1.1.10."""
        self.end(reply.BYE, "quit")

    async def smtp_HELP(self, arg: str) -> None:
        """RFC 5321 section 4.1.1.8."""
        self.send(reply.HELP)

    async def smtp_VRFY(self, arg: str) -> None:
        """RFC 5321 section 3.5.3: never tells who exists."""
        self.send(reply.CANNOT_VERIFY)

    async def smtp_EXPN(self, arg: str) -> None:
        """RFC 5321 section 3.5.1: there is nothing to expand."""
        self.send(reply.NOT_IMPLEMENTED)


def _unfit(command: Command | None, line: bytes) -> Reply | None:
    """Why a line can be no command at all."""
    if command is None:
        return reply.UNKNOWN_COMMAND
    return reply.LINE_TOO_LONG if len(line) + len(b"\r\n") > command.line_limit else None
