"""Mail that goes in-line to a server behind us: transactions over connections, and what it offers.

Implements `interfaces.mail_relay`. One connection serves the transactions of one client, who is
named on it (XCLIENT, PROXY header); nothing is stored, nothing is retried once a transaction has
begun. RFC 5321 section 4.5.3.2 gives the times.

An LMTP server (RFC 2033) answers the end of a message once for each recipient, an SMTP client is
told one answer for all. So a transaction there has one recipient; further ones are put off with
452, as RFC 5321 section 4.5.3.1.10 has it: the client sends them the message again at once or
soon. Nothing is lost or delivered twice then, whichever answers would have differed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

from mailfront.backend.upstream.balance import Balance
from mailfront.backend.upstream.connecting import Connector, told
from mailfront.backend.upstream.smtp_channel import SmtpChannel
from mailfront.configuration.upstream_list import Upstream
from mailfront.errors import BackendError, ClientRefusedError, PeerError, UpstreamMailError
from mailfront.interfaces.mail_relay import (
    RelayAnswer,
    RelayClient,
    RelayConversation,
    RelayedMail,
    RelayOffer,
)
from mailfront.interfaces.message_sink import RecipientOptions
from mailfront.interfaces.tasks import start_task
from mailfront.protocol.proxy_header import names_client
from mailfront.protocol.upstream_smtp import replies
from mailfront.protocol.upstream_smtp.commands import (
    DATA,
    RSET,
    TRACE_ALLOWANCE,
    DataStuffing,
    chunk,
    mail_command,
    recipient_command,
)
from mailfront.protocol.upstream_smtp.opening import Capabilities

_log = logging.getLogger("mailfront.upstream")

# Seconds.
COMMAND_TIMEOUT = 300.0
DATA_TIMEOUT = 120.0
BLOCK_TIMEOUT = 180.0
END_TIMEOUT = 600.0
# What a server offers is asked again after this time, if no mail has told before.
OFFER_LASTS = 300.0
# EHLO waits so long for servers of which nothing is known yet.
OFFER_TIMEOUT = 10.0

_NO_OPTIONS = RecipientOptions()
_CLOSING = 421
_TAKEN = 250
_SAME_RECIPIENT = RelayAnswer(250, ("2.1.5 Recipient accepted before",))
_ONE_RECIPIENT = RelayAnswer(452, ("4.5.3 One recipient for each message, send again for others",))
_GO_ON = RelayAnswer(354, ("2.0.0 Go on",))
# It wants us to log in, which no client of ours can mend.
_WANTS_LOGIN = frozenset({530, 534, 535, 538})


class SmtpRelay:
    """A `MailRelay` over equal upstreams.

    With `judges_addresses` (mail of strangers) a server is used only if it is told the client's
    address: else it would judge all by ours, which it may well trust to relay.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        connector: Connector,
        our_name: str,
        *,
        judges_addresses: bool,
    ) -> None:
        self._balance = Balance(upstreams)
        self._connector = connector
        self._our_name = our_name
        self._judges_addresses = judges_addresses
        self._known: dict[Upstream, tuple[float, Capabilities]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def offer(self) -> RelayOffer:
        """Part of `MailRelay`: what all have that are known; one is asked if none is known lately,
        once for all who wait, and nobody waits for long, or where something was known before.

        Where none answers, MAIL will not succeed either.
        """
        if not any(until > time.monotonic() for until, _ in self._known.values()):
            if self._asking is None or self._asking.done():
                self._asking = start_task(self._ask(), name="what upstreams offer")
            if not self._known:
                await asyncio.wait((self._asking,), timeout=OFFER_TIMEOUT)
        known = [capabilities for _, capabilities in self._known.values()]
        limits = [each.size_limit - TRACE_ALLOWANCE for each in known if each.size_limit]
        return RelayOffer(
            size_limit=max(min(limits), 0) if limits else None,
            eight_bit=all(each.eight_bit for each in known),
            utf8=all(each.utf8 for each in known),
            dsn=bool(known) and all(each.dsn for each in known),
            require_tls=bool(known) and all(each.require_tls for each in known),
        )

    def conversation(self, client: RelayClient) -> RelayConversation:
        """Part of `MailRelay`."""
        return _Conversation(self, client)

    async def open(self, client: RelayClient | None) -> SmtpChannel:
        """Return a channel to the best server that serves us, counted as a session of it.

        Raises `BackendError` if there is none, and `ClientRefusedError`: any stranger can bring
        that about, so it never counts against the server. As it may be the server's trouble after
        all, one that is temporary is final only if no other server takes the client.
        """
        put_off: ClientRefusedError | None = None
        for upstream in self._balance.candidates(time.monotonic()):
            try:
                channel = await self.examine(upstream, client)
            except ClientRefusedError as refusal:
                peer = client.peer if client is not None else ""
                _log.info("upstream=%s peer=%s %s", upstream, peer, refusal)
                if refusal.code >= 500:
                    raise
                put_off = put_off or refusal
                continue
            except (OSError, PeerError) as failure:
                problem = told(failure)
                # That a client has no address is not the server's fault.
                at_fault = client is None or names_client(client.peer)
                if at_fault and self._balance.failed(upstream, problem, time.monotonic()):
                    _log.error("upstream=%s protocol=smtp %s", upstream, problem)
                continue
            self._balance.began(upstream)
            return channel
        if put_off is not None:
            raise put_off
        raise BackendError("no upstream can be reached", temporary=True)

    async def examine(self, upstream: Upstream, client: RelayClient | None = None) -> SmtpChannel:
        """Return a channel to this server. Raises `OSError` and `PeerError`."""
        channel = await SmtpChannel.open(self._connector, upstream, self._our_name, client)
        try:
            self._require_addresses(upstream, channel.opening.attributes, client)
        except PeerError:
            channel.leave()
            raise
        self._known[upstream] = (time.monotonic() + OFFER_LASTS, channel.opening.capabilities)
        return channel

    def ended(self, channel: SmtpChannel) -> None:
        """A channel that `open` gave is not used any more."""
        self._balance.ended(channel.upstream)

    def problems(self) -> list[str]:
        """What is wrong with servers, for the status."""
        return self._balance.problems()

    async def _ask(self) -> None:
        with contextlib.suppress(BackendError):
            channel = await self.open(None)
            self._balance.ended(channel.upstream)
            channel.leave()

    def _require_addresses(
        self, upstream: Upstream, attributes: frozenset[str], client: RelayClient | None
    ) -> None:
        if not self._judges_addresses or "ADDR" in attributes or upstream.protocol == "lmtp":
            # Nobody can relay through LMTP (RFC 2033 section 1).
            return
        if not upstream.proxy_header:
            raise UpstreamMailError(
                "it cannot be told the addresses of clients: it offers us no XCLIENT (Postfix: "
                "smtpd_authorized_xclient_hosts), and its URL does not end in ?proxy=v2"
            )
        if client is not None and not names_client(client.peer):
            raise UpstreamMailError("a PROXY header cannot tell it the address of this client")


class _Conversation:
    """A `RelayConversation`."""

    def __init__(self, relay: SmtpRelay, client: RelayClient) -> None:
        self._relay = relay
        self._client = client
        self._channel: SmtpChannel | None = None
        # From MAIL to the answer to the end of the message.
        self._under_way = False
        self._stuffing = DataStuffing()
        # Whether the message goes on as it comes in, by BDAT.
        self._chunked = False
        # The last recipient that was accepted.
        self._recipient = ""

    async def mail(self, mail: RelayedMail) -> RelayAnswer:
        """Part of `RelayConversation`; a connection that went stale is replaced."""
        self._recipient = ""
        answer = await self._mail_again(mail) if self._channel is not None else None
        if answer is None:
            with self._loss("MAIL"):
                try:
                    self._channel = await self._relay.open(self._client)
                except ClientRefusedError as refusal:
                    return self._judged(RelayAnswer(refusal.code, refusal.lines))
                answer = self._judged(await self._mail(self._channel, mail), 250)
        self._under_way = answer.accepts
        return answer

    async def recipient(self, address: str, options: RecipientOptions = _NO_OPTIONS) -> RelayAnswer:
        """Part of `RelayConversation`."""
        with self._loss("RCPT") as channel:
            if channel.upstream.protocol == "lmtp" and self._recipient:
                same = self._recipient == address
                return _SAME_RECIPIENT if same else _ONE_RECIPIENT
            command = recipient_command(address, channel.opening.capabilities, options)
            answer = self._judged(await channel.ask(command, COMMAND_TIMEOUT), 250, 251)
            if answer.accepts:
                self._recipient = address
            return answer

    async def data(self, *, chunked: bool = False) -> RelayAnswer:
        """Part of `RelayConversation`."""
        with self._loss("DATA") as channel:
            self._chunked = chunked and channel.opening.capabilities.chunking
            if self._chunked:
                return _GO_ON
            self._stuffing = DataStuffing()
            return self._judged(await channel.ask(DATA, DATA_TIMEOUT), 354)

    async def send(self, octets: bytes) -> RelayAnswer | None:
        """Part of `RelayConversation`."""
        with self._loss("a message") as channel:
            if self._chunked:
                answer = await channel.ask(chunk(octets), BLOCK_TIMEOUT)
                return None if answer.code == _TAKEN else self._judged(answer)
            early = await channel.unasked(BLOCK_TIMEOUT)
            if early is None:
                await channel.send(self._stuffing.stuff(octets), BLOCK_TIMEOUT)
                # A server that refuses may take nothing more.
                early = await channel.unasked(BLOCK_TIMEOUT)
            return None if early is None else self._refused_early(early)

    async def finish(self, octets: bytes) -> RelayAnswer:
        """Part of `RelayConversation`."""
        with self._loss("the end of a message") as channel:
            early = await channel.unasked(BLOCK_TIMEOUT)
            if early is not None:
                return self._refused_early(early)
            if self._chunked:
                rest = chunk(octets, last=True)
            else:
                rest = self._stuffing.stuff(octets) + self._stuffing.end()
            answer = await channel.ask(rest, END_TIMEOUT)
            # RFC 3030 section 2: after a refused chunk only RSET begins anew.
            self._under_way = self._chunked and not answer.accepts
            return self._judged(answer, 250)

    def drop(self) -> None:
        """Part of `RelayConversation`."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        self._relay.ended(channel)
        if self._under_way or not channel.is_usable:
            channel.abort()
        else:
            channel.leave()
        self._under_way = False

    async def _mail_again(self, mail: RelayedMail) -> RelayAnswer | None:
        """MAIL over the connection that there is; None if that is of no use any more."""
        channel = self._channel
        assert channel is not None
        try:
            reset = None
            if self._under_way:
                reset = await channel.ask(RSET, COMMAND_TIMEOUT)
                self._under_way = False
            if reset is None or reset.code == 250:
                answer = await self._mail(channel, mail)
                if answer.code != _CLOSING:
                    return self._judged(answer, 250)
        except (OSError, PeerError):
            pass
        except BaseException:
            self._abort()
            raise
        self._abort()
        return None

    async def _mail(self, channel: SmtpChannel, mail: RelayedMail) -> RelayAnswer:
        submitter = self._client.user if channel.opening.told_login else ""
        command = mail_command(mail, channel.opening.capabilities, submitter)
        return await channel.ask(command, COMMAND_TIMEOUT)

    def _judged(self, answer: RelayAnswer, *welcome: int) -> RelayAnswer:
        """The answer as it is passed on. Raises `PeerError` if it is none to what was asked."""
        if answer.code in _WANTS_LOGIN or (answer.code < 400 and answer.code not in welcome):
            raise UpstreamMailError(f"it answers {replies.told(answer)}")
        if answer.code == _CLOSING:
            self._abort()
        return replies.passed_on(answer)

    def _refused_early(self, answer: RelayAnswer) -> RelayAnswer:
        """A refusal before the end of a message; the rest is not sent any more."""
        refusal = self._judged(answer)
        self._abort()
        return refusal

    def _abort(self) -> None:
        self._under_way = True
        self.drop()

    @contextlib.contextmanager
    def _loss(self, what: str) -> Iterator[SmtpChannel]:
        """Whatever goes wrong ends the connection: half a message is none."""
        channel = self._channel
        if channel is None and what != "MAIL":
            raise BackendError("the connection to the upstream was lost before", temporary=True)
        try:
            yield channel  # type: ignore[misc]
        except (OSError, PeerError) as failure:
            # Without a channel it was we who ended it, for the client's sake.
            if self._channel is not None:
                _log.error(
                    "upstream=%s peer=%s failed at %s: %s",
                    self._channel.upstream, self._client.peer, what, told(failure),
                )  # fmt: skip
            self._abort()
            raise BackendError("the upstream failed", temporary=True) from failure
        except BaseException:
            self._abort()
            raise
