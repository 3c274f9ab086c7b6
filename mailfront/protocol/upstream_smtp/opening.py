"""From the greeting of an SMTP or LMTP server to the first MAIL: EHLO or LHLO (RFC 2033 section
4.1), and XCLIENT to say whose mail it is.

Takes replies, gives command lines, until it `is_ready`. XCLIENT is Postfix's ("Postfix XCLIENT
Howto"; Dovecot and others have it too), its values in xtext (RFC 3461 section 4); only attributes
that the server names are sent, and after it the session begins anew, with EHLO.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailfront.errors import UpstreamMailError
from mailfront.interfaces.mail_relay import RelayAnswer, RelayClient
from mailfront.protocol.upstream_smtp.replies import told

# A command line, as RFC 5321 section 4.5.3.1.4 bounds it.
_LONGEST_COMMAND = 512
_SIZE = re.compile(r"[0-9]{1,20}")
_NOT_XTEXT = re.compile(rb"[^!-*,-<>-~]")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What EHLO announced. `size_limit` is 0 where no limit is told; `xclient` the attributes."""

    size: bool = False
    size_limit: int = 0
    eight_bit: bool = False
    utf8: bool = False
    dsn: bool = False
    require_tls: bool = False
    chunking: bool = False
    auth: bool = False
    xclient: frozenset[str] = frozenset()


def capabilities_of(answer: RelayAnswer) -> Capabilities:
    """Read the answer to EHLO (RFC 5321 section 4.1.1.1); what cannot be read counts as absent."""
    # Older servers write AUTH=.
    words = [line.upper().replace("=", " ").split() for line in answer.lines[1:]]
    offered = {each[0]: each[1:] for each in words if each}
    limit = offered.get("SIZE", [])[:1]
    return Capabilities(
        size="SIZE" in offered,
        size_limit=int(limit[0]) if limit and _SIZE.fullmatch(limit[0]) else 0,
        eight_bit="8BITMIME" in offered,
        utf8="SMTPUTF8" in offered,
        dsn="DSN" in offered,
        require_tls="REQUIRETLS" in offered,
        chunking="CHUNKING" in offered,
        auth="AUTH" in offered,
        xclient=frozenset(offered.get("XCLIENT", ())),
    )


def xtext(text: str) -> str:
    """Encode for a parameter (RFC 3461 section 4)."""
    encoded = _NOT_XTEXT.sub(lambda found: b"+%02X" % found[0][0], text.encode("utf-8"))
    return encoded.decode("ascii")


def xclient_attributes(client: RelayClient) -> dict[str, str]:
    """All that can be said of a client, before encoding.

    The name is left to the server behind: we look up none, and say so. Raises `UpstreamMailError`.
    """
    try:
        address = ipaddress.ip_address(client.peer.address.partition("%")[0])
    except ValueError:
        raise UpstreamMailError("the client was gone before its address was known") from None
    attributes = {
        "NAME": "[UNAVAILABLE]",
        "ADDR": f"IPV6:{address}" if address.version == 6 else str(address),
        "PORT": str(client.peer.port),
        "PROTO": "ESMTP" if client.extended else "SMTP",
        "HELO": client.hello,
    }
    if client.user:
        attributes["LOGIN"] = client.user
    return attributes


def xclient_commands(attributes: dict[str, str]) -> Iterator[str]:
    """The commands that say `attributes`, each a line that every server takes."""
    line = "XCLIENT"
    for name, value in attributes.items():
        word = f" {name}={xtext(value)}"
        if len(line) + len(word) + 2 > _LONGEST_COMMAND and line != "XCLIENT":
            yield line
            line = "XCLIENT"
        line += word
    if line != "XCLIENT":
        yield line


class Opening:
    """One opening. `greeted` tells that the greeting was read; `client` is None where the server
    is only asked what it can do. `delivers` tells that it speaks LMTP, `named` that a PROXY header
    told it who the client is.

    With `is_ready`, `refusal` is the server's refusal of this very client, or None: once the client
    was named, what the server does not grant it does not grant that client. `attributes`
    are those of XCLIENT that the server offers to us; in the client's own session there are none.
    """

    def __init__(
        self,
        our_name: str,
        client: RelayClient | None,
        *,
        greeted: bool = False,
        delivers: bool = False,
        named: bool = False,
    ) -> None:
        self._hello = "LHLO" if delivers else "EHLO"
        self._our_name = our_name
        self._client = client
        self._greeted = greeted
        self._named = named
        self._asked_capabilities = False
        self._introductions: list[str] | None = None
        self.attributes: frozenset[str] = frozenset()
        self.told_login = False
        self.capabilities = Capabilities()
        self.refusal: RelayAnswer | None = None
        self.is_ready = False

    @property
    def first(self) -> bytes:
        """What is sent before anything was received."""
        return self._ehlo() if self._greeted else b""

    def take(self, answer: RelayAnswer) -> bytes:
        """Take a reply; return what to send (nothing once it is ready).

        Raises `UpstreamMailError` if the server does not serve us.
        """
        if not self._greeted:
            self._greeted = True
            if answer.code != 220:
                return self._refused(answer, "greets with")
            return self._ehlo()
        if self._asked_capabilities:
            self._asked_capabilities = False
            if answer.code != 250:
                return self._refused(answer, f"answers {self._hello} with")
            self.capabilities = capabilities_of(answer)
            return self._introduce()
        if answer.code != 220:
            return self._refused(answer, "answers XCLIENT with")
        if self._introductions:
            return self._introduce()
        # What this EHLO says counts more than XCLIENT's HELO, in Postfix at least.
        return self._ehlo(self._client.hello if self._client is not None else "")

    def _refused(self, answer: RelayAnswer, what: str) -> bytes:
        if not self._named or not 400 <= answer.code < 600:
            raise UpstreamMailError(f"it {what} {told(answer)}")
        self.refusal, self.is_ready = answer, True
        return b""

    def _ehlo(self, name: str = "") -> bytes:
        self._asked_capabilities = True
        return f"{self._hello} {name or self._our_name}\r\n".encode("ascii")

    def _introduce(self) -> bytes:
        if self._introductions is None:
            self._introductions = self._introduction()
        if not self._introductions:
            self.is_ready = True
            return b""
        self._named = True
        return f"{self._introductions.pop(0)}\r\n".encode("ascii")

    def _introduction(self) -> list[str]:
        offered = self.attributes = self.capabilities.xclient
        if self._client is None or not offered:
            return []
        attributes = {
            name: value
            for name, value in xclient_attributes(self._client).items()
            if name in offered
        }
        self.told_login = "LOGIN" in attributes
        return list(xclient_commands(attributes))
