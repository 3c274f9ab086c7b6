"""The PLAIN mechanism, server side (RFC 4616): one message `[authzid] NUL authcid NUL passwd`."""

from __future__ import annotations

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import PasswordCredentials
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.exchange import ServerExchange, decode_text


class PlainExchange(ServerExchange):
    """A PLAIN exchange: the first response settles it."""

    mechanism = "PLAIN"

    def respond(self, response: bytes) -> PasswordCredentials:
        """Return the credentials; raises `SaslError` for another shape than RFC 4616's."""
        parts = response.split(b"\0", 3)
        if len(parts) != 3:
            raise SaslError(SaslFault.INVALID, "a PLAIN message has three parts between NULs")
        authorization, login, password = (decode_text(part) for part in parts)
        if not login or not password:
            raise SaslError(SaslFault.INVALID, "a PLAIN message needs a name and a password")
        if authorization.casefold() == login.casefold():
            authorization = ""
        return PasswordCredentials(authorization, login, Secret(password))
