"""The personality of a service: its nicknames become the context that new connections get.

A slot holds the context in force. When the keystore or the options change, a new context is built
beside it; if that fails, the old one stays and the slot says why.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from cryptography import x509

from mailfront.errors import KeystoreError, OperatorError, TokenError
from mailfront.keystore.keystore import CredentialSource
from mailfront.keystore.records import CertificateRecord, Credentials, Inventory
from mailfront.tls.certificate_names import CertificateNames
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.key_policy import require_fit_keys
from mailfront.tls.policy import Policy
from mailfront.tls.rotation import prove, prove_handshake
from mailfront.tls.session_tickets import TicketKeys
from mailfront.tls.sni import ServerNames
from mailfront.tls.stapling_bridge import Staples
from mailfront.tls.ticket_bridge import TicketSeal
from mailfront.tls.token_proof import prove_tokens

_log = logging.getLogger("mailfront.tls")


def load_personality(token: CredentialSource, nicknames: Sequence[str]) -> list[Credentials]:
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
    """The context in force for one service, and what stands in the way of a newer one.

    `wanted_fingerprint` is that of the certificates which options and keystore ask for,
    `replaced_fingerprint` that of those which `current` took the place of; `refusals` counts
    changes that were not taken over. `degraded` tells that a token is gone, and that `current` is
    something else, or None. `server_names` chooses by the name a client asks for,
    `ticket_keys` seal session tickets in every context that the service ever has.
    """

    __slots__ = (
        "_alpn", "_records", "_seal", "_staples", "_state", "_tickets", "current", "degraded",
        "problem", "refusals", "replaced_fingerprint", "server_names", "service", "ticket_keys",
        "wanted_fingerprint",
    )  # fmt: skip

    def __init__(self, service: str, alpn: Sequence[str], staples: Staples | None = None) -> None:
        self.service = service
        self.current: ServerContext | None = None
        self.degraded = False
        self.problem = ""
        self.wanted_fingerprint = ""
        self.replaced_fingerprint = ""
        self.refusals = 0
        self.server_names = ServerNames(service)
        self.ticket_keys = TicketKeys()
        self._seal = TicketSeal(self.ticket_keys)
        self._alpn = tuple(alpn)
        self._staples = staples
        self._state: tuple[object, ...] = ()
        self._tickets = False
        self._records: dict[str, CertificateRecord] = {}

    def load(
        self,
        token: CredentialSource,
        nicknames: Sequence[str],
        policy: Policy,
        *,
        tickets: bool,
        inventory: Callable[[], Inventory] | None = None,
        recheck: bool = False,
    ) -> bool:
        """Bring the slot up to date; return whether a new context came into force.

        `inventory` is the token's, where several slots share one. With `recheck` keys on PKCS#11
        tokens are tried, and the context is built anew if they do not sign.

        Nothing is rebuilt while nicknames, certificates and policy are the same. What is new is
        proved first (`tls.rotation`). Raises `OperatorError` only when there is no earlier context
        to keep; then only what cannot work at all is a reason. `TokenError` is raised always: a
        context whose token is gone is not worth keeping.
        """
        try:
            records = [token.require(nickname) for nickname in nicknames]
            places = tuple(record.accelerator for record in records)
            state = (tuple(map(_presented, records)), places, tuple(nicknames), policy, tickets)
            self.wanted_fingerprint = ",".join(record.sha256 for record in records)
            if state == self._state and self.current is not None:
                self.problem = ""
                if not (recheck and self.current.on_tokens) or self._signs(self.current):
                    return False
            personality = load_personality(token, nicknames)
            require_fit_keys(records, policy)
            self._prove(inventory or token.inventory, records)
            fresh = self._build(personality, policy, tickets=tickets)
            prove_tokens(fresh, first=True)
            prove_handshake(fresh.ssl_context, [record.certificate for record in records])
        except TokenError:
            raise
        except OperatorError as failure:
            if self.current is None:
                raise
            self.keep_old(str(failure))
            return False
        self.replaced_fingerprint = self.current.fingerprint if self.current is not None else ""
        self.current, self._state, self.problem = fresh, state, ""
        self._tickets = tickets
        self._records = {record.nickname: record for record in records}
        for warning in fresh.warnings():
            _log.warning("service=%s %s", self.service, warning)
        return True

    def serve_names(
        self, names: CertificateNames | None, credentials: Callable[[str], Credentials]
    ) -> None:
        """Present the certificates of `names` to clients that ask for them; None: nobody's."""
        current = self.current
        if names is None or current is None:
            self.server_names.turn_off()
            return
        policy, tickets = current.policy, self._tickets
        self.server_names.follow(
            names,
            current.certificates,
            credentials,
            policy,
            lambda chosen: self._build(chosen, policy, tickets=tickets),
            tickets,
        )

    def _build(
        self, personality: Sequence[Credentials], policy: Policy, *, tickets: bool
    ) -> ServerContext:
        """The service's context with any certificates, its own or those of a name."""
        context = build_server_context(personality, policy, alpn=self._alpn, tickets=tickets)
        self._seal.bind(context.ssl_context, _ticket_purpose(self.service, context))
        if self._staples is not None:
            self._staples.bind(context.ssl_context)
        return context

    def _prove(
        self, inventory: Callable[[], Inventory], records: Sequence[CertificateRecord]
    ) -> None:
        changed = [
            record
            for record in records
            if record.nickname not in self._records
            or _presented(self._records[record.nickname]) != _presented(record)
        ]
        if not changed:
            return
        authorities = [
            record.certificate for record in inventory().records if record.trust.is_authority
        ]
        now = datetime.now(UTC)
        for record in changed:
            old = self._records.get(record.nickname)
            try:
                prove(record, old.certificate if old else None, authorities, now)
            except KeystoreError as failure:
                if self.current is not None and not self.degraded:
                    raise
                # At the start there is nothing better to present: better loud than down.
                _log.warning("service=%s %s", self.service, failure)

    def _signs(self, context: ServerContext) -> bool:
        try:
            prove_tokens(context)
        except TokenError:
            return False
        return True

    def degrade(self, problem: str) -> None:
        """A token is gone: what comes next is better than nothing, and judged as at the start."""
        if not self.degraded or problem != self.problem:
            self.refusals += 1
            _log.error("service=%s %s", self.service, problem)
        self.degraded = True

    def is_ready(self) -> bool:
        """Whether there is anything to present."""
        return self.current is not None

    def withdraw(self) -> None:
        """Nothing is left to present: new handshakes are refused until something is."""
        self.current, self._state = None, ()
        self.server_names.turn_off()

    def keep_old(self, problem: str) -> None:
        """Note why what is in force stays, and say so once."""
        if problem != self.problem:
            self.refusals += 1
            _log.error(
                "service=%s the old certificate and policy stay in force: %s", self.service, problem
            )
        self.problem = problem


def _ticket_purpose(service: str, context: ServerContext) -> bytes:
    """What a ticket is good for: resuming with the same service, policy and certificates.

    A ticket would carry an older suite past a stricter policy, and a client past a certificate
    that was replaced because its key was stolen; both make a full handshake instead.
    """
    bound_to = (service, context.fingerprint, repr(context.policy))
    return hashlib.sha256("\0".join(bound_to).encode()).digest()


def _presented(record: CertificateRecord) -> tuple[x509.Certificate, ...]:
    """What clients are shown: a completed chain is a change too."""
    return record.certificate, *record.chain
