"""The client's side of STARTTLS for SMTP (and LMTP), IMAP and POP3, without input or output.

Takes what the server sent, gives what to send next, until the handshake may begin. Strict where an
attacker on the path could gain (the findings of "NO STARTTLS", USENIX Security 2021): STARTTLS that
is not offered, is refused, octets in clear behind the go-ahead and IMAP's PREAUTH each end it with
a `StarttlsError`. RFC 3207 (SMTP), RFC 9051 section 6.2.1 (IMAP), RFC 2595 section 4 (POP3).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from mailfront.errors import LineTooLongError, StarttlsError, StarttlsFault
from mailfront.protocol.receive_buffer import ReceiveBuffer

LONGEST_LINE = 8192
MOST_LINES = 200


class StarttlsProtocol(enum.Enum):
    """The protocol spoken in clear; the value is its name in options and messages."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"


class Dialogue:
    """One conversation in lines. `feed` it; send what it returns; stop when `is_ready`.

    With `upgrade` it ends behind the server's go-ahead, else with the capabilities: this is the
    conversation inside TLS. `behind` is sent in one piece with the command STARTTLS, which no
    honest client does: only for testing servers. `capabilities` are upper-case texts as announced.
    `delivers` makes SMTP LMTP, which says LHLO (RFC 2033 section 4.1).
    """

    def __init__(
        self,
        protocol: StarttlsProtocol,
        *,
        client_name: str = "client.invalid",
        upgrade: bool = True,
        greeted: bool = False,
        behind: bytes = b"",
        delivers: bool = False,
    ) -> None:
        self.protocol = protocol
        self.greeting = ""
        self.capabilities: tuple[str, ...] = ()
        self.is_ready = False
        self._upgrade = upgrade
        self._behind = behind
        self._hello = b"LHLO " if delivers else b"EHLO "
        self._client_name = client_name.encode("ascii", "replace")
        self._buffer = ReceiveBuffer()
        self._lines = 0
        self._announced: list[str] = []
        self._step: Callable[[bytes], bytes] = {
            StarttlsProtocol.SMTP: self._smtp_greeting,
            StarttlsProtocol.IMAP: self._imap_greeting,
            StarttlsProtocol.POP3: self._pop_greeting,
        }[protocol]
        self._first = self._ask_capabilities() if greeted else b""

    @property
    def first(self) -> bytes:
        """What the client sends before it has received anything (nothing, unless `greeted`)."""
        return self._first

    def feed(self, data: bytes) -> bytes:
        """Take what was received, return what to send (possibly nothing).

        Raises `StarttlsError`; the dialogue is then over.
        """
        self._buffer.feed(data)
        self._refuse_surplus()
        answer = b""
        while not self.is_ready:
            try:
                line = self._buffer.next_line(LONGEST_LINE)
            except LineTooLongError as failure:
                raise StarttlsError(StarttlsFault.MALFORMED, str(failure)) from None
            if line is None:
                return answer
            self._lines += 1
            if self._lines > MOST_LINES:
                raise StarttlsError(
                    StarttlsFault.MALFORMED, f"an answer of more than {MOST_LINES} lines"
                )
            if answer:
                # It answers what it was not asked yet.
                raise StarttlsError(StarttlsFault.MALFORMED, "an answer before its question")
            answer = self._step(line)
        self._refuse_surplus()
        return answer

    # SMTP (RFC 5321 section 4.2, RFC 3207).

    def _smtp_greeting(self, line: bytes) -> bytes:
        code, last, text = _smtp_reply(line)
        if code != 220:
            raise _refused(f"the greeting is {code}", code, text)
        self.greeting = self.greeting or text
        return self._ask_capabilities() if last else b""

    def _smtp_capabilities(self, line: bytes) -> bytes:
        code, last, text = _smtp_reply(line)
        if code != 250:
            raise _refused(f"EHLO is answered with {code}", code, text)
        self._announced.append(text.upper())
        if not last:
            return b""
        # The first line is the server's name.
        return self._capabilities_known(self._announced[1:], "STARTTLS", b"STARTTLS\r\n")

    def _smtp_go_ahead(self, line: bytes) -> bytes:
        code, last, text = _smtp_reply(line)
        if code != 220:
            raise _refused(f"STARTTLS is answered with {code}", code, text)
        self.is_ready = last
        return b""

    # IMAP (RFC 9051 sections 6.2.1, 7.1).

    def _imap_greeting(self, line: bytes) -> bytes:
        words = line.upper().split(b" ", 2)
        if words[0] != b"*" or len(words) < 2:
            raise StarttlsError(StarttlsFault.MALFORMED, "the greeting is not IMAP's")
        if words[1] == b"PREAUTH":
            raise StarttlsError(
                StarttlsFault.PREAUTH, "the greeting is PREAUTH, after which there is no STARTTLS"
            )
        if words[1] != b"OK":
            raise StarttlsError(StarttlsFault.REFUSED, "the greeting is not OK")
        self.greeting = _text(line)
        return self._ask_capabilities()

    def _imap_capabilities(self, line: bytes) -> bytes:
        if line[:13].upper() == b"* CAPABILITY ":
            self._announced += _text(line[13:]).upper().split()
        if not self._imap_tagged(line, b"c1"):
            return b""
        return self._capabilities_known(self._announced, "STARTTLS", b"c2 STARTTLS\r\n")

    def _imap_go_ahead(self, line: bytes) -> bytes:
        self.is_ready = self._imap_tagged(line, b"c2")
        return b""

    def _imap_tagged(self, line: bytes, tag: bytes) -> bool:
        """Whether this is the answer to the command `tag`; what is untagged is passed over."""
        if _IMAP_LITERAL.search(line):
            raise StarttlsError(StarttlsFault.MALFORMED, "a literal where none belongs")
        if line.startswith(b"* "):
            if line[2:5].upper() == b"BYE":
                raise StarttlsError(StarttlsFault.REFUSED, "the server says BYE")
            return False
        if line[:3] != tag + b" ":
            raise StarttlsError(StarttlsFault.MALFORMED, "an answer to no command of ours")
        if line[3:6].upper() not in (b"OK", b"OK "):
            raise StarttlsError(StarttlsFault.REFUSED, "the command is not answered with OK")
        return True

    # POP3 (RFC 1939 section 3, RFC 2449 section 5, RFC 2595 section 4).

    def _pop_greeting(self, line: bytes) -> bytes:
        if not _pop_ok(line):
            raise StarttlsError(StarttlsFault.REFUSED, "the greeting is not +OK")
        self.greeting = _text(line)
        return self._ask_capabilities()

    def _pop_capabilities_begin(self, line: bytes) -> bytes:
        if not _pop_ok(line):
            # A server without CAPA announces nothing, so no STLS either.
            return self._capabilities_known([], "STLS", b"")
        self._step = self._pop_capabilities
        return b""

    def _pop_capabilities(self, line: bytes) -> bytes:
        if line != b".":
            self._announced.append(_text(line.removeprefix(b".")).upper())
            return b""
        return self._capabilities_known(self._announced, "STLS", b"STLS\r\n")

    def _pop_go_ahead(self, line: bytes) -> bytes:
        if not _pop_ok(line):
            raise StarttlsError(StarttlsFault.REFUSED, "STLS is answered with -ERR")
        self.is_ready = True
        return b""

    # All.

    def _ask_capabilities(self) -> bytes:
        if self.protocol is StarttlsProtocol.SMTP:
            self._step = self._smtp_capabilities
            return self._hello + self._client_name + b"\r\n"
        if self.protocol is StarttlsProtocol.IMAP:
            self._step = self._imap_capabilities
            return b"c1 CAPABILITY\r\n"
        self._step = self._pop_capabilities_begin
        return b"CAPA\r\n"

    def _capabilities_known(self, announced: list[str], wanted: str, command: bytes) -> bytes:
        self.capabilities = tuple(announced)
        if not self._upgrade:
            self.is_ready = True
            return b""
        if wanted not in announced:
            # Stripped on the way, or never there: the client cannot tell (RFC 3207 section 6).
            raise StarttlsError(StarttlsFault.NOT_OFFERED, f"{wanted} is not offered")
        self._step = {
            StarttlsProtocol.SMTP: self._smtp_go_ahead,
            StarttlsProtocol.IMAP: self._imap_go_ahead,
            StarttlsProtocol.POP3: self._pop_go_ahead,
        }[self.protocol]
        return command + self._behind

    def _refuse_surplus(self) -> None:
        if self.is_ready and len(self._buffer):
            what = "octets in clear behind the go-ahead" if self._upgrade else "a surplus answer"
            raise StarttlsError(StarttlsFault.INJECTION, what)


_IMAP_LITERAL = re.compile(rb"\{\d+\+?\}$")
_SMTP_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


def _smtp_reply(line: bytes) -> tuple[int, bool, str]:
    """The code, whether this is the reply's last line, and its text (RFC 5321 section 4.2.1)."""
    found = _SMTP_REPLY.fullmatch(line)
    if found is None:
        raise StarttlsError(StarttlsFault.MALFORMED, "not an SMTP reply")
    return int(found[1]), found[2] != b"-", _text(found[3] or b"")


def _refused(what: str, code: int, text: str) -> StarttlsError:
    refusal = (code, text) if 400 <= code < 600 else None
    return StarttlsError(StarttlsFault.REFUSED, what, refusal)


def _pop_ok(line: bytes) -> bool:
    return line[:3].upper() == b"+OK" and line[3:4] in (b"", b" ")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")
