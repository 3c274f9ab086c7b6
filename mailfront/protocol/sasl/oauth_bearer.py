"""Access tokens instead of passwords, server side: OAUTHBEARER (RFC 7628) and its elder XOAUTH2.

XOAUTH2 was never standardised; its form is that of Google's "OAuth 2.0 Mechanism for SASL". A token
is an opaque text here (RFC 6750 section 2.1). After a failure the client is told why in JSON, and
sends a dummy response before it hears that the exchange has failed (RFC 7628 section 3.2.3).
"""

from __future__ import annotations

import json
import re

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import BearerCredentials
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.exchange import Challenge, ServerExchange, decode_text
from mailfront.protocol.sasl.gs2 import Binding, Gs2Header

_SEPARATOR = b"\x01"
# RFC 6750 section 2.1: `Bearer` without regard to case, then a b64token.
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_KEY = re.compile(rb"[A-Za-z]+")


class OAuthBearerExchange(ServerExchange):
    """An OAUTHBEARER exchange. `discovery` is the address of the issuer's configuration, which a
    client may ask where to get a better token."""

    mechanism = "OAUTHBEARER"

    def __init__(self, discovery: str = "") -> None:
        self._discovery = discovery

    def respond(self, response: bytes) -> BearerCredentials:
        """Return the token. Raises `SaslError` for another shape than that of RFC 7628 3.1."""
        header, rest = Gs2Header.parse(response)
        if header.binding is Binding.USED:
            raise SaslError(SaslFault.INVALID, "OAUTHBEARER has no channel binding")
        if not rest.startswith(_SEPARATOR) or not rest.endswith(_SEPARATOR * 2):
            raise SaslError(SaslFault.INVALID, "an OAUTHBEARER message ends with two separators")
        fields = _fields(rest[1:-2])
        return BearerCredentials(header.authorization, _token(fields.get(b"auth", b"")))

    def refused(self) -> Challenge:
        """RFC 7628 section 3.2.2."""
        answer = {"status": "invalid_token"}
        if self._discovery:
            answer["openid-configuration"] = self._discovery
        return Challenge(json.dumps(answer).encode("ascii"))


class XOAuth2Exchange(ServerExchange):
    """An XOAUTH2 exchange."""

    mechanism = "XOAUTH2"

    def respond(self, response: bytes) -> BearerCredentials:
        """Return the token, and the user that the client named. Raises `SaslError`."""
        if not response.endswith(_SEPARATOR * 2):
            raise SaslError(SaslFault.INVALID, "an XOAUTH2 message ends with two separators")
        fields = _fields(response[:-2])
        user = decode_text(fields.get(b"user", b""))
        if not user:
            raise SaslError(SaslFault.INVALID, "an XOAUTH2 message names a user")
        return BearerCredentials(user, _token(fields.get(b"auth", b"")))

    def refused(self) -> Challenge:
        """The status is an HTTP one in this dialect."""
        return Challenge(b'{"status":"401","schemes":"bearer","scope":""}')


def _fields(text: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for field in text.split(_SEPARATOR, 16):
        key, equals, value = field.partition(b"=")
        if not equals or not _KEY.fullmatch(key) or key in fields:
            raise SaslError(SaslFault.INVALID, "a field of an OAuth message is not key=value")
        fields[key] = value
    return fields


def _token(value: bytes) -> Secret:
    match = _BEARER.fullmatch(value)
    if match is None:
        raise SaslError(SaslFault.INVALID, "an OAuth message without a bearer token")
    return Secret(match[1].decode("ascii"))
