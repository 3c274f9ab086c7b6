"""What an operator writes of the webmail behind us: its URLs, paths, host names, header names.

Option types: text in, the text checked out. HTTP has no STARTTLS, and one connection to a webmail
serves many clients, so the parameters of an upstream that say otherwise are refused. Header names
are letters, digits and hyphens alone: only such reach a webmail (`front.http.reverse_proxy`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfront.configuration.option_types import BadValueError, Names, Value
from mailfront.configuration.upstream_list import (
    UpstreamList,
    UpstreamTls,
    parse_upstreams,
)

HTTP = ("http",)
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
# What HTTP itself is made of may not say who somebody is.
_TAKEN = frozenset(
    {
        "connection", "content-length", "content-type", "cookie", "date", "expect", "forwarded",
        "host", "keep-alive", "origin", "te", "trailer", "transfer-encoding", "upgrade", "via",
        "authorization", "proxy-authorization", "proxy-connection", "set-cookie",
    }
)  # fmt: skip
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+=:@-]+)+/?|/")
_HOST_NAME = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class WebUpstreamList:
    """The webmail servers behind us: `embedded:`, or URLs divided by commas."""

    @property
    def description(self) -> str:
        """The schemes that may stand there."""
        return UpstreamList(HTTP).description

    def parse(self, text: str) -> str:
        """Return the text without blanks. Raises `BadValueError`."""
        for upstream in parse_upstreams(text, HTTP):
            if upstream.proxy_header:
                raise BadValueError(
                    "proxy=v2 does not fit a webmail: one connection serves many clients, who "
                    "are told in X-Forwarded-For and Forwarded"
                )
            if upstream.tls is UpstreamTls.STARTTLS:
                raise BadValueError("HTTP has no STARTTLS; write https://")
        return UpstreamList(HTTP).parse(text)

    def text(self, value: Value) -> str:
        """Return the URLs divided by commas."""
        return str(value)


@dataclass(frozen=True, slots=True)
class HeaderName:
    """The name of a header field, or nothing."""

    description: str = "name of a header field (letters, digits, hyphens), or empty"

    def parse(self, text: str) -> str:
        """Return the name. Raises `BadValueError`."""
        if text and _HEADER_NAME.fullmatch(text) is None:
            raise BadValueError("expected a name of letters, digits and hyphens, at most 64")
        if text.lower() in _TAKEN:
            raise BadValueError(f"{text} has a meaning of its own in HTTP")
        return text

    def text(self, value: Value) -> str:
        """Return the name."""
        return str(value)


@dataclass(frozen=True, slots=True)
class WebPaths:
    """Paths divided by commas, each with everything below it."""

    description: str = "list of paths such as /webmail, divided by commas; / is everything"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the paths without a slash at the end. Raises `BadValueError`."""
        paths = Names().parse(text)
        for path in paths:
            if _PATH.fullmatch(path) is None or not {".", ".."}.isdisjoint(path.split("/")):
                raise BadValueError(f"{path!r} is no plain path such as /webmail")
        if not paths:
            raise BadValueError("no path at all: nothing would be passed on")
        return tuple(path.rstrip("/") or "/" for path in paths)

    def text(self, value: Value) -> str:
        """Return the paths divided by commas."""
        return Names().text(value)


@dataclass(frozen=True, slots=True)
class HostNames:
    """Host names divided by commas, or nothing."""

    description: str = "list of host names divided by commas, or empty"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the names in lower case. Raises `BadValueError`."""
        names = tuple(name.lower() for name in Names().parse(text))
        for name in names:
            if len(name) > 253 or _HOST_NAME.fullmatch(name) is None:
                raise BadValueError(f"{name!r} is no host name")
        return names

    def text(self, value: Value) -> str:
        """Return the names divided by commas."""
        return Names().text(value)
