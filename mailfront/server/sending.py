"""What speaks to other servers, joined out of options, keystore and files.

Takes the configuration, the authorities and certificates of the moment, and the standing policies;
gives the `SmtpDeliverer`. Raises `ConfigurationError` for options or a policy map that are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from mailfront.channels.channel import Channel
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import Credentials
from mailfront.outgoing.client_contexts import ClientContexts
from mailfront.outgoing.client_login import ClientLogin, read_login
from mailfront.outgoing.deliverer import SmtpDeliverer
from mailfront.outgoing.ourselves import Ourselves
from mailfront.outgoing.policy_map import PolicyMapFile, load_policy_map
from mailfront.outgoing.resolver import Resolver, SystemServers, name_servers, servers_to_ask
from mailfront.outgoing.smtp_session import Timeouts
from mailfront.outgoing.transport_policy import PolicySource, ReportSink


def policy_map_path(root: ServerRoot) -> Path:
    """Where the operator's demands for single destinations are."""
    return root.config_directory / "tls_policy"


def build_resolver(configuration: Configuration) -> Resolver:
    """The DNS as the options say. Raises `ConfigurationError`."""
    believe_all = configuration.boolean("dns.trustad")
    named = name_servers(configuration.string("dns.servers"), believe_all=believe_all)
    system = SystemServers(believe_all=believe_all)
    return Resolver(
        (lambda: named) if named else system, timeout=configuration.integer("dns.timeout")
    )


def check_sending(root: ServerRoot, configuration: Configuration) -> list[str]:
    """Return warnings. Raises `ConfigurationError` for a mistake in what sending is told."""
    load_policy_map(policy_map_path(root))
    servers = build_resolver(configuration).servers()
    asked = servers_to_ask(servers)
    left = [str(each) for each in servers if each not in asked]
    if not left:
        return []
    return [
        f"dns.servers or resolv.conf: {', '.join(left)} is not asked: DNSSEC counts only from"
        f" {', '.join(map(str, asked))}"
    ]


class Sending:
    """`deliverer` speaks to other servers; `follow` lets it take over what the keystore holds."""

    def __init__(
        self,
        root: ServerRoot,
        configuration: Configuration,
        hostname: str,
        resolver: Resolver,
        token: InternalToken,
        credentials: Callable[[str], Credentials],
        policies: PolicySource,
        reports: ReportSink,
    ) -> None:
        self._token = token
        self._contexts = ClientContexts(self._authorities, credentials)
        command = float(configuration.integer("queue.commandtimeout"))
        self.deliverer = SmtpDeliverer(
            hello=hostname,
            dns=resolver,
            contexts=self._contexts,
            ourselves=Ourselves.of({hostname}, configuration.integer("service.smtp.port")),
            policies=policies,
            reports=reports,
            policy_map=PolicyMapFile(policy_map_path(root)).current,
            login=_login,
            timeouts=Timeouts(
                connect=configuration.integer("queue.connecttimeout"),
                handshake=min(60.0, command),
                command=command,
                data=min(120.0, command),
                block=min(180.0, command),
                end=2 * command,
            ),
            password_in_clear=configuration.boolean("queue.cleartextlogin"),
        )

    def follow(self, token: InternalToken) -> None:
        """Trust whom the keystore trusts now."""
        self._token = token
        self._contexts.forget()

    def _authorities(self) -> list[x509.Certificate]:
        return [record.certificate for record in self._token.server_authorities()]


def _login(channel: Channel) -> ClientLogin | None:
    return read_login(Path(channel.credentials)) if channel.credentials else None
