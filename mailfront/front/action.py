"""What a front's state machine tells its shell to do. The shell decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.secret import Secret


@dataclass(frozen=True, slots=True)
class Send:
    """Send these octets."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Upgrade to TLS, after what was sent; then call `tls_established` on the state."""


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Ask the authenticator; then call `authenticated` or `refused` on the state."""

    login: str
    password: Secret
    method: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the session to the backend. `tag` is the login's (IMAP), `leftover` is unread input."""

    tag: bytes
    leftover: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection, with the reason for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Count and log something that only an attacker or a broken client does."""

    name: str
    text: str


Action = Send | StartTls | CheckPassword | HandOver | Close | SecurityEvent


class FrontState(Protocol):
    """A front's state machine: events in, actions out, no input or output of its own."""

    def greet(self, cipher_bits: int) -> list[Action]:
        """The connection is ready: in clear, or after implicit TLS with a cipher so strong."""
        ...

    def receive(self, data: bytes) -> list[Action]:
        """Octets have arrived; with none, go on with those that waited."""
        ...

    def tls_established(self, cipher_bits: int) -> list[Action]:
        """The handshake that `StartTls` asked for is done, with a cipher so strong."""
        ...

    def authenticated(self) -> list[Action]:
        """The credentials of `CheckPassword` were right."""
        ...

    def refused(self, refusal: Refusal) -> list[Action]:
        """They were not."""
        ...

    def end(self, farewell: Farewell) -> list[Action]:
        """The server ends the session."""
        ...


@dataclass(frozen=True, slots=True)
class Farewell:
    """Why the server ends a session: `text` for the client, `reason` for the log."""

    text: str
    reason: str


TOO_SLOW = Farewell("Too long without a login", "login time-out")
STOPPING = Farewell("Server is shutting down", "server stopping")
