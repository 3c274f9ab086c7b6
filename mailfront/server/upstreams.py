"""The upstreams of the mail services, out of the options: routes, TLS, the administrator's login.

Takes the configuration, the server root, and what upstreams' certificates must come from; gives
backends. The administrator's password is read when a session needs it, so a new one counts at
once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mailfront.backend.upstream.connecting import Connector, told
from mailfront.backend.upstream.routing import Routes
from mailfront.backend.upstream.session import Administrator, UpstreamBackend, Words
from mailfront.backend.upstream.smtp import SmtpRelay
from mailfront.backend.upstream.words import ImapWords, PopWords
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.secret_file import read_secret_file
from mailfront.configuration.upstream_list import Upstream, parse_upstreams
from mailfront.errors import BackendError, ConfigurationError, PeerError
from mailfront.interfaces.backend import Backend
from mailfront.interfaces.mail_relay import MailRelay
from mailfront.keystore.internal_token import InternalToken
from mailfront.server.server_trust import ServerTrust
from mailfront.server.web_service import web_upstreams

_WORDS: dict[str, Words] = {"imap": ImapWords(), "pop": PopWords()}
# Services whose mail may go in-line to other servers, and whether it comes from strangers.
_RELAYING = {"imta": True, "submit": False}
_PROTOCOLS = {"imta": ("smtp", "lmtp"), "submit": ("smtp",)}


class Upstreams:
    """The routes of all services that may have upstreams."""

    def __init__(
        self,
        root: ServerRoot,
        configuration: Configuration,
        own_names: Iterable[str],
        trust: ServerTrust,
    ) -> None:
        self._root = root
        self._configuration = configuration
        self._own_names = frozenset(own_names)
        self._routes = {service: self._routes_of(service) for service in _WORDS}
        self._connector = Connector(
            trust.context, configuration.integer("service.upstream.timeout")
        )
        self.web = web_upstreams(configuration, trust.context)
        our_name = configuration.string("service.hostname") or machine_name()
        self._relays = {
            service: SmtpRelay(upstreams, self._connector, our_name, judges_addresses=strangers)
            for service, strangers in _RELAYING.items()
            if (upstreams := self._upstreams_of(service))
        }

    def backend(self, service: str, embedded: Backend) -> Backend:
        """The backend of `service`: upstreams, and `embedded` for those who have none."""
        return UpstreamBackend(
            _WORDS[service], self._routes[service].find, embedded, self._connector,
            self._administrator,
        )  # fmt: skip

    def relay(self, service: str) -> MailRelay | None:
        """Where the mail of `service` (imta, submit) goes; None for the store on this machine."""
        return self._relays.get(service)

    def problems(self) -> list[str]:
        """What is wrong with upstreams, for the status."""
        problems = [problem for routes in self._routes.values() for problem in routes.problems()]
        problems += [] if self.web is None else self.web.problems()
        return problems + [each for relay in self._relays.values() for each in relay.problems()]

    async def examine(self) -> list[str]:
        """Try a connection to each upstream that options name; return what is wrong."""
        problems = []
        try:
            self._administrator()
        except BackendError as failure:
            problems.append(str(failure))
        for service in _WORDS:
            for upstream in self._upstreams_of(service):
                try:
                    (await self._connector.open(upstream)).transport.abort()
                except (OSError, PeerError) as failure:
                    problems.append(f"service.{service}.upstream: {upstream}: {told(failure)}")
        for service, relay in self._relays.items():
            for upstream in self._upstreams_of(service):
                try:
                    (await relay.examine(upstream)).leave()
                except (OSError, PeerError) as failure:
                    problems.append(f"service.{service}.upstream: {upstream}: {told(failure)}")
        if self.web is not None:
            problems += [f"service.http.upstream: {each}" for each in await self.web.examine()]
            await self.web.close()
        return problems

    async def close(self) -> None:
        """Close the connections that are kept open."""
        if self.web is not None:
            await self.web.close()

    def _upstreams_of(self, service: str) -> tuple[Upstream, ...]:
        option = f"service.{service}.upstream"
        protocols = _PROTOCOLS.get(service, (service,))
        return parse_upstreams(self._configuration.string(option), protocols)

    def _routes_of(self, service: str) -> Routes:
        protocols = (service,)
        return Routes(
            self._upstreams_of(service),
            self._configuration.string(f"service.{service}.mailhosturl"),
            protocols,
            self._own_names,
        )

    def _administrator(self) -> Administrator | None:
        name = self._configuration.string("local.service.proxy.admin")
        if not name:
            return None
        path = self._root.path / self._configuration.string("local.service.proxy.adminpassfile")
        try:
            return Administrator(name, read_secret_file(path))
        except ConfigurationError as failure:
            raise BackendError(str(failure), temporary=True) from failure


def check_upstreams(
    root: ServerRoot, configuration: Configuration, token: InternalToken
) -> list[str]:
    """Return what keeps upstreams from being used: the administrator's password, and each server
    that gives no connection (TLS and its certificate included) at this moment."""
    upstreams = Upstreams(root, configuration, (), ServerTrust(token))
    return asyncio.run(upstreams.examine())
