"""SASL, server side and without input or output: mechanisms, exchanges and their base64.

A front calls `start`, sends `exchange.challenge` unless there is an initial response, and feeds
`exchange.respond(decode_response(line))` until it has a question. `SaslError.kind` says which of
its own replies fits a failure.
"""

from mailfront.errors import SaslError, SaslFault
from mailfront.protocol.sasl.exchange import Challenge, Question, ServerExchange
from mailfront.protocol.sasl.negotiation import (
    MAXIMUM_RESPONSE_OCTETS,
    MECHANISMS,
    decode_initial_response,
    decode_response,
    encode_challenge,
    start,
)

__all__ = [
    "MAXIMUM_RESPONSE_OCTETS",
    "MECHANISMS",
    "Challenge",
    "Question",
    "SaslError",
    "SaslFault",
    "ServerExchange",
    "decode_initial_response",
    "decode_response",
    "encode_challenge",
    "start",
]
