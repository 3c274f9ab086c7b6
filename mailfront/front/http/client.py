"""Who is behind a request: the ends of its connection, and the certificate presented on it."""

from __future__ import annotations

import hashlib
from typing import cast

from aiohttp import web

from mailfront.interfaces.authenticator import LoginClient
from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.transport import UpgradableTransport


def peer_of(request: web.Request) -> Peer:
    """The two ends of the connection that `request` came on."""
    transport = request.transport
    remote = transport.get_extra_info("peername") if transport else None
    local = transport.get_extra_info("sockname") if transport else None
    address, port = (remote or ("", 0))[:2]
    local_address, local_port = (local or ("", 0))[:2]
    return Peer(str(address), int(port), str(local_address), int(local_port))


def upgradable_transport(request: web.Request) -> UpgradableTransport | None:
    """The transport below `request`; None if it is gone, or of a kind that knows nothing of TLS:
    the application runs over any."""
    transport = request.transport
    known = transport is not None and hasattr(transport, "tls_facts")
    return cast(UpgradableTransport, transport) if known else None


def certificate_of(request: web.Request) -> ClientCertificate | None:
    """What the client presented on the connection that `request` came on."""
    transport = upgradable_transport(request)
    facts = None if transport is None else transport.tls_facts
    return None if facts is None else facts.client_certificate


def client_of(request: web.Request, method: str) -> LoginClient:
    """Who asks to sign in, by `method`."""
    return LoginClient("http", peer_of(request), method, certificate_of(request))


def certificate_digest(certificate: ClientCertificate | None) -> bytes:
    """What a session remembers of a certificate; empty for none."""
    return b"" if certificate is None else hashlib.sha256(certificate.leaf).digest()
