"""OpenSSL's server side without a socket: what it answers to a ClientHello."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress

from mailfront.keystore.internal_token import Credentials
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.context import build_server_context
from mailfront.tls.policy import policy_named


def answer_of(
    offer: Offer, credentials: Credentials, *, alpn: Sequence[str] = (), profile: str = "legacy"
) -> bytes:
    """Everything that a server with that certificate sends until it waits or refuses."""
    context = build_server_context(
        [credentials], policy_named(profile), alpn=alpn, tickets=False
    ).ssl_context
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(offer.record())
    # It waits for the client, or refuses it: both are told by what it sends.
    with suppress(ssl.SSLError):
        tls.do_handshake()
    return outgoing.read()
