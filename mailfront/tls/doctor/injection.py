"""Is a server's STARTTLS clean? A command in clear behind STARTTLS, and what is said inside TLS.

The tests of "NO STARTTLS" (USENIX Security 2021) that can be made from a client's place. A server
may refuse the surplus octets, drop them or break off; it must not execute them inside TLS (RFC 3207
section 4.2, RFC 9051 section 6.2.1, RFC 2595 section 4).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from mailfront.errors import StarttlsError, TlsAnswerError
from mailfront.protocol.receive_buffer import ReceiveBuffer
from mailfront.protocol.starttls_client import LONGEST_LINE, Dialogue, StarttlsProtocol
from mailfront.tls.doctor.connection import Connection

# A command whose answer cannot be mistaken for that of the question asked after it.
_INJECTED = {
    StarttlsProtocol.SMTP: b"XINJECTED\r\n",
    StarttlsProtocol.IMAP: b"injected NOOP\r\n",
    StarttlsProtocol.POP3: b"XINJECTED\r\n",
}
_QUESTION = {
    StarttlsProtocol.SMTP: b"EHLO client.invalid\r\n",
    StarttlsProtocol.IMAP: b"c1 CAPABILITY\r\n",
    StarttlsProtocol.POP3: b"CAPA\r\n",
}
_SECOND_STARTTLS = {
    StarttlsProtocol.SMTP: (b"STARTTLS\r\n", b"220"),
    StarttlsProtocol.IMAP: (b"c9 STARTTLS\r\n", b"c9 OK"),
    StarttlsProtocol.POP3: (b"STLS\r\n", b"+OK"),
}
_MOST_LINES = 100


def executes_injected(
    connection: Connection, protocol: StarttlsProtocol, context: ssl.SSLContext
) -> tuple[bool, str]:
    """Whether the injected command was executed inside TLS, and what happened in words."""
    try:
        connection.reach_tls(behind=_INJECTED[protocol])
    except StarttlsError as failure:
        return False, f"refused: {failure}"
    except (OSError, TlsAnswerError):
        return False, "the server broke off"
    try:
        connection.start_tls(context)
        connection.send(_QUESTION[protocol])
        return _is_answered_twice(connection, protocol)
    except (OSError, TlsAnswerError):
        return False, "the server broke off"


def _is_answered_twice(connection: Connection, protocol: StarttlsProtocol) -> tuple[bool, str]:
    dropped, executed = (False, "dropped"), (True, "executed inside TLS")
    lines = _Lines(connection)
    if protocol is StarttlsProtocol.IMAP:
        line = lines.until(lambda line: line.startswith((b"c1 ", b"injected ")))
        return executed if line.startswith(b"injected ") else dropped
    first = lines.next()
    if not first.startswith((b"5", b"-ERR")):
        return dropped
    # One error may be the answer to our question; a second answer shows that it is not.
    return executed if lines.next() else dropped


def accepts_second_starttls(connection: Connection, protocol: StarttlsProtocol) -> bool:
    """Whether STARTTLS is accepted inside TLS, which no protocol allows."""
    command, accepted = _SECOND_STARTTLS[protocol]
    connection.send(command)
    lines = _Lines(connection)
    return lines.until(lambda line: not line.startswith(b"* ")).startswith(accepted)


def capabilities_inside(connection: Connection, protocol: StarttlsProtocol) -> tuple[str, ...]:
    """What is announced inside TLS; raises `StarttlsError`."""
    dialogue = Dialogue(protocol, upgrade=False, greeted=True)
    connection.converse(dialogue)
    return dialogue.capabilities


class _Lines:
    """Lines from a connection, bounded; an empty one at its end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._buffer = ReceiveBuffer()

    def next(self) -> bytes:
        while (line := self._buffer.next_line(LONGEST_LINE)) is None:
            data = self._connection.receive()
            if not data:
                return b""
            self._buffer.feed(data)
        return line

    def until(self, wanted: Callable[[bytes], bool]) -> bytes:
        for _ in range(_MOST_LINES):
            line = self.next()
            if not line or wanted(line):
                return line
        raise TlsAnswerError("an answer that is too long")
