"""The personality of a service: its nicknames become the context that new connections get.

A slot holds the context in force. When the keystore or the options change, a new context is built
beside it; if that fails, the old one stays and the slot says why.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mailfront.errors import KeystoreError, OperatorError
from mailfront.keystore.internal_token import Credentials, InternalToken
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.policy import Policy

_log = logging.getLogger("mailfront.tls")


def load_personality(token: InternalToken, nicknames: Sequence[str]) -> list[Credentials]:
    """Fetch the credentials of every nickname, each of another key type.

    Raises `KeystoreError` for an unknown nickname, or for two of the same key type: OpenSSL would
    silently keep only the second.
    """
    if not nicknames:
        raise KeystoreError("no nickname is configured", remedy="name one, such as Server-Cert")
    personality = [token.credentials(nickname) for nickname in nicknames]
    types: dict[str, str] = {}
    for credentials in personality:
        key_type = type(credentials.certificate.public_key()).__name__
        if (other := types.setdefault(key_type, credentials.nickname)) != credentials.nickname:
            raise KeystoreError(
                f"{other!r} and {credentials.nickname!r} have keys of the same type",
                remedy="name one certificate per key type (RSA, EC, Ed25519)",
            )
    return personality


class ContextSlot:
    """The context in force for one service, and what stands in the way of a newer one."""

    __slots__ = ("_alpn", "_state", "current", "problem", "service")

    def __init__(self, service: str, alpn: Sequence[str]) -> None:
        self.service = service
        self.current: ServerContext | None = None
        self.problem = ""
        self._alpn = tuple(alpn)
        self._state: tuple[object, ...] = ()

    def load(
        self, token: InternalToken, nicknames: Sequence[str], policy: Policy, *, tickets: bool
    ) -> bool:
        """Bring the slot up to date; return whether a new context came into force.

        Nothing is rebuilt while nicknames, certificates and policy are the same. Raises
        `OperatorError` only when there is no earlier context to keep.
        """
        try:
            fingerprints = tuple(token.require(nickname).sha256 for nickname in nicknames)
            state = (tuple(nicknames), fingerprints, policy, tickets)
            if state == self._state and self.current is not None:
                self.problem = ""
                return False
            fresh = build_server_context(
                load_personality(token, nicknames), policy, alpn=self._alpn, tickets=tickets
            )
        except OperatorError as failure:
            if self.current is None:
                raise
            self._keep_old(str(failure))
            return False
        old, self.current, self._state, self.problem = self.current, fresh, state, ""
        _log.info(
            "service=%s nickname=%s fingerprint=%s replaced=%s",
            self.service, fresh.nickname, fresh.fingerprint, old.fingerprint if old else "-",
        )  # fmt: skip
        return True

    def _keep_old(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("service=%s the old certificate stays in force: %s", self.service, problem)
        self.problem = problem
