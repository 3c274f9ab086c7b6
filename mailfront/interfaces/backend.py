"""The hand-over from a protocol front to a backend, once the client is authenticated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.interfaces.secret import Secret

# What `Backend.serve` returns when the client asked for the end and was answered.
LOGOUT = "logout"
# Why a session ends that an administrator ended (`mailfront user kick`).
KICKED = "ended by the administrator"


@dataclass(slots=True)
class AuthenticatedSession:
    """What a backend takes over.

    `transport` is the client's: the backend calls `transport.set_protocol` with its own protocol
    and owns the bytes from then on. `leftover` came after the login command and is not yet
    consumed. `tag` is the IMAP tag of the login command (empty for POP3): the backend sends the
    final answer of the login, because only it knows the capabilities. Where it is empty in IMAP,
    nobody has greeted the client yet, and the backend does, with PREAUTH (RFC 9051 section 7.1.4).
    `idle_timeout` is in seconds. `password` is the user's, if they logged in with one: an upstream
    may want it, and `token` their access token, if that let them in. A backend sets both to None
    as soon as it has no use for them. `time_to_live` says to how many more servers the session may
    be handed on (None: nobody has told); `session_id` names it in the logs of all of them.
    `is_forwarded` says that a front end told whose session it is: `peer` is the client, and `tls`
    is that of the front end's connection.
    """

    transport: asyncio.Transport
    identity: Identity
    tag: bytes
    leftover: bytes
    peer: Peer
    tls: TlsFacts | None
    idle_timeout: float
    password: Secret | None = None
    token: Secret | None = None
    time_to_live: int | None = None
    session_id: str = ""
    is_forwarded: bool = False


class Backend(Protocol):
    """Serves authenticated sessions of one protocol."""

    async def serve(self, session: AuthenticatedSession) -> str:
        """Serve until either side ends; return why it ended (a word or two for the log).

        The transport is closed by the caller. May raise `PeerError`, `TimeoutError` (the client
        was silent for the idle time-out) and `ServerStoppingError`, having said goodbye in the
        protocol's words (IMAP `* BYE`). If the protocol set on the transport has a method
        `stop()`, it is called when the server stops: the session ends as soon as no command runs.
        """
        ...
