"""Who is signed in: a bounded table in memory, from random tokens to identities.

A token has 256 bits and is known to the browser alone: the table keeps its hash. Sessions end after
a time without use, after their lifetime, or when a newer one needs the place.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from mailfront.interfaces.authenticator import Identity

PER_USER_LIMIT = 20


@dataclass(slots=True)
class Session:
    """One signed-in browser. `csrf_token` stands in every form; `notice` is shown once. Who signed
    in by a certificate stays signed in only over connections with that one: `certificate` is its
    digest, empty for everybody else, `mapped` when it was last seen to be theirs."""

    identity: Identity
    started: float
    used: float
    mapped: float
    certificate: bytes = b""
    csrf_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    notice: str = ""

    def take_notice(self) -> str:
        """The notice to show now; it is then forgotten."""
        notice, self.notice = self.notice, ""
        return notice


class SessionTable:
    """All sessions of this process. Times are in seconds."""

    def __init__(
        self,
        *,
        idle_timeout: float,
        lifetime: float,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle_timeout = idle_timeout
        self._lifetime = lifetime
        self._limit = limit
        self._clock = clock
        # Least recently used first.
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._keys_of_user: dict[str, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, identity: Identity, certificate: bytes = b"") -> tuple[str, Session]:
        """A new session: its token (never one that a browser offered) and the session."""
        self._drop_expired()
        keys = self._keys_of_user.get(identity.user, [])
        if len(keys) >= PER_USER_LIMIT:
            self._drop(keys[0])
        elif len(self._sessions) >= self._limit:
            self._drop(next(iter(self._sessions)))
        token, now = secrets.token_urlsafe(32), self._clock()
        session, key = Session(identity, now, now, now, certificate), _key(token)
        self._sessions[key] = session
        self._keys_of_user.setdefault(identity.user, []).append(key)
        return token, session

    def find(self, token: str) -> Session | None:
        """The live session of `token`, which is used by that; None if there is none."""
        key = _key(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        if self._expired(session):
            self._drop(key)
            return None
        session.used = self._clock()
        self._sessions.move_to_end(key)
        return session

    def close(self, token: str) -> None:
        """End the session of `token`, if there is one."""
        self._drop(_key(token))

    def close_user(self, user: str) -> int:
        """End all sessions of `user`; return how many there were."""
        keys = list(self._keys_of_user.get(user, ()))
        for key in keys:
            self._drop(key)
        return len(keys)

    def _expired(self, session: Session) -> bool:
        now = self._clock()
        return now - session.used > self._idle_timeout or now - session.started > self._lifetime

    def _drop_expired(self) -> None:
        while self._sessions:
            key, session = next(iter(self._sessions.items()))
            if not self._expired(session):
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        session = self._sessions.pop(key, None)
        if session is None:
            return
        keys = self._keys_of_user[session.identity.user]
        keys.remove(key)
        if not keys:
            del self._keys_of_user[session.identity.user]


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
