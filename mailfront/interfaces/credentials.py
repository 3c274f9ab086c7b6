"""What a client offers to prove who it is, whatever mechanism or command brought it.

A front collects it and judges nothing; `interfaces.authenticator.Authenticator` takes it. Where
`authorization` is empty the client asks to act as itself (RFC 4422 section 3.4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mailfront.interfaces.secret import Secret


@dataclass(frozen=True, slots=True)
class PasswordCredentials:
    """A name and a password (PLAIN, LOGIN, USER and PASS, a form)."""

    authorization: str
    login: str
    password: Secret


@dataclass(frozen=True, slots=True)
class CertificateCredentials:
    """The certificate that the client presented in the TLS handshake (EXTERNAL)."""

    authorization: str


@dataclass(frozen=True, slots=True)
class BearerCredentials:
    """An access token of an OpenID provider (OAUTHBEARER, XOAUTH2)."""

    authorization: str
    token: Secret


@dataclass(frozen=True, slots=True)
class ScramCredentials:
    """A SCRAM proof under the verifier that was supplied for `login`; `proven` tells whether it
    was right."""

    authorization: str
    login: str
    proven: bool


Credentials: TypeAlias = (
    PasswordCredentials | CertificateCredentials | BearerCredentials | ScramCredentials
)


@dataclass(frozen=True, slots=True)
class VerifierRequest:
    """Asks for the verifier of `login`, in the middle of a SCRAM exchange."""

    login: str


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What a server keeps instead of a password for SCRAM-SHA-256 (RFC 5802 section 3)."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"ScramVerifier(iterations={self.iterations})"
