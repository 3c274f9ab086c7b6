"""What of a connection matters to logins, read from its transport once TLS is agreed on.

Channel binding is offered under TLS 1.3 alone. Before it the default kind is `tls-unique` (RFC 5802
section 6.1), which clients would use and which is broken without the extended master secret (RFC
9266 section 1); a client that is offered no PLUS says so, and goes on without.
"""

from __future__ import annotations

from mailfront.front.login_channel import CLEAR, LoginChannel
from mailfront.interfaces.authenticator import Authenticator, LoginClient
from mailfront.interfaces.transport import UpgradableTransport

_BINDING_SINCE = "TLSv1.3"
_USUAL_KIND = "tls-exporter"


def channel_of(
    transport: UpgradableTransport,
    service: str,
    authenticator: Authenticator,
    *,
    binding: bool,
    is_front_end: bool = False,
) -> LoginChannel:
    """Return what `transport` has agreed on; channel binding is looked for only if `binding`."""
    facts = transport.tls_facts
    if facts is None:
        return LoginChannel(is_front_end=True) if is_front_end else CLEAR
    certificate = facts.client_certificate is not None and authenticator.accepts_certificate(
        LoginClient(service, transport.peer, "", facts.client_certificate)
    )
    bound = binding and facts.version == _BINDING_SINCE
    if bound and transport.channel_binding(_USUAL_KIND) is None:
        bound = False
    channel_binding = transport.channel_binding if bound else None
    return LoginChannel(facts.bits, certificate, channel_binding, is_front_end)
