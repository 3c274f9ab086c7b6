"""The HTTPS service in front of a webmail: a few pages of our own, and all else passed on."""

from __future__ import annotations

import re

from aiohttp import web

from mailfront.front.http import sign_in, status
from mailfront.front.http.application import open_routes
from mailfront.front.http.protection import add_headers, guard
from mailfront.front.http.reverse_proxy.proxy import PASSED_ON, ReverseProxy
from mailfront.front.http.reverse_proxy.settings import ProxySettings
from mailfront.front.http.services import SERVICES, Handler, Services
from mailfront.interfaces.web_servers import WebServers

# Of a line or header field of a client; aiohttp takes 128 of them.
FIELD_LIMIT = 16 * 1024
_SMALL_FORM = 64 * 1024
_STRICT_TRANSPORT = "max-age=31536000"


def create_proxy(
    settings: ProxySettings, services: Services, servers: WebServers
) -> web.Application:
    """The application, ready for `aiohttp.web.AppRunner`. The runner must not decode bodies
    (`auto_decompress=False`), and should cancel handlers whose client is gone."""
    proxy = ReverseProxy(settings, servers, services.authenticator)

    @web.middleware
    async def guard_own(request: web.Request, handler: Handler) -> web.StreamResponse:
        # What is passed on takes as long as it takes, and has refusals of its own.
        if handler == proxy.handle:
            return await handler(request)
        return await guard(request, handler)

    application = web.Application(middlewares=[guard_own], client_max_size=_SMALL_FORM)
    application[SERVICES] = services
    application.on_response_prepare.append(_add_headers)
    files = "|".join(map(re.escape, services.pages.static))
    application.add_routes(
        [
            *open_routes(),
            web.get(f"/static/{{name:{files}}}", services.pages.static_file),
            *(_status_routes() if settings.keeps_status else ()),
        ]
    )
    application.router.add_route("*", "/{path:.*}", proxy.handle, expect_handler=_go_on)
    return application


def _status_routes() -> list[web.RouteDef]:
    return [
        web.get("/status", status.show),
        web.get("/sign-in", sign_in.show),
        web.post("/sign-in", sign_in.sign_in),
        web.post("/sign-in/certificate", sign_in.sign_in_with_certificate),
        web.post("/sign-out", sign_in.sign_out),
    ]


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """The webmail's answers are its own: only that TLS is here to stay is said beside it."""
    passed_on = request.get(PASSED_ON)
    if passed_on is None:
        await add_headers(request, response)
        return
    response.headers.setdefault("Strict-Transport-Security", _STRICT_TRANSPORT)
    # aiohttp's own additions.
    if "content-type" not in passed_on:
        response.headers.popall("Content-Type", None)
    if "server" not in passed_on:
        response.headers["Server"] = "mailfront"


async def _go_on(request: web.Request) -> None:
    """The client is told to send its body once a server is there to take it (`upload`)."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed
