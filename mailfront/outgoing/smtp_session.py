"""From the greeting of a server to the first MAIL: EHLO, STARTTLS as demanded, the login.

Takes a connection and the demand, gives a session. What was offered in clear is forgotten inside
TLS (RFC 3207 section 4.2). Raises `DestinationError` and its kinds where the server does not serve
us or is not what was demanded, besides what the connection raises.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from mailfront.channels.channel import Demand
from mailfront.errors import DestinationError, ServerRefusalError, ServerTlsError
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.outgoing.client_login import ClientExchange, ClientLogin, choose_exchange
from mailfront.outgoing.mail_exchangers import address_literal
from mailfront.outgoing.server_judgement import SessionTls, judge_server
from mailfront.outgoing.smtp_commands import STARTTLS, Offer, offer_of
from mailfront.outgoing.smtp_connection import SmtpConnection
from mailfront.outgoing.tls_decision import Protection, TlsDemand
from mailfront.outgoing.transport_policy import ResultType
from mailfront.protocol.upstream_smtp.replies import told

_CLEAR = SessionTls("clear")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds (RFC 5321 section 4.5.3.2); `connect` and `handshake` are ours."""

    connect: float = 30.0
    handshake: float = 60.0
    command: float = 300.0
    data: float = 120.0
    block: float = 180.0
    end: float = 600.0


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who we are there: the name for EHLO, the login if the channel has one, and whether the
    password may be told to a server that nothing vouches for."""

    hello: str
    login: ClientLogin | None = None
    login_demand: Demand = Demand.NEVER
    password_in_clear: bool = False


@dataclass(slots=True)
class SmtpSession:
    """A session on which the next command is MAIL. `messages` counts those that were sent."""

    connection: SmtpConnection
    host: str
    offer: Offer
    tls: SessionTls
    demand: TlsDemand
    timeouts: Timeouts
    opened: float
    messages: int = 0

    @property
    def name(self) -> str:
        """The server for the log."""
        return server_text(self.host, self.connection.address)


def server_text(host: str, address: str) -> str:
    """A server for log and reports: its name, if it has one, and its address."""
    return f"[{address}]" if host.startswith("[") else f"{host}[{address}]"


class Opening:
    """One opening. `context` is not used where the demand is to stay in clear."""

    def __init__(
        self,
        connection: SmtpConnection,
        host: str,
        demand: TlsDemand,
        introduction: Introduction,
        timeouts: Timeouts,
        context: Callable[[], ssl.SSLContext],
    ) -> None:
        self._connection = connection
        self._host = host
        self._demand = demand
        self._introduction = introduction
        self._timeouts = timeouts
        self._context = context
        self._offer = Offer()
        self._tls = _CLEAR

    async def run(self) -> SmtpSession:
        """Return the session; on any failure the connection is to be aborted."""
        greeting = await self._connection.reply(self._timeouts.command)
        if greeting.code != 220:
            raise _refusal("it greets with", greeting)
        await self._hello()
        if self._demand.protection is not Protection.CLEAR:
            await self._secure()
        if self._demand.require_tls and not self._offer.require_tls:
            raise DestinationError(
                "its server does not offer REQUIRETLS", temporary=False, status="5.7.30"
            )
        await self._log_in()
        now = asyncio.get_running_loop().time()
        return SmtpSession(
            self._connection, self._host, self._offer, self._tls, self._demand, self._timeouts, now
        )

    async def _hello(self) -> None:
        name = self._introduction.hello
        answer = await self._ask(f"EHLO {name}\r\n")
        if answer.code == 250:
            self._offer = offer_of(answer)
            return
        if answer.code not in {500, 501, 502, 504, 550}:
            raise _refusal("it answers EHLO with", answer)
        # RFC 5321 section 3.2: a server without extensions.
        answer = await self._ask(f"HELO {name}\r\n")
        if answer.code != 250:
            raise _refusal("it answers HELO with", answer)
        self._offer = Offer(hello=(answer.lines[0].split() or [""])[0][:255])

    async def _secure(self) -> None:
        if not self._offer.starttls:
            self._not_secured("it does not offer STARTTLS")
            return
        answer = await self._connection.ask(STARTTLS, self._timeouts.command)
        if answer.code != 220:
            self._not_secured(f"it answers STARTTLS with {told(answer)}")
            return
        name = address_literal(self._demand.server_name) or self._demand.server_name
        tls = await self._connection.start_tls(self._context(), name, self._timeouts.handshake)
        self._tls = judge_server(tls, self._demand)
        self._offer = Offer()
        await self._hello()

    def _not_secured(self, what: str) -> None:
        if self._demand.is_mandatory:
            raise ServerTlsError(what, result=ResultType.STARTTLS_NOT_SUPPORTED.value)

    async def _log_in(self) -> None:
        who = self._introduction
        if who.login_demand is Demand.NEVER:
            return
        must = who.login_demand is Demand.MUST
        if who.login is None:
            if must:
                raise _no_login("the channel says mustsaslclient and has no credentials")
            return
        protected = self._tls is not _CLEAR
        exchange = None
        if protected or who.password_in_clear:
            exchange = choose_exchange(
                who.login,
                self._offer.mechanisms,
                may_tell_password=who.password_in_clear or self._may_tell_password,
            )
        if exchange is not None:
            await self._exchange(exchange)
        elif must:
            raise _no_login("it offers no login that may be used with the protection there is")

    @property
    def _may_tell_password(self) -> bool:
        """Whether something vouches for the server, or the operator waived that by `encrypt`."""
        return bool(self._tls.verified_by) or self._demand.protection is Protection.ENCRYPTED

    async def _exchange(self, exchange: ClientExchange) -> None:
        said = _encoded(exchange.first())
        answer = await self._ask(f"AUTH {exchange.mechanism} {said}\r\n")
        for _ in range(3):
            if answer.code != 334:
                break
            try:
                challenge = base64.b64decode(answer.lines[0].strip(), validate=True)
            except binascii.Error:
                raise _no_login("a challenge that is not base64") from None
            response = await asyncio.to_thread(exchange.respond, challenge)
            answer = await self._ask(f"{base64.b64encode(response).decode()}\r\n")
        if answer.code != 235:
            # The password may be mended before the message is too old.
            raise _no_login(f"it answers our login with {told(answer)}")
        if not exchange.is_complete:
            raise _no_login("it did not prove that it knows the password")

    async def _ask(self, command: str) -> RelayAnswer:
        return await self._connection.ask(command.encode("ascii"), self._timeouts.command)


def _encoded(first: bytes) -> str:
    return base64.b64encode(first).decode() or "="


def _refusal(what: str, answer: RelayAnswer) -> ServerRefusalError:
    return ServerRefusalError(f"{what} {told(answer)}", code=answer.code, lines=answer.lines)


def _no_login(what: str) -> DestinationError:
    return DestinationError(what, temporary=True, status="4.7.8")
