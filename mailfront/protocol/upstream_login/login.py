"""What the logins of all protocols share: credentials in, an outcome or further octets out.

An upstream is trusted with the user's mail but not with our memory: lines and their number are
bounded, and an answer to what was not asked ends the login.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Protocol

from mailfront.errors import LineTooLongError, UpstreamLoginError
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.protocol.receive_buffer import ReceiveBuffer

LONGEST_LINE = 8192
OAUTHBEARER, XOAUTH2 = "OAUTHBEARER", "XOAUTH2"
MOST_LINES = 100
FIRST_TIME_TO_LIVE = 5
"""How many front ends may stand behind each other; the last one ends a loop (Dovecot's TTL)."""


@dataclass(frozen=True, slots=True)
class UpstreamCredentials:
    """Whose password is given, and for whom: `authorization` is empty for the user themselves,
    else the user on whose behalf an administrator logs in (RFC 4616). `token_mechanism` is
    named where the secret is the user's access token (OAUTHBEARER, XOAUTH2)."""

    login: str
    password: Secret
    authorization: str = ""
    token_mechanism: str = ""

    @property
    def mechanism(self) -> bytes:
        """The SASL mechanism by which they go."""
        return self.token_mechanism.encode("ascii") or b"PLAIN"

    def message(self) -> bytes:
        """The mechanism's one message, in base64."""
        if not self.token_mechanism:
            return self.plain_message()
        secret = self.password.reveal()
        if self.token_mechanism == XOAUTH2:
            text = f"user={self.login}\x01auth=Bearer {secret}\x01\x01"
        else:
            # RFC 7628 section 3.1; in a name, RFC 5801 section 4 writes these two otherwise.
            name = self.login.replace("=", "=3D").replace(",", "=2C")
            text = f"n,a={name},\x01auth=Bearer {secret}\x01\x01"
        return base64.b64encode(text.encode("utf-8"))

    def plain_message(self) -> bytes:
        """The SASL PLAIN message in base64 (RFC 4616 section 2)."""
        parts = (self.authorization, self.login, self.password.reveal())
        return base64.b64encode("\0".join(parts).encode("utf-8"))


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The upstream lets the user in: its answer, as it goes to the client, what came after, and
    what it announced before the login (empty: not asked)."""

    answer: bytes
    leftover: bytes
    capabilities: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """Who the client is, for an upstream that wants to know; `session_id` may be empty."""

    peer: Peer
    time_to_live: int = FIRST_TIME_TO_LIVE
    session_id: str = ""


class UpstreamLogin(Protocol):
    """A login under way: feed what the upstream sends, send what comes back."""

    @property
    def first(self) -> bytes:
        """What is sent before anything was received; empty where the upstream speaks first."""
        ...

    def feed(self, data: bytes) -> bytes | LoggedIn:
        """Take what was received. Raises `UpstreamLoginError`."""
        ...


class Lines:
    """The lines of an upstream, bounded."""

    __slots__ = ("_buffer", "_count")

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._count = 0

    def feed(self, data: bytes) -> None:
        """Append what was received."""
        self._buffer.feed(data)

    def next(self) -> bytes | None:
        """The next line, or None. Raises `UpstreamLoginError`."""
        try:
            line = self._buffer.next_line(LONGEST_LINE)
        except LineTooLongError as failure:
            raise UpstreamLoginError(str(failure)) from None
        if line is not None:
            self._count += 1
            if self._count > MOST_LINES:
                raise UpstreamLoginError(f"an answer of more than {MOST_LINES} lines")
        return line

    def rest(self) -> bytes:
        """Everything after the last line taken."""
        return self._buffer.take_at_most(len(self._buffer))


def told(line: bytes) -> str:
    """A line of the upstream for the log: short and printable."""
    text = line[:200].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
