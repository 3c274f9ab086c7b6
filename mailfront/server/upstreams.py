"""The upstreams of the mail services, out of the options: routes, TLS, the administrator's login.

Takes the configuration, the server root, and what upstreams' certificates must come from; gives
backends. The administrator's password is read when a session needs it, so a new one counts at
once; `config/upstream_map` is followed while the server runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mailfront.backend.upstream.connecting import Connector, told
from mailfront.backend.upstream.learned import Learned
from mailfront.backend.upstream.probing import Probing
from mailfront.backend.upstream.routing import Routes
from mailfront.backend.upstream.session import Administrator, UpstreamBackend, Words
from mailfront.backend.upstream.smtp import SmtpRelay
from mailfront.backend.upstream.upstream_map import UpstreamMap, load_upstream_map
from mailfront.backend.upstream.words import ImapWords, PopWords
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.secret_file import read_secret_file
from mailfront.configuration.upstream_list import Upstream, parse_upstreams
from mailfront.errors import BackendError, ConfigurationError, OperatorError, PeerError
from mailfront.front.imap import state as imap_state
from mailfront.front.pop import state as pop_state
from mailfront.interfaces.backend import Backend
from mailfront.interfaces.mail_relay import MailRelay
from mailfront.keystore.internal_token import InternalToken
from mailfront.protocol.upstream_login.capabilities import imap_offer, pop_offer
from mailfront.server.server_trust import ServerTrust
from mailfront.server.web_service import web_upstreams

_log = logging.getLogger("mailfront.upstream")

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
        self._trust = trust
        self._routes = {service: self._routes_of(service) for service in _WORDS}
        self._learned = {
            "imap": Learned(imap_offer, b" ".join(imap_state.CAPABILITIES)),
            "pop": Learned(pop_offer, b"\r\n".join(pop_state.CAPABILITIES)),
        }
        self._connector = Connector(
            trust.context, configuration.integer("service.upstream.timeout")
        )
        self._probing = Probing(
            [(self._routes[service], self._learned[service]) for service in _WORDS],
            self._connector,
            configuration.integer("service.upstream.probeinterval"),
        )
        self._map_identity = _file_identity(root.upstream_map)
        self._map_problem = ""
        self._follow_map(load_upstream_map(root.upstream_map))
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
            self._administrator, self._learned[service],
        )  # fmt: skip

    def capabilities(self, service: str) -> Callable[[], Sequence[bytes]]:
        """What clients of `service` are told before the login; nothing: what we have here."""
        return self._learned[service].offered

    def listens_on(self, ports: Mapping[int, Collection[str]]) -> None:
        """These are our own ports, with their addresses: no session is handed to them."""
        self._connector.own_ports = ports

    async def look(self) -> None:
        """Take over a changed map, and begin the probes that are due."""
        identity = _file_identity(self._root.upstream_map)
        if identity != self._map_identity:
            self._map_identity = identity
            try:
                changed = await asyncio.to_thread(load_upstream_map, self._root.upstream_map)
            except OperatorError as failure:
                self._map_problem = str(failure).replace("\n", "; ")
                _log.error("the change is not taken over: %s", self._map_problem)
            else:
                self._map_problem = ""
                self._follow_map(changed)
                _log.info("upstream_map: %d lines in force", len(changed.entries))
        self._probing.look()

    def relay(self, service: str) -> MailRelay | None:
        """Where the mail of `service` (imta, submit) goes; None for the store on this machine."""
        return self._relays.get(service)

    def problems(self) -> list[str]:
        """What is wrong with upstreams, for the status."""
        problems = [problem for routes in self._routes.values() for problem in routes.problems()]
        problems += [each for each in (self._map_problem, self._trust.problem) if each]
        problems += [] if self.web is None else self.web.problems()
        return problems + [each for relay in self._relays.values() for each in relay.problems()]

    async def examine(self) -> list[str]:
        """Try a connection to each upstream that options name; return what is wrong."""
        self._trust.context()
        problems = [self._trust.problem] if self._trust.problem else []
        try:
            self._administrator()
        except BackendError as failure:
            problems.append(str(failure))
        for service, routes in self._routes.items():
            ours = self._upstreams_of(service)
            for upstream in [one for each in routes.configured() for one in each.upstreams]:
                try:
                    await self._probing.ask(upstream)
                except (OSError, PeerError) as failure:
                    where = f"service.{service}.upstream" if upstream in ours else "upstream_map"
                    problems.append(f"{where}: {upstream}: {told(failure)}")
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
            spread=self._configuration.integer("service.upstream.spread"),
        )

    def _follow_map(self, upstream_map: UpstreamMap) -> None:
        for service, routes in self._routes.items():
            routes.follow_map(upstream_map)
            named = [one for each in routes.configured() for one in each.upstreams]
            self._learned[service].follow(named, keeps_some_here=routes.keeps_some_here)

    def _administrator(self) -> Administrator | None:
        name = self._configuration.string("local.service.proxy.admin")
        if not name:
            return None
        path = self._root.path / self._configuration.string("local.service.proxy.adminpassfile")
        try:
            return Administrator(name, read_secret_file(path))
        except ConfigurationError as failure:
            raise BackendError(str(failure), temporary=True) from failure


def _file_identity(path: Path) -> tuple[int, int, int]:
    """What differs when a file was replaced or rewritten; zeros if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_dev, status.st_ino, status.st_mtime_ns)


def upstream_trust(configuration: Configuration, token: InternalToken) -> ServerTrust:
    """What upstreams' certificates must come from, and the one that we present to them."""
    return ServerTrust(token, presented=configuration.string("local.service.proxy.sslnicknames"))


def check_upstreams(
    root: ServerRoot, configuration: Configuration, token: InternalToken
) -> list[str]:
    """Return what keeps upstreams from being used: the administrator's password, and each server
    that gives no connection (TLS and its certificate included) at this moment. Raises
    `ConfigurationError` for what is wrong in `config/upstream_map`."""
    upstreams = Upstreams(root, configuration, (), upstream_trust(configuration, token))
    return asyncio.run(upstreams.examine())
