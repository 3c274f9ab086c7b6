"""Logging in at an IMAP upstream: greeting, ID, AUTHENTICATE PLAIN or LOGIN, in one flight.

The client's own tag is used, so that the upstream's answer can go to the client, always with the
capabilities that hold from now on. RFC 9051 sections 6.2 and 7.1, RFC 4959 (SASL-IR), RFC 2971
(ID, with the names that Dovecot reads from front ends it trusts).
"""

from __future__ import annotations

import base64
import re

from mailfront.errors import UpstreamLoginError
from mailfront.protocol.upstream_login.capabilities import passed_on
from mailfront.protocol.upstream_login.login import (
    ClientFacts,
    Lines,
    LoggedIn,
    UpstreamCredentials,
    told,
)

_CAPABILITIES = re.compile(rb"\[CAPABILITY ([^\]]*)\]", re.IGNORECASE)
_CODE = re.compile(rb"\[CAPABILITY [^\]]*\] ?", re.IGNORECASE)
_OWN_TAG = b"login"
_LITERAL = re.compile(rb"\{\d+\+?\}$")
# No octet of these may stand in a quoted string as LOGIN sends it (RFC 9051 section 9).
_UNQUOTABLE = re.compile(r"[^ -~]")
_IDENTIFICATION = (
    b'%s ID ("x-originating-ip" %s "x-originating-port" "%d" "x-connected-ip" %s '
    b'"x-connected-port" "%d" "x-proxy-ttl" "%d"%s)\r\n'
)


class ImapLogin:
    """One login; with `greeted` the greeting was read before TLS began.

    Without a `tag` the client was not greeted yet, and what it gets is PREAUTH.
    """

    __slots__ = (
        "_answer", "_asked", "_before", "_capability_tag", "_client", "_credentials", "_id_tag",
        "_lines", "_now", "_pending", "_preauthenticated", "_tag", "first",
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
        self._capability_tag = b"cp1" if tag != b"cp1" else b"cp2"
        self._credentials = credentials
        self._client = client
        self._lines = Lines()
        self._asked = False
        # What is announced before the login and after it; the answer that waits for the latter.
        self._before = self._now = b""
        self._answer: bytes | None = None
        # What goes out once the upstream is ready for it.
        self._pending: bytes | None = None
        self.first = b""
        if greeted:
            # Inside TLS nothing is known anew; asking costs a round trip, and SASL-IR saves it.
            self.first = self._ask()

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
            if pending is None and self._credentials.token_mechanism:
                # RFC 7628 section 3.2.3: why, and an empty answer is wanted before it says NO.
                raise UpstreamLoginError(f"it refuses the token: {_reason(rest)}")
            if pending is None:
                raise UpstreamLoginError("it asks to go on where nothing is left to say")
            return pending
        if word == self._capability_tag:
            # Whoever has no answer to this has no extensions either.
            return self._logged_in() if self._answer is not None else b""
        if word == self._tag and self._answer is None:
            return self._answered(rest)
        if word != self._id_tag:
            raise UpstreamLoginError(f"an answer to no command of ours: {told(line)}")
        return b""

    def _untagged(self, rest: bytes) -> bytes:
        condition, _, text = rest.partition(b" ")
        match condition.upper():
            case b"OK" if not self._asked:
                announced = _announced(text)
                # What token it takes has to be known; a password has a way without.
                if not announced and self._credentials.token_mechanism:
                    return self._ask()
                return self._begin(announced)
            case b"CAPABILITY" if not self._asked:
                return self._begin(text)
            case b"CAPABILITY":
                self._now = text
            case b"PREAUTH":
                # Whose session it would be, nobody here knows.
                raise UpstreamLoginError("it greets with PREAUTH")
            case b"BYE":
                raise UpstreamLoginError(f"it says {told(rest)}", temporary=True)
        return b""

    def _ask(self) -> bytes:
        return b"%s CAPABILITY\r\n" % self._capability_tag

    def _begin(self, announced: bytes) -> bytes:
        self._before = announced
        capabilities = announced.upper().split()
        if b"LOGINDISABLED" in capabilities and b"AUTH=PLAIN" not in capabilities:
            raise UpstreamLoginError("it takes no password without TLS; add ?tls=starttls")
        out = self._identification() if b"ID" in capabilities else b""
        self._asked = True
        return out + self._login(capabilities)

    def _login(self, capabilities: list[bytes]) -> bytes:
        credentials = self._credentials
        password = credentials.password.reveal()
        mechanism = credentials.mechanism
        if credentials.token_mechanism and b"AUTH=%s" % mechanism not in capabilities:
            raise UpstreamLoginError(f"it does not offer {credentials.token_mechanism}")
        quotable = not _UNQUOTABLE.search(credentials.login + password)
        named = credentials.authorization or credentials.token_mechanism
        if b"AUTH=PLAIN" in capabilities or named or not quotable:
            message = credentials.message()
            if b"SASL-IR" in capabilities:
                return b"%s AUTHENTICATE %s %s\r\n" % (self._tag, mechanism, message)
            self._pending = message + b"\r\n"
            return b"%s AUTHENTICATE %s\r\n" % (self._tag, mechanism)
        return b"%s LOGIN %s %s\r\n" % (self._tag, _quoted(credentials.login), _quoted(password))

    def _identification(self) -> bytes:
        client, peer = self._client, self._client.peer
        session = client.session_id
        return _IDENTIFICATION % (
            self._id_tag, _told_value(peer.address), peer.port, _told_value(peer.local_address),
            peer.local_port, client.time_to_live,
            b' "x-session-id" ' + _told_value(session) if session else b"",
        )  # fmt: skip

    def _answered(self, rest: bytes) -> bytes | LoggedIn:
        condition, _, text = rest.partition(b" ")
        if condition.upper() != b"OK":
            raise UpstreamLoginError(
                f"it refuses the login: {told(rest)}",
                temporary=text[:13].upper() == b"[UNAVAILABLE]",
            )
        self._now = _announced(text) or self._now
        self._answer = _CODE.sub(b"", text, count=1) or b"Logged in"
        # RFC 9051 section 6.2.2: what was announced before the login does not hold any more, and
        # the client has to be told what does.
        return self._logged_in() if self._now else self._ask()

    def _logged_in(self) -> LoggedIn:
        assert self._answer is not None
        answer = self._answer
        if self._now:
            answer = b"[CAPABILITY %s] %s" % (passed_on(self._now), answer)
        # RFC 9051 section 7.1.4.
        begin = b"* PREAUTH" if self._preauthenticated else b"%s OK" % self._tag
        return LoggedIn(b"%s %s\r\n" % (begin, answer), self._lines.rest(), self._before)


def _announced(text: bytes) -> bytes:
    """The capabilities of a response code."""
    found = _CAPABILITIES.search(text)
    return found[1] if found else b""


def _reason(encoded: bytes) -> str:
    """What a server says of a token, which it writes in base64."""
    try:
        return told(base64.b64decode(encoded, validate=True))
    except ValueError:
        return told(encoded)


def _told_value(text: str) -> bytes:
    """A value of ID; NIL (RFC 2971 section 3.3) for what a quoted string cannot hold."""
    return b"NIL" if _UNQUOTABLE.search(text) else _quoted(text)


def _quoted(text: str) -> bytes:
    if _UNQUOTABLE.search(text):
        raise UpstreamLoginError("a value that no quoted string can hold")
    return b'"%s"' % text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")
