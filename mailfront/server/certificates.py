"""The contexts of all services: which nicknames, profile and tickets the options ask of each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError, OperatorError
from mailfront.keystore.internal_token import InternalToken, Inventory
from mailfront.server.policies import policy_of
from mailfront.tls.alpn import PROTOCOLS
from mailfront.tls.openssl import unavailable_settings
from mailfront.tls.personality import ContextSlot
from mailfront.tls.sni import CertificateNames

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


class ServiceContexts:
    """One context slot per service."""

    def __init__(self, services: Iterable[str]) -> None:
        self.slots = {service: ContextSlot(service, ALPN[service]) for service in services}

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
        self._follow_names(configuration, token, inventory)
        return changed

    def forget_overdue_ticket_keys(self) -> None:
        """Even where nobody connects, no key stays in memory for longer than it opens."""
        for slot in self.slots.values():
            slot.ticket_keys.forget_overdue()

    def _follow_names(
        self,
        configuration: Configuration,
        token: InternalToken,
        inventory: Callable[[], Inventory],
    ) -> None:
        names = None
        if configuration.boolean("local.service.ssl.sni"):
            names = CertificateNames(inventory().records)
        for slot in self.slots.values():
            slot.serve_names(names, token)

    def problems(self) -> list[str]:
        """Why services present an older certificate than the one configured."""
        return [
            f"{service}: {slot.problem}" for service, slot in self.slots.items() if slot.problem
        ]

    def warnings(self) -> list[str]:
        """What the policies and personalities in force are warned of, and what this Python or
        OpenSSL keeps a policy from setting."""
        found = [
            f"{service}: {warning}"
            for service, slot in self.slots.items()
            if slot.current is not None
            for warning in slot.current.warnings()
        ]
        return found + unavailable_settings()
