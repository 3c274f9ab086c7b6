"""The LOGIN mechanism, server side: name and password in two responses.

Never standardised; the prompts and the order are those of draft-murchison-sasl-login-00, which
clients compare literally.
"""

from __future__ import annotations

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import PasswordCredentials
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.exchange import Challenge, ServerExchange, decode_text


class LoginExchange(ServerExchange):
    """A LOGIN exchange. An initial response, where the client sends one, is the name."""

    mechanism = "LOGIN"

    def __init__(self) -> None:
        self._login: str | None = None

    @property
    def challenge(self) -> bytes:
        """The prompt for what is asked next."""
        return b"Username:" if self._login is None else b"Password:"

    def respond(self, response: bytes) -> PasswordCredentials | Challenge:
        """Take the name, then the password; raises `SaslError` if either is empty or not text."""
        text = decode_text(response)
        if not text:
            raise SaslError(SaslFault.INVALID, "LOGIN needs a name and a password")
        if self._login is None:
            self._login = text
            return Challenge(self.challenge)
        return PasswordCredentials("", self._login, Secret(text))
