"""Whom we believe where we are the TLS client: LDAP servers, upstreams, the shared store.

Takes the keystore's internal token; gives the TLS context for a new connection, which follows the
authorities that are trusted for servers.
"""

from __future__ import annotations

import ssl
import threading

from mailfront.keystore.internal_token import InternalToken
from mailfront.tls.client_context import build_client_context


class ServerTrust:
    """One context for all new connections; without `check` it believes anybody.

    Nothing is read before the first connection. `follow` may be called in a thread.
    """

    def __init__(self, token: InternalToken, *, check: bool = True) -> None:
        self._token = token
        self._check = check
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        with self._lock:
            if self._context is None:
                self._context = self._built(self._token)
            return self._context

    def follow(self, token: InternalToken) -> None:
        """Take over what the keystore trusts now."""
        fresh = self._built(token) if self._context is not None else None
        with self._lock:
            self._token, self._context = token, fresh

    def _built(self, token: InternalToken) -> ssl.SSLContext:
        authorities = [record.certificate for record in token.server_authorities()]
        return build_client_context(authorities, check=self._check)
