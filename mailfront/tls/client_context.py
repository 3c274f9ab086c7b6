"""The context of our side where we are the TLS client: toward servers that hold mailboxes.

Takes the authorities that the keystore trusts for servers. Certificates are verified, unless an
operator switched that off, and names by RFC 9525: the common name counts for nothing. TLS 1.2 and
later (RFC 8996).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from cryptography import x509

from mailfront.keystore.formats import chain_pem


def build_client_context(
    authorities: Iterable[x509.Certificate], *, check: bool = True
) -> ssl.SSLContext:
    """Return a context that trusts `authorities` and nobody else; without `check`, anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if not check:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    trusted = list(authorities)
    if trusted:
        context.load_verify_locations(cadata=chain_pem(trusted).decode("ascii"))
    return context
