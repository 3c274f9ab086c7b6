"""What a front's state machine tells its shell to do. The shell decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailfront.front.login_channel import LoginChannel
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.credentials import ScramVerifier
from mailfront.interfaces.forwarded_client import ForwardedClient
from mailfront.protocol import sasl


@dataclass(frozen=True, slots=True)
class Send:
    """Send these octets."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Upgrade to TLS, after what was sent; then call `tls_established` on the state."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the authenticator about `question`, which came by `method`; then call `authenticated`,
    `refused`, or `supplied` with the verifier that was asked for."""

    question: sasl.Question
    method: str


@dataclass(frozen=True, slots=True)
class AskForHolder:
    """Ask whom the client's certificate logs in; then call `authenticated` or `refused`."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the session to the backend. `tag` is the login's (IMAP; empty where there was no
    greeting yet), `leftover` is unread input."""

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


@dataclass(frozen=True, slots=True)
class Told:
    """From now on the client is the one of whom a front end before us tells."""

    client: ForwardedClient


Action = Send | StartTls | Ask | AskForHolder | HandOver | Close | SecurityEvent | Told


class FrontState(Protocol):
    """A front's state machine: events in, actions out, no input or output of its own."""

    def greet(self, channel: LoginChannel) -> list[Action]:
        """The connection is ready: in clear, or after implicit TLS."""
        ...

    def receive(self, data: bytes) -> list[Action]:
        """Octets have arrived; with none, go on with those that waited."""
        ...

    def tls_established(self, channel: LoginChannel) -> list[Action]:
        """The handshake that `StartTls` asked for is done."""
        ...

    def authenticated(self) -> list[Action]:
        """The credentials of `Ask` were right: hand over, now or once the client was told more."""
        ...

    def refused(self, refusal: Refusal) -> list[Action]:
        """They were not."""
        ...

    def supplied(self, verifier: ScramVerifier) -> list[Action]:
        """This is the verifier that `Ask` was for."""
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
KICKED_OUT = Farewell("An administrator ended this session", "ended by the administrator")
