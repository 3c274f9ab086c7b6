"""The clear HTTP port: it serves nothing but a redirect to the TLS port."""

from __future__ import annotations

from aiohttp import web


def create_redirect(hostname: str, tls_port: int) -> web.Application:
    """An application that answers every request with `https://hostname:tls_port/…`.

    The name is the configured one, never the request's Host header, so that nobody can make it
    point elsewhere. 308 keeps method and body (RFC 9110 section 15.4.9).
    """
    authority = hostname if tls_port == 443 else f"{hostname}:{tls_port}"

    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPPermanentRedirect(f"https://{authority}{request.raw_path}")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", redirect)
    return application
