"""The contexts of all services: which nicknames, profile and tickets the options ask of each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError, OperatorError
from mailfront.keystore.internal_token import InternalToken, Inventory
from mailfront.server.policies import policy_of
from mailfront.server.stapling import Stapling
from mailfront.tls.alpn import PROTOCOLS
from mailfront.tls.certificate_names import CertificateNames
from mailfront.tls.openssl import unavailable_settings
from mailfront.tls.personality import ContextSlot
from mailfront.tls.succession import MAXIMUM_LINES, Succession

# Every service that presents a certificate, with its ALPN names.
ALPN = PROTOCOLS


def nicknames_of(configuration: Configuration, service: str) -> tuple[str, ...]:
    """The personality of `service`: its own nicknames, or those of all services."""
    own = configuration.names(nickname_option(configuration, service))
    return own or configuration.names("encryption.rsa.nssslpersonalityssl")


def nickname_option(configuration: Configuration, service: str) -> str:
    """The name of the option that decides the personality of `service`."""
    own = f"local.{service}.sslnicknames"
    return own if configuration.names(own) else "encryption.rsa.nssslpersonalityssl"


def configured_nicknames(configuration: Configuration, services: Iterable[str]) -> frozenset[str]:
    """The nicknames that options name for any of `services`."""
    return frozenset(
        nickname for service in services for nickname in nicknames_of(configuration, service)
    )


class ServiceContexts:
    """One context slot per service, and the certificates that clients are shown by name (SNI):
    `succession` has those in force, `names` what they are for; None where that is turned off."""

    def __init__(self, services: Iterable[str], stapling: Stapling | None = None) -> None:
        staples = stapling.staples if stapling is not None else None
        self.slots = {service: ContextSlot(service, ALPN[service], staples) for service in services}
        self._stapling = stapling
        self.succession = Succession()
        self.names: CertificateNames | None = None
        self.configured: frozenset[str] = frozenset()

    def load(self, configuration: Configuration, token: InternalToken) -> list[str]:
        """Bring every slot up to date; return the services that got a new context.

        A service whose new certificate or policy cannot be used keeps the old one
        (`ContextSlot.problem`). Raises `ConfigurationError`, naming the option, if it has none to
        keep.
        """
        changed = []
        # Reading all of a large keystore costs, so the services share what was read.
        inventory = functools.cache(token.inventory)
        hours = configuration.integer("local.ssl.ticketlifetime")
        for service, slot in self.slots.items():
            slot.ticket_keys.set_lifetime(hours)
            nicknames = nicknames_of(configuration, service)
            try:
                policy = policy_of(configuration, service)
            except ConfigurationError as failure:
                if slot.current is None:
                    raise
                slot.keep_old(str(failure))
                continue
            try:
                tickets = configuration.boolean(f"local.{service}.sessiontickets")
                if slot.load(token, nicknames, policy, tickets=tickets, inventory=inventory):
                    changed.append(service)
            except OperatorError as failure:
                option = nickname_option(configuration, service)
                raise ConfigurationError(
                    f"{option} = {','.join(nicknames)}: {failure.what}", remedy=failure.remedy
                ) from failure
        self._follow_names(configuration, inventory)
        if self._stapling is not None:
            by_name = self.succession.records if self.names is not None else ()
            self._stapling.follow(configuration, self.slots.values(), by_name, inventory)
        return changed

    def forget_overdue_ticket_keys(self) -> None:
        """Even where nobody connects, no key stays in memory for longer than it opens."""
        for slot in self.slots.values():
            slot.ticket_keys.forget_overdue()

    def _follow_names(
        self, configuration: Configuration, inventory: Callable[[], Inventory]
    ) -> None:
        self.names = None
        if configuration.boolean("local.service.ssl.sni"):
            now = datetime.now(UTC)
            self.configured = configured_nicknames(configuration, self.slots)
            policies = [slot.current.policy for slot in self.slots.values() if slot.current]
            self.succession.follow(inventory(), [*dict.fromkeys(policies)], now, self.configured)
            self.names = CertificateNames(
                self.succession.records,
                now,
                configured=self.configured,
                identities=self.succession.identities,
            )
        else:
            self.succession.forget()
        for slot in self.slots.values():
            slot.serve_names(self.names, self.succession.open)

    def choice_is_due(self, now: datetime) -> bool:
        """Whether, because a certificate began or ended, another one is to be presented."""
        changes_at = self.names.changes_at if self.names is not None else None
        return changes_at is not None and now > changes_at

    def problems(self) -> list[str]:
        """Why services present an older certificate than the one configured."""
        of_services = [
            f"{service}: {slot.problem}" for service, slot in self.slots.items() if slot.problem
        ]
        return of_services + self.succession.problems()

    def warnings(self) -> list[str]:
        """What the policies and personalities in force are warned of, and what this Python or
        OpenSSL keeps a policy from setting."""
        found = [
            f"{service}: {warning}"
            for service, slot in self.slots.items()
            if slot.current is not None
            for warning in slot.current.warnings()
        ]
        return found + contest_warnings(self.names) + unavailable_settings()


def contest_warnings(names: CertificateNames | None) -> list[str]:
    """Which certificates are for the same names, each pair once, up to a number of them."""
    contests = [str(contest) for contest in names.contests] if names is not None else []
    more = len(contests) - MAXIMUM_LINES
    told = contests[:MAXIMUM_LINES]
    return [*told, *([f"{more} more certificates are for names of others"] if more > 0 else [])]
