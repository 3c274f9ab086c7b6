"""What a finished handshake agreed on, as one record for the log and the Received header."""

from __future__ import annotations

import ssl
from typing import Protocol

from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.peer import TlsFacts


class CertificateFinding(Protocol):
    """What a connection's client was asked for, and presented."""

    def presented(self, tls: ssl.SSLObject) -> ClientCertificate | None:
        """What the client of the finished handshake presented, judged, or None."""
        ...


class MailSslObject(ssl.SSLObject):
    """An `ssl.SSLObject` that remembers the server name the client asked for (SNI, RFC 6066 3).

    `group_in_flight` is the key exchange group that our first flight named, `certificate_request`
    what the client was asked for, None if nothing.
    """

    requested_name: str | None = None
    group_in_flight: str = ""
    certificate_request: CertificateFinding | None = None


def remember_server_name(
    tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
) -> None:
    """The context's SNI callback: note the name, choose nothing."""
    if isinstance(tls, MailSslObject):
        tls.requested_name = name


def describe(tls: ssl.SSLObject, nickname: str) -> TlsFacts:
    """Facts of an established connection; `nickname` is that of its context."""
    cipher = tls.cipher()
    suite, bits = (cipher[0], cipher[2]) if cipher is not None else ("none", 0)
    server_name = group = certificate = None
    if isinstance(tls, MailSslObject):
        server_name = tls.requested_name
        group = tls.group_in_flight or None
        if tls.certificate_request is not None:
            certificate = tls.certificate_request.presented(tls)
    return TlsFacts(
        version=tls.version() or "none",
        suite=suite,
        bits=bits,
        resumed=bool(tls.session_reused),
        nickname=nickname,
        server_name=server_name,
        alpn=tls.selected_alpn_protocol(),
        group=group,
        client_certificate=certificate,
    )
