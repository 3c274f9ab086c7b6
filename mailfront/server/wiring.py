"""Configuration into services: every part is made here and handed to the parts that need it.

This is the only module that knows all packages. It opens nothing that others must wait for: the
keystore is already open, sockets are bound by `bind_ports`, and nothing is accepted yet.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace

from aiohttp import web

from mailfront.authentication.throttle import LoginThrottle
from mailfront.backend.embedded.delivery import StoreSink
from mailfront.backend.embedded.imap.session import EmbeddedImap
from mailfront.backend.embedded.pop import EmbeddedPop
from mailfront.backend.embedded.reader import StoreReader
from mailfront.backend.login_noting import LoginNoting
from mailfront.channels.channels_file import ChannelsFile
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.networks import NetworkSet
from mailfront.directory.lookup import RecipientDirectory
from mailfront.front.action import FrontState
from mailfront.front.connection import FrontConnection
from mailfront.front.http.application import services_for
from mailfront.front.http.redirect import create_redirect
from mailfront.front.http.services import SERVICES
from mailfront.front.http.settings import MailAccess, WebSettings
from mailfront.front.imap.state import ImapFront
from mailfront.front.pop.state import PopFront
from mailfront.front.settings import FrontSettings
from mailfront.front.smtp.front import SmtpFront
from mailfront.front.smtp.inbound import Arrivals
from mailfront.front.smtp.pop_before_smtp import PopBeforeSmtp
from mailfront.front.smtp.relay_sink import RelaySink
from mailfront.front.smtp.settings import Role, SmtpSettings
from mailfront.front.smtp.submission import WebmailSubmission
from mailfront.interfaces.backend import Backend
from mailfront.interfaces.message_sink import MessageSink
from mailfront.interfaces.recent_logins import RecentLogins
from mailfront.interfaces.status import StatusSource
from mailfront.listener.handshake_turns import HandshakeTurns
from mailfront.listener.limits import ConnectionLimits
from mailfront.listener.service_port import Front, PortSettings, ServicePort
from mailfront.listener.sockets import bind
from mailfront.observability.counters import Counters
from mailfront.server.certificates import ServiceContexts
from mailfront.server.control import Answer
from mailfront.server.logins import Logins, login_policy
from mailfront.server.outgoing import OutgoingMail
from mailfront.server.ports import check_distinct, offers_starttls, planned_ports
from mailfront.server.published_policy import published_policy
from mailfront.server.recent_logins import kludge_channel
from mailfront.server.upstreams import Upstreams
from mailfront.server.user_directory import UserDirectory
from mailfront.server.user_sessions import end_sessions
from mailfront.server.web_service import web_runner
from mailfront.server.worker_place import ALONE, WorkerPlace
from mailfront.store.mail_store import MailStore

BANNER = "mailfront ready"
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class BoundPort:
    """A port that is bound but does not accept yet."""

    settings: PortSettings
    listener: socket.socket


def bind_ports(configuration: Configuration) -> list[BoundPort]:
    """Bind every port or none. Raises `ListenError` or `ConfigurationError`."""
    bound: list[BoundPort] = []
    planned = planned_ports(configuration)
    check_distinct(planned)
    try:
        for settings in planned:
            listener = bind(
                settings.address,
                settings.port,
                option=settings.option,
                client_speaks_first=settings.implicit_tls,
            )
            bound.append(BoundPort(settings, listener))
    except BaseException:
        for port in bound:
            port.listener.close()
        raise
    return bound


class Services:
    """All services over one server root. Made inside the running loop."""

    def __init__(
        self,
        root: ServerRoot,
        configuration: Configuration,
        hostname: str,
        counters: Counters,
        status: StatusSource,
        directory: UserDirectory,
        upstreams: Upstreams,
        throttle: LoginThrottle | None = None,
        place: WorkerPlace = ALONE,
        recent: RecentLogins | None = None,
    ) -> None:
        self._recent = recent
        self.directory = directory
        self._upstreams = upstreams
        self._place = place
        self._ports: list[ServicePort] = []
        self._configuration = configuration
        self._hostname = hostname
        self._counters = counters
        self._store = MailStore(root.store_directory)
        self.logins = Logins(root, configuration, self.directory, throttle)
        self._authenticator = self.logins.authenticator
        administrators = configuration.names("store.admins")
        recipients = RecipientDirectory(
            self.directory,
            default_domain=configuration.string("service.defaultdomain"),
            administrators=administrators,
        )
        self.channels = ChannelsFile(root)
        store_sink = StoreSink(self._store, recipients.resolve)
        self.outgoing = (
            OutgoingMail(
                root, configuration, hostname, store_sink, counters.add, self.channels.current
            )
            if configuration.boolean("queue.enable")
            else None
        )
        sends = self.outgoing is not None
        self._sink = self.outgoing.sink if self.outgoing is not None else store_sink
        self._smtp_settings = SmtpSettings(
            hostname=hostname,
            domain=configuration.string("service.defaultdomain"),
            size_limit=configuration.integer("service.smtp.sizelimit"),
            bad_command_limit=configuration.integer("service.badcommandlimit"),
            login=login_policy(configuration, "imta"),
            spool_directory=root.store_directory,
            honours_dsn=sends,
            honours_require_tls=sends,
            sends=sends,
            pop_before_smtp=None
            if recent is None
            else PopBeforeSmtp(recent, kludge_channel(configuration, self.channels.current)),
        )
        root.store_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._imap_backend = EmbeddedImap(
            self._store,
            append_limit=configuration.integer("service.imap.literallimit"),
            bad_command_limit=configuration.integer("service.badcommandlimit"),
        )
        self._pop_backend = EmbeddedPop(
            self._store, bad_command_limit=configuration.integer("service.badcommandlimit")
        )
        self._web = web_runner(
            configuration,
            services_for(
                self._web_settings(administrators),
                authenticator=self._authenticator,
                reader=StoreReader(self._store),
                submission=WebmailSubmission(self._smtp_settings, self._webmail_sink()),
                status_source=status,
            ),
            upstreams.web,
            keeps_status=place.count == 1,
        )
        self._redirect = web.AppRunner(
            create_redirect(hostname, configuration.integer("service.http.sslport")),
            access_log=None,
        )

    async def ports(self, bound: list[BoundPort], contexts: ServiceContexts) -> list[ServicePort]:
        """Join every bound port to its front."""
        self.logins.start()
        for authentication in contexts.client_certificates.authentications.values():
            authentication.takes_any = self.logins.takes_enrolled_keys
        await self._web.setup()
        await self._redirect.setup()
        share, address_share = self._place.share, self._place.address_share
        limits = ConnectionLimits(
            total=share(self._configuration.integer("service.maxconnections")),
            per_address=address_share(self._configuration.integer("service.connectionsperaddress")),
        )
        turns = HandshakeTurns(
            total=share(self._configuration.integer("service.maxhandshakes")),
            per_address=address_share(
                self._configuration.integer("service.maxhandshakesperaddress")
            ),
            per_minute=address_share(self._configuration.integer("service.handshakesperminute")),
        )
        self._ports = [
            ServicePort(
                replace(port.settings, maximum_sessions=share(port.settings.maximum_sessions)),
                port.listener,
                contexts.slots[port.settings.service],
                self._front(port.settings, contexts.slots[port.settings.service].is_ready),
                limits,
                turns,
                self._counters,
                contexts.client_certificates.authentications[port.settings.group],
            )
            for port in bound
        ]
        return self._ports

    async def kick(self, address: str) -> Answer:
        """End the sessions of the user with `address` (`server.user_sessions`)."""
        webmail = self._web.app[SERVICES].sessions
        return await end_sessions(address, self.directory, self._ports, webmail)

    def problems(self) -> list[str]:
        """What is wrong with directory, logins, channels and outgoing mail, for the status."""
        problems = [self.directory.problem] if self.directory.problem else []
        problems += self.logins.problems() + self.channels.problems()
        return problems + (self.outgoing.problems() if self.outgoing is not None else [])

    async def operate_queue(self, request: str) -> Answer:
        """Do what `mailfront queue` asks for."""
        if self.outgoing is None:
            return {"error": "this server sends no mail to other servers: queue.enable is no"}
        return await self.outgoing.operate(request)

    def stop_web(self) -> None:
        """Close HTTP connections that only wait for a further request."""
        for runner in (self._web, self._redirect):
            if runner.server is not None:
                runner.server.pre_shutdown()

    async def close(self) -> None:
        """End what is left after the connections have ended."""
        await self._web.cleanup()
        await self._redirect.cleanup()
        await self._upstreams.close()
        if self.outgoing is not None:
            await self.outgoing.close()
        self.logins.close()
        self.directory.close()
        self._store.close()

    def _front(self, port: PortSettings, tls_ready: Callable[[], bool]) -> Front:
        match port.name:
            case "smtp" | "submission" | "submissions":
                role = Role.MX if port.name == "smtp" else Role.SUBMISSION
                settings = replace(
                    self._smtp_settings, tls_available=not port.implicit_tls, tls_ready=tls_ready,
                    arrivals=Arrivals(port.name, self.channels.current),
                    # A stranger's success notifications would go to whom the stranger names.
                    honours_dsn=self._smtp_settings.honours_dsn and role is Role.SUBMISSION,
                )  # fmt: skip
                relay = self._upstreams.relay("imta" if role is Role.MX else "submit")
                return SmtpFront(
                    role, settings, self._authenticator, self._sink, self._counters.add, relay
                )
            case "https":
                return _server(self._web)
            case "http":
                return _server(self._redirect)
            case "imap" | "imaps":
                return self._mail_front(
                    port, tls_ready, ImapFront, self._upstreams.backend("imap", self._imap_backend)
                )
            case _:
                return self._mail_front(
                    port, tls_ready, PopFront, self._upstreams.backend("pop", self._pop_backend)
                )

    def _mail_front(
        self,
        port: PortSettings,
        tls_ready: Callable[[], bool],
        state: Callable[..., FrontState],
        backend: Backend,
    ) -> Front:
        group = port.service
        if self._recent is not None:
            backend = LoginNoting(backend, self._recent)
        settings = FrontSettings(
            banner=f"{self._hostname} {BANNER}",
            tls_available=not port.implicit_tls and offers_starttls(self._configuration, group),
            login=login_policy(self._configuration, group),
            login_timeout=self._configuration.integer("service.logintimeout"),
            idle_timeout=self._configuration.integer(f"service.{group}.idletimeout") * _MINUTE,
            bad_command_limit=self._configuration.integer("service.badcommandlimit"),
            tls_ready=tls_ready,
            capabilities=self._upstreams.capabilities(group),
            front_ends=NetworkSet(self._configuration.string("service.frontnetworks")),
        )

        def front() -> asyncio.Protocol:
            return FrontConnection(
                port.service,
                state(settings, secure=port.implicit_tls),
                settings,
                self._authenticator,
                backend,
                self._counters.add,
            )

        return front

    def _webmail_sink(self) -> MessageSink:
        relay = self._upstreams.relay("submit")
        return self._sink if relay is None else RelaySink(relay, self._hostname)

    def _web_settings(self, administrators: tuple[str, ...]) -> WebSettings:
        configuration = self._configuration
        domain = configuration.string("service.defaultdomain")
        planned = {port.name: port.port for port in planned_ports(configuration)}
        policy = published_policy(configuration, self._hostname)
        return WebSettings(
            hostname=self._hostname,
            domain=domain or self._hostname,
            admins=frozenset(
                name if "@" in name else f"{name}@{domain}" for name in administrators
            ),
            mail_access=tuple(
                MailAccess(protocol, planned[name], socket_type)
                for name, protocol, socket_type in _MAIL_ACCESS
                if name in planned
            ),
            message_size_limit=configuration.integer("service.smtp.sizelimit"),
            session_timeout=configuration.integer("service.http.sessiontimeout") * _MINUTE,
            login=login_policy(configuration, "http"),
            policy_hosts=policy.hosts if policy is not None else frozenset(),
            mta_sts_policy=policy.text if policy is not None else "",
        )


# Port names with what autoconfiguration calls them, best first: implicit TLS (RFC 8314).
_MAIL_ACCESS = (
    ("imaps", "imap", "SSL"),
    ("imap", "imap", "STARTTLS"),
    ("pop3s", "pop3", "SSL"),
    ("pop3", "pop3", "STARTTLS"),
    ("submissions", "smtp", "SSL"),
    ("submission", "smtp", "STARTTLS"),
)


def _server(runner: web.AppRunner) -> Front:
    server = runner.server
    assert server is not None
    return server
