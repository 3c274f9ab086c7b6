"""The contract between a protocol front and whoever decides who the peer is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who has proved who they are.

    `user` is the canonical address (lower case) and the key of the mailbox; `addresses` are all
    addresses (lower case, `user` among them) that may stand as the sender of their mail.
    `mail_host` names the server that holds the mailbox; empty: the service's own choice.
    """

    user: str
    addresses: frozenset[str]
    method: str
    mail_host: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a login was not granted. `text` is safe to show to the client and never tells whether
    the user exists; `reason` is for the log."""

    text: str
    reason: str
    temporary: bool = False


class Authenticator(Protocol):
    """Checks credentials: same time on success, wrong password and unknown user."""

    async def authenticate(
        self, service: str, login: str, password: Secret, peer: Peer, method: str
    ) -> Identity | Refusal:
        """Check `login` and `password`, offered on `service` (imta, imap, pop, http) by SASL
        mechanism or command `method`. Applies throttling and access rules before it returns."""
        ...
