"""Which header fields go on, either way, and what is said of the client.

Pure functions over header fields. Hop-by-hop fields end here (RFC 9110 section 7.6.1); what says
who a client is counts only from us, so it is taken out of what clients send. Names of anything but
letters, digits and hyphens do not go on: `X_Client_User` is for many servers the same field as
`X-Client-User`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

from multidict import CIMultiDict

from mailfront.interfaces.peer import Peer

Fields = Iterable[tuple[str, str]]

_NAME = re.compile(r"[A-Za-z0-9-]+")
_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# "Proxy" becomes the environment's HTTP_PROXY in CGI programs; Expect is answered here.
_NOT_FROM_CLIENTS = frozenset(
    {
        "expect", "proxy", "remote-user", "client-cert", "client-cert-chain", "x-original-url",
        "x-rewrite-url", "x-real-ip", "x-remote-user", "x-client-user", "x-client-dn",
        "x-client-fingerprint", "x-client-ip", "x-cluster-client-ip", "true-client-ip",
        "x-ssl-client-cert", "x-ssl-client-dn", "x-ssl-client-verify", "ssl-client-cert",
    }
)  # fmt: skip
# What a balancer in front of us says of the client; nobody else does.
_FROM_BALANCERS = frozenset(
    {"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"}
)
_OF_WEB_SOCKETS = "sec-websocket-"
# The answer's framing is made anew; these stand for a whole connection, which is ours.
_NOT_FROM_SERVERS = frozenset({"alt-svc", "content-length", "public-key-pins"})


def request_headers(
    fields: Fields, *, reserved: Iterable[str], own_cookies: frozenset[str], trusted: bool
) -> CIMultiDict[str]:
    """What of a client's header goes on. `reserved` are further names that only we set; a `trusted`
    client is a balancer, whose word on its own client stands."""
    fields = list(fields)
    dropped = _HOP_BY_HOP | _NOT_FROM_CLIENTS | {name.lower() for name in reserved}
    dropped |= _named_by_connection(fields) - {"host", "cookie", "content-length"}
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in fields:
        lower = name.lower()
        if lower in dropped or _NAME.fullmatch(name) is None:
            continue
        if lower.startswith("x-forwarded-") or lower == "forwarded":
            if not (trusted and lower in _FROM_BALANCERS):
                continue
        elif lower.startswith(_OF_WEB_SOCKETS):
            continue
        if lower == "cookie":
            value = _without_cookies(value, own_cookies)
            if not value:
                continue
        kept.add(name, _sendable(value))
    return kept


def has_known_framing(transfer_encodings: Iterable[str]) -> bool:
    """Whether nothing but `chunked` was done to a request's body for its transfer: the name of any
    other coding ends at this hop, and the body would go on as something else (RFC 9112 section
    6.1)."""
    return all(value.strip().lower() == "chunked" for value in transfer_encodings)


def response_headers(fields: Fields, *, own_cookies: frozenset[str]) -> CIMultiDict[str]:
    """What of a server's header goes to the client; Content-Length is the caller's."""
    fields = list(fields)
    dropped = _HOP_BY_HOP | _NOT_FROM_SERVERS | _named_by_connection(fields)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in fields:
        lower = name.lower()
        if lower in dropped or lower.startswith(_OF_WEB_SOCKETS):
            continue
        if lower == "set-cookie" and value.partition("=")[0].strip() in own_cookies:
            continue
        kept.add(name, _sendable(value))
    return kept


def tell_client(headers: CIMultiDict[str], peer: Peer, host: str, *, scheme: str = "https") -> None:
    """Say in `headers` for whom we ask: the `X-Forwarded-*` fields, and Forwarded (RFC 7239).

    What a balancer said stays, and stands first.
    """
    before = headers.getall("X-Forwarded-For", [])
    headers["X-Forwarded-For"] = ", ".join((*before, peer.address))
    headers.setdefault("X-Forwarded-Proto", scheme)
    headers.setdefault("X-Forwarded-Host", host)
    headers.setdefault("X-Forwarded-Port", str(peer.local_port))
    element = f"for={_node(peer.address)};host={_quoted(host)};proto={scheme}"
    headers["Forwarded"] = ", ".join((*headers.getall("Forwarded", []), element))


def is_within(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether `address` is of one of the networks."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _named_by_connection(fields: Fields) -> set[str]:
    """The fields that Connection names are of that connection alone."""
    values = (value for name, value in fields if name.lower() == "connection")
    return {word.strip().lower() for value in values for word in value.split(",")}


def _without_cookies(value: str, own: frozenset[str]) -> str:
    """The Cookie field as it came, unless cookies of ours are in it."""
    pairs = value.split(";")
    kept = [pair for pair in pairs if pair.partition("=")[0].strip() not in own]
    return value if len(kept) == len(pairs) else ";".join(kept).strip()


def _sendable(value: str) -> str:
    """aiohttp reads octets that are no UTF-8 as lone surrogates, which it cannot write: they go on
    as the characters that ISO 8859-1 gives them."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _node(address: str) -> str:
    return f'"[{address}]"' if ":" in address else address or "unknown"


def _quoted(host: str) -> str:
    return f'"{host}"' if ":" in host else host
