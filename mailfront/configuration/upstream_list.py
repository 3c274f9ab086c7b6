"""Upstreams as operators write them: a list of URLs, or `embedded:` for the store on this machine.

`imap://store1.example.com`, `imaps://store1,imaps://store2:1993`, `pop://`, `pops://`, `smtp://`,
`smtps://`, `lmtp://`, `http://`, `https://`; text in, records out. A password must not leave in
clear by accident: without TLS in the URL, an upstream that is not on loopback is spoken to with
STARTTLS, which must then succeed, unless the URL says `?tls=none`. Parameters follow `?`, divided
by `&`: `tls=starttls|none`, `name=HOST` (in the upstream's certificate), `proxy=v2|none`,
`token=oauthbearer|xoauth2|none` (how it is given the access tokens that users log in with).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import SplitResult, urlsplit

from mailfront.configuration.option_types import BadValueError, Value
from mailfront.configuration.suggest import did_you_mean

EMBEDDED = "embedded:"
_PARAMETERS = ("tls", "name", "proxy", "token")
MOST_UPSTREAMS = 64
_LONGEST = 2048
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII | re.IGNORECASE)


class UpstreamTls(Enum):
    """How the connection to an upstream is protected; the value is the word of `?tls=`."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a URL's scheme says: the protocol, its registered port, and whether TLS comes first."""

    protocol: str
    port: int
    implicit_tls: bool


SCHEMES = {
    "imap": Scheme("imap", 143, implicit_tls=False),
    "imaps": Scheme("imap", 993, implicit_tls=True),
    "pop": Scheme("pop", 110, implicit_tls=False),
    "pops": Scheme("pop", 995, implicit_tls=True),
    "smtp": Scheme("smtp", 25, implicit_tls=False),
    "smtps": Scheme("smtp", 465, implicit_tls=True),
    "lmtp": Scheme("lmtp", 24, implicit_tls=False),
    "http": Scheme("http", 80, implicit_tls=False),
    "https": Scheme("http", 443, implicit_tls=True),
}


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server behind this one. `certificate_name` is what its certificate must be for,
    `token_mechanism` how users' own access tokens are passed on to it (empty: they are not)."""

    protocol: str
    host: str
    port: int
    tls: UpstreamTls
    certificate_name: str
    proxy_header: bool = False
    token_mechanism: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UpstreamList:
    """The option type: upstreams of these protocols, divided by commas; all are equals.

    The value is the text, checked; `parse_upstreams` makes the records of it.
    """

    protocols: tuple[str, ...]

    @property
    def description(self) -> str:
        """The schemes that may stand there."""
        schemes = [name for name, scheme in SCHEMES.items() if scheme.protocol in self.protocols]
        return f"{EMBEDDED} or URLs divided by commas ({'://, '.join(schemes)}://)"

    def parse(self, text: str) -> str:
        """Return the text without blanks. Raises `BadValueError`."""
        parse_upstreams(text, self.protocols)
        return ",".join(item.strip() for item in text.split(","))

    def text(self, value: Value) -> str:
        """Return the URLs divided by commas."""
        return str(value)


def parse_upstreams(text: str, protocols: tuple[str, ...]) -> tuple[Upstream, ...]:
    """Return the upstreams of a list, none for `embedded:`. Raises `BadValueError`."""
    if len(text) > _LONGEST or not text.isprintable():
        raise BadValueError(f"longer than {_LONGEST} characters, or with control characters")
    items = [item.strip() for item in text.split(",")]
    if items == [EMBEDDED]:
        return ()
    if EMBEDDED in items:
        raise BadValueError(f"{EMBEDDED} stands alone: it cannot be one of several upstreams")
    if len(items) > MOST_UPSTREAMS:
        raise BadValueError(f"more than {MOST_UPSTREAMS} upstreams")
    upstreams = tuple(parse_upstream(item, protocols) for item in items)
    places = [(upstream.host, upstream.port) for upstream in upstreams]
    if len(set(places)) != len(places):
        raise BadValueError("an upstream stands in the list twice")
    if len({upstream.protocol for upstream in upstreams}) > 1:
        raise BadValueError("the upstreams of one service must speak the same protocol")
    return upstreams


def parse_upstream(url: str, protocols: tuple[str, ...]) -> Upstream:
    """Return the upstream that `url` names. Raises `BadValueError`."""
    allowed = [name for name, scheme in SCHEMES.items() if scheme.protocol in protocols]
    name, colon, _ = url.partition("://")
    scheme = SCHEMES.get(name.lower())
    if not colon or scheme is None or scheme.protocol not in protocols:
        guess = did_you_mean(name.lower(), allowed) if colon else ""
        raise BadValueError(
            f"{url!r} does not begin with {' or '.join(f'{one}://' for one in allowed)}"
            + (f"; {guess}" if guess else "")
        )
    host, port = _place(url, scheme)
    parameters = _parameters(url)
    tls = _tls(url, scheme, host, parameters.get("tls"))
    return Upstream(
        protocol=scheme.protocol,
        host=host,
        port=port,
        tls=tls,
        certificate_name=_host(url, parameters["name"]) if "name" in parameters else host,
        proxy_header=_word(url, "proxy", parameters.get("proxy", "none"), ("v2", "none")) == "v2",
        token_mechanism=_token_mechanism(url, scheme, parameters.get("token", "none")),
    )


def is_loopback(host: str) -> bool:
    """Whether what is sent to `host` stays on this machine, whatever a resolver says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as failure:
        raise BadValueError(f"{url!r}: {failure}") from None


def _place(url: str, scheme: Scheme) -> tuple[str, int]:
    parts = _split(url)
    if "@" in parts.netloc:
        raise BadValueError(
            f"{url!r} holds a user name; how to log in is for other options, which keep secrets"
        )
    if parts.path not in ("", "/") or parts.fragment:
        raise BadValueError(f"{url!r}: nothing may follow the port but ?parameters")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise BadValueError(f"{url!r}: the port is not a number from 1 to 65535")
    return _host(url, parts.hostname or ""), port or scheme.port


def _host(url: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _HOST.fullmatch(text) is None:
            raise BadValueError(f"{url!r} names no host") from None
    return text.lower().rstrip(".")


def _parameters(url: str) -> dict[str, str]:
    found: dict[str, str] = {}
    query = _split(url).query
    for item in query.split("&") if query else ():
        name, equals, value = item.partition("=")
        if not equals or name not in _PARAMETERS or name in found:
            raise BadValueError(
                f"{url!r}: {item!r} is none of the parameters "
                f"{', '.join(_PARAMETERS)} (with = and a value), or there twice"
            )
        found[name] = value
    return found


def _tls(url: str, scheme: Scheme, host: str, wanted: str | None) -> UpstreamTls:
    if scheme.implicit_tls:
        if wanted is not None:
            raise BadValueError(f"{url!r}: its scheme says TLS already; leave tls= out")
        return UpstreamTls.IMPLICIT
    if wanted is not None:
        return UpstreamTls(_word(url, "tls", wanted, ("starttls", "none")))
    if scheme.protocol == "http" or is_loopback(host):
        # HTTP has no STARTTLS; a plain one off loopback must be asked for by name.
        if not is_loopback(host):
            raise BadValueError(
                f"{url!r} would send sessions in clear; write https://, or add ?tls=none if "
                "the network between is trusted"
            )
        return UpstreamTls.NONE
    return UpstreamTls.STARTTLS


def _token_mechanism(url: str, scheme: Scheme, wanted: str) -> str:
    word = _word(url, "token", wanted, ("oauthbearer", "xoauth2", "none"))
    if word == "none":
        return ""
    if scheme.protocol not in ("imap", "pop"):
        raise BadValueError(f"{url!r}: token= is for IMAP and POP3")
    return word.upper()


def _word(url: str, name: str, value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise BadValueError(f"{url!r}: {name}= is one of {', '.join(words)}")
    return value


@dataclass(frozen=True, slots=True)
class UpstreamTemplate:
    """The option type: one URL in which `%h` stands for the host that holds a user's mailbox."""

    protocols: tuple[str, ...]

    @property
    def description(self) -> str:
        """The form."""
        return f"URL with %h for the host, such as {self.protocols[0]}s://%h"

    def parse(self, text: str) -> str:
        """Return the text. Raises `BadValueError`."""
        if text.count("%h") != 1:
            raise BadValueError("expected a URL with %h, once, where the host belongs")
        fill_in(text, "mailhost.example.com", self.protocols)
        return text

    def text(self, value: Value) -> str:
        """Return the URL."""
        return str(value)


def fill_in(template: str, host: str, protocols: tuple[str, ...]) -> Upstream:
    """Return the upstream of a template for `host`, a name or an address.

    Raises `BadValueError` for what is neither: a host comes from a directory, not from an operator.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _HOST.fullmatch(host) is None:
            raise BadValueError(f"{host!r} is no host") from None
        return parse_upstream(template.replace("%h", host), protocols)
    written = f"[{address}]" if address.version == 6 else str(address)
    return parse_upstream(template.replace("%h", written), protocols)
