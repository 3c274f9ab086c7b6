"""Paths of MAIL and RCPT: `<local-part@domain>` (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

Takes the text that follows `FROM:` or `TO:`, returns the mailbox and what follows the path.
Source routes are dropped, as RFC 5321 appendix C allows. One departure: blanks before `<`, which
the RFC forbids and common clients send, are skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from mailfront.errors import SmtpRefusalError

# RFC 5321 section 4.5.3.1: octets.
MAXIMUM_LOCAL_PART = 64
MAXIMUM_DOMAIN = 255
MAXIMUM_PATH = 256

# Every octet beyond ASCII is allowed (RFC 6531). The classes name what is not: those that name
# ranges up to U+10FFFF take ten times as long to compile, at each start.
_ATOM = r'[^\x00- "(),.:;<>@\[\\\]\x7f]+'
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED_STRING = r'"(?:[^\x00-\x1f"\\\x7f]|\\[ -~])*"'
_LETTER_OR_DIGIT = r"[^\x00-/:-@\[-`{-\x7f]"
_IN_LABEL = r"[^\x00-,./:-@\[-`{-\x7f]"
_LABEL = rf"{_LETTER_OR_DIGIT}(?:{_IN_LABEL}{{0,61}}{_LETTER_OR_DIGIT})?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[A-Za-z0-9:.]{1,64}\]"
_PATH = re.compile(
    rf"<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
    rf"(?P<local_part>{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|{_LITERAL})>"
)
_POSTMASTER = re.compile(r"<postmaster>", re.IGNORECASE)
_HELLO = re.compile(rf"(?:[A-Za-z0-9_.-]{{1,{MAXIMUM_DOMAIN}}}|{_LITERAL})")
_PLAIN_LOCAL_PART = re.compile(_DOT_STRING)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address: the local part without quoting, the domain in lower case.

    The case of the local part is kept (RFC 5321 section 2.4).
    """

    local_part: str
    domain: str

    @property
    def is_ascii(self) -> bool:
        """Whether it can be used without SMTPUTF8."""
        return self.local_part.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        if _PLAIN_LOCAL_PART.fullmatch(self.local_part):
            return f"{self.local_part}@{self.domain}"
        quoted = self.local_part.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{self.domain}'


def parse_reverse_path(text: str) -> tuple[Mailbox | None, str]:
    """Parse what follows `FROM:`. The mailbox is None for the null reverse-path `<>`.

    Returns it with the rest of the line. Raises `SmtpRefusalError`.
    """
    text = text.lstrip(" ")
    if text.startswith("<>"):
        return None, _rest(text[2:], "5.1.7")
    return _parse_path(text, "5.1.7")


def parse_forward_path(text: str, domain: str) -> tuple[Mailbox, str]:
    """Parse what follows `TO:`; `<Postmaster>` alone (RFC 5321 section 4.1.1.3) is the one of
    `domain`.

    Returns the mailbox with the rest of the line. Raises `SmtpRefusalError`.
    """
    text = text.lstrip(" ")
    if (postmaster := _POSTMASTER.match(text)) is not None:
        return Mailbox("postmaster", domain.lower()), _rest(text[postmaster.end() :], "5.1.3")
    return _parse_path(text, "5.1.3")


def parse_address(text: str) -> Mailbox:
    """Parse an address without angle brackets. Raises `SmtpRefusalError`."""
    mailbox, _ = _parse_path(f"<{text}>", "5.1.3")
    return mailbox


def is_hello_name(text: str) -> bool:
    """Whether `text` may be the argument of EHLO: a domain or an address literal.

    Underscores are let pass: many clients send the name of their machine as it is.
    """
    return _HELLO.fullmatch(text) is not None


def address_literal(address: str) -> str:
    """An IP address as RFC 5321 section 4.1.3 writes it."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _parse_path(text: str, enhanced: str) -> tuple[Mailbox, str]:
    path = _PATH.match(text)
    if path is None:
        raise SmtpRefusalError(501, enhanced, "Syntax error in the address")
    local_part, domain = path["local_part"], path["domain"]
    octets = len(local_part.encode()), len(domain.encode())
    if (
        octets[0] > MAXIMUM_LOCAL_PART
        or octets[1] > MAXIMUM_DOMAIN
        or sum(octets) + len("<@>") > MAXIMUM_PATH
    ):
        raise SmtpRefusalError(501, enhanced, "The address is too long")
    if not (_is_printable(local_part) and _is_printable(domain)):
        raise SmtpRefusalError(501, enhanced, "Characters that cannot stand in an address")
    if domain.startswith("["):
        domain = _literal(domain, enhanced)
    if local_part.startswith('"'):
        local_part = re.sub(r"\\(.)", r"\1", local_part[1:-1])
    return Mailbox(local_part, domain.lower()), _rest(text[path.end() :], enhanced)


def _rest(text: str, enhanced: str) -> str:
    if text and not text.startswith(" "):
        raise SmtpRefusalError(501, enhanced, "Syntax error behind the address")
    return text.strip(" ")


def _is_printable(text: str) -> bool:
    """False for control, format and private characters and for blanks other than the ASCII one."""
    return text.isascii() or text.isprintable()


def _literal(domain: str, enhanced: str) -> str:
    content = domain[1:-1]
    try:
        if content[:5].lower() == "ipv6:":
            return f"[IPv6:{IPv6Address(content[5:])}]"
        return f"[{IPv4Address(content)}]"
    except AddressValueError:
        raise SmtpRefusalError(501, enhanced, "Not an IP address between brackets") from None
