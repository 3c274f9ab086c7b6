"""What EHLO offers, and the exchange that AUTH begins.

RFC 1870 (SIZE), 2034 (ENHANCEDSTATUSCODES), 2920 (PIPELINING), 3207 (STARTTLS), 4954 (AUTH), 6152
(8BITMIME), 6531 (SMTPUTF8).
"""

from __future__ import annotations

from functools import lru_cache

from mailfront.errors import LineTooLongError, SaslError, SaslFault
from mailfront.front.smtp.connection import SmtpConnection
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.protocol import sasl
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.commands import AUTH_LINE_LIMIT
from mailfront.protocol.smtp.reply import Reply

_SASL_REPLIES = {
    SaslFault.CANCELLED: reply.AUTHENTICATION_CANCELLED,
    SaslFault.MALFORMED: reply.AUTHENTICATION_MALFORMED,
    SaslFault.TOO_LONG: reply.AUTHENTICATION_TOO_LONG,
    SaslFault.INVALID: reply.AUTHENTICATION_MALFORMED,
    SaslFault.AUTHORIZATION: reply.AUTHENTICATION_FAILED,
}


@lru_cache(maxsize=64)
def ehlo_response(settings: SmtpSettings, *, tls: bool, login: bool) -> bytes:
    """The whole answer to EHLO: STARTTLS only before TLS, AUTH only where a login is possible."""
    keywords = [f"SIZE {settings.size_limit}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
    keywords.append("ENHANCEDSTATUSCODES")
    if settings.tls_available and not tls:
        keywords.append("STARTTLS")
    if login:
        keywords.append(f"AUTH {' '.join(sasl.MECHANISMS)}")
    keywords.append("HELP")
    lines = [f"250-{settings.hostname}", *(f"250-{keyword}" for keyword in keywords[:-1])]
    return "\r\n".join([*lines, f"250 {keywords[-1]}"]).encode("ascii")


async def exchange_credentials(
    connection: SmtpConnection, argument: str
) -> sasl.Credentials | Reply:
    """Run the exchange of `AUTH argument`; return what the client offered, or the refusal.

    Raises `SmtpRefusalError` and `PeerGoneError`.
    """
    mechanism, _, initial_response = argument.partition(" ")
    exchange = sasl.start(mechanism)
    if exchange is None:
        return reply.UNKNOWN_MECHANISM
    outcome: sasl.Challenge | sasl.Credentials = sasl.Challenge(exchange.challenge)
    try:
        if initial_response:
            outcome = exchange.respond(sasl.decode_initial_response(initial_response.encode()))
        while isinstance(outcome, sasl.Challenge):
            await connection.push(b"334 " + sasl.encode_challenge(outcome.data))
            response = await connection.next_line(AUTH_LINE_LIMIT)
            outcome = exchange.respond(sasl.decode_response(response))
    except SaslError as fault:
        return _SASL_REPLIES[fault.kind]
    except LineTooLongError:
        return reply.AUTHENTICATION_TOO_LONG
    return outcome
