"""What the conversations of IMAP and POP3 before the login have in common.

Where the conversation stands, SASL, the bounds on mistakes, and the two attacks that both ports
see: commands pipelined behind STARTTLS, and browsers. Events in, actions out (`FrontState`); the
commands, and the words of every reply, are the protocol's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto

from mailfront.errors import LineTooLongError, SaslError, SaslFault
from mailfront.front.action import (
    Action,
    Ask,
    AskForHolder,
    Close,
    Farewell,
    HandOver,
    SecurityEvent,
    Send,
    StartTls,
    Told,
)
from mailfront.front.login_channel import CLEAR, LoginChannel
from mailfront.front.sasl_dialogue import SaslDialogue, Step
from mailfront.front.settings import FrontSettings
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.credentials import PasswordCredentials, ScramVerifier
from mailfront.interfaces.forwarded_client import NOTHING_TOLD, ForwardedClient
from mailfront.interfaces.secret import Secret
from mailfront.protocol import sasl
from mailfront.protocol.receive_buffer import ReceiveBuffer


class State(Enum):
    """Where the conversation stands."""

    PLAIN = auto()
    TLS_PENDING = auto()
    SECURE = auto()
    SASL = auto()
    CHECKING = auto()
    ENDED = auto()


# Where commands are taken. In SASL the client's lines are responses; elsewhere input waits.
TALKING = frozenset({State.PLAIN, State.SECURE})
_READING = TALKING | {State.SASL}


class LoginState(ABC):
    """One connection's conversation until it is authenticated."""

    def __init__(self, settings: FrontSettings, *, secure: bool) -> None:
        self._settings = settings
        self._buffer = ReceiveBuffer()
        self._state = State.SECURE if secure else State.PLAIN
        self._resume_state = self._state
        self._channel = CLEAR
        self._greeted = False
        self._dialogue: SaslDialogue | None = None
        self._login_tag = b""
        self._bad_commands = 0
        self._failed_logins = 0

    # Events: `FrontState`.

    def greet(self, channel: LoginChannel) -> list[Action]:
        """Part of `FrontState`: who has a certificate may be logged in before a word is said."""
        if self._state is State.SECURE:
            self._channel = channel
            if self._settings.login.preauthenticated and channel.certificate:
                self._resume_state, self._state = self._state, State.CHECKING
                return [AskForHolder()]
        elif channel.is_front_end:
            self._channel = LoginChannel(is_front_end=True)
        return self._greeting()

    def receive(self, data: bytes) -> list[Action]:
        """Part of `FrontState`."""
        self._buffer.feed(data)
        actions: list[Action] = []
        while self._state in _READING:
            step = self._next_response() if self._state is State.SASL else self._next_command()
            if step is None:
                break
            actions += step
        return actions

    def tls_established(self, channel: LoginChannel) -> list[Action]:
        """Part of `FrontState`: RFC 9051 section 6.2.1 and RFC 2595 section 4, everything learnt
        in clear is forgotten."""
        self._buffer.clear()
        self._state = State.SECURE
        self._channel = channel
        self._bad_commands = self._failed_logins = 0
        self._forget()
        return []

    def authenticated(self) -> list[Action]:
        """Part of `FrontState`."""
        if self._dialogue is not None:
            return self._sasl_step(self._dialogue.granted())
        return self._hand_over()

    def refused(self, refusal: Refusal) -> list[Action]:
        """Part of `FrontState`."""
        if not self._greeted:
            self._state = self._resume_state
            return self._greeting()
        if self._dialogue is not None:
            return self._sasl_step(self._dialogue.refused(refusal))
        return self._login_failed(refusal)

    def supplied(self, verifier: ScramVerifier) -> list[Action]:
        """Part of `FrontState`."""
        assert self._dialogue is not None
        return self._sasl_step(self._dialogue.supplied(verifier))

    def end(self, farewell: Farewell) -> list[Action]:
        """Part of `FrontState`. In the middle of a handshake there is no way to say a word."""
        speechless = self._state is State.TLS_PENDING
        self._dialogue = None
        self._state = State.ENDED
        self._buffer.clear()
        actions: list[Action] = [] if speechless else [Send(self._farewell_line(farewell))]
        return [*actions, Close(farewell.reason)]

    # What a protocol supplies.

    @abstractmethod
    def _greeting_line(self) -> bytes:
        """What the server says first."""

    @abstractmethod
    def _next_command(self) -> list[Action] | None:
        """Answer the next command; None if more must be received first."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget what the client said in clear."""

    @abstractmethod
    def _refusal_line(self, refusal: Refusal) -> bytes:
        """The answer to a login that was not granted."""

    @abstractmethod
    def _sasl_refusal_line(self, fault: SaslFault) -> bytes:
        """The answer to a SASL exchange that failed."""

    @abstractmethod
    def _farewell_line(self, farewell: Farewell) -> bytes:
        """What the client is told when the server ends the session."""

    # For the commands of a protocol.

    def _mechanisms(self) -> tuple[str, ...]:
        return self._settings.login.offered(self._channel)

    def _passwords_allowed(self) -> bool:
        return self._settings.login.takes_passwords(self._channel)

    def _passwords_ever_allowed(self) -> bool:
        return self._settings.login.takes_passwords_ever()

    def _offers_tls(self) -> bool:
        return self._state is State.PLAIN and self._settings.tls_available

    def _start_tls(self, invitation: bytes) -> list[Action]:
        """RFC 9051 section 11.1, RFC 2595 section 4: what is pipelined behind the command is
        never executed."""
        if len(self._buffer):
            return self._attack(
                "starttls_injection", "STARTTLS injection: octets in clear behind it"
            )
        self._state = State.TLS_PENDING
        return [Send(invitation), StartTls()]

    def _told(self, client: ForwardedClient) -> list[Action]:
        """Of whom we do not trust, only what narrows their own way."""
        believed = client if self._channel.is_front_end else client.limits_alone()
        return [] if believed == NOTHING_TOLD else [Told(believed)]

    def _check_password(self, login: str, password: str, method: str) -> list[Action]:
        self._resume_state, self._state = self._state, State.CHECKING
        return [Ask(PasswordCredentials("", login, Secret(password)), method)]

    def _start_sasl(self, mechanism: str) -> sasl.ServerExchange | None:
        return sasl.start(
            mechanism,
            self._mechanisms(),
            channel_binding=self._channel.channel_binding,
            discovery=self._settings.login.discovery,
        )

    def _begin_sasl(
        self, exchange: sasl.ServerExchange, initial_response: bytes | None
    ) -> list[Action]:
        self._resume_state = self._state
        dialogue = self._dialogue = SaslDialogue(exchange)
        try:
            return self._sasl_step(dialogue.begin(initial_response))
        except SaslError as fault:
            return self._sasl_failed(fault)

    def _bad(self, reply: bytes) -> list[Action]:
        """Answer a command that makes no sense; too many of them end the session."""
        self._bad_commands += 1
        actions: list[Action] = [Send(reply)]
        if self._bad_commands >= self._settings.bad_command_limit:
            actions += self.end(Farewell("Too many invalid commands", "too many invalid commands"))
        return actions

    def _too_long(self) -> list[Action]:
        return self.end(Farewell("Command too large", "command too large"))

    def _http_request(self) -> list[Action]:
        return self._attack("http_request", "an HTTP request on a mail port")

    # Inside.

    def _attack(self, name: str, text: str) -> list[Action]:
        """No word to whom is no mail client; nothing further is executed."""
        self._state = State.ENDED
        self._buffer.clear()
        return [SecurityEvent(name, text), Close(text)]

    def _next_response(self) -> list[Action] | None:
        assert self._dialogue is not None
        try:
            text = self._buffer.next_line(sasl.MAXIMUM_RESPONSE_OCTETS)
            return None if text is None else self._sasl_step(self._dialogue.line(text))
        except LineTooLongError:
            return self._too_long()
        except SaslError as fault:
            return self._sasl_failed(fault)

    def _greeting(self) -> list[Action]:
        self._greeted = True
        return [Send(self._greeting_line())]

    def _hand_over(self) -> list[Action]:
        self._state, self._dialogue = State.ENDED, None
        return [HandOver(self._login_tag, self._buffer.take_at_most(len(self._buffer)))]

    def _login_failed(self, refusal: Refusal) -> list[Action]:
        self._state = self._resume_state
        self._failed_logins += 1
        actions: list[Action] = [Send(self._refusal_line(refusal))]
        if self._failed_logins >= self._settings.failed_login_limit:
            actions += self.end(Farewell("Too many failed logins", "too many failed logins"))
        return actions

    def _sasl_step(self, step: Step) -> list[Action]:
        if isinstance(step, Ask):
            self._state = State.CHECKING
            return [step]
        if isinstance(step, bytes):
            self._state = State.SASL
            return [Send(b"+ %s\r\n" % step)]
        self._dialogue = None
        return self._login_failed(step) if isinstance(step, Refusal) else self._hand_over()

    def _sasl_failed(self, fault: SaslError) -> list[Action]:
        self._state, self._dialogue = self._resume_state, None
        actions = self._bad(self._sasl_refusal_line(fault.kind))
        if fault.kind is SaslFault.DOWNGRADE:
            return [SecurityEvent("scram_downgrade", str(fault)), *actions]
        return actions
