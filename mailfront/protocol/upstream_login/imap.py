"""Logging in at an IMAP upstream: greeting, ID, AUTHENTICATE PLAIN or LOGIN, in one flight.

The client's own tag is used, so that the upstream's answer, with the capabilities that hold from
now on, can go to the client as it is. RFC 9051 sections 6.2 and 7.1, RFC 4959 (SASL-IR), RFC 2971
(ID, with the names that Dovecot reads from front ends it trusts).
"""

from __future__ import annotations

import re

from mailfront.errors import UpstreamLoginError
from mailfront.protocol.upstream_login.login import (
    ClientFacts,
    Lines,
    LoggedIn,
    UpstreamCredentials,
    told,
)

_CAPABILITIES = re.compile(rb"\[CAPABILITY ([^\]]*)\]", re.IGNORECASE)
_OWN_TAG = b"login"
_LITERAL = re.compile(rb"\{\d+\+?\}$")
# No octet of these may stand in a quoted string as LOGIN sends it (RFC 9051 section 9).
_UNQUOTABLE = re.compile(r"[\x00-\x1f\x7f-\U0010ffff]")


class ImapLogin:
    """One login; with `greeted` the greeting was read before TLS began.

    Without a `tag` the client was not greeted yet, and what it gets is PREAUTH.
    """

    __slots__ = (
        "_asked", "_client", "_credentials", "_id_tag", "_lines", "_pending",
        "_preauthenticated", "_tag", "first",
    )  # fmt: skip

    def __init__(
        self,
        tag: bytes,
        credentials: UpstreamCredentials,
        client: ClientFacts,
        *,
        greeted: bool = False,
    ) -> None:
        self._tag = tag or _OWN_TAG
        self._preauthenticated = not tag
        self._id_tag = b"id1" if tag != b"id1" else b"id2"
        self._credentials = credentials
        self._client = client
        self._lines = Lines()
        self._asked = False
        # What goes out once the upstream is ready for it.
        self._pending: bytes | None = None
        self.first = b""
        if greeted:
            # Inside TLS nothing is known anew; asking costs a round trip, and SASL-IR saves it.
            self.first = b"%s CAPABILITY\r\n" % self._id_tag

    def feed(self, data: bytes) -> bytes | LoggedIn:
        """Part of `UpstreamLogin`."""
        self._lines.feed(data)
        out = b""
        while (line := self._lines.next()) is not None:
            outcome = self._take(line)
            if isinstance(outcome, LoggedIn):
                return outcome
            out += outcome
        return out

    def _take(self, line: bytes) -> bytes | LoggedIn:
        if _LITERAL.search(line):
            raise UpstreamLoginError("a literal where none belongs")
        word, _, rest = line.partition(b" ")
        if word == b"*":
            return self._untagged(rest)
        if word == b"+":
            pending, self._pending = self._pending, None
            if pending is None:
                raise UpstreamLoginError("it asks to go on where nothing is left to say")
            return pending
        if word == self._tag:
            return self._answered(line, rest)
        if word != self._id_tag:
            raise UpstreamLoginError(f"an answer to no command of ours: {told(line)}")
        return b""

    def _untagged(self, rest: bytes) -> bytes:
        condition, _, text = rest.partition(b" ")
        match condition.upper():
            case b"OK" if not self._asked:
                found = _CAPABILITIES.search(text)
                return self._begin(found[1].upper().split() if found else [])
            case b"CAPABILITY" if not self._asked:
                return self._begin(text.upper().split())
            case b"PREAUTH":
                # Whose session it would be, nobody here knows.
                raise UpstreamLoginError("it greets with PREAUTH")
            case b"BYE":
                raise UpstreamLoginError(f"it says {told(rest)}", temporary=True)
        return b""

    def _begin(self, capabilities: list[bytes]) -> bytes:
        if b"LOGINDISABLED" in capabilities and b"AUTH=PLAIN" not in capabilities:
            raise UpstreamLoginError("it takes no password without TLS; add ?tls=starttls")
        out = self._identification() if b"ID" in capabilities else b""
        self._asked = True
        return out + self._login(capabilities)

    def _login(self, capabilities: list[bytes]) -> bytes:
        credentials = self._credentials
        password = credentials.password.reveal()
        quotable = not _UNQUOTABLE.search(credentials.login + password)
        if b"AUTH=PLAIN" in capabilities or credentials.authorization or not quotable:
            message = credentials.plain_message()
            if b"SASL-IR" in capabilities:
                return b"%s AUTHENTICATE PLAIN %s\r\n" % (self._tag, message)
            self._pending = message + b"\r\n"
            return b"%s AUTHENTICATE PLAIN\r\n" % self._tag
        return b"%s LOGIN %s %s\r\n" % (self._tag, _quoted(credentials.login), _quoted(password))

    def _identification(self) -> bytes:
        peer = self._client.peer
        values = {
            "x-originating-ip": peer.address,
            "x-originating-port": str(peer.port),
            "x-connected-ip": peer.local_address,
            "x-connected-port": str(peer.local_port),
            "x-proxy-ttl": str(self._client.time_to_live),
        }
        pairs = b" ".join(_quoted(name) + b" " + _quoted(value) for name, value in values.items())
        return b"%s ID (%s)\r\n" % (self._id_tag, pairs)

    def _answered(self, line: bytes, rest: bytes) -> LoggedIn:
        condition, _, text = rest.partition(b" ")
        if condition.upper() == b"OK":
            if self._preauthenticated:
                # RFC 9051 section 7.1.4.
                line = b"* PREAUTH " + (text or b"Logged in")
            return LoggedIn(line + b"\r\n", self._lines.rest())
        raise UpstreamLoginError(
            f"it refuses the login: {told(rest)}",
            temporary=text[:13].upper() == b"[UNAVAILABLE]",
        )


def _quoted(text: str) -> bytes:
    return b'"%s"' % text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")
