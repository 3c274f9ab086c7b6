"""A written conversation with a front's state machine: octets in, what it would do out."""

from __future__ import annotations

from collections.abc import Callable

from mailfront.front.action import (
    Action,
    Ask,
    AskForHolder,
    Close,
    FrontState,
    HandOver,
    SecurityEvent,
    Send,
    StartTls,
    Told,
)
from mailfront.front.login_channel import LoginChannel
from mailfront.front.login_policy import LoginPolicy
from mailfront.front.settings import FrontSettings
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.credentials import PasswordCredentials, ScramVerifier, VerifierRequest
from mailfront.interfaces.forwarded_client import ForwardedClient
from tests.support.scram_client import verifier_of

WRONG = Refusal("Wrong name or password", "wrong password")

Answer = Refusal | ScramVerifier | None
Judge = Callable[[Ask | AskForHolder], Answer]


def front_settings(
    *,
    tls_available: bool = True,
    plaintext_minimum_cipher: int = 128,
    bad_command_limit: int = 20,
    login: LoginPolicy | None = None,
) -> FrontSettings:
    """Settings as a server has them by default."""
    return FrontSettings(
        banner="mail.example.test ready",
        tls_available=tls_available,
        login=login or LoginPolicy(plaintext_minimum_cipher=plaintext_minimum_cipher),
        login_timeout=60,
        idle_timeout=1800,
        bad_command_limit=bad_command_limit,
    )


def refuse_all(ask: Ask | AskForHolder) -> Answer:
    """Nobody's password is right."""
    return WRONG


def grant_all(ask: Ask | AskForHolder) -> Answer:
    """Everybody's password is right."""
    return None


class LoginDialogue:
    """Carries out the actions of `state` in memory, and keeps what they were.

    `judge` gives the refusal of a login, a verifier, or None to grant it. A handshake waits for
    `handshake` and agrees on `channel`, a cipher of `cipher_bits` unless it is given.
    """

    def __init__(
        self,
        state: FrontState,
        judge: Judge = refuse_all,
        *,
        cipher_bits: int = 256,
        channel: LoginChannel | None = None,
    ) -> None:
        self.sent = b""
        self.checks: list[tuple[str, str, str]] = []
        self.asked: list[Ask | AskForHolder] = []
        self.events: list[str] = []
        self.told: list[ForwardedClient] = []
        self.closed: str | None = None
        self.upgrading = False
        self.handed_over: HandOver | None = None
        self._state = state
        self._judge = judge
        self._channel = channel or LoginChannel(cipher_bits)
        self._perform(state.greet(self._channel))
        self.greeting, self.sent = self.sent, b""

    def say(self, *lines: str | bytes) -> list[bytes]:
        """Send lines in one piece; return the lines that came back."""
        encoded = (line if isinstance(line, bytes) else line.encode() for line in lines)
        return self.send(b"".join(line + b"\r\n" for line in encoded))

    def send(self, data: bytes) -> list[bytes]:
        """Send octets in one piece; return the lines that came back."""
        before = len(self.sent)
        if self.closed is None and not self.upgrading and self.handed_over is None:
            self._perform(self._state.receive(data))
        return self.sent[before:].split(b"\r\n")[:-1]

    def handshake(self) -> None:
        """Finish the handshake that the state asked for."""
        assert self.upgrading
        self.upgrading = False
        self._perform(self._state.tls_established(self._channel))

    def outcome(self) -> tuple[object, ...]:
        """Everything that happened."""
        return (
            self.sent, self.checks, self.events, self.closed, self.upgrading, self.handed_over,
        )  # fmt: skip

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            assert self.closed is None, f"{action} after the end"
            assert not self.upgrading, f"{action} in the middle of the handshake"
            match action:
                case Send(data):
                    assert data.endswith(b"\r\n")
                    self.sent += data
                case SecurityEvent(name, _):
                    self.events.append(name)
                case Close(reason):
                    self.closed = reason
                case StartTls():
                    self.upgrading = True
                case Told(client):
                    self.told.append(client)
                case HandOver():
                    self.handed_over = action
                case Ask() | AskForHolder():
                    self._ask(action)

    def _ask(self, ask: Ask | AskForHolder) -> None:
        self.asked.append(ask)
        if isinstance(ask, Ask) and isinstance(ask.question, PasswordCredentials):
            offered = ask.question
            self.checks.append((offered.login, offered.password.reveal(), ask.method))
        answer = self._judge(ask)
        if answer is None and isinstance(ask, Ask) and isinstance(ask.question, VerifierRequest):
            answer = verifier_of("secret")
        if isinstance(answer, ScramVerifier):
            self._perform(self._state.supplied(answer))
        elif answer is None:
            self._perform(self._state.authenticated())
        else:
            self._perform(self._state.refused(answer))
        if self.handed_over is None and self.closed is None:
            self._perform(self._state.receive(b""))
