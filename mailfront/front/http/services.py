"""What the handlers work with, carried by the aiohttp application and each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web

from mailfront.front.http.client import certificate_digest, client_of
from mailfront.front.http.pages import Pages
from mailfront.front.http.sessions import Session, SessionTable
from mailfront.front.http.settings import WebSettings
from mailfront.interfaces.authenticator import Authenticator, Refusal
from mailfront.interfaces.mail_reader import MailReader
from mailfront.interfaces.message_sink import Submission
from mailfront.interfaces.status import StatusSource

SESSION_COOKIE = "__Host-session"
MAPPED_SECONDS = 60.0
NOT_NOW = "Your certificate cannot be checked right now. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the pages."""

    settings: WebSettings
    authenticator: Authenticator
    reader: MailReader
    submission: Submission
    status: StatusSource
    sessions: SessionTable
    pages: Pages


SERVICES = web.AppKey("services", Services)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
SignedInHandler: TypeAlias = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]


def services_of(request: web.Request) -> Services:
    """The services of the application that answers `request`."""
    return request.config_dict[SERVICES]


def session_of(request: web.Request) -> Session | None:
    """The live session whose cookie came with `request`.

    A session that a certificate began is its holder's alone: over a connection without it, or once
    it is not accepted any more, a stolen cookie opens nothing. Whose it is, `signed_in` asks.
    """
    token = request.cookies.get(SESSION_COOKIE)
    services = services_of(request)
    session = None if token is None else services.sessions.find(token)
    if session is None or not session.certificate:
        return session
    client = client_of(request, "")
    bound = certificate_digest(client.certificate) == session.certificate
    return session if bound and services.authenticator.accepts_certificate(client) else None


def signed_in(handler: SignedInHandler) -> Handler:
    """Give `handler` the session; who has none is sent to sign in, with a form refused."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        session = session_of(request)
        if session is not None and await _is_still_theirs(request, session):
            return await handler(request, session)
        if request.method == "POST":
            raise web.HTTPForbidden(text="You are signed out. Sign in and try again.")
        raise web.HTTPSeeOther("/sign-in")

    return guarded


async def _is_still_theirs(request: web.Request, session: Session) -> bool:
    """Whether the certificate that began the session still signs in the same user; else the session
    is over. Once a minute the directory is asked: a CA that lost its trust, or an enrolled key that
    was taken back, leaves a certificate that may be accepted as another's key would be."""
    if not session.certificate or session.used - session.mapped < MAPPED_SECONDS:
        return True
    services = services_of(request)
    holder = await services.authenticator.certificate_holder(client_of(request, "EXTERNAL"))
    if isinstance(holder, Refusal) and holder.temporary:
        raise web.HTTPServiceUnavailable(text=NOT_NOW)
    if isinstance(holder, Refusal) or holder.user != session.identity.user:
        services.sessions.close(request.cookies[SESSION_COOKIE])
        return False
    session.mapped = session.used
    return True


def is_admin(request: web.Request, session: Session) -> bool:
    """Whether the signed-in person may see the status page."""
    return session.identity.user in services_of(request).settings.admins
