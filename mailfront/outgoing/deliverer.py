"""Delivery of one message to the servers of one next hop: which, how protected, what they said.

Takes a `DeliveryJob`; gives a result for each recipient. Servers are tried in order until one
answers to MAIL; what it then says of each recipient is the result of this attempt. A failure is
for good only if every server failed for good.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mailfront.channels.channel import Channel, Demand
from mailfront.errors import (
    DestinationError,
    OperatorError,
    PeerError,
    ServerRefusalError,
    ServerTlsError,
    UpstreamTlsError,
)
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.outgoing.client_contexts import ClientContexts
from mailfront.outgoing.client_login import ClientLogin
from mailfront.outgoing.connection_pool import ConnectionPool
from mailfront.outgoing.dane import DaneState, DaneStatus, dane_state
from mailfront.outgoing.delivery_result import DeliveryJob, Outcome, RecipientResult
from mailfront.outgoing.mail_exchangers import (
    HostAddresses,
    Lookup,
    MailExchangers,
    host_addresses,
    mail_exchangers,
)
from mailfront.outgoing.message_form import MessageForm, message_form
from mailfront.outgoing.ourselves import Ourselves
from mailfront.outgoing.policy_map import PolicyEntry, PolicyMap
from mailfront.outgoing.server_judgement import failed_handshake
from mailfront.outgoing.smtp_connection import SmtpConnection
from mailfront.outgoing.smtp_session import (
    Introduction,
    Opening,
    SmtpSession,
    Timeouts,
    server_text,
)
from mailfront.outgoing.smtp_transaction import SMALL, Transaction, Verdict
from mailfront.outgoing.tls_decision import Protection, TlsDemand, TlsFacts, decide
from mailfront.outgoing.tls_reporting import ServerReport
from mailfront.outgoing.transport_policy import (
    NoPolicies,
    NoReports,
    PolicySource,
    ReportSink,
    ResultType,
)

_log = logging.getLogger("mailfront.outgoing")

# Addresses that are tried in one attempt; what is left may be tried in the next.
MOST_TRIES = 10


@dataclass(frozen=True, slots=True)
class _Server:
    """A server at one address, and what is demanded of it."""

    channel: Channel
    host: str
    address: str
    demand: TlsDemand

    def __str__(self) -> str:
        return server_text(self.host, self.address)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a server was of no use; `at_host` tells that it was not for this message's sake."""

    failure: DestinationError
    server: str
    policy: str
    at_host: bool


def _no_login(channel: Channel) -> ClientLogin | None:
    return None


@dataclass(slots=True)
class SmtpDeliverer:
    """A `Deliverer` by SMTP. `login` gives a channel's login (it may raise `ConfigurationError`);
    `hello` is our name in EHLO."""

    hello: str
    dns: Lookup
    contexts: ClientContexts
    ourselves: Ourselves
    policies: PolicySource = field(default_factory=NoPolicies)
    reports: ReportSink = field(default_factory=NoReports)
    policy_map: Callable[[], PolicyMap] = PolicyMap
    login: Callable[[Channel], ClientLogin | None] = _no_login
    timeouts: Timeouts = field(default_factory=Timeouts)
    password_in_clear: bool = False
    pool: ConnectionPool = field(default_factory=ConnectionPool)

    async def deliver(self, job: DeliveryJob) -> Mapping[str, RecipientResult]:
        """Part of `Deliverer`."""
        if job.message.size > SMALL:
            form = await asyncio.to_thread(message_form, job.message)
        else:
            form = message_form(job.message)
        return await _Attempt(self, job, form).run()

    def close(self) -> None:
        """End the sessions that are kept for later messages."""
        self.pool.close()


class _Attempt:
    """One call of `deliver`."""

    def __init__(self, deliverer: SmtpDeliverer, job: DeliveryJob, form: MessageForm) -> None:
        self._of = deliverer
        self._job = job
        self._form = form
        self._channel = job.route.channel
        self._domain = job.route.domain
        self._problems: list[_Problem] = []
        self._tries = 0

    async def run(self) -> Mapping[str, RecipientResult]:
        """Try the servers in order."""
        try:
            exchangers = await mail_exchangers(
                self._of.dns, self._channel, self._domain, self._of.ourselves.is_named
            )
        except DestinationError as failure:
            self._note(failure, "")
            return self._failed()
        for host in exchangers.hosts:
            results = await self._at_host(exchangers, host)
            if results is not None:
                return results
        return self._failed()

    async def _at_host(
        self, exchangers: MailExchangers, host: str
    ) -> Mapping[str, RecipientResult] | None:
        try:
            found = await host_addresses(self._of.dns, host)
            dane = await self._dane(exchangers, found, host)
            report, demand = await self._demand(exchangers, host, dane)
        except DestinationError as failure:
            self._note(failure, host)
            return None
        for address in found.addresses:
            if self._of.ourselves.is_at(address, self._channel.port):
                self._note(_loop(self._domain), host)
                return None
            if self._tries >= MOST_TRIES:
                return None
            self._tries += 1
            results = await self._at(_Server(self._channel, host, address, demand), report)
            if results is not None:
                return results
        return None

    async def _dane(self, exchangers: MailExchangers, found: HostAddresses, host: str) -> DaneState:
        if self._channel.tls_client is Demand.NEVER and self._entry is None:
            return DaneState(DaneStatus.ABSENT, host)
        return await dane_state(self._of.dns, exchangers, found, host, self._channel.port)

    @property
    def _entry(self) -> PolicyEntry | None:
        return self._of.policy_map().find(self._domain, self._channel.daemon, self._channel.port)

    async def _demand(
        self, exchangers: MailExchangers, host: str, dane: DaneState
    ) -> tuple[ServerReport, TlsDemand]:
        # A host that the configuration names serves no recipient's domain (RFC 8461 section 2).
        sts = None if exchangers.are_named else await self._of.policies.policy_for(self._domain)
        reports = NoReports() if self._form.is_tls_report else self._of.reports
        report = ServerReport(reports, self._domain, host, dane, sts)
        facts = TlsFacts(
            host=host,
            nexthop=self._channel.daemon.strip("[]").lower() or self._domain,
            channel=self._channel.tls_client,
            authenticated=exchangers.authenticated,
            dane=dane,
            entry=self._entry,
            sts=sts,
            require_tls=self._job.envelope.options.require_tls,
            tls_optional=self._form.tls_optional,
        )
        try:
            return report, decide(facts)
        except DestinationError as failure:
            if failure.temporary:
                dnssec = dane.status is DaneStatus.FAILED
                kind = ResultType.DNSSEC_INVALID if dnssec else ResultType.VALIDATION_FAILURE
                report.failed(kind.value, str(failure))
                self._of.policies.validation_failed(self._domain)
            raise

    async def _at(
        self, server: _Server, report: ServerReport
    ) -> Mapping[str, RecipientResult] | None:
        kept = self._of.pool.take(server)
        while True:
            session = kept
            try:
                session = session or await self._open(server, report)
                return await self._transact(server, session)
            except (DestinationError, PeerError, OSError, OperatorError) as failure:
                if kept is not None and not isinstance(failure, DestinationError):
                    # It ended a session that had served before: a new one may be better.
                    kept = None
                    continue
                self._note(_as_destination_error(failure), str(server), server.demand)
                return None

    async def _transact(
        self, server: _Server, session: SmtpSession
    ) -> Mapping[str, RecipientResult]:
        try:
            transaction = Transaction(session, self._job.envelope, self._job.message, self._form)
        except DestinationError:
            self._of.pool.give(server, session)
            raise
        try:
            verdicts = await transaction.run()
        except BaseException:
            session.connection.abort()
            raise
        if transaction.is_reusable and session.connection.is_usable:
            self._of.pool.give(server, session)
        else:
            session.connection.leave()
        return {recipient: _result(verdict, session) for recipient, verdict in verdicts.items()}

    async def _open(self, server: _Server, report: ServerReport) -> SmtpSession:
        demand = server.demand
        try:
            session = await self._opened(server, demand, report)
        except UpstreamTlsError as failure:
            problem = failed_handshake(failure)
            report.failed(problem.result, str(problem), server.address)
            if demand.is_mandatory:
                self._of.policies.validation_failed(self._domain)
                raise problem from failure
            _log.warning("server=%s in clear, for its TLS fails: %s", server, failure)
            clear = replace(
                demand, protection=Protection.CLEAR, reason=f"{demand.reason}; its TLS fails"
            )
            return await self._opened(server, clear, report)
        if demand.protection is not Protection.CLEAR:
            report.opened(session)
        return session

    async def _opened(
        self, server: _Server, demand: TlsDemand, report: ServerReport
    ) -> SmtpSession:
        who = Introduction(
            self._of.hello,
            self._of.login(self._channel),
            self._channel.sasl_client,
            self._of.password_in_clear,
        )
        connection = await SmtpConnection.open(
            server.address, self._channel.port, self._of.timeouts.connect
        )

        def context() -> ssl.SSLContext:
            return self._of.contexts.context(demand.protection, self._channel.client_certificate)

        try:
            opening = Opening(connection, server.host, demand, who, self._of.timeouts, context)
            return await opening.run()
        except ServerTlsError as failure:
            report.failed(failure.result, str(failure), server.address, connection.own_address)
            self._of.policies.validation_failed(self._domain)
            connection.abort()
            raise
        except BaseException:
            connection.abort()
            raise

    def _note(
        self, failure: DestinationError, server: str, demand: TlsDemand | None = None
    ) -> None:
        options = self._job.envelope.options
        permanent = not failure.temporary and not isinstance(failure, ServerRefusalError)
        at_host = not (options.require_tls or self._form.tls_optional or permanent)
        self._problems.append(
            _Problem(failure, server, "" if demand is None else str(demand), at_host)
        )

    def _failed(self) -> Mapping[str, RecipientResult]:
        """A temporary failure counts more than one for good, a later one more than an earlier."""
        assert self._problems, "no server, and no reason"
        temporary = [each for each in self._problems if each.failure.temporary]
        problem = (temporary or self._problems)[-1]
        failure = problem.failure
        reply = None
        if isinstance(failure, ServerRefusalError):
            reply = RelayAnswer(failure.code, failure.lines)
        text = f"{problem.server}: {failure}" if problem.server else str(failure)
        result = RecipientResult(
            Outcome.DEFERRED if temporary else Outcome.FAILED,
            reply=reply,
            text=text,
            remote_host=problem.server,
            policy=problem.policy,
            host_down=all(each.at_host for each in self._problems),
            status=failure.status,
        )
        return dict.fromkeys(self._job.envelope.recipients, result)


def _result(verdict: Verdict, session: SmtpSession) -> RecipientResult:
    tls = session.tls
    policy = str(session.demand)
    if tls.text != "clear":
        policy += f", verified by {tls.verified_by}" if tls.verified_by else ", not verified"
    return RecipientResult(
        verdict.outcome,
        reply=verdict.reply,
        text=verdict.text,
        remote_host=session.name,
        tls=tls.text,
        policy=policy,
        relayed=verdict.outcome is Outcome.DELIVERED and not session.offer.notifications,
        status=verdict.status,
    )


def _loop(domain: str) -> DestinationError:
    return DestinationError(
        f"mail for {domain} loops back to this server", temporary=False, status="5.4.6"
    )


def _as_destination_error(failure: Exception) -> DestinationError:
    if isinstance(failure, DestinationError):
        return failure
    if isinstance(failure, OperatorError):
        _log.error("outgoing mail waits: %s", failure)
        return DestinationError(f"our own settings: {failure.what}", temporary=True, status="4.3.5")
    if isinstance(failure, TimeoutError):
        return DestinationError("no answer in time", temporary=True, status="4.4.1")
    if isinstance(failure, OSError):
        # The text of the event loop's own repeats address and port.
        text = os.strerror(failure.errno) if failure.errno else str(failure)
        return DestinationError(text, temporary=True, status="4.4.1")
    return DestinationError(str(failure), temporary=True, status="4.4.2")
