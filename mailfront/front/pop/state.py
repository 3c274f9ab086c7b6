"""The POP3 conversation before authentication, as a state machine without input or output.

RFC 1939 (AUTHORIZATION state), RFC 2449 (CAPA and response codes), RFC 2595 section 4 (STLS),
RFC 5034 (AUTH), RFC 3206 (AUTH and SYS response codes).
"""

from __future__ import annotations

from collections.abc import Callable

from mailfront.errors import LineTooLongError, SaslFault
from mailfront.front.action import Action, Close, Farewell, Send
from mailfront.front.login_policy import PLAINTEXT
from mailfront.front.login_state import TALKING, LoginState, State
from mailfront.front.settings import HTTP_VERBS, FrontSettings
from mailfront.interfaces.authenticator import Refusal
from mailfront.protocol import sasl
from mailfront.protocol.forwarded_client import told_by_xclient

# RFC 2449 section 4: commands are at most 255 octets, line end included; AUTH carries an initial
# response in its line, so it alone may be longer (RFC 5034 section 4).
LINE_LIMIT = 253
# Announced before the login, and true after it where the mailbox is here.
CAPABILITIES = (b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING")
_AUTH_LINE_LIMIT = sasl.MAXIMUM_RESPONSE_OCTETS + LINE_LIMIT

_REFUSED = {
    SaslFault.CANCELLED: b"Authentication cancelled",
    SaslFault.MALFORMED: b"Invalid base64 response",
    SaslFault.TOO_LONG: b"Response too long",
    SaslFault.INVALID: b"[AUTH] Invalid credentials",
    SaslFault.DOWNGRADE: b"[AUTH] Channel binding is offered here",
}
_TLS_FIRST = b"-ERR [AUTH] Passwords are taken only inside TLS\r\n"
_TOO_WEAK = b"-ERR [AUTH] Passwords are taken only under a stronger cipher\r\n"
_NO_PASSWORDS = b"-ERR [AUTH] Passwords are not taken\r\n"

# Command: the states in which it is legal. RFC 2595 section 4: no STLS inside TLS.
COMMANDS: dict[bytes, frozenset[State]] = {
    b"CAPA": TALKING,
    b"QUIT": TALKING,
    b"STLS": frozenset({State.PLAIN}),
    b"USER": TALKING,
    b"PASS": TALKING,
    b"AUTH": TALKING,
    b"XCLIENT": TALKING,
}


class PopFront(LoginState):
    """One connection's POP3 conversation until it is authenticated."""

    def __init__(self, settings: FrontSettings, *, secure: bool) -> None:
        super().__init__(settings, secure=secure)
        self._user = ""

    def _greeting_line(self) -> bytes:
        """No timestamp: APOP is not offered. XCLIENT is Dovecot's way of telling front ends that
        they may use it."""
        offer = b"[XCLIENT] " if self._channel.is_front_end else b""
        return b"+OK %s%s\r\n" % (offer, self._settings.banner.encode("utf-8"))

    # Replies.

    def _forget(self) -> None:
        self._user = ""

    def _refusal_line(self, refusal: Refusal) -> bytes:
        """RFC 3206 for the codes."""
        code = b"SYS/TEMP" if refusal.temporary else b"AUTH"
        return b"-ERR [%s] %s\r\n" % (code, refusal.text.encode("utf-8"))

    def _sasl_refusal_line(self, fault: SaslFault) -> bytes:
        return b"-ERR %s\r\n" % _REFUSED[fault]

    def _farewell_line(self, farewell: Farewell) -> bytes:
        return b"-ERR %s\r\n" % farewell.text.encode("utf-8")

    # Commands.

    def _next_command(self) -> list[Action] | None:
        try:
            line = self._buffer.next_line(_AUTH_LINE_LIMIT)
        except LineTooLongError:
            return self._too_long()
        return None if line is None else self._command(line)

    def _command(self, line: bytes) -> list[Action]:
        word, _, argument = line.partition(b" ")
        name = word.upper()
        if len(line) > LINE_LIMIT and name != b"AUTH":
            return self._too_long()
        if b"\0" in line:
            return self._bad_command(b"NUL is not allowed in a command")
        legal = COMMANDS.get(name)
        if legal is None:
            if name in HTTP_VERBS:
                return self._http_request()
            return self._bad_command(b"Unknown command, or not before login")
        if self._state not in legal:
            return self._bad_command(b"Command not allowed now")
        return _HANDLERS[name](self, argument)

    def _bad_command(self, text: bytes) -> list[Action]:
        return self._bad(b"-ERR %s\r\n" % text)

    def _capa(self, argument: bytes) -> list[Action]:
        lines = [b"+OK Capabilities", *(self._settings.capabilities() or CAPABILITIES)]
        if self._passwords_allowed():
            lines.append(b"USER")
        if mechanisms := self._mechanisms():
            lines.append(b"SASL " + " ".join(mechanisms).encode("ascii"))
        if self._offers_tls():
            lines.append(b"STLS")
        return [Send(b"\r\n".join([*lines, b".", b""]))]

    def _xclient(self, argument: bytes) -> list[Action]:
        if not self._channel.is_front_end:
            return self._bad_command(b"Unknown command, or not before login")
        return [*self._told(told_by_xclient(argument)), Send(b"+OK Updated\r\n")]

    def _quit(self, argument: bytes) -> list[Action]:
        self._state = State.ENDED
        return [Send(b"+OK Goodbye\r\n"), Close("quit before login")]

    def _stls(self, argument: bytes) -> list[Action]:
        if argument:
            return self._bad_command(b"STLS takes no argument")
        if not self._offers_tls():
            return self._bad_command(b"TLS is not available here")
        if not self._settings.tls_ready():
            # RFC 3206 section 4: the client may try again later.
            return [Send(b"-ERR [SYS/TEMP] No certificate at the moment\r\n")]
        return self._start_tls(b"+OK Begin TLS negotiation now\r\n")

    def _no_passwords(self) -> list[Action]:
        if not self._passwords_ever_allowed():
            return [Send(_NO_PASSWORDS)]
        return [Send(_TOO_WEAK if self._channel.cipher_bits else _TLS_FIRST)]

    def _user_name(self, argument: bytes) -> list[Action]:
        if not self._passwords_allowed():
            return self._no_passwords()
        try:
            self._user = argument.decode("utf-8")
        except UnicodeDecodeError:
            self._user = ""
        if not self._user:
            return self._bad_command(b"USER needs a name in UTF-8")
        return [Send(b"+OK Send your password\r\n")]

    def _password(self, argument: bytes) -> list[Action]:
        if not self._passwords_allowed():
            return self._no_passwords()
        if not self._user:
            return self._bad_command(b"Send USER first")
        try:
            # RFC 1939 section 7 (PASS): blanks belong to the password.
            password = argument.decode("utf-8")
        except UnicodeDecodeError:
            return self._bad_command(b"The password must be UTF-8")
        user, self._user = self._user, ""
        return self._check_password(user, password, "USER")

    def _auth(self, argument: bytes) -> list[Action]:
        word, blank, response = argument.partition(b" ")
        mechanism = word.decode("ascii", "replace")
        exchange = self._start_sasl(mechanism)
        if exchange is None:
            if mechanism.upper() in PLAINTEXT and not self._passwords_allowed():
                return self._no_passwords()
            return self._bad_command(b"Unsupported mechanism")
        return self._begin_sasl(exchange, response if blank else None)


# Functions, not bound methods: a connection that ends leaves no reference cycle behind.
_HANDLERS: dict[bytes, Callable[[PopFront, bytes], list[Action]]] = {
    b"CAPA": PopFront._capa,
    b"QUIT": PopFront._quit,
    b"STLS": PopFront._stls,
    b"USER": PopFront._user_name,
    b"PASS": PopFront._password,
    b"AUTH": PopFront._auth,
    b"XCLIENT": PopFront._xclient,
}
