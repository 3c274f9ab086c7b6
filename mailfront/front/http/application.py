"""The web application: its routes, and the parts put together."""

from __future__ import annotations

from aiohttp import web

from mailfront.front.http import autoconfig, compose, mail, mta_sts, sign_in, status
from mailfront.front.http.pages import Pages
from mailfront.front.http.protection import add_headers, guard
from mailfront.front.http.services import SERVICES, Services
from mailfront.front.http.sessions import SessionTable
from mailfront.front.http.settings import WebSettings
from mailfront.interfaces.authenticator import Authenticator
from mailfront.interfaces.mail_reader import MailReader
from mailfront.interfaces.message_sink import Submission
from mailfront.interfaces.status import StatusSource


def services_for(
    settings: WebSettings,
    *,
    authenticator: Authenticator,
    reader: MailReader,
    submission: Submission,
    status_source: StatusSource,
) -> Services:
    """Everything behind the pages, with nobody signed in."""
    return Services(
        settings=settings,
        authenticator=authenticator,
        reader=reader,
        submission=submission,
        status=status_source,
        sessions=SessionTable(
            idle_timeout=settings.session_timeout,
            lifetime=settings.session_lifetime,
            limit=settings.session_limit,
        ),
        pages=Pages(settings.hostname),
    )


def open_routes() -> list[web.RouteDef]:
    """What is served to everybody, whether the webmail is ours or behind us."""
    return [
        web.get("/healthz", status.healthz),
        web.get("/.well-known/autoconfig/mail/config-v1.1.xml", autoconfig.autoconfig),
        web.get("/mail/config-v1.1.xml", autoconfig.autoconfig),
        web.get("/.well-known/mta-sts.txt", mta_sts.policy),
    ]


def create_application(services: Services) -> web.Application:
    """The application, ready for `aiohttp.web.AppRunner`. It must be reached over TLS only: its
    cookies are Secure, and browsers drop them otherwise."""
    limit, pages = services.settings.message_size_limit, services.pages
    application = web.Application(middlewares=[guard], client_max_size=limit)
    application[SERVICES] = services
    application.on_response_prepare.append(add_headers)
    application.add_routes(
        [
            web.get("/", sign_in.start),
            web.get("/sign-in", sign_in.show),
            web.post("/sign-in", sign_in.sign_in),
            web.post("/sign-in/certificate", sign_in.sign_in_with_certificate),
            web.post("/sign-out", sign_in.sign_out),
            web.get("/mail", mail.list_messages),
            web.get("/mail/message", mail.read_message),
            web.get("/mail/part", mail.download_part),
            web.get("/mail/source", mail.download_source),
            web.get("/compose", compose.show),
            web.post("/compose", compose.send),
            web.get("/status", status.show),
            web.get("/static/{name}", pages.static_file),
            *open_routes(),
        ]
    )
    return application
