"""Choosing a SASL mechanism, and base64 as SMTP, IMAP and POP3 wrap it around the messages.

RFC 4954 section 4 (SMTP), RFC 9051 section 6.2.2 and RFC 4959 (IMAP), RFC 5034 (POP3) agree:
strict base64, `*` alone cancels, `=` alone is an initial response that is present and empty.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

from mailfront.errors import SaslError, SaslFault
from mailfront.protocol.sasl.exchange import ServerExchange
from mailfront.protocol.sasl.external import ExternalExchange
from mailfront.protocol.sasl.login import LoginExchange
from mailfront.protocol.sasl.oauth_bearer import OAuthBearerExchange, XOAuth2Exchange
from mailfront.protocol.sasl.plain import PlainExchange
from mailfront.protocol.sasl.scram import MECHANISM, PLUS, ChannelBinding, ScramExchange

MECHANISMS = ("EXTERNAL", PLUS, MECHANISM, "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN")
"""What can be started, in the order in which a front announces it: the stronger first."""

MAXIMUM_RESPONSE_OCTETS = 12288
"""The longest response in base64 (RFC 4954 section 4)."""


def start(
    mechanism: str,
    offered: Collection[str],
    *,
    channel_binding: ChannelBinding | None = None,
    discovery: str = "",
) -> ServerExchange | None:
    """Return a new exchange, or None if the mechanism (in any letter case) is not offered.

    `offered` is what the client was told; PLUS needs `channel_binding`. `discovery` is for the
    failures of OAUTHBEARER.
    """
    name = mechanism.upper()
    if name not in offered:
        return None
    match name:
        case "PLAIN":
            return PlainExchange()
        case "LOGIN":
            return LoginExchange()
        case "EXTERNAL":
            return ExternalExchange()
        case "OAUTHBEARER":
            return OAuthBearerExchange(discovery)
        case "XOAUTH2":
            return XOAuth2Exchange()
        case "SCRAM-SHA-256":
            return ScramExchange(plus_offered=PLUS in offered)
        case "SCRAM-SHA-256-PLUS":
            return ScramExchange(bound=True, channel_binding=channel_binding)
    return None


def decode_response(text: bytes) -> bytes:
    """Return the octets of a response line (without its end of line).

    Raises `SaslError`: CANCELLED for `*`, TOO_LONG, or MALFORMED for anything but base64.
    """
    if text == b"*":
        raise SaslError(SaslFault.CANCELLED, "the client cancelled")
    return _decode_base64(text)


def decode_initial_response(text: bytes) -> bytes:
    """Return the octets of an initial response, the argument of the command itself.

    `=` alone stands for an empty one. Raises `SaslError`: TOO_LONG, or MALFORMED for anything
    but base64, `*` and an empty argument among it.
    """
    if text == b"=":
        return b""
    if not text:
        raise SaslError(SaslFault.MALFORMED, "an empty initial response is written as =")
    return _decode_base64(text)


def encode_challenge(challenge: bytes) -> bytes:
    """Return a challenge in base64, without line breaks."""
    return base64.b64encode(challenge)


def _decode_base64(text: bytes) -> bytes:
    if len(text) > MAXIMUM_RESPONSE_OCTETS:
        raise SaslError(SaslFault.TOO_LONG, "a response longer than RFC 4954 allows")
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslError(SaslFault.MALFORMED, "a response that is not base64") from None
    # Python skips over bits that RFC 4648 section 3.5 wants to be zero; one spelling only.
    if base64.b64encode(octets) != text:
        raise SaslError(SaslFault.MALFORMED, "a response that is not canonical base64")
    return octets
