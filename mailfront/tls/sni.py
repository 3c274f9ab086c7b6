"""Server Name Indication (RFC 6066 section 3): the context for the name a client asks for.

Takes which certificates are for which names, and gives the context that presents them. A name
costs one look-up of itself and one of its wildcard, however many certificates there are. A context
is built when its certificates are first asked for, and the ones that were not used for longest are
let go. Names of the service's own personality, unknown names and no name at all get the
personality.

The choice is made before OpenSSL sees the ClientHello (`tls.first_flight`), not in its SNI
callback: OpenSSL opens a session ticket before it calls that, and a ticket is good only for the
certificates under which it was given (RFC 8446 section 4.6.1).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cryptography import x509

from mailfront.errors import KeystoreError, OperatorError
from mailfront.keystore.records import Credentials
from mailfront.tls.certificate_names import CertificateNames, Group, names_of
from mailfront.tls.context import PresentedChain, ServerContext
from mailfront.tls.key_policy import key_fault
from mailfront.tls.policy import Policy
from mailfront.tls.rotation import prove_handshake

_log = logging.getLogger("mailfront.tls")

# A context with its certificate takes some 25 KiB; building one takes a few milliseconds.
MAXIMUM_CONTEXTS = 1000

Fetch = Callable[[str], Credentials]
Build = Callable[[Sequence[Credentials]], ServerContext]


@dataclass(frozen=True, slots=True)
class _Supply:
    """All that a choice depends on, so that one assignment changes all of it at once."""

    names: CertificateNames
    own: frozenset[str]
    credentials: Fetch
    policy: Policy
    build: Build
    settings: object
    # In the order of their use. None: cannot be used, which was said.
    contexts: dict[Group, ServerContext | None]
    # Those of which a handshake was tried: one that was let go and comes back is not tried again.
    tried: set[Group] = field(default_factory=set)


class ServerNames:
    """The choice of one service among the certificates of the keystore.

    `choose` is called in the event loop, `follow` and `turn_off` in any thread. `built` counts the
    contexts that were made so far.
    """

    def __init__(self, service: str) -> None:
        self.built = 0
        self._service = service
        self._supply: _Supply | None = None

    def turn_off(self) -> None:
        """From now on every client gets the service's personality."""
        self._supply = None

    def follow(
        self,
        names: CertificateNames,
        personality: Iterable[x509.Certificate],
        credentials: Fetch,
        policy: Policy,
        build: Build,
        settings: object = None,
    ) -> None:
        """Choose among `names` from now on; what did not change is not built again.

        `build` makes the service's context of some credentials, as `policy` and `settings` have it:
        while those are equal, so are its contexts.
        """
        own = frozenset(name for each in personality for name in names_of(each))
        kept: dict[Group, ServerContext | None] = {}
        old = self._supply
        if old is not None and (old.policy, old.settings) == (policy, settings):
            kept = {
                group: context
                for group, context in old.contexts.copy().items()
                if context is not None
                and all(
                    nickname in names.identities
                    and names.identities[nickname] == old.names.identities.get(nickname)
                    for nickname in group
                )
            }
        self._supply = _Supply(names, own, credentials, policy, build, settings, kept, {*kept})

    def choose(self, name: str) -> ServerContext | None:
        """The context for a client that asks for the host `name`; None: the service's own."""
        supply = self._supply
        if not name or supply is None:
            return None
        group = supply.names.find(name, supply.own)
        return None if group is None else self._context(supply, group)

    def presented(self) -> list[PresentedChain]:
        """The certificates that clients have asked for by name, as far as they are at hand."""
        supply = self._supply
        contexts = supply.contexts.copy().values() if supply is not None else ()
        return [chain for context in contexts if context is not None for chain in context.chains]

    def _context(self, supply: _Supply, group: Group) -> ServerContext | None:
        contexts = supply.contexts
        if group in contexts:
            context = contexts.pop(group)
        else:
            context = self._build(supply, group)
            if len(contexts) >= MAXIMUM_CONTEXTS:
                del contexts[next(iter(contexts))]
        contexts[group] = context
        return context

    def _build(self, supply: _Supply, group: Group) -> ServerContext | None:
        self.built += 1
        try:
            personality = [supply.credentials(nickname) for nickname in group]
            fit = [
                credentials
                for credentials in personality
                if not key_fault(credentials.certificate.public_key(), supply.policy)
            ]
            if not fit:
                key = personality[0].certificate.public_key()
                raise KeystoreError(key_fault(key, supply.policy))
            context = supply.build(fit)
            if group not in supply.tried:
                prove_handshake(context.ssl_context, context.certificates)
                supply.tried.add(group)
        except OperatorError as failure:
            _log.warning(
                "service=%s nickname=%s is not presented to those who ask for its names: %s",
                self._service, ",".join(group), failure,
            )  # fmt: skip
            return None
        return context
