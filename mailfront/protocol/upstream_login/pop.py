"""Logging in at a POP3 upstream: greeting, XCLIENT if it is offered, USER and PASS or AUTH PLAIN.

RFC 1939 sections 4 and 7, RFC 5034 (AUTH with an initial response). Dovecot offers XCLIENT in the
greeting to front ends it trusts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailfront.errors import UpstreamLoginError
from mailfront.protocol.upstream_login.login import (
    ClientFacts,
    Lines,
    LoggedIn,
    UpstreamCredentials,
    told,
)

# RFC 2449 section 4: a command has at most so many octets; the rest is a continuation.
_LONGEST_COMMAND = 255
_WORD = re.compile(r"[!-~]+")
XCLIENT_OFFER = "[XCLIENT]"


class PopLogin:
    """One login; with `greeted` the greeting was read before TLS began, and `offers_xclient` says
    what stood there."""

    __slots__ = ("_client", "_credentials", "_lines", "_next", "first")

    def __init__(
        self,
        credentials: UpstreamCredentials,
        client: ClientFacts,
        *,
        greeted: bool = False,
        offers_xclient: bool = False,
    ) -> None:
        self._credentials = credentials
        self._client = client
        self._lines = Lines()
        # A function, not a bound method: a session that ends leaves no reference cycle behind.
        self._next: Callable[[PopLogin, bytes], bytes | LoggedIn] = PopLogin._greeting
        self.first = b""
        if greeted:
            self.first = self._tell_client() if offers_xclient else self._login()

    def feed(self, data: bytes) -> bytes | LoggedIn:
        """Part of `UpstreamLogin`."""
        self._lines.feed(data)
        out = b""
        while (line := self._lines.next()) is not None:
            if out:
                raise UpstreamLoginError("an answer before its question")
            outcome = self._next(self, line)
            if isinstance(outcome, LoggedIn):
                return outcome
            out = outcome
        return out

    def _greeting(self, line: bytes) -> bytes:
        _require_ok(line, "it greets with")
        return self._tell_client() if XCLIENT_OFFER.encode() in line else self._login()

    def _tell_client(self) -> bytes:
        client, peer = self._client, self._client.peer
        self._next = PopLogin._client_told
        attributes = {
            "ADDR": peer.address,
            "PORT": str(peer.port),
            "TTL": str(client.time_to_live),
            "SESSION": client.session_id,
        }
        # What is no word would end the attribute, or the command.
        told = [f"{name}={value}" for name, value in attributes.items() if _WORD.fullmatch(value)]
        return b"XCLIENT %s\r\n" % " ".join(told).encode("ascii")

    def _client_told(self, line: bytes) -> bytes:
        _require_ok(line, "it refuses XCLIENT:")
        return self._login()

    def _login(self) -> bytes:
        credentials = self._credentials
        # What would end a command early travels in base64.
        plain = (credentials.login + credentials.password.reveal()).isprintable()
        if plain and not (credentials.authorization or credentials.token_mechanism):
            self._next = PopLogin._user_told
            return b"USER %s\r\n" % credentials.login.encode("utf-8")
        command = b"AUTH %s %s\r\n" % (credentials.mechanism, credentials.message())
        if len(command) <= _LONGEST_COMMAND:
            self._next = PopLogin._answered
            return command
        self._next = PopLogin._message_wanted
        return b"AUTH %s\r\n" % credentials.mechanism

    def _user_told(self, line: bytes) -> bytes:
        _require_ok(line, "it refuses the name:")
        self._next = PopLogin._answered
        return b"PASS %s\r\n" % self._credentials.password.reveal().encode("utf-8")

    def _message_wanted(self, line: bytes) -> bytes:
        if line.rstrip() != b"+":
            mechanism = self._credentials.mechanism.decode("ascii")
            raise UpstreamLoginError(f"it refuses AUTH {mechanism}: {told(line)}")
        self._next = PopLogin._answered
        return self._credentials.message() + b"\r\n"

    def _answered(self, line: bytes) -> LoggedIn:
        _require_ok(line, "it refuses the login:")
        return LoggedIn(line + b"\r\n", self._lines.rest())


def _require_ok(line: bytes, otherwise: str) -> None:
    if line[:3].upper() == b"+OK" and line[3:4] in (b"", b" "):
        return
    upper = line.upper()
    # RFC 3206 section 4: SYS/TEMP; RFC 2449 section 8.1.1: IN-USE, another session is open.
    temporary = b"[SYS/TEMP" in upper or b"[IN-USE" in upper
    raise UpstreamLoginError(f"{otherwise} {told(line)}", temporary=temporary)
