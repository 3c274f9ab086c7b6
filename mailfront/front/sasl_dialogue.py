"""A SASL exchange as IMAP and POP3 run it: base64 lines in, challenges or credentials out."""

from __future__ import annotations

from mailfront.front.action import CheckPassword
from mailfront.protocol import sasl


class SaslDialogue:
    """One AUTHENTICATE (IMAP) or AUTH (POP3) command."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: sasl.ServerExchange) -> None:
        self._exchange = exchange

    def begin(self, initial_response: bytes | None) -> bytes | CheckPassword:
        """The first challenge in base64, or at once the credentials. Raises `SaslError`."""
        if initial_response is None:
            return sasl.encode_challenge(self._exchange.challenge)
        return self._respond(sasl.decode_initial_response(initial_response))

    def line(self, text: bytes) -> bytes | CheckPassword:
        """Take the client's next line. Returns and raises as `begin`."""
        return self._respond(sasl.decode_response(text))

    def _respond(self, response: bytes) -> bytes | CheckPassword:
        outcome = self._exchange.respond(response)
        if isinstance(outcome, sasl.Challenge):
            return sasl.encode_challenge(outcome.data)
        return CheckPassword(outcome.login, outcome.password, self._exchange.mechanism)
