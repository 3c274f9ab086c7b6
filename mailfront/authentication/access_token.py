"""Access tokens of an OpenID provider: whose they are (RFC 9068, RFC 7519, RFC 8725).

Takes the token of OAUTHBEARER or XOAUTH2, returns the value of the claim that names the user. A
token counts if the configured issuer signed it with a key that it publishes and an algorithm on a
list of asymmetric ones, for our audience, and it is neither expired nor from the future. Opaque
tokens, which only the issuer can read, are refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from mailfront.errors import TokenRefusedError
from mailfront.interfaces.secret import Secret

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
)  # fmt: skip
"""A key that an issuer publishes must never do for a shared secret (RFC 8725 section 3.1)."""

MAXIMUM_TOKEN_CHARACTERS = 8192
CLOCK_SKEW = 60
"""Seconds by which the issuer's clock may differ."""

_TYPES = frozenset({"", "JWT", "AT+JWT", "APPLICATION/AT+JWT"})


class KeySource(Protocol):
    """The issuer's keys (`authentication.issuer_keys`)."""

    async def keys(self) -> KeySet:
        """Return the keys known. Raises `DirectoryUnavailableError` if there are none yet."""
        ...

    async def fresh_keys(self) -> KeySet:
        """Return the keys after a look for new ones, unless the last look was a moment ago."""
        ...


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """The issuer (its exact text), the audience that tokens must be for, and the claim whose value
    is the user's login."""

    issuer: str
    audience: str
    user_claim: str


class AccessTokens:
    """Implements `authenticate.TokenReader`; `clock` gives seconds since 1970."""

    def __init__(
        self,
        settings: IssuerSettings,
        source: KeySource,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._user_claim = settings.user_claim
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=CLOCK_SKEW,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
        )

    async def user_of(self, token: Secret) -> str:
        """Return the login of the user to whom `token` was issued.

        Raises `TokenRefusedError`, and `DirectoryUnavailableError` while the keys are not known.
        """
        text = token.reveal()
        if len(text) > MAXIMUM_TOKEN_CHARACTERS:
            raise TokenRefusedError("it is too long")
        try:
            try:
                decoded = _decode(text, await self._source.keys())
            except InvalidKeyIdError:
                decoded = _decode(text, await self._source.fresh_keys())
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError, TypeError) as error:
            # The library's texts name claims and algorithms, never the token.
            reason = getattr(error, "error", "") or type(error).__name__
            raise TokenRefusedError(reason) from None
        if str(decoded.header.get("typ", "")).upper() not in _TYPES:
            raise TokenRefusedError("it is a token of another type")
        return self._user(decoded.claims)

    def _user(self, claims: dict[str, object]) -> str:
        user = claims.get(self._user_claim)
        if not isinstance(user, str) or not user:
            raise TokenRefusedError(f"it has no claim {self._user_claim}")
        if self._user_claim == "email" and claims.get("email_verified", True) is not True:
            raise TokenRefusedError("its issuer has not verified the address")
        return user


def _decode(text: str, keys: KeySet) -> jwt.Token:
    return jwt.decode(text, keys, algorithms=ALGORITHMS)
