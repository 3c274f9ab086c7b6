"""Standing policies of other domains, joined out of options, keystore and DNS: MTA-STS policies and
TLS reports.

`policies` and `reports` are what deliveries ask and tell; `start` begins what goes on in the
background; `follow` takes over what the keystore trusts.
"""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
import threading
from datetime import timedelta
from functools import partial

from cryptography import x509

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import AddressError, ConfigurationError
from mailfront.interfaces.tasks import start_task
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.public_authorities import public_authorities
from mailfront.outgoing.host_addresses import HostAddresses
from mailfront.outgoing.mta_sts.fetch import PolicyFetcher
from mailfront.outgoing.mta_sts.policy_files import PolicyFiles
from mailfront.outgoing.mta_sts.source import StsPolicies
from mailfront.outgoing.resolver import Resolver
from mailfront.outgoing.text_records import ResolvedTexts
from mailfront.outgoing.tls_report.document import ReportingOrganization
from mailfront.outgoing.tls_report.post import ReportPoster
from mailfront.outgoing.tls_report.reporting import Send, TlsReporting
from mailfront.outgoing.tls_report.store import ReportStore
from mailfront.outgoing.transport_policy import (
    NoPolicies,
    NoReports,
    PolicySource,
    ReportSink,
)
from mailfront.protocol.mail_address import canonical_address
from mailfront.tls.client_context import build_client_context


class WebTrust:
    """The TLS context for hosts of policies and receivers of reports: whom the keystore trusts for
    servers and, where the option says so, the public authorities. `follow` may be called in a
    thread."""

    def __init__(self, token: InternalToken, *, with_public: bool) -> None:
        self._token = token
        self._with_public = with_public
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        with self._lock:
            if self._context is None:
                self._context = build_client_context(self._authorities())
            return self._context

    def follow(self, token: InternalToken) -> None:
        """Trust whom the keystore trusts now."""
        with self._lock:
            self._token, self._context = token, None

    def _authorities(self) -> list[x509.Certificate]:
        found = [record.certificate for record in self._token.server_authorities()]
        if self._with_public:
            found += [entry.chain[0] for entry in public_authorities()]
        return found


class StandingPolicies:
    """To be made inside the running loop, in the one worker that delivers."""

    def __init__(
        self, root: ServerRoot, configuration: Configuration, resolver: Resolver,
        token: InternalToken,
        send: Send,
    ) -> None:  # fmt: skip
        self.policies: PolicySource = NoPolicies()
        self.reports: ReportSink = NoReports()
        self.problem = ""
        self._trust = WebTrust(token, with_public=configuration.boolean("mtasts.publicauthorities"))
        self._tasks: list[asyncio.Task[None]] = []
        self._sts: StsPolicies | None = None
        self._reporting: TlsReporting | None = None
        if configuration.boolean("tlsreport.enable"):
            self._reporting = self._build_reporting(root, configuration, resolver, send)
            self.reports = self._reporting or self.reports
        if configuration.boolean("mtasts.enable"):
            fetcher = PolicyFetcher(HostAddresses(resolver), configuration.integer("mtasts.port"))
            seconds = configuration.integer("mtasts.timeout")
            self.policies = self._sts = StsPolicies(
                PolicyFiles(root.mta_sts_directory),
                ResolvedTexts(resolver),
                partial(fetcher.fetch, seconds=seconds),
                self._trust.context,
                self.reports,
            )

    def _build_reporting(
        self, root: ServerRoot, configuration: Configuration, resolver: Resolver, send: Send
    ) -> TlsReporting | None:
        try:
            store = ReportStore(root.tls_report_database)
        except (sqlite3.Error, OSError) as failure:
            # Mail goes out all the same.
            self.problem = f"TLS reports: {root.tls_report_database}: {failure}"
            return None
        return TlsReporting(
            store,
            ResolvedTexts(resolver),
            send,
            ReportPoster(self._trust.context, HostAddresses(resolver)).post,
            reporting_organization(configuration),
            excluded=frozenset(map(str.lower, configuration.names("tlsreport.exclude"))),
            delay=timedelta(minutes=configuration.integer("tlsreport.delay")),
        )

    def start(self) -> None:
        """Refresh policies and send reports from now on."""
        if self._sts is not None:
            self._tasks.append(start_task(self._sts.run(), name="MTA-STS policies"))
        if self._reporting is not None:
            self._tasks.append(start_task(self._reporting.run(), name="TLS reports"))

    def follow(self, token: InternalToken) -> None:
        """Trust whom the keystore trusts now."""
        self._trust.follow(token)

    async def close(self) -> None:
        """End what goes on in the background, after the last delivery."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._reporting is not None:
            await self._reporting.close()


def reporting_organization(configuration: Configuration) -> ReportingOrganization:
    """Who sends TLS reports, as the options say. Raises `ConfigurationError`."""
    domain = configuration.string("service.defaultdomain")
    text = configuration.string("tlsreport.contact") or f"postmaster@{domain}"
    try:
        contact = canonical_address(text)
    except AddressError as error:
        raise ConfigurationError(
            f"tlsreport.contact: {text!r} is no mail address: {error}",
            remedy="name a mailbox here, such as postmaster@example.org",
        ) from error
    submitter = contact.rpartition("@")[2]
    name = configuration.string("tlsreport.organization") or domain or submitter
    return ReportingOrganization(name, contact, submitter)
