"""The PLAIN mechanism, server side (RFC 4616): one message `[authzid] NUL authcid NUL passwd`."""

from __future__ import annotations

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.exchange import Credentials, decode_text


class PlainExchange:
    """A PLAIN exchange: the first response settles it.

    Unless `proxy_authorization` is set, an authorization identity other than the client's own
    name is refused (RFC 4616 section 2: the server decides), so that a front that does not know
    of proxy login can never grant it.
    """

    mechanism = "PLAIN"
    challenge = b""

    def __init__(self, *, proxy_authorization: bool = False) -> None:
        self._proxy_authorization = proxy_authorization

    def respond(self, response: bytes) -> Credentials:
        """Return the credentials; raises `SaslError` for another shape than RFC 4616's."""
        parts = response.split(b"\0", 3)
        if len(parts) != 3:
            raise SaslError(SaslFault.INVALID, "a PLAIN message has three parts between NULs")
        authorization, login, password = (decode_text(part) for part in parts)
        if not login or not password:
            raise SaslError(SaslFault.INVALID, "a PLAIN message needs a name and a password")
        if authorization.casefold() == login.casefold():
            authorization = ""
        if authorization and not self._proxy_authorization:
            raise SaslError(SaslFault.AUTHORIZATION, "an authorization identity of another user")
        return Credentials(authorization, login, Secret(password))
