"""POP before SMTP, the POP side: a backend that notes who was let in before it serves them.

Takes any `Backend` and implements it. Only logins over TLS count, since whoever reads a password on
the way could else relay with it; and none of an administrator as somebody else, for that comes from
another server's address; and none that a front end passes on, for it does not tell whether its
client used TLS.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from mailfront.interfaces.backend import AuthenticatedSession, Backend
from mailfront.interfaces.recent_logins import RecentLogins


class LoginNoting:
    """Notes logins in `recent` and hands sessions on to `backend`."""

    def __init__(self, backend: Backend, recent: RecentLogins) -> None:
        self._backend = backend
        self._recent = recent

    def serve(self, session: AuthenticatedSession) -> Coroutine[Any, Any, str]:
        """Part of `Backend`."""
        identity = session.identity
        if session.tls is not None and not (identity.acting or session.is_forwarded):
            self._recent.note(session.peer.address, identity.user, identity.addresses)
        # No frame of ours stays for as long as the session.
        return self._backend.serve(session)
