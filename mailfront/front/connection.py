"""The shell that IMAP and POP3 fronts share: octets in and out, TLS, deadlines, hand-over.

It feeds a state machine (`front.action.FrontState`) and carries out the actions that come back.
Until the login one timer guards the whole conversation; after it, the backend owns the octets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from secrets import token_urlsafe
from typing import Any, cast

from mailfront.errors import PeerError, ServerStoppingError, SessionKickedError
from mailfront.front.action import (
    KICKED_OUT,
    STOPPING,
    TOO_SLOW,
    Action,
    Ask,
    AskForHolder,
    Close,
    Farewell,
    FrontState,
    HandOver,
    SecurityEvent,
    Send,
    StartTls,
    Told,
)
from mailfront.front.agreed_channel import channel_of
from mailfront.front.login_channel import LoginChannel
from mailfront.front.settings import FrontSettings
from mailfront.interfaces.authenticator import Authenticator, Identity, LoginClient, Refusal
from mailfront.interfaces.backend import KICKED, LOGOUT, AuthenticatedSession, Backend
from mailfront.interfaces.credentials import (
    BearerCredentials,
    PasswordCredentials,
    ScramVerifier,
    VerifierRequest,
)
from mailfront.interfaces.forwarded_client import NOTHING_TOLD
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.interfaces.secret import Secret
from mailfront.interfaces.tasks import start_task
from mailfront.interfaces.transport import UpgradableTransport
from mailfront.protocol.sasl.scram import PLUS

_log = logging.getLogger("mailfront.front")

# Who is told so is not let in any more, even if the password is right.
_ENDING = (STOPPING, KICKED_OUT)


class FrontConnection(asyncio.Protocol):
    """One connection before (and, for its time-keeping, during) its session."""

    __slots__ = (
        "__weakref__", "_authenticator", "_backend", "_count", "_deadline", "_farewell", "_granted",
        "_handed_over", "_login",
        "_service", "_settings", "_state", "_told", "_transport",
    )  # fmt: skip

    def __init__(
        self,
        service: str,
        state: FrontState,
        settings: FrontSettings,
        authenticator: Authenticator,
        backend: Backend,
        count: Callable[[str], None],
    ) -> None:
        self._service = service
        self._state = state
        self._settings = settings
        self._authenticator = authenticator
        self._backend = backend
        self._count = count
        self._transport: UpgradableTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._login: asyncio.Task[None] | None = None
        self._farewell: Farewell | None = None
        self._granted: tuple[Identity, Secret | None, Secret | None] | None = None
        self._handed_over = False
        self._told = NOTHING_TOLD

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast(UpgradableTransport, transport)
        self._deadline = asyncio.get_running_loop().call_later(
            self._settings.login_timeout, self._login_overdue
        )
        self._perform(self._state.greet(self._channel(self._transport)))

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self._perform(self._state.receive(data))

    def eof_received(self) -> bool:
        """Part of `asyncio.Protocol`."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._cancel_deadline()
        self._transport = None
        login, self._login = self._login, None
        if login is not None:
            login.cancel()

    def stop(self, *, kicked: bool = False) -> None:
        """End the session politely: the server is stopping, or an administrator wants it."""
        self._end(KICKED_OUT if kicked else STOPPING)

    def _perform(self, actions: list[Action]) -> None:
        transport = self._transport
        if transport is None:
            return
        for action in actions:
            if isinstance(action, Send):
                transport.write(action.data)
            elif isinstance(action, Ask | AskForHolder):
                self._start(transport, self._log_in(transport, action))
            elif isinstance(action, StartTls):
                transport.start_tls(self._tls_established)
            elif isinstance(action, Close):
                transport.record.end(action.reason)
                transport.close_lingering()
            elif isinstance(action, SecurityEvent):
                self._count(f"{self._service}.{action.name}")
                _log.warning(
                    "service=%s peer=%s %s", self._service, transport.peer, action.text
                )  # fmt: skip
            elif isinstance(action, Told):
                self._told = action.client.over(self._told)
            else:
                self._start(transport, self._hand_over(transport, action))

    def _start(self, transport: UpgradableTransport, work: Coroutine[Any, Any, None]) -> None:
        # What the client sends meanwhile waits in the kernel, not in our memory.
        transport.pause_reading()
        self._login = start_task(work, name=f"{self._service} session")

    def _channel(self, transport: UpgradableTransport) -> LoginChannel:
        return channel_of(
            transport,
            self._service,
            self._authenticator,
            binding=PLUS in self._settings.login.mechanisms,
            is_front_end=transport.peer.address in self._settings.front_ends,
        )

    def _client(self, transport: UpgradableTransport) -> Peer:
        """Who the client is: the one at the other end, or of whom the front end there tells."""
        told, peer = self._told, transport.peer
        if not told.address:
            return peer
        return replace(peer, address=told.address, port=told.port)

    def _tls_established(self, facts: TlsFacts) -> None:
        assert self._transport is not None
        # Like all that was said in clear (RFC 9051 section 11.1, RFC 2595 section 4).
        self._told = NOTHING_TOLD
        self._perform(self._state.tls_established(self._channel(self._transport)))

    async def _log_in(self, transport: UpgradableTransport, ask: Ask | AskForHolder) -> None:
        outcome = await self._judge(transport, ask)
        if transport.is_closing():
            return
        if isinstance(outcome, Identity) and self._farewell not in _ENDING:
            self._granted = (outcome, _password_of(outcome, ask), _token_of(outcome, ask))
            actions = self._state.authenticated()
            if isinstance(actions[0], HandOver):
                session = self._begin_session(transport, actions[0])
                # A session may last for days, and this frame with it.
                del ask, outcome, actions
                await self._serve(transport, session)
                return
            self._perform(actions)
        elif isinstance(outcome, Refusal):
            if isinstance(ask, Ask):
                self._count(f"{self._service}.logins_refused")
            self._perform(self._state.refused(outcome))
        elif isinstance(outcome, ScramVerifier):
            self._perform(self._state.supplied(outcome))
        self._login = None
        if self._farewell is not None:
            self._perform(self._state.end(self._farewell))
            return
        transport.resume_reading()
        # What the client had pipelined may hold the next login.
        self._perform(self._state.receive(b""))

    async def _judge(
        self, transport: UpgradableTransport, ask: Ask | AskForHolder
    ) -> Identity | ScramVerifier | Refusal:
        facts, peer = transport.tls_facts, self._client(transport)
        method = ask.method if isinstance(ask, Ask) else "PREAUTH"
        certificate = facts.client_certificate if facts is not None else None
        client = LoginClient(self._service, peer, method, certificate)
        try:
            if isinstance(ask, AskForHolder):
                return await self._authenticator.certificate_holder(client)
            if isinstance(ask.question, VerifierRequest):
                return await self._authenticator.scram_verifier(client, ask.question.login)
            return await self._authenticator.authenticate(client, ask.question)
        except Exception:
            _log.exception("service=%s peer=%s the login could not be judged", self._service, peer)
            return Refusal("Try again later", "internal error", temporary=True)

    async def _hand_over(self, transport: UpgradableTransport, hand_over: HandOver) -> None:
        if self._farewell in _ENDING:
            self._perform(self._state.end(self._farewell))
            return
        await self._serve(transport, self._begin_session(transport, hand_over))

    def _begin_session(
        self, transport: UpgradableTransport, hand_over: HandOver
    ) -> AuthenticatedSession:
        assert self._granted is not None
        (identity, password, token), self._granted = self._granted, None
        self._handed_over = True
        self._cancel_deadline()
        self._count(f"{self._service}.logins")
        transport.record.user = identity.user
        transport.record.method = identity.method
        client, told = self._client(transport), self._told
        if told.address:
            transport.record.forwarded_for = str(client)
        # A front end before us has named the session already.
        transport.record.session_id = session_id = told.session_id or token_urlsafe(9)
        # Nothing is delivered before the backend first waits; by then it is the protocol.
        transport.resume_reading()
        return AuthenticatedSession(
            transport=cast(asyncio.Transport, transport),
            identity=identity,
            tag=hand_over.tag,
            leftover=hand_over.leftover,
            peer=client,
            tls=transport.tls_facts,
            idle_timeout=self._settings.idle_timeout,
            password=password,
            token=token,
            time_to_live=told.time_to_live,
            session_id=session_id,
            is_forwarded=bool(told.address),
        )

    async def _serve(self, transport: UpgradableTransport, session: AuthenticatedSession) -> None:
        try:
            reason = await self._backend.serve(session)
        except PeerError as fault:
            reason = str(fault)
        except TimeoutError:
            reason = "idle time-out"
        except SessionKickedError:
            reason = KICKED
        except ServerStoppingError:
            reason = "server stopping"
        except Exception:
            reason = "internal error"
            _log.exception(
                "service=%s peer=%s user=%s session failed",
                self._service, transport.peer, session.identity.user,
            )  # fmt: skip
        transport.record.end(reason)
        if reason == LOGOUT:
            transport.close()
        else:
            transport.close_lingering()

    def _login_overdue(self) -> None:
        self._deadline = None
        self._end(TOO_SLOW)

    def _end(self, farewell: Farewell) -> None:
        """End the conversation, once a login that is being judged has its answer.

        A backend that has not made itself the protocol still connects to where the session is.
        """
        if self._login is None:
            self._perform(self._state.end(farewell))
        elif not self._handed_over:
            self._farewell = farewell
        elif (
            (transport := self._transport) is not None
            and not transport.is_closing()
            and transport.get_protocol() is self
        ):
            self._perform(self._state.end(farewell))
            self._login.cancel()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _password_of(identity: Identity, ask: Ask | AskForHolder) -> Secret | None:
    """The user's own password, if that is what let them in."""
    if not isinstance(ask, Ask) or not isinstance(ask.question, PasswordCredentials):
        return None
    return None if identity.acting or identity.by_certificate else ask.question.password


def _token_of(identity: Identity, ask: Ask | AskForHolder) -> Secret | None:
    """The user's own access token, if that is what let them in."""
    if not isinstance(ask, Ask) or not isinstance(ask.question, BearerCredentials):
        return None
    return None if identity.acting else ask.question.token
