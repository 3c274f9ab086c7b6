"""The IMAP conversation before authentication, as a state machine without input or output.

States and legal commands are one table; a command that is not in it for the present state gets
the protocol's refusal. RFC 9051 section 6.1 and 6.2, RFC 3501 for what older clients expect,
RFC 4959 (SASL-IR), RFC 7888 (literals), RFC 2971 (ID), RFC 5530 (response codes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailfront.errors import ImapSyntaxError, SaslFault
from mailfront.front.action import Action, Close, Farewell, Send
from mailfront.front.login_policy import PLAINTEXT
from mailfront.front.login_state import TALKING, LoginState, State
from mailfront.front.settings import HTTP_VERBS, FrontSettings
from mailfront.interfaces.authenticator import Refusal
from mailfront.protocol.forwarded_client import told_by_id
from mailfront.protocol.imap.command_reader import (
    BadCommand,
    Command,
    CommandReader,
    Continuation,
    Event,
    LiteralPolicy,
)
from mailfront.protocol.imap.lexer import Cursor

# Before login a command holds at most a name, a password or an ID list: 8 KiB is generous.
LINE_LIMIT = 8192
# The bound that RFC 7888 section 5 sets for LITERAL-; nobody's password is longer.
_LITERALS = LiteralPolicy(in_memory=4096, skipped=64 * 1024)
_MAXIMUM_ID_VALUES = 60
# Announced before the login, and true after it where the mailbox is here.
CAPABILITIES = (b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"ID")

_REFUSED = {
    SaslFault.CANCELLED: (b"BAD", b"Authentication cancelled"),
    SaslFault.MALFORMED: (b"BAD", b"Invalid base64 response"),
    SaslFault.TOO_LONG: (b"BAD", b"Response too long"),
    SaslFault.INVALID: (b"NO", b"[AUTHENTICATIONFAILED] Invalid credentials"),
    SaslFault.DOWNGRADE: (b"NO", b"[AUTHENTICATIONFAILED] Channel binding is offered here"),
}


# Command: the states in which it is legal. RFC 9051 section 6.2.1: no STARTTLS inside TLS.
COMMANDS: dict[bytes, frozenset[State]] = {
    b"CAPABILITY": TALKING,
    b"NOOP": TALKING,
    b"LOGOUT": TALKING,
    b"ID": TALKING,
    b"STARTTLS": frozenset({State.PLAIN}),
    b"LOGIN": TALKING,
    b"AUTHENTICATE": TALKING,
}


class ImapFront(LoginState):
    """One connection's IMAP conversation until it is authenticated."""

    def __init__(self, settings: FrontSettings, *, secure: bool) -> None:
        super().__init__(settings, secure=secure)
        self._reader = CommandReader(LINE_LIMIT, policy=_LITERALS)

    def _greeting_line(self) -> bytes:
        """RFC 9051 section 7.1.1. PREAUTH is said by the backend."""
        banner = self._settings.banner.encode("utf-8")
        return b"* OK [CAPABILITY %s] %s\r\n" % (self._capabilities(), banner)

    # Replies.

    def _forget(self) -> None:
        self._reader = CommandReader(LINE_LIMIT, policy=_LITERALS)

    def _refusal_line(self, refusal: Refusal) -> bytes:
        """RFC 5530 for the codes."""
        code = b"AUTHORIZATIONFAILED" if refusal.authorization else b"AUTHENTICATIONFAILED"
        if refusal.temporary:
            code = b"UNAVAILABLE"
        return b"%s NO [%s] %s\r\n" % (self._login_tag, code, refusal.text.encode("utf-8"))

    def _sasl_refusal_line(self, fault: SaslFault) -> bytes:
        condition, text = _REFUSED[fault]
        return b"%s %s %s\r\n" % (self._login_tag, condition, text)

    def _farewell_line(self, farewell: Farewell) -> bytes:
        return b"* BYE %s\r\n" % farewell.text.encode("utf-8")

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
        reply = b"%s %s %s\r\n" % (event.tag, event.condition, event.text)
        return [Send(reply), *self._too_long()] if event.close else self._bad(reply)

    def _command(self, command: Command) -> list[Action]:
        legal = COMMANDS.get(command.name)
        if legal is None:
            if command.tag.upper() in HTTP_VERBS:
                return self._http_request()
            return self._bad_command(command, "Unknown command, or not before login")
        if self._state not in legal:
            return self._bad_command(command, "Command not allowed now")
        try:
            return _HANDLERS[command.name](self, command)
        except ImapSyntaxError as fault:
            return self._bad_command(command, str(fault))

    def _bad_command(self, command: Command, text: str) -> list[Action]:
        return self._bad(b"%s BAD %s\r\n" % (command.tag, text.encode("ascii", "replace")))

    def _capabilities(self) -> bytes:
        words = [*(self._settings.capabilities() or CAPABILITIES)]
        if self._offers_tls():
            words.append(b"STARTTLS")
        words += [b"AUTH=%s" % mechanism.encode("ascii") for mechanism in self._mechanisms()]
        if not self._passwords_allowed():
            words.append(b"LOGINDISABLED")
        return b" ".join(words)

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
        """RFC 2971: of the client's list counts only what front ends tell; ours tells no version
        before login, so that a scanner learns nothing."""
        cursor = Cursor(command.arguments)
        values: Sequence[bytes | None] = ()
        if cursor.peek() == b"(":
            values = cursor.parenthesised(cursor.nstring, may_be_empty=True)
            if len(values) > _MAXIMUM_ID_VALUES:
                raise ImapSyntaxError("Too many ID values")
        elif cursor.nstring() is not None:
            raise ImapSyntaxError("Expected a list or NIL")
        cursor.end()
        return [
            *self._told(told_by_id(values)),
            Send(b'* ID ("name" "mailfront")\r\n'),
            Send(b"%s OK ID completed\r\n" % command.tag),
        ]

    def _starttls(self, command: Command) -> list[Action]:
        Cursor(command.arguments).end()
        if not self._offers_tls():
            return self._bad_command(command, "TLS is not available here")
        if not self._settings.tls_ready():
            # RFC 5530 section 3: the client may try again later.
            return [Send(b"%s NO [UNAVAILABLE] No certificate at the moment\r\n" % command.tag)]
        return self._start_tls(b"%s OK Begin TLS negotiation now\r\n" % command.tag)

    def _login(self, command: Command) -> list[Action]:
        cursor = Cursor(command.arguments)
        login = cursor.astring()
        cursor.space()
        password = cursor.astring()
        cursor.end()
        if not self._passwords_allowed():
            return self._no_passwords(command)
        try:
            name, text = login.decode("utf-8"), password.decode("utf-8")
        except UnicodeDecodeError:
            raise ImapSyntaxError("Name and password must be UTF-8") from None
        self._login_tag = command.tag
        return self._check_password(name, text, "LOGIN")

    def _authenticate(self, command: Command) -> list[Action]:
        cursor = Cursor(command.arguments)
        mechanism = cursor.atom("mechanism").decode("ascii")
        initial = None
        if not cursor.at_end():
            cursor.space()
            initial = cursor.rest()
        exchange = self._start_sasl(mechanism)
        if exchange is None:
            if mechanism.upper() in PLAINTEXT and not self._passwords_allowed():
                return self._no_passwords(command)
            return [Send(b"%s NO [CANNOT] Unsupported mechanism\r\n" % command.tag)]
        self._login_tag = command.tag
        return self._begin_sasl(exchange, initial)

    def _no_passwords(self, command: Command) -> list[Action]:
        """RFC 5530 for the codes."""
        if not self._passwords_ever_allowed():
            text = b"NO [CANNOT] Passwords are not taken"
        elif self._channel.cipher_bits:
            text = b"NO [PRIVACYREQUIRED] Passwords are taken only under a stronger cipher"
        else:
            text = b"NO [PRIVACYREQUIRED] Passwords are taken only inside TLS"
        return [Send(b"%s %s\r\n" % (command.tag, text))]


# Functions, not bound methods: a connection that ends leaves no reference cycle behind.
_HANDLERS: dict[bytes, Callable[[ImapFront, Command], list[Action]]] = {
    b"CAPABILITY": ImapFront._capability,
    b"NOOP": ImapFront._noop,
    b"LOGOUT": ImapFront._logout,
    b"ID": ImapFront._id,
    b"STARTTLS": ImapFront._starttls,
    b"LOGIN": ImapFront._login,
    b"AUTHENTICATE": ImapFront._authenticate,
}
