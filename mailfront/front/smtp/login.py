"""AUTH on the submission ports (RFC 4954): which mechanisms, the exchange, and its replies."""

from __future__ import annotations

from mailfront.front.agreed_channel import channel_of
from mailfront.front.login_channel import CLEAR, LoginChannel
from mailfront.front.login_policy import PLAINTEXT, LoginPolicy
from mailfront.front.smtp.connection import SmtpConnection
from mailfront.front.smtp.extensions import AuthExchange
from mailfront.interfaces.authenticator import Authenticator, Identity, LoginClient, Refusal
from mailfront.interfaces.credentials import VerifierRequest
from mailfront.protocol import sasl
from mailfront.protocol.sasl.scram import PLUS
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.reply import Reply

SERVICE = "imta"


class SmtpLogin:
    """The logins of one connection, made anew when TLS begins; `offered` only where users submit
    mail."""

    def __init__(
        self, connection: SmtpConnection, authenticator: Authenticator, *, offered: bool
    ) -> None:
        self._offered = offered
        self._policy: LoginPolicy = connection.settings.login
        self._authenticator = authenticator
        self._channel: LoginChannel = CLEAR
        if offered:
            binding = PLUS in self._policy.mechanisms
            self._channel = channel_of(connection.client, SERVICE, authenticator, binding=binding)

    def mechanisms(self) -> tuple[str, ...]:
        """Return what is offered over this connection."""
        return self._policy.offered(self._channel) if self._offered else ()

    def impossible(self) -> Reply:
        """Why no mechanism, or none that sends the password as such, is taken here."""
        if not self._policy.takes_passwords_ever():
            return reply.NO_PASSWORDS
        return reply.CIPHER_TOO_WEAK if self._channel.cipher_bits else reply.ENCRYPTION_REQUIRED

    async def run(self, connection: SmtpConnection, argument: str) -> Identity | Reply:
        """Run `AUTH argument`; return who logged in, or the refusal.

        Raises `SmtpRefusalError` and `PeerGoneError`.
        """
        mechanism, _, initial_response = argument.partition(" ")
        exchange = sasl.start(
            mechanism,
            self.mechanisms(),
            channel_binding=self._channel.channel_binding,
            discovery=self._policy.discovery,
        )
        if exchange is None:
            plaintext = mechanism.upper() in PLAINTEXT
            refused = plaintext and not self._policy.takes_passwords(self._channel)
            return self.impossible() if refused else reply.UNKNOWN_MECHANISM
        facts = connection.client.tls_facts
        client = LoginClient(
            SERVICE,
            connection.client.peer,
            exchange.mechanism,
            facts.client_certificate if facts is not None else None,
        )
        dialogue = AuthExchange(connection, exchange)
        question = await dialogue.begin(initial_response)
        if isinstance(question, VerifierRequest):
            verifier = await self._authenticator.scram_verifier(client, question.login)
            if isinstance(verifier, Refusal):
                return reply_to(verifier)
            question = await dialogue.supplied(verifier)
        if isinstance(question, Reply):
            return question
        assert not isinstance(question, VerifierRequest), "one verifier is enough"
        connection.suspend_deadline()
        outcome = await self._authenticator.authenticate(client, question)
        if isinstance(outcome, Refusal):
            await dialogue.refused()
            return reply_to(outcome)
        return await dialogue.granted() or outcome


def reply_to(refusal: Refusal) -> Reply:
    """Return the reply to a login that was not granted."""
    if refusal.temporary:
        return reply.AUTHENTICATION_UNAVAILABLE
    return reply.AUTHENTICATION_FAILED
