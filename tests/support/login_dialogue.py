"""A written conversation with a front's state machine: octets in, what it would do out."""

from __future__ import annotations

from collections.abc import Callable

from mailfront.front.action import (
    Action,
    CheckPassword,
    Close,
    FrontState,
    HandOver,
    SecurityEvent,
    Send,
    StartTls,
)
from mailfront.front.settings import FrontSettings
from mailfront.interfaces.authenticator import Refusal

WRONG = Refusal("Wrong name or password", "wrong password")


def front_settings(
    *, tls_available: bool = True, plaintext_minimum_cipher: int = 128, bad_command_limit: int = 20
) -> FrontSettings:
    """Settings as a server has them by default."""
    return FrontSettings(
        banner="mail.example.test ready",
        tls_available=tls_available,
        plaintext_minimum_cipher=plaintext_minimum_cipher,
        login_timeout=60,
        idle_timeout=1800,
        bad_command_limit=bad_command_limit,
    )


def refuse_all(check: CheckPassword) -> Refusal | None:
    """Nobody's password is right."""
    return WRONG


def grant_all(check: CheckPassword) -> Refusal | None:
    """Everybody's password is right."""
    return None


class LoginDialogue:
    """Carries out the actions of `state` in memory, and keeps what they were.

    `judge` gives the refusal of a login, or None to grant it. A handshake waits for `handshake`
    and agrees on a cipher of `cipher_bits`.
    """

    def __init__(
        self,
        state: FrontState,
        judge: Callable[[CheckPassword], Refusal | None] = refuse_all,
        *,
        cipher_bits: int = 256,
    ) -> None:
        self.sent = b""
        self.checks: list[tuple[str, str, str]] = []
        self.events: list[str] = []
        self.closed: str | None = None
        self.upgrading = False
        self.handed_over: HandOver | None = None
        self._state = state
        self._judge = judge
        self._cipher_bits = cipher_bits
        self._perform(state.greet(cipher_bits))
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
        self._perform(self._state.tls_established(self._cipher_bits))

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
                case HandOver():
                    self.handed_over = action
                case CheckPassword():
                    self._check(action)

    def _check(self, check: CheckPassword) -> None:
        self.checks.append((check.login, check.password.reveal(), check.method))
        refusal = self._judge(check)
        if refusal is None:
            self._perform(self._state.authenticated())
        else:
            self._perform(self._state.refused(refusal))
            self._perform(self._state.receive(b""))
