"""A SASL exchange as IMAP and POP3 run it: base64 lines in, challenges and questions out.

After the answer to the last question a mechanism may have one more challenge for the client, whose
response ends the exchange: SCRAM proves that the server is the right one, OAUTHBEARER tells why it
refused.
"""

from __future__ import annotations

from mailfront.front.action import Ask
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.credentials import ScramVerifier
from mailfront.protocol import sasl


class Granted:
    """The exchange has succeeded, and the client knows."""


Step = bytes | Ask | Granted | Refusal
"""A challenge in base64, a question, or how the exchange ended."""


class SaslDialogue:
    """One AUTHENTICATE (IMAP) or AUTH (POP3) command."""

    __slots__ = ("_exchange", "_outcome")

    def __init__(self, exchange: sasl.ServerExchange) -> None:
        self._exchange = exchange
        self._outcome: Granted | Refusal | None = None

    def begin(self, initial_response: bytes | None) -> Step:
        """The first challenge, or at once a question. Raises `SaslError`."""
        if initial_response is None:
            return sasl.encode_challenge(self._exchange.challenge)
        return self._respond(sasl.decode_initial_response(initial_response))

    def line(self, text: bytes) -> Step:
        """Take the client's next line. Raises `SaslError`."""
        if isinstance(self._outcome, Refusal):
            # RFC 7628 section 3.2.3: whatever the response to the reason is, even a cancellation.
            return self._outcome
        response = sasl.decode_response(text)
        if self._outcome is not None:
            self._exchange.acknowledged(response)
            return self._outcome
        return self._respond(response)

    def supplied(self, verifier: ScramVerifier) -> Step:
        """Take the verifier that was asked for."""
        return sasl.encode_challenge(self._exchange.supply(verifier).data)

    def granted(self) -> Step:
        """The credentials were right."""
        return self._ended(Granted(), self._exchange.granted())

    def refused(self, refusal: Refusal) -> Step:
        """They were not, or nobody could tell."""
        return self._ended(refusal, self._exchange.refused())

    def _ended(self, outcome: Granted | Refusal, last_word: sasl.Challenge | None) -> Step:
        self._outcome = outcome
        return outcome if last_word is None else sasl.encode_challenge(last_word.data)

    def _respond(self, response: bytes) -> Step:
        outcome = self._exchange.respond(response)
        if isinstance(outcome, sasl.Challenge):
            return sasl.encode_challenge(outcome.data)
        return Ask(outcome, self._exchange.mechanism)
