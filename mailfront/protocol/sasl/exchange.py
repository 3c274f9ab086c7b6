"""What a SASL exchange is made of, server side (RFC 4422).

A front starts an exchange and feeds it decoded responses. What comes back is a challenge for the
client, or a question for whoever judges credentials; nothing here checks a password. The answer to
the question goes back into the exchange, which may have more to say before success or failure is
told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import Credentials, ScramVerifier, VerifierRequest

Question: TypeAlias = Credentials | VerifierRequest
"""What the exchange must have answered before it goes on."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server says next, not yet in base64."""

    data: bytes


class ServerExchange:
    """One running exchange. `mechanism` is the registered name, upper case."""

    mechanism = ""

    @property
    def challenge(self) -> bytes:
        """The challenge to send now; empty where the mechanism begins with the client."""
        return b""

    def respond(self, response: bytes) -> Challenge | Question:
        """Take a decoded response (an initial one too). Raises `SaslError`."""
        raise NotImplementedError

    def supply(self, verifier: ScramVerifier) -> Challenge:
        """Take the answer to a `VerifierRequest`."""
        raise NotImplementedError

    def granted(self) -> Challenge | None:
        """The credentials were right: what the client must be told before success is.

        Its response then goes to `acknowledged`.
        """
        return None

    def refused(self) -> Challenge | None:
        """They were not: what the client must be told before failure is, whatever it responds."""
        return None

    def acknowledged(self, response: bytes) -> None:
        """Take the response to the challenge of `granted`, which must be empty.

        Raises `SaslError`.
        """
        if response:
            raise SaslError(SaslFault.INVALID, "a response to the last challenge is empty")


def decode_text(octets: bytes) -> str:
    """Return a name or password as text: UTF-8 without NUL (RFC 4616 section 2).

    Raises `SaslError`.
    """
    if b"\0" in octets:
        raise SaslError(SaslFault.INVALID, "a NUL octet inside a name or password")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        # The cause would show the octets, perhaps a password.
        raise SaslError(SaslFault.INVALID, "a name or password that is not UTF-8") from None
