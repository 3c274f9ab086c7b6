"""The login of a channel at its smarthost: who we are there, and what is said (RFC 4954).

Takes `user:password`, the first line of a file that only its owner may read; gives the messages
of SCRAM-SHA-256 (RFC 5802, RFC 7677), where a server has to prove that it knows the password too,
or of PLAIN (RFC 4616), which tells it. The better one that is offered is chosen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mailfront.configuration.secret_file import read_secret_file
from mailfront.errors import ConfigurationError, DestinationError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.sasl.saslprep import saslprep

_LEAST_ITERATIONS, _MOST_ITERATIONS = 4096, 1_000_000
_LONGEST_MESSAGE = 4096
_SERVER_FIRST = re.compile(
    rb"r=([!-+\--~]{1,512}),s=([A-Za-z0-9+/=]{1,512}),i=([0-9]{1,7})(?:,.*)?"
)


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """A name and its password."""

    user: str
    password: Secret


def read_login(path: Path) -> ClientLogin:
    """Read the file at `path`. Raises `ConfigurationError`, which never quotes it."""
    user, colon, password = read_secret_file(path).reveal().partition(":")
    if not colon or not user or not password or "\0" in user + password:
        raise ConfigurationError("its first line is not user:password", file=path)
    return ClientLogin(user, Secret(password))


class ClientExchange(Protocol):
    """A conversation of SASL, the client's side."""

    mechanism: str

    def first(self) -> bytes:
        """Return the initial response."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """Return the response to a challenge. Raises `DestinationError`."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the server's word that we are logged in is to be believed now."""
        ...


def choose_exchange(
    login: ClientLogin, offered: Collection[str], *, may_tell_password: bool
) -> ClientExchange | None:
    """Return the best exchange that is offered, None without one that may be used."""
    if "SCRAM-SHA-256" in offered:
        return ScramClient(login)
    if "PLAIN" in offered and may_tell_password:
        return PlainClient(login)
    return None


class PlainClient:
    """PLAIN."""

    mechanism = "PLAIN"
    is_complete = True

    def __init__(self, login: ClientLogin) -> None:
        self._login = login

    def first(self) -> bytes:
        """Part of `ClientExchange`."""
        return f"\0{self._login.user}\0{self._login.password.reveal()}".encode()

    def respond(self, challenge: bytes) -> bytes:
        """Part of `ClientExchange`: there is nothing more to say."""
        raise _broken("it goes on with PLAIN")


class ScramClient:
    """SCRAM-SHA-256 without channel binding."""

    mechanism = "SCRAM-SHA-256"

    def __init__(self, login: ClientLogin, nonce: str = "") -> None:
        self._password = saslprep(login.password.reveal()) or login.password.reveal()
        name = login.user.replace("=", "=3D").replace(",", "=2C")
        self._nonce = (nonce or secrets.token_urlsafe(24)).encode()
        self._bare = f"n={name},r=".encode() + self._nonce
        self._signature = b""
        self.is_complete = False

    def first(self) -> bytes:
        """Part of `ClientExchange`."""
        return b"n,," + self._bare

    def respond(self, challenge: bytes) -> bytes:
        """Part of `ClientExchange`; the first call takes as long as the server's iterations."""
        if len(challenge) > _LONGEST_MESSAGE:
            raise _broken("a challenge that is too long")
        return self._proof(challenge) if not self._signature else self._verified(challenge)

    def _proof(self, challenge: bytes) -> bytes:
        found = _SERVER_FIRST.fullmatch(challenge)
        if found is None or not found[1].startswith(self._nonce) or found[1] == self._nonce:
            raise _broken("its first message of SCRAM is none")
        iterations = int(found[3])
        if not _LEAST_ITERATIONS <= iterations <= _MOST_ITERATIONS:
            raise _broken(f"{iterations} iterations")
        try:
            salt = base64.b64decode(found[2], validate=True)
        except binascii.Error:
            raise _broken("a salt that is not base64") from None
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), salt, iterations)
        unsigned = b"c=biws,r=" + found[1]
        signed = b",".join((self._bare, challenge, unsigned))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(
            hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256"
        )
        return unsigned + b",p=" + base64.b64encode(proof)

    def _verified(self, challenge: bytes) -> bytes:
        expected = b"v=" + base64.b64encode(self._signature)
        if self.is_complete or not hmac.compare_digest(challenge, expected):
            raise _broken("it does not know the password itself")
        self.is_complete = True
        return b""


def _broken(what: str) -> DestinationError:
    return DestinationError(
        f"the server's side of the login: {what}", temporary=True, status="4.7.8"
    )
