"""The objects that a SASL exchange is made of, server side (RFC 4422).

A front starts an exchange, feeds it decoded responses, and gets back either a further challenge
or the credentials that the client offered. Nothing here checks a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.secret import Secret


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server says next, not yet in base64."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client offered: who to act as, who they are, and their password.

    `authorization` is empty where the client asks to act as itself (RFC 4422 section 3.4.1).
    """

    authorization: str
    login: str
    password: Secret


class ServerExchange(Protocol):
    """One running exchange of one mechanism."""

    @property
    def mechanism(self) -> str:
        """The registered name, upper case."""
        ...

    @property
    def challenge(self) -> bytes:
        """The challenge to send now; empty where the mechanism begins with the client."""
        ...

    def respond(self, response: bytes) -> Credentials | Challenge:
        """Take a decoded response (an initial one too). Raises `SaslError`."""
        ...


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
