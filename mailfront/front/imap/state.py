"""The IMAP conversation before authentication, as a state machine without input or output.

States and legal commands are one table; a command that is not in it for the present state gets
the protocol's refusal. RFC 9051 section 6.1 and 6.2, RFC 3501 for what older clients expect,
RFC 4959 (SASL-IR), RFC 7888 (literals), RFC 2971 (ID), RFC 5530 (response codes).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from mailfront.errors import ImapSyntaxError, LineTooLongError, SaslError, SaslFault
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
from mailfront.protocol.imap.command_reader import (
    BadCommand,
    Command,
    CommandReader,
    Continuation,
    Event,
    LiteralPolicy,
)
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.receive_buffer import ReceiveBuffer

# Before login a command holds at most a name, a password or an ID list: 8 KiB is generous.
LINE_LIMIT = 8192
# The bound that RFC 7888 section 5 sets for LITERAL-; nobody's password is longer.
_LITERALS = LiteralPolicy(in_memory=4096, skipped=64 * 1024)
_MAXIMUM_ID_VALUES = 60

_REFUSED = {
    SaslFault.CANCELLED: (b"BAD", b"Authentication cancelled"),
    SaslFault.MALFORMED: (b"BAD", b"Invalid base64 response"),
    SaslFault.TOO_LONG: (b"BAD", b"Response too long"),
    SaslFault.INVALID: (b"NO", b"[AUTHENTICATIONFAILED] Invalid credentials"),
    SaslFault.AUTHORIZATION: (b"NO", b"[AUTHORIZATIONFAILED] Acting as another user is refused"),
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

# Command: the states in which it is legal. RFC 9051 section 6.2.1: no STARTTLS inside TLS.
COMMANDS: dict[bytes, frozenset[State]] = {
    b"CAPABILITY": _TALKING,
    b"NOOP": _TALKING,
    b"LOGOUT": _TALKING,
    b"ID": _TALKING,
    b"STARTTLS": frozenset({State.PLAIN}),
    b"LOGIN": _TALKING,
    b"AUTHENTICATE": _TALKING,
}


class ImapFront:
    """One connection's conversation until it is authenticated."""

    def __init__(self, settings: FrontSettings, *, secure: bool) -> None:
        self._settings = settings
        self._buffer = ReceiveBuffer()
        self._reader = CommandReader(LINE_LIMIT, policy=_LITERALS)
        self._state = State.SECURE if secure else State.PLAIN
        self._dialogue: SaslDialogue | None = None
        self._resume_state = self._state
        self._login_tag = b""
        self._bad_commands = 0
        self._failed_logins = 0
        self._handlers: dict[bytes, Callable[[Command], list[Action]]] = {
            b"CAPABILITY": self._capability,
            b"NOOP": self._noop,
            b"LOGOUT": self._logout,
            b"ID": self._id,
            b"STARTTLS": self._starttls,
            b"LOGIN": self._login,
            b"AUTHENTICATE": self._authenticate,
        }

    # Events.

    def greet(self) -> list[Action]:
        """Part of `FrontState`: RFC 9051 section 7.1.5, never PREAUTH."""
        banner = self._settings.banner.encode("utf-8")
        return [Send(b"* OK [CAPABILITY %s] %s\r\n" % (self._capabilities(), banner))]

    def receive(self, data: bytes) -> list[Action]:
        """Part of `FrontState`."""
        self._buffer.feed(data)
        actions: list[Action] = []
        while self._state in (State.PLAIN, State.SECURE, State.SASL):
            step = self._sasl_line() if self._state is State.SASL else self._next_command()
            if step is None:
                break
            actions += step
        return actions

    def tls_established(self) -> list[Action]:
        """Part of `FrontState`: RFC 9051 section 6.2.1, everything learnt in clear is forgotten."""
        self._buffer.clear()
        self._reader = CommandReader(LINE_LIMIT, policy=_LITERALS)
        self._state = State.SECURE
        self._bad_commands = self._failed_logins = 0
        return []

    def authenticated(self) -> list[Action]:
        """Part of `FrontState`."""
        self._state = State.ENDED
        return [HandOver(self._login_tag, self._buffer.take_at_most(len(self._buffer)))]

    def refused(self, refusal: Refusal) -> list[Action]:
        """Part of `FrontState`: RFC 5530 for the codes."""
        code = b"UNAVAILABLE" if refusal.temporary else b"AUTHENTICATIONFAILED"
        text = refusal.text.encode("utf-8")
        self._state = self._resume_state
        actions: list[Action] = [Send(b"%s NO [%s] %s\r\n" % (self._login_tag, code, text))]
        self._failed_logins += 1
        if self._failed_logins >= self._settings.failed_login_limit:
            actions += self.end(Farewell("Too many failed logins", "too many failed logins"))
        return actions

    def end(self, farewell: Farewell) -> list[Action]:
        """Part of `FrontState`."""
        self._state = State.ENDED
        self._buffer.clear()
        return [Send(b"* BYE %s\r\n" % farewell.text.encode("utf-8")), Close(farewell.reason)]

    # Commands.

    def _next_command(self) -> list[Action] | None:
        event = self._reader.next(self._buffer)
        if event is None:
            return None
        if isinstance(event, Command):
            return self._command(event)
        if isinstance(event, Continuation):
            return [Send(b"+ Ready for literal\r\n")]
        return self._bad_event(event)

    def _bad_event(self, event: Event) -> list[Action]:
        assert isinstance(event, BadCommand)
        if event.tag.upper() in HTTP_VERBS:
            return self._http_request()
        actions: list[Action] = [Send(b"%s %s %s\r\n" % (event.tag, event.condition, event.text))]
        if event.close:
            return actions + self.end(Farewell("Command too large", "command too large"))
        return actions + self._count_bad()

    def _command(self, command: Command) -> list[Action]:
        legal = COMMANDS.get(command.name)
        if legal is None:
            if command.tag.upper() in HTTP_VERBS:
                return self._http_request()
            return self._bad(command.tag, b"Unknown command, or not before login")
        if self._state not in legal:
            return self._bad(command.tag, b"Command not allowed now")
        try:
            return self._handlers[command.name](command)
        except ImapSyntaxError as fault:
            return self._bad(command.tag, str(fault).encode("ascii", "replace"))

    def _capabilities(self) -> bytes:
        words = [b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"ID"]
        if self._state is State.PLAIN and self._settings.tls_available:
            words.append(b"STARTTLS")
        if self._passwords_allowed():
            words += [b"AUTH=%s" % mechanism.encode("ascii") for mechanism in sasl.MECHANISMS]
        else:
            words.append(b"LOGINDISABLED")
        return b" ".join(words)

    def _passwords_allowed(self) -> bool:
        return self._state is not State.PLAIN or self._settings.plaintext_login

    def _capability(self, command: Command) -> list[Action]:
        Cursor(command.arguments).end()
        return [
            Send(b"* CAPABILITY %s\r\n" % self._capabilities()),
            Send(b"%s OK Capability completed\r\n" % command.tag),
        ]

    def _noop(self, command: Command) -> list[Action]:
        Cursor(command.arguments).end()
        return [Send(b"%s OK Noop completed\r\n" % command.tag)]

    def _logout(self, command: Command) -> list[Action]:
        Cursor(command.arguments).end()
        self._state = State.ENDED
        return [
            Send(b"* BYE Logging out\r\n%s OK Logout completed\r\n" % command.tag),
            Close("logout before login"),
        ]

    def _id(self, command: Command) -> list[Action]:
        """RFC 2971: the client's list is checked and forgotten; ours tells no version before
        login, so that a scanner learns nothing."""
        cursor = Cursor(command.arguments)
        if cursor.peek() == b"(":
            values = cursor.parenthesised(cursor.nstring, may_be_empty=True)
            if len(values) > _MAXIMUM_ID_VALUES:
                raise ImapSyntaxError("Too many ID values")
        elif cursor.nstring() is not None:
            raise ImapSyntaxError("Expected a list or NIL")
        cursor.end()
        return [
            Send(b'* ID ("name" "mailfront")\r\n'),
            Send(b"%s OK ID completed\r\n" % command.tag),
        ]

    def _starttls(self, command: Command) -> list[Action]:
        Cursor(command.arguments).end()
        if not self._settings.tls_available:
            return self._bad(command.tag, b"TLS is not available here")
        if len(self._buffer):
            return self._injection()
        self._state = State.TLS_PENDING
        return [Send(b"%s OK Begin TLS negotiation now\r\n" % command.tag), StartTls()]

    def _login(self, command: Command) -> list[Action]:
        cursor = Cursor(command.arguments)
        login = cursor.astring()
        cursor.space()
        password = cursor.astring()
        cursor.end()
        if not self._passwords_allowed():
            return [Send(self._tls_first(command.tag))]
        try:
            check = CheckPassword(login.decode("utf-8"), Secret(password.decode("utf-8")), "LOGIN")
        except UnicodeDecodeError:
            raise ImapSyntaxError("Name and password must be UTF-8") from None
        return self._check(command.tag, check)

    def _authenticate(self, command: Command) -> list[Action]:
        cursor = Cursor(command.arguments)
        mechanism = cursor.atom("mechanism").decode("ascii")
        initial = None
        if not cursor.at_end():
            cursor.space()
            initial = cursor.rest()
        if not self._passwords_allowed():
            return [Send(self._tls_first(command.tag))]
        exchange = sasl.start(mechanism)
        if exchange is None:
            return [Send(b"%s NO [CANNOT] Unsupported mechanism\r\n" % command.tag)]
        dialogue = SaslDialogue(exchange, command.tag)
        self._resume_state = self._state
        try:
            return self._sasl_step(dialogue, dialogue.begin(initial))
        except SaslError as fault:
            return self._sasl_failed(dialogue, fault)

    # SASL.

    def _sasl_line(self) -> list[Action] | None:
        dialogue = self._dialogue
        assert dialogue is not None
        try:
            text = self._buffer.next_line(sasl.MAXIMUM_RESPONSE_OCTETS)
            if text is None:
                return None
            return self._sasl_step(dialogue, dialogue.line(text))
        except LineTooLongError:
            return self.end(Farewell("Response too long", "command too large"))
        except SaslError as fault:
            return self._sasl_failed(dialogue, fault)

    def _sasl_step(self, dialogue: SaslDialogue, step: bytes | CheckPassword) -> list[Action]:
        if isinstance(step, CheckPassword):
            self._state, self._dialogue = self._resume_state, None
            return self._check(dialogue.tag, step)
        self._state, self._dialogue = State.SASL, dialogue
        return [Send(b"+ %s\r\n" % step)]

    def _sasl_failed(self, dialogue: SaslDialogue, fault: SaslError) -> list[Action]:
        self._state, self._dialogue = self._resume_state, None
        condition, text = _REFUSED[fault.kind]
        return [Send(b"%s %s %s\r\n" % (dialogue.tag, condition, text)), *self._count_bad()]

    def _check(self, tag: bytes, check: CheckPassword) -> list[Action]:
        self._resume_state, self._state = self._state, State.CHECKING
        self._login_tag = tag
        return [check]

    # Refusals.

    def _tls_first(self, tag: bytes) -> bytes:
        return b"%s NO [PRIVACYREQUIRED] Passwords are taken only inside TLS\r\n" % tag

    def _bad(self, tag: bytes, text: bytes) -> list[Action]:
        return [Send(b"%s BAD %s\r\n" % (tag, text)), *self._count_bad()]

    def _count_bad(self) -> list[Action]:
        self._bad_commands += 1
        if self._bad_commands < self._settings.bad_command_limit:
            return []
        return self.end(Farewell("Too many invalid commands", "too many invalid commands"))

    def _http_request(self) -> list[Action]:
        self._state = State.ENDED
        return [SecurityEvent("http_request", "an HTTP request on a mail port"), Close("HTTP")]

    def _injection(self) -> list[Action]:
        """RFC 9051 section 11.1: what was pipelined behind STARTTLS is never executed."""
        self._state = State.ENDED
        self._buffer.clear()
        return [
            SecurityEvent("starttls_injection", "plaintext pipelined behind STARTTLS"),
            Close("STARTTLS injection"),
        ]
