"""What EHLO offers, and the exchange that AUTH begins.

RFC 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3030 (CHUNKING), 3207 (STARTTLS),
3461 (DSN), 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8), 8689 (REQUIRETLS).
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from mailfront.errors import LineTooLongError, SaslError, SaslFault
from mailfront.front.smtp.connection import SmtpConnection
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.interfaces.credentials import ScramVerifier
from mailfront.interfaces.mail_relay import RelayOffer
from mailfront.protocol import sasl
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.commands import AUTH_LINE_LIMIT
from mailfront.protocol.smtp.reply import Reply

_SASL_REPLIES = {
    SaslFault.CANCELLED: reply.AUTHENTICATION_CANCELLED,
    SaslFault.MALFORMED: reply.AUTHENTICATION_MALFORMED,
    SaslFault.TOO_LONG: reply.AUTHENTICATION_TOO_LONG,
    SaslFault.INVALID: reply.AUTHENTICATION_MALFORMED,
    SaslFault.DOWNGRADE: reply.AUTHENTICATION_FAILED,
}


_EVERYTHING = RelayOffer()


def size_limit(settings: SmtpSettings, offer: RelayOffer) -> int:
    """How large a message may be: our limit, or the one of the server behind us. Never 0, which
    would tell that there is no limit (RFC 1870 section 4)."""
    behind = offer.size_limit
    return settings.size_limit if behind is None else max(min(settings.size_limit, behind), 1)


@lru_cache(maxsize=64)
def ehlo_response(
    settings: SmtpSettings,
    *,
    tls: bool,
    mechanisms: tuple[str, ...],
    offer: RelayOffer = _EVERYTHING,
    upgradable: bool = True,
) -> bytes:
    """The whole answer to EHLO: STARTTLS only before TLS and where the channel is `upgradable`,
    REQUIRETLS only within it (RFC 8689 section 2), AUTH only where a login is possible."""
    keywords = [f"SIZE {size_limit(settings, offer)}"]
    if offer.eight_bit:
        keywords.append("8BITMIME")
    if offer.utf8:
        keywords.append("SMTPUTF8")
    if offer.dsn:
        keywords.append("DSN")
    if offer.require_tls and tls:
        keywords.append("REQUIRETLS")
    keywords += ["PIPELINING", "ENHANCEDSTATUSCODES", "CHUNKING"]
    if settings.tls_available and upgradable and not tls:
        keywords.append("STARTTLS")
    if mechanisms:
        keywords.append(f"AUTH {' '.join(mechanisms)}")
    keywords.append("HELP")
    lines = [f"250-{settings.hostname}", *(f"250-{keyword}" for keyword in keywords[:-1])]
    return "\r\n".join([*lines, f"250 {keywords[-1]}"]).encode("ascii")


class AuthExchange:
    """The exchange of one AUTH command: SASL in lines of an SMTP connection."""

    def __init__(self, connection: SmtpConnection, exchange: sasl.ServerExchange) -> None:
        self._connection = connection
        self._exchange = exchange

    async def begin(self, initial_response: str) -> sasl.Question | Reply:
        """Return what the client offers, or the refusal.

        Raises `SmtpRefusalError` and `PeerGoneError`, as all methods do.
        """
        if not initial_response:
            return await self._challenged(sasl.Challenge(self._exchange.challenge))
        try:
            response = sasl.decode_initial_response(initial_response.encode())
            return await self._challenged(self._exchange.respond(response))
        except SaslError as fault:
            return _SASL_REPLIES[fault.kind]

    async def supplied(self, verifier: ScramVerifier) -> sasl.Question | Reply:
        """Go on with the verifier that was asked for."""
        return await self._challenged(self._exchange.supply(verifier))

    async def granted(self) -> Reply | None:
        """Tell the client what it must hear before success is told; return why there is none."""
        last_word = self._exchange.granted()
        if last_word is None:
            return None
        try:
            self._exchange.acknowledged(await self._response(last_word))
        except SaslError as fault:
            return _SASL_REPLIES[fault.kind]
        except LineTooLongError:
            return reply.AUTHENTICATION_TOO_LONG
        return None

    async def refused(self) -> None:
        """Tell the client what it must hear before failure is told."""
        last_word = self._exchange.refused()
        if last_word is not None:
            # RFC 7628 section 3.2.3: whatever the response is.
            with suppress(SaslError, LineTooLongError):
                await self._response(last_word)

    async def _challenged(self, outcome: sasl.Challenge | sasl.Question) -> sasl.Question | Reply:
        try:
            while isinstance(outcome, sasl.Challenge):
                outcome = self._exchange.respond(await self._response(outcome))
        except SaslError as fault:
            return _SASL_REPLIES[fault.kind]
        except LineTooLongError:
            return reply.AUTHENTICATION_TOO_LONG
        return outcome

    async def _response(self, challenge: sasl.Challenge) -> bytes:
        await self._connection.push(b"334 " + sasl.encode_challenge(challenge.data))
        return sasl.decode_response(await self._connection.next_line(AUTH_LINE_LIMIT))
