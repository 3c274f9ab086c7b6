"""The POP3 conversation before authentication, as a state machine without input or output.

RFC 1939 (AUTHORIZATION state), RFC 2449 (CAPA and response codes), RFC 2595 section 4 (STLS),
RFC 5034 (AUTH), RFC 3206 (AUTH and SYS response codes).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from mailfront.errors import LineTooLongError, SaslError, SaslFault
from mailfront.front.action import (
    Action,
    CheckPassword,
    Close,
    Farewell,
    HandOver,
    SecurityEvent,
    Send,
    StartTls,
)
from mailfront.front.sasl_dialogue import SaslDialogue
from mailfront.front.settings import HTTP_VERBS, FrontSettings
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.secret import Secret
from mailfront.protocol import sasl
from mailfront.protocol.receive_buffer import ReceiveBuffer

# RFC 2449 section 4: commands are at most 255 octets, line end included; AUTH carries an initial
# response in its line, so it alone may be longer (RFC 5034 section 4).
LINE_LIMIT = 253
_AUTH_LINE_LIMIT = sasl.MAXIMUM_RESPONSE_OCTETS + LINE_LIMIT

_REFUSED = {
    SaslFault.CANCELLED: b"Authentication cancelled",
    SaslFault.MALFORMED: b"Invalid base64 response",
    SaslFault.TOO_LONG: b"Response too long",
    SaslFault.INVALID: b"[AUTH] Invalid credentials",
    SaslFault.AUTHORIZATION: b"[AUTH] Acting as another user is refused",
}


class State(Enum):
    """Where the conversation stands."""

    PLAIN = auto()
    TLS_PENDING = auto()
    SECURE = auto()
    SASL = auto()
    CHECKING = auto()
    ENDED = auto()


_TALKING = frozenset({State.PLAIN, State.SECURE})

# Command: the states in which it is legal. RFC 2595 section 4: no STLS inside TLS.
COMMANDS: dict[bytes, frozenset[State]] = {
    b"CAPA": _TALKING,
    b"QUIT": _TALKING,
    b"STLS": frozenset({State.PLAIN}),
    b"USER": _TALKING,
    b"PASS": _TALKING,
    b"AUTH": _TALKING,
}


class PopFront:
    """One connection's conversation until it is authenticated."""

    def __init__(self, settings: FrontSettings, *, secure: bool) -> None:
        self._settings = settings
        self._buffer = ReceiveBuffer()
        self._state = State.SECURE if secure else State.PLAIN
        self._dialogue: SaslDialogue | None = None
        self._resume_state = self._state
        self._user = ""
        self._bad_commands = 0
        self._failed_logins = 0
        self._handlers: dict[bytes, Callable[[bytes], list[Action]]] = {
            b"CAPA": self._capa,
            b"QUIT": self._quit,
            b"STLS": self._stls,
            b"USER": self._user_name,
            b"PASS": self._password,
            b"AUTH": self._auth,
        }

    # Events.

    def greet(self) -> list[Action]:
        """Part of `FrontState`. No timestamp: APOP is not offered."""
        return [Send(b"+OK %s\r\n" % self._settings.banner.encode("utf-8"))]

    def receive(self, data: bytes) -> list[Action]:
        """Part of `FrontState`."""
        self._buffer.feed(data)
        actions: list[Action] = []
        while self._state in (State.PLAIN, State.SECURE, State.SASL):
            step = self._next_line()
            if step is None:
                break
            actions += step
        return actions

    def tls_established(self) -> list[Action]:
        """Part of `FrontState`: RFC 2595 section 4, everything learnt in clear is forgotten."""
        self._buffer.clear()
        self._user = ""
        self._state = State.SECURE
        self._bad_commands = self._failed_logins = 0
        return []

    def authenticated(self) -> list[Action]:
        """Part of `FrontState`."""
        self._state = State.ENDED
        return [HandOver(b"", self._buffer.take_at_most(len(self._buffer)))]

    def refused(self, refusal: Refusal) -> list[Action]:
        """Part of `FrontState`: RFC 3206 for the codes."""
        code = b"SYS/TEMP" if refusal.temporary else b"AUTH"
        self._state = self._resume_state
        self._user = ""
        actions: list[Action] = [Send(b"-ERR [%s] %s\r\n" % (code, refusal.text.encode("utf-8")))]
        self._failed_logins += 1
        if self._failed_logins >= self._settings.failed_login_limit:
            self._state = State.ENDED
            actions.append(Close("too many failed logins"))
        return actions

    def end(self, farewell: Farewell) -> list[Action]:
        """Part of `FrontState`."""
        self._state = State.ENDED
        self._buffer.clear()
        text = farewell.text.encode("utf-8")
        return [Send(b"-ERR [SYS/TEMP] %s\r\n" % text), Close(farewell.reason)]

    # Lines.

    def _next_line(self) -> list[Action] | None:
        in_sasl = self._state is State.SASL
        try:
            line = self._buffer.next_line(
                sasl.MAXIMUM_RESPONSE_OCTETS if in_sasl else _AUTH_LINE_LIMIT
            )
        except LineTooLongError:
            return self._too_long()
        if line is None:
            return None
        return self._sasl_line(line) if in_sasl else self._command(line)

    def _command(self, line: bytes) -> list[Action]:
        word, _, argument = line.partition(b" ")
        name = word.upper()
        if len(line) > LINE_LIMIT and name != b"AUTH":
            return self._too_long()
        if b"\0" in line:
            return self._bad(b"NUL is not allowed in a command")
        legal = COMMANDS.get(name)
        if legal is None:
            if name in HTTP_VERBS:
                return self._http_request()
            return self._bad(b"Unknown command, or not before login")
        if self._state not in legal:
            return self._bad(b"Command not allowed now")
        return self._handlers[name](argument)

    def _capa(self, argument: bytes) -> list[Action]:
        lines = [b"+OK Capabilities", b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE"]
        lines.append(b"PIPELINING")
        if self._passwords_allowed():
            lines.append(b"USER")
            lines.append(b"SASL " + " ".join(sasl.MECHANISMS).encode("ascii"))
        if self._state is State.PLAIN and self._settings.tls_available:
            lines.append(b"STLS")
        return [Send(b"\r\n".join([*lines, b".", b""]))]

    def _passwords_allowed(self) -> bool:
        return self._state is not State.PLAIN or self._settings.plaintext_login

    def _quit(self, argument: bytes) -> list[Action]:
        self._state = State.ENDED
        return [Send(b"+OK Goodbye\r\n"), Close("quit before login")]

    def _stls(self, argument: bytes) -> list[Action]:
        if argument:
            return self._bad(b"STLS takes no argument")
        if not self._settings.tls_available:
            return self._bad(b"TLS is not available here")
        if len(self._buffer):
            return self._injection()
        self._state = State.TLS_PENDING
        return [Send(b"+OK Begin TLS negotiation now\r\n"), StartTls()]

    def _user_name(self, argument: bytes) -> list[Action]:
        if not self._passwords_allowed():
            return [Send(_TLS_FIRST)]
        try:
            self._user = argument.decode("utf-8")
        except UnicodeDecodeError:
            self._user = ""
        if not self._user:
            return self._bad(b"USER needs a name in UTF-8")
        return [Send(b"+OK Send your password\r\n")]

    def _password(self, argument: bytes) -> list[Action]:
        if not self._passwords_allowed():
            return [Send(_TLS_FIRST)]
        if not self._user:
            return self._bad(b"Send USER first")
        try:
            # RFC 1939 section 7 (PASS): blanks belong to the password.
            password = Secret(argument.decode("utf-8"))
        except UnicodeDecodeError:
            return self._bad(b"The password must be UTF-8")
        return self._check(CheckPassword(self._user, password, "USER"))

    def _auth(self, argument: bytes) -> list[Action]:
        mechanism, blank, response = argument.partition(b" ")
        if not self._passwords_allowed():
            return [Send(_TLS_FIRST)]
        exchange = sasl.start(mechanism.decode("ascii", "replace"))
        if exchange is None:
            return self._bad(b"Unsupported mechanism")
        dialogue = SaslDialogue(exchange)
        self._resume_state = self._state
        try:
            return self._sasl_step(dialogue, dialogue.begin(response if blank else None))
        except SaslError as fault:
            return self._sasl_failed(fault)

    # SASL.

    def _sasl_line(self, line: bytes) -> list[Action]:
        dialogue = self._dialogue
        assert dialogue is not None
        try:
            return self._sasl_step(dialogue, dialogue.line(line))
        except SaslError as fault:
            return self._sasl_failed(fault)

    def _sasl_step(self, dialogue: SaslDialogue, step: bytes | CheckPassword) -> list[Action]:
        if isinstance(step, CheckPassword):
            self._state, self._dialogue = self._resume_state, None
            return self._check(step)
        self._state, self._dialogue = State.SASL, dialogue
        return [Send(b"+ %s\r\n" % step)]

    def _sasl_failed(self, fault: SaslError) -> list[Action]:
        self._state, self._dialogue = self._resume_state, None
        return self._bad(_REFUSED[fault.kind])

    def _check(self, check: CheckPassword) -> list[Action]:
        self._resume_state, self._state = self._state, State.CHECKING
        return [check]

    # Refusals.

    def _bad(self, text: bytes) -> list[Action]:
        self._bad_commands += 1
        actions: list[Action] = [Send(b"-ERR %s\r\n" % text)]
        if self._bad_commands >= self._settings.bad_command_limit:
            self._state = State.ENDED
            actions.append(Close("too many invalid commands"))
        return actions

    def _too_long(self) -> list[Action]:
        return self.end(Farewell("Line too long", "command too large"))

    def _http_request(self) -> list[Action]:
        self._state = State.ENDED
        return [SecurityEvent("http_request", "an HTTP request on a mail port"), Close("HTTP")]

    def _injection(self) -> list[Action]:
        """RFC 2595 section 4: what was pipelined behind STLS is never executed."""
        self._state = State.ENDED
        self._buffer.clear()
        return [
            SecurityEvent("starttls_injection", "plaintext pipelined behind STLS"),
            Close("STARTTLS injection"),
        ]


_TLS_FIRST = b"-ERR [AUTH] Passwords are taken only inside TLS\r\n"
