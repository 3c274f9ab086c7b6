"""Whom we believe where we are the TLS client: LDAP servers, upstreams, the shared store.

Takes the keystore's internal token; gives the TLS context for a new connection, which follows the
authorities that are trusted for servers. To servers that want one, a certificate of ours can be
presented; it too follows the keystore.
"""

from __future__ import annotations

import ssl
import threading

from mailfront.errors import OperatorError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import Credentials
from mailfront.tls.client_context import build_client_context
from mailfront.tls.context import load_credentials


class ServerTrust:
    """One context for all new connections; without `check` it believes anybody. `presented` is
    the nickname of our certificate, which is in the internal token, or empty; `problem` says why
    it, or its successor, is not presented.

    Nothing is read before the first connection. `follow` may be called in a thread.
    """

    def __init__(self, token: InternalToken, *, check: bool = True, presented: str = "") -> None:
        self.problem = ""
        self._presented = presented
        self._credentials: Credentials | None = None
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
        context = build_client_context(authorities, check=self._check)
        if not self._presented:
            return context
        try:
            credentials = token.credentials(self._presented)
            load_credentials(context, credentials)
        except OperatorError as failure:
            self.problem = f"local.service.proxy.sslnicknames: {failure}"
            context = build_client_context(authorities, check=self._check)
            # What was presented before is better than nothing.
            if self._credentials is not None:
                load_credentials(context, self._credentials)
            return context
        self.problem, self._credentials = "", credentials
        return context
