"""Which application protocols a service answers to (ALPN, RFC 7301).

A client that names only foreign protocols is refused, against attacks that lead a browser's session
to a mail server (ALPACA); one that names none is served. OpenSSL selects among the names, but
Python's `ssl` cannot make it refuse, so the transport asks here before OpenSSL is involved.
"""

from __future__ import annotations

from mailfront.errors import ClientHelloError
from mailfront.tls.client_hello import offered_protocols, offers_protocols

# IANA's registry has no name for SMTP. `smtp` and `esmtp` are what Exim offers and takes.
PROTOCOLS: dict[str, tuple[str, ...]] = {
    "imta": ("smtp", "esmtp"),
    "imap": ("imap",),
    "pop": ("pop3",),
    "http": ("http/1.1",),
}


def is_foreign(message: bytes, accepted: frozenset[bytes]) -> bool:
    """Whether a ClientHello names protocols and none of `accepted`.

    One that cannot be read is not foreign: OpenSSL refuses it.
    """
    if not offers_protocols(message):
        return False
    try:
        offered = offered_protocols(message)
    except ClientHelloError:
        return False
    return bool(offered) and accepted.isdisjoint(offered)


def accepted_protocols(service: str) -> frozenset[bytes]:
    """The names that `service` answers to, as on the wire."""
    return frozenset(name.encode("ascii") for name in PROTOCOLS[service])
