"""Who a client certificate stands for, as header fields for the webmail behind.

The user is whom the certificate maps to, as for a login by certificate. That is asked once a minute
for a certificate and an address, since access rules look at both.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web
from cryptography import x509

from mailfront.errors import WebServerError
from mailfront.front.http.client import certificate_digest, client_of
from mailfront.front.http.reverse_proxy.settings import ProxySettings
from mailfront.interfaces.authenticator import Authenticator, LoginClient, Refusal
from mailfront.protocol.distinguished_name import DistinguishedName

KEPT_SECONDS = 60.0
_MOST = 4096


class CertificateHeaders:
    """Makes the header fields, and keeps whom certificates map to for a minute."""

    def __init__(
        self,
        settings: ProxySettings,
        authenticator: Authenticator,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._authenticator = authenticator
        self._clock = clock
        self._users: OrderedDict[tuple[bytes, str], tuple[float, str]] = OrderedDict()

    async def of(self, request: web.Request) -> dict[str, str]:
        """The fields for a request: none without a certificate that is accepted from this client.

        Raises `WebServerError` if its user cannot be told now: as nobody they would be signed out.
        """
        client = client_of(request, "EXTERNAL")
        if client.certificate is None or not self._authenticator.accepts_certificate(client):
            return {}
        settings = self._settings
        values = {
            settings.user_header: await self._user(client) if settings.user_header else "",
            settings.name_header: subject_of(client.certificate.leaf),
            settings.fingerprint_header: certificate_digest(client.certificate).hex(),
        }
        return {name: value for name, value in values.items() if name and value}

    async def _user(self, client: LoginClient) -> str:
        key, now = (certificate_digest(client.certificate), client.peer.address), self._clock()
        until, user = self._users.get(key, (0.0, ""))
        if now < until:
            return user
        holder = await self._authenticator.certificate_holder(client)
        if isinstance(holder, Refusal) and holder.temporary:
            raise WebServerError(f"whose certificate it is: {holder.reason}", status=503)
        user = "" if isinstance(holder, Refusal) else holder.user
        self._users[key] = (now + KEPT_SECONDS, user)
        self._users.move_to_end(key)
        if len(self._users) > _MOST:
            self._users.popitem(last=False)
        return user


def subject_of(leaf: bytes) -> str:
    """The subject of a certificate by RFC 4514, in printable ASCII; empty if it cannot be read."""
    try:
        name = DistinguishedName.from_x509(x509.load_der_x509_certificate(leaf).subject)
    except ValueError:
        return ""
    # RFC 4514 section 2.4: any octet of UTF-8 may stand as a backslash and two digits.
    return "".join(
        character
        if " " <= character <= "~"
        else "".join(f"\\{octet:02X}" for octet in character.encode())
        for character in str(name)
    )
