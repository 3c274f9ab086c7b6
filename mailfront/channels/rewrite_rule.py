"""Rewrite rules of imta.cnf: `pattern template`, and which domains a rule is for.

    host.example.org   that domain             [192.0.2.1]       that address literal
    .example.org       all domains below it    [192.0.2.]        addresses that begin so
    .                  any domain              [192.0.2.0/24]    addresses of that network
    $*                 any domain, first       []                any address literal

The template says which channel: `$U%$H$D@OFFICIAL-HOST`. Addresses are not changed here, so what
stands before the `@` must come to the address itself: `$U` is the user, `$H` what stands left of
the pattern, `$D` the pattern (`.example.org`), `$L` what is left of an address literal. `$E`
(envelope addresses) and `$A` say nothing that matters here; a rule with `$F` is for recipients
alone, one with `$R` for senders alone: by those of networks a client's address is judged
(`switchchannel`). `$V` asks whether the domain is ours, which the directory answers before any rule
does.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mailfront.channels.imta_lines import Line
from mailfront.errors import AddressError
from mailfront.protocol.mail_address import canonical_domain

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_TAG = re.compile(r"IPv6:", re.IGNORECASE)
_PARTIAL = re.compile(r"(?:[0-9]{1,3}\.){1,3}")
_TOKEN = re.compile(r"\$(?P<control>.)|(?P<text>[^$%@]+)|(?P<divider>[%@])", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,250}[A-Za-z0-9])?")
_WITHOUT_EFFECT = frozenset("AE")
_DIRECTIONS = {"F": "recipients", "R": "senders"}
_REFUSED = {
    "{": "mapping tables are not read here; write the networks as patterns: [192.0.2.0/24]",
    "(": "databases are not read here; write a rule for each domain",
    "[": "routines of one's own are not called from rules",
    "]": "the directory is asked before any rule; leave the look-up out",
    "|": "databases are not read here; write a rule for each domain",
    "?": "mail is not refused by rules; a channel's keywords and the directory do that",
    "M": "rules are the same for all channels",
    "N": "rules are the same for all channels",
    "Q": "rules are the same for all channels",
    "C": "rules are the same for all channels",
    "B": "addresses in headers are not rewritten; take the rule out",
    "P": "addresses with % instead of @ are not taken; take the rule out",
    "S": "source routes are dropped from addresses (RFC 5321 appendix C); take the rule out",
    "X": "addresses with ! instead of @ are not taken; take the rule out",
    "Z": "the directory is asked before any rule; take the rule out",
    "W": "the directory is asked before any rule; take the rule out",
}
_PLAIN_TEMPLATE = "write $U%$H$D@HOST, where HOST is a channel's official host"


class Kind(Enum):
    """What a pattern is for."""

    ANY_FIRST = "$*"
    DOMAIN = "domain"
    SUBDOMAINS = "subdomains"
    NETWORK = "address literals"
    ANY_LITERAL = "[]"
    ANY = "."


@dataclass(frozen=True, slots=True)
class RewriteRule:
    """One rule. `host` is the official host of the channel it leads to, in lower case.

    `domain` is what the pattern names (for subdomains without the dot), `network` the addresses;
    `for_recipients` and `for_senders` tell whose addresses it is for. One that is only for domains
    of ours (`$V`) is for nobody: the directory finds them.
    """

    pattern: str
    template: str
    host: str
    kind: Kind
    file: Path
    line: int
    domain: str = ""
    network: Network | None = None
    for_recipients: bool = True
    for_senders: bool = True

    def __str__(self) -> str:
        return f"{self.pattern}  {self.template}"

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"


def parse_rule(line: Line) -> RewriteRule:
    """Return the rule that a line holds. Raises `ConfigurationError`."""
    words = line.text.split()
    if len(words) != 2:
        raise line.fault(
            f"a rewrite rule is a pattern and a template, here are {len(words)} words",
            "channel blocks come after the first blank line of the file",
        )
    pattern, template = words
    if "@" not in template:
        raise line.fault(
            f"the template {template} is not user%domain@host",
            f"{_PLAIN_TEMPLATE}; channel blocks come after the first blank line of the file",
        )
    kind, domain, network = _pattern(line, pattern)
    parts, controls = _template(line, template)
    if parts[0] != "$U" or parts[1] not in _addresses(kind, domain, pattern):
        raise line.fault(
            f"the template {template} would change the address, which is not done here",
            _PLAIN_TEMPLATE,
        )
    only = controls & _DIRECTIONS.keys()
    ours = "V" in controls
    return RewriteRule(
        pattern,
        template,
        parts[2].lower(),
        kind,
        line.file,
        line.number,
        domain,
        network,
        for_recipients=not ours and (not only or "F" in only),
        for_senders=not ours and (not only or "R" in only),
    )


def _pattern(line: Line, pattern: str) -> tuple[Kind, str, Network | None]:
    if pattern == "$*":
        return Kind.ANY_FIRST, "", None
    if pattern == ".":
        return Kind.ANY, "", None
    if pattern == "[]":
        return Kind.ANY_LITERAL, "", None
    if pattern.startswith("["):
        return Kind.NETWORK, "", _network(line, pattern)
    if "$" in pattern or "*" in pattern or "%" in pattern:
        raise line.fault(
            f"wildcards in a pattern such as {pattern} are not known here",
            "write .example.org for all domains below example.org",
        )
    kind = Kind.SUBDOMAINS if pattern.startswith(".") else Kind.DOMAIN
    try:
        return kind, canonical_domain(pattern.removeprefix(".").removesuffix(".")), None
    except AddressError as error:
        raise line.fault(f"the pattern {pattern} is no domain: {error}") from None


def _network(line: Line, pattern: str) -> Network:
    text = _IPV6_TAG.sub("", pattern.removesuffix("]")[1:], count=1)
    if not pattern.endswith("]"):
        text = pattern
    try:
        if _PARTIAL.fullmatch(text):
            octets = text.removesuffix(".").split(".")
            padded = ".".join([*octets, *["0"] * (4 - len(octets))])
            return ipaddress.ip_network(f"{padded}/{8 * len(octets)}")
        return ipaddress.ip_network(text)
    except ValueError:
        raise line.fault(
            f"the pattern {pattern} is no address literal and no network",
            "write [192.0.2.1], [192.0.2.0/24], [192.0.2.], [IPv6:2001:db8::/32] or []",
        ) from None


def _template(line: Line, template: str) -> tuple[tuple[str, str, str], set[str]]:
    """User, address and official host of a template, and the controls besides."""
    parts, controls = [""], set[str]()
    position = 0
    while position < len(template):
        found = _TOKEN.match(template, position)
        if found is None:
            raise line.fault(f"the template {template} ends with $", _PLAIN_TEMPLATE)
        position = found.end()
        control = (found["control"] or "").upper()
        if found["divider"]:
            parts.append("")
        elif found["text"]:
            parts[-1] += found["text"].lower()
        elif control in ("U", "H", "D", "L"):
            parts[-1] += f"${control}"
        elif control in _WITHOUT_EFFECT or control in _DIRECTIONS:
            controls.add(control)
        elif control == "V":
            controls.add(control)
            # Its argument, the domain that it asks for.
            position = _end_of_argument(template, position)
        else:
            raise line.fault(
                f"${found['control']} in the template {template} is not known here",
                _REFUSED.get(control, _PLAIN_TEMPLATE),
            )
    if len(parts) != 3 or not all(parts):
        raise line.fault(f"the template {template} is not user%domain@host", _PLAIN_TEMPLATE)
    user, address, host = parts
    if not _HOST.fullmatch(host):
        raise line.fault(f"{host} in the template {template} is no host", _PLAIN_TEMPLATE)
    return (user, address, host), controls


def _end_of_argument(template: str, position: int) -> int:
    end = template.find("@", position)
    return len(template) if end < 0 else end


def _addresses(kind: Kind, domain: str, pattern: str) -> frozenset[str]:
    """What may stand between `%` and `@` and comes to the address that the pattern matched."""
    match kind:
        case Kind.DOMAIN:
            return frozenset({"$D", "$H$D", domain, pattern.lower()})
        case Kind.SUBDOMAINS:
            return frozenset({"$H$D", f"$H.{domain}", f"$H{pattern.lower()}"})
        case Kind.ANY | Kind.ANY_FIRST:
            return frozenset({"$H", "$H$D"})
        case Kind.ANY_LITERAL:
            return frozenset({"[$L]"})
        case Kind.NETWORK:
            return frozenset({"[$L]", "$D", "$H$D", pattern.lower(), f"{pattern.lower()[:-1]}$L]"})
