"""The contract between a protocol front and whoever decides who the peer is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailfront.interfaces.client_certificate import ClientCertificate
from mailfront.interfaces.credentials import Credentials, ScramVerifier
from mailfront.interfaces.peer import Peer


@dataclass(frozen=True, slots=True)
class LoginClient:
    """Who asks: on which `service` (imta, imap, pop, http), from where, by which SASL mechanism or
    command (`method`), and with which certificate, if it presented one."""

    service: str
    peer: Peer
    method: str
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who has proved who they are.

    `user` is the canonical address (lower case) and the key of the mailbox; `addresses` are all
    addresses (lower case, `user` among them) that may stand as the sender of their mail. `method`
    is how they proved it. `acting` is the administrator who acts as `user`, where one does.
    `by_certificate` is true where a certificate was the proof, whatever password came with it.
    `mail_host` names the server that holds the mailbox; empty: the service's own choice.
    """

    user: str
    addresses: frozenset[str]
    method: str
    acting: str = ""
    by_certificate: bool = False
    mail_host: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a login was not granted. `text` is safe to show to the client and never tells whether
    the user exists; `reason` is for the log. `authorization`: the client is who it says, but may
    not act as whom it named."""

    text: str
    reason: str
    temporary: bool = False
    authorization: bool = False


class Authenticator(Protocol):
    """Checks credentials: same time on success, wrong password and unknown user."""

    async def authenticate(
        self, client: LoginClient, credentials: Credentials
    ) -> Identity | Refusal:
        """Check what `client` offers. Applies throttling and access rules before it returns."""
        ...

    async def scram_verifier(self, client: LoginClient, login: str) -> ScramVerifier | Refusal:
        """Return what a SCRAM exchange for `login` goes on with; for a name that is nobody's, or
        a user who has no verifier, one that no password fits. A refusal is temporary."""
        ...

    async def certificate_holder(self, client: LoginClient) -> Identity | Refusal:
        """Return whom the certificate of `client` logs in, without it counting as an attempt."""
        ...

    def accepts_certificate(self, client: LoginClient) -> bool:
        """Whether the certificate is of a kind that logs anybody in: verified, or perhaps
        pinned. At once, without a look into the directory."""
        ...
